"""Lowering: the body of one fused kernel becomes loop IR, by the schedule that fits its ops.

What may stand together in a body is fusion's choice; a body that fits no schedule is an error.
"""

from __future__ import annotations

from collections.abc import Mapping

from treadle.codegen.loops import Kernel
from treadle.codegen.schedules import contraction
from treadle.codegen.schedules.map import schedule_map
from treadle.codegen.schedules.problem import BodyKind, kind_of, problem_of
from treadle.codegen.schedules.rows import schedule_rows
from treadle.codegen.schedules.scan import schedule_scan
from treadle.codegen.schedules.sharing import share
from treadle.codegen.schedules.sort import schedule_sort
from treadle.codegen.schedules.update import schedule_update
from treadle.codegen.target import Target
from treadle.ir.graph import Graph

_NO_ALIASES: Mapping[int, int] = {}


def lower(
    body: Graph, target: Target, name: str, aliases: Mapping[int, int] = _NO_ALIASES
) -> Kernel:
    """The kernel that computes a fused body.

    Args:
        body: inputs become buffers ``in0``, ``in1``, ..., results ``out0``, ..., all flat and
            row-major.
        aliases: results that are written in the memory of an input, by its slot. An element may
            be read there until it is written.

    Raises:
        CompilationError: the ops of the body do not fit in one kernel.
    """
    problem = problem_of(body, target, aliases)
    kind = kind_of(problem)
    if kind is BodyKind.CONTRACTION:
        return contraction.schedule(body, target, name, aliases)
    arguments = (*problem.inputs, *problem.outputs)
    if not any(buffer.size for buffer in problem.outputs):
        return Kernel(name, arguments, len(problem.outputs), ())
    if kind is BodyKind.UPDATE:
        names, statements = schedule_update(problem)
    elif kind is BodyKind.ROWS:
        names, statements = schedule_rows(problem)
    elif kind is BodyKind.SCAN:
        names, statements = schedule_scan(problem)
    elif kind is BodyKind.SORT:
        names, statements = schedule_sort(problem)
    else:
        names, statements = schedule_map(problem, problem.whole_results())
    written = {buffer.name for buffer in problem.outputs}
    return Kernel(
        name,
        arguments,
        len(problem.outputs),
        share(names, statements, written),
        tuple(names.scratch),
        tuple(names.registers),
    )
