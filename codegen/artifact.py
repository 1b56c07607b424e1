"""What code generation hands to the runtime: a program's text and the facts needed to call it.

Plain data; it can be stored and sent to another process.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KernelInfo:
    """One launch of a kernel within a program.

    Attributes:
        name: symbol of the kernel.
        parallel_tasks: independent tasks it is split into; depends on shapes only.
        bytes: bytes that it must read and write, each buffer element counted once.
        flops: arithmetic operations, a fused multiply-add counted as two.
        locations: user lines (``file:line``) that the kernel computes.
    """

    name: str
    parallel_tasks: int
    bytes: int
    flops: int
    locations: tuple[str, ...]


@dataclass(frozen=True)
class OutputPlan:
    """Where a program's output lives: ``nbytes`` of its own, or the memory of input ``donated``."""

    nbytes: int
    donated: int | None


@dataclass(frozen=True)
class Artifact:
    """One compiled program: its LLVM module as text and what the runtime must know to call it.

    Attributes:
        llvm: module text without target triple and data layout.
        entry: symbol of ``void (ptr table)``; the table holds the pointers of the inputs, then of
            the outputs, then of the arena.
        arena_bytes: scratch memory for temporaries, aligned to 64 bytes.
        inputs: bytes of each input.
        outputs: place of each output.
        kernels: the launches in order.
    """

    llvm: str
    entry: str
    arena_bytes: int
    inputs: tuple[int, ...]
    outputs: tuple[OutputPlan, ...]
    kernels: tuple[KernelInfo, ...]
