"""Programs: from the values of a request to machine code, through graph, passes and kernels.

Used by the engine to run programs and by the command line to show every stage of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np

import treadle.codegen
import treadle.ir
import treadle.runtime
from treadle.codegen.artifact import Artifact
from treadle.codegen.target import Target
from treadle.ir.complex_values.pairs import with_pairs
from treadle.ir.errors import PassError
from treadle.ir.graph import Graph
from treadle.ir.interpreter import interpret
from treadle.ir.pass_check import same
from treadle.ir.printer import print_graph
from treadle.ir.value import Array, LoopClass, Value, topological
from treadle.runtime import cpu, disk_cache, jit
from treadle.runtime.memory import Buffer
from treadle.runtime.target import host_target
from treadle.tracer import locations
from treadle.tracer.segment import Request

# Told of every program that is built; gives a function to call at each of its runs.
Observer: TypeAlias = Callable[[Graph], Callable[[], None]]
_observers: list[Observer] = []


def graph_of(request: Request) -> Graph:
    """The graph of a request, with the user lines of its values and pairs for complex ones."""
    values = topological(request.outputs)
    lines = {value: _shown(value) for value in values if locations.lines_of(value)}
    # What a library function raises, an interruption by the user too, must leave all as it was.
    calls = any(value.op.loop_class is LoopClass.LIBRARY for value in values)
    donated = frozenset[int]() if calls else request.donated
    return with_pairs(Graph("step", request.inputs, request.outputs, lines, donated))


def _shown(value: Value) -> tuple[tuple[str, int], ...]:
    return tuple((shown_file(file), line) for file, line in locations.lines_of(value))


@lru_cache(maxsize=1024)
def shown_file(file: str) -> str:
    """A file's path relative to the working directory, or its name alone outside it."""
    relative = os.path.relpath(file)
    return os.path.basename(file) if relative.startswith("..") else relative


@lru_cache(maxsize=1)
def target() -> Target:
    """What schedules must know of this machine."""
    facts = host_target()
    return Target(
        kind="cpu",
        lane_bytes=facts.vector_bytes,
        registers=facts.vector_registers,
        fma=facts.has_fma,
    )


def build(graph: Graph) -> Artifact:
    """The machine-independent text of a program for this machine."""
    # Passes and code generation take time to import, and none where programs are on disk.
    from treadle import compiler  # noqa: PLC0415

    return compiler.build(graph, target())


def load(graph: Graph) -> cpu.LoadedProgram:
    """A program ready to run: as stored by an earlier process, or built and stored."""
    store = disk_cache.shared()
    key = disk_cache.digest(
        "program", compiler_version(), repr(target()), jit.code_version(), print_graph(graph)
    )
    stored = store.get(key)
    program = None if stored is None else cpu.load_serialized(stored)
    if program is None:
        program = cpu.load(build(graph))
        store.put(key, program.serialize())
    return program


@lru_cache(maxsize=1)
def compiler_version() -> str:
    """Digest of the compiler's own source, so that a changed compiler builds programs anew."""
    sources = []
    for package in (treadle.ir, treadle.codegen, treadle.runtime):
        for folder in package.__path__:
            sources += sorted(Path(folder).rglob("*.py"))
    return disk_cache.digest(*(source.read_bytes() for source in sources))


def observe(observer: Observer | None) -> None:
    """Tells an observer of every program that is built from now on; None ends it."""
    _observers[:] = [] if observer is None else [observer]


def observed_run(graph: Graph) -> Callable[[], None] | None:
    """What an observer wants called at each run of a program that was just built."""
    return _observers[0](graph) if _observers else None


def compare(graph: Graph, arrays: Sequence[Array], results: Sequence[Buffer]) -> None:
    """PassError where a program's results differ from the interpreter's beyond rounding."""
    expected = interpret(graph, list(arrays))
    for position, (want, buffer) in enumerate(zip(expected, results, strict=True)):
        found = np.array(buffer.array(want.dtype, want.shape))
        if not same(want, found, exact=False):
            raise PassError(
                f"machine code of program @{graph.name} differs from the interpreter in output "
                f"{position}, {graph.outputs[position].type}"
            )
