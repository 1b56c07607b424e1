"""Kernels that change a part of a base: views replaced in place, and sums scattered by an index.

A base that is not overwritten in place is copied first, by the tasks that change the copy.
"""

from __future__ import annotations

from collections.abc import Sequence

from treadle.codegen.element import Elements
from treadle.codegen.loops import Apply, Expression, Load, LoopKind, Store
from treadle.codegen.schedules.axes import at_variables, axis_variables, lane_cost
from treadle.codegen.schedules.expressions import Rewriter, cost, postorder
from treadle.codegen.schedules.map import lanes_of, schedule_map
from treadle.codegen.schedules.problem import Problem, Result, Written, alias_of, needs_update
from treadle.codegen.schedules.tiling import (
    Names,
    Statements,
    Strip,
    loop,
    strip_loop,
    strips,
    task_nest,
    wanted_tasks,
)
from treadle.ir.errors import CompilationError
from treadle.ir.index import Bound, Index, Var, constant, dynamic, linearize, variable
from treadle.ir.types import contiguous_strides, element_count
from treadle.ir.value import Value

_ANY_INDEX = (-(1 << 63), (1 << 63) - 1)


def schedule_update(problem: Problem) -> tuple[Names, Statements]:
    """The loops of a body with an update, which must be one of its results."""
    changed = [value for value in problem.values if needs_update(problem, value)]
    if len(changed) != 1 or changed[0] not in problem.results:
        raise CompilationError(
            "a kernel holds one scatter_add or view_update in place, and returns it; found "
            + ", ".join(f"{value.op.name} {value.type}" for value in changed)
        )
    value = changed[0]
    if value.op.name == "scatter_add":
        return _scatter(problem, value)
    if alias_of(problem, value) is not None:
        return _replace_view(problem, value)
    return _replace_overlapping(problem, value)


def _replace_view(problem: Problem, value: Value) -> tuple[Names, Statements]:
    """Writes the part alone; other results have as many elements as the part."""
    size, stride, offset = value.attrs
    part = value.inputs[1]
    if element_count(size) == 0:
        return Names(problem.target, 1), ()
    results = []
    for result in problem.whole_results():
        if result.value is value:
            result = Result(part, result.buffer, stride, offset)
        elif result.buffer.size != part.type.numel:
            raise CompilationError(
                f"an update in place by {part.type} cannot also write {result.value.type}"
            )
        results.append(result)
    return schedule_map(problem, results)


def _replace_overlapping(problem: Problem, value: Value) -> tuple[Names, Statements]:
    """Copies the base, then writes the part in row-major order, in one task."""
    _only_result(problem, value)
    buffer = problem.outputs[0]
    size, stride, offset = value.attrs
    names, copy = schedule_map(problem, [Result.whole(value.inputs[0], buffer)], most_tasks=1)
    axes = axis_variables(size)
    at = at_variables(axes)
    elements = Elements(problem.inputs, {})
    made = elements.at(value.inputs[1], tuple(at))
    inner = [names.var("i", extent) for extent in size]
    rewrite = Rewriter(dict(zip(axes, map(variable, inner), strict=True)))
    body: Statements = (
        Store(buffer, rewrite.index(linearize(at, stride, offset)), rewrite(made)),
    )
    for var in reversed(inner):
        body = loop(var, LoopKind.SERIAL, body)
    return names, copy + (body if element_count(size) else ())


def _only_result(problem: Problem, value: Value) -> None:
    if len(problem.results) != 1:
        raise CompilationError(f"{value.op.name} must be the only result of its kernel")


def _scatter(problem: Problem, value: Value) -> tuple[Names, Statements]:
    """Adds elements in order of their position; positions of other axes may run together."""
    _only_result(problem, value)
    (axis,) = value.attrs
    data, index, source = value.inputs
    buffer = problem.outputs[0]
    elements = Elements(problem.inputs, {})
    axes = axis_variables(source.shape)
    at = tuple(at_variables(axes))
    wanted = elements.at(index, at)
    added = elements.at(source, at)
    kept = elements.at(data, at)
    nodes = postorder([wanted, added, kept])
    lanes = lanes_of(problem.target, nodes, [buffer.dtype])
    names = Names(problem.target, lanes)
    nest = _ScatterNest(names, problem, value, elements)
    return names, nest.statements()


class _ScatterNest:
    """Loops of a scatter: other axes outside, copied and added to in slabs of their own."""

    def __init__(
        self, names: Names, problem: Problem, value: Value, elements: Elements
    ) -> None:
        self.names = names
        self.problem = problem
        self.value = value
        self.axis: int = value.attrs[0]
        self.data, self.index, self.source = value.inputs
        self.buffer = problem.outputs[0]
        self.copies = alias_of(problem, value) is None
        self.axes = axis_variables(self.source.shape)
        at = tuple(at_variables(self.axes))
        self.wanted = elements.at(self.index, at)
        self.added = elements.at(self.source, at)
        self.base_axes = [Var(f"b{nth}", extent) for nth, extent in enumerate(self.data.shape)]
        self.base_at = tuple(at_variables(self.base_axes))
        self.kept = elements.at(self.data, self.base_at)
