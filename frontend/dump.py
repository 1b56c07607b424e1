"""``treadle dump``: runs a script and prints what its programs were compiled to.

The text is the same from run to run: no addresses, times or absolute paths.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from treadle import engine, programs
from treadle.codegen import program as assembler
from treadle.codegen.cuda import emit_source
from treadle.codegen.loop_text import print_kernel
from treadle.codegen.target import CUDA
from treadle.ir.graph import Graph
from treadle.ir.pass_manager import Pass, PassManager, parse_pipeline, print_pipeline
from treadle.ir.passes.fuse import Fuse, Remark, fuse
from treadle.ir.printer import describe, print_graph
from treadle.runtime import jit

EMISSIONS = ("ir", "loops", "llvm", "asm", "cuda")


@dataclass(frozen=True)
class Request:
    """What to show.

    Attributes:
        script, arguments: the program to run and its command line.
        emit: one of ``EMISSIONS``.
        program: ``step``, ``all``, or a number as text.
        after_all: show the IR after each pass.
        why: show refused fusions.
        pipeline: text of the passes.
    """

    script: str
    arguments: tuple[str, ...] = ()
    emit: str = "ir"
    program: str = "step"
    after_all: bool = False
    why: bool = False
    pipeline: str = ""


class _Observed:
    """Programs that a script built, and how often each ran."""

    def __init__(self) -> None:
        self.graphs: list[Graph] = []
        self.runs: list[int] = []

    def built(self, graph: Graph) -> Callable[[], None]:
        number = len(self.graphs)
        self.graphs.append(graph)
        self.runs.append(0)

        def ran() -> None:
            self.runs[number] += 1

        return ran

    def chosen(self, which: str) -> list[int]:
        """Numbers of the programs to show; ValueError for an unknown one."""
        if not self.graphs:
            return []
        if which == "all":
            return list(range(len(self.graphs)))
        if which == "step":
            # Of programs that ran equally often the largest is the step.
            def weight(number: int) -> tuple[int, int]:
                return self.runs[number], len(self.graphs[number].values())

            return [max(range(len(self.graphs)), key=weight)]
        if not which.isdigit() or int(which) >= len(self.graphs):
            raise ValueError(
                f"--program must be step, all or a number below {len(self.graphs)}, found {which!r}"
            )
        return [int(which)]


def dump(request: Request) -> None:
    """Runs the script and prints its programs to stdout."""
    passes = parse_pipeline(request.pipeline)
    observed = _run(request)
    if not observed.graphs:
        print(f"treadle: note: {request.script} built no program", file=sys.stderr)
    for number in observed.chosen(request.program):
        graph = observed.graphs[number]
        print(f"// program {number} of {len(observed.graphs)}, ran {observed.runs[number]} times")
        for text in _shown(graph, request, passes):
            print(text.rstrip("\n"))


def _run(request: Request) -> _Observed:
    if not os.path.isfile(request.script):
        raise FileNotFoundError(f"no such script: {request.script}")
    observed = _Observed()
    arguments, path = sys.argv, sys.path[0]
    sys.argv = [request.script, *request.arguments]
    sys.path[0] = os.path.dirname(os.path.abspath(request.script))
    engine.forget_programs()
    programs.observe(observed.built)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            runpy.run_path(request.script, run_name="__main__")
    except SystemExit as stop:
        if stop.code not in (None, 0):
            raise ValueError(f"{request.script} ended with exit code {stop.code}") from None
    finally:
        programs.observe(None)
        sys.argv, sys.path[0] = arguments, path
    return observed


def _shown(graph: Graph, request: Request, passes: tuple[Pass, ...]) -> Iterator[str]:
    if request.emit == "ir":
        yield print_graph(graph)
    texts: list[str] = []
    remarks: list[str] = []

    def before(step: Pass, given: Graph) -> None:
        if request.why and isinstance(step, Fuse):
            remarks.extend(map(_remark, fuse(given, step)[1]))

    def after(step: Pass, result: Graph) -> None:
        if request.after_all:
            texts.append(f"// after {print_pipeline((step,))}\n{print_graph(result)}")

    wanted = request.after_all or request.why or request.emit != "ir"
    final = PassManager(passes, before=before, after=after).run(graph)[0] if wanted else graph
    yield from texts
    yield from remarks
    if request.emit != "ir":
        yield _kernels(final, request.emit)


def _remark(remark: Remark) -> str:
    return (
        f"// not fused: {describe(remark.producer)} into {describe(remark.consumer)}: "
        f"{remark.reason} ({remark.bytes} bytes)"
    )


def _kernels(graph: Graph, emit: str) -> str:
    if emit in ("loops", "cuda"):
        target = CUDA if emit == "cuda" else programs.target()
        kernels = assembler.kernels(graph, target)
        steps = "".join(
            f"// {call.symbol}: a step of the host, the library function {call.name}\n"
            for call in assembler.host_steps(graph, target)
        )
        if emit == "cuda":
            return steps + emit_source(kernels, CUDA)
        return steps + "\n".join(print_kernel(kernel) for kernel in kernels)
    artifact = assembler.assemble(graph, programs.target(), graph.name)
    return artifact.llvm if emit == "llvm" else jit.emit_assembly(artifact.llvm)
