"""What code generation hands to the runtime: a program's text and the facts needed to call it.

Plain data; it can be stored and sent to another process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

# Dtype as in IR text, and shape.
ArrayType: TypeAlias = tuple[str, tuple[int, ...]]


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
class LibraryCall:
    """A function of the host's libraries that programs call among their kernels.

    Attributes:
        symbol: of ``void (ptr arguments, i64)``, which the module leaves to be defined; the
            arguments are pointers, as a kernel's.
        name, options: the row of ``treadle.ir.library``, and what it is called with.
        pairs: which operands are complex.
        operands: dtype and shape of each operand, and which argument points to it.
        results: for each argument that is written to, in order and after all that are read, dtype
            and shape, and which of the function's results goes there.
    """

    symbol: str
    name: str
    options: tuple[Any, ...]
    pairs: tuple[int, ...]
    operands: tuple[tuple[ArrayType, int], ...]
    results: tuple[tuple[ArrayType, int], ...]


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
        library: the library functions that it calls.
    """

    llvm: str
    entry: str
    arena_bytes: int
    inputs: tuple[int, ...]
    outputs: tuple[OutputPlan, ...]
    kernels: tuple[KernelInfo, ...]
    library: tuple[LibraryCall, ...] = ()
