"""Kernels that change a part of a base: views replaced in place, elements scattered by an index.

A base that is not overwritten in place is copied first, by the tasks that change the copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from treadle.codegen.element import Elements
from treadle.codegen.loops import Apply, Buffer, Expression, Load, LoopKind, Store
from treadle.codegen.schedules.axes import at_variables, axis_variables
from treadle.codegen.schedules.expressions import Rewriter, cost, postorder
from treadle.codegen.schedules.map import lanes_of, schedule_map
from treadle.codegen.schedules.problem import Problem, Result, alias_of, needs_update
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

_RUN = 8  # vectors
_ANY_INDEX = (-(1 << 63), (1 << 63) - 1)
# The scalar op of each way to combine; None: the new element replaces the old.
_COMBINING = {"set": None, "add": "add", "mul": "mul", "min": "minimum", "max": "maximum"}


def schedule_update(problem: Problem) -> tuple[Names, Statements]:
    """The loops of a body with an update, which must be one of its results."""
    changed = [value for value in problem.values if needs_update(problem, value)]
    if len(changed) != 1 or changed[0] not in problem.results:
        raise CompilationError(
            "a kernel holds one scatter or view_update in place, and returns it; found "
            + ", ".join(f"{value.op.name} {value.type}" for value in changed)
        )
    value = changed[0]
    if value.op.name == "scatter":
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
    body: Statements = (Store(buffer, rewrite.index(linearize(at, stride, offset)), rewrite(made)),)
    for var in reversed(inner):
        body = loop(var, LoopKind.SERIAL, body)
    return names, copy + (body if element_count(size) else ())


def _only_result(problem: Problem, value: Value) -> None:
    if len(problem.results) != 1:
        raise CompilationError(f"{value.op.name} must be the only result of its kernel")


def _scatter(problem: Problem, value: Value) -> tuple[Names, Statements]:
    """Combines elements in order of their position; positions of other axes may run together."""
    _only_result(problem, value)
    elements = Elements(problem.inputs, {})
    data, index, source = value.inputs
    axes = axis_variables(data.shape)
    kept = elements.at(data, tuple(at_variables(axes)))
    # The index may be shorter than the base along the other axes.
    along = Var("along", source.shape[value.attr("axis")])
    moved = [along if nth == value.attr("axis") else axis for nth, axis in enumerate(axes)]
    at = tuple(at_variables(moved))
    guard = tuple(
        Bound(position, 0, extent)
        for position, axis, extent in zip(at, moved, source.shape, strict=True)
        if extent < axis.extent
    )
    wanted, scattered = elements.at(index, at, guard), elements.at(source, at, guard)
    nodes = postorder([wanted, scattered, kept])
    lanes = lanes_of(problem.target, nodes, [value.dtype])
    names = Names(problem.target, lanes)
    nest = _Scatter(names, value, problem.outputs[0], axes, along, wanted, scattered, kept, guard)
    nest.copies = alias_of(problem, value) is None
    return names, nest.statements(cost(nodes) + 2)


class _Scatter:
    """Loops over the axes that are not scattered; inside, a slab is copied and changed.

    Lanes run along the innermost axis: as columns where it is not the scattered one, else only
    in the copy, since elements of one slab may meet.
    """

    copies = True

    def __init__(
        self,
        names: Names,
        value: Value,
        buffer: Buffer,
        axes: Sequence[Var],
        along: Var,
        wanted: Expression,
        source: Expression,
        kept: Expression,
        guard: tuple[Bound, ...],
    ) -> None:
        self.names = names
        self.value = value
        self.buffer = buffer
        self.axes = axes
        self.along = along
        self.wanted, self.source, self.kept = wanted, source, kept
        self.guard = guard
        self.scattered = axes[value.attr("axis")]
        long = [axis for axis in axes if axis.extent > 1]
        self.lane = long[-1] if long and long[-1] is not self.scattered else None
        self.place = linearize(at_variables(axes), contiguous_strides(value.shape))

    def statements(self, weight: int) -> Statements:
        """The whole kernel."""
        names, lane = self.names, self.lane
        outer = [axis for axis in self.axes if axis not in (lane, self.scattered)]
        each = self.scattered.extent * self.copies + self.along.extent
        work = math.prod(axis.extent for axis in self.axes) // self.scattered.extent * each
        wanted = wanted_tasks(names.target, work * weight)
        # Rows that move as a whole are walked in runs of several cache lines.
        runs = lane is not None and lane not in self.wanted.variables()
        unroll = max(1, min(_RUN, lane.extent // names.lanes)) if lane and runs else 1
        strip_count, tail = strips(lane.extent, names.lanes, unroll) if lane else (0, Strip(0))

        def columns(at: Sequence[Index], start: Index, strip: Strip) -> Statements:
            position = dict(zip(outer, at, strict=True))
            return self._copied(position, start, strip) + self._changed(position, start, strip)

        def main(at: list[Index], number: Index) -> Statements:
            return columns(at, number * (names.lanes * unroll), Strip(unroll))

        def rest(at: list[Index]) -> Statements:
            if lane and not tail.slots:
                return ()
            return columns(at, constant(strip_count * names.lanes * unroll), tail)

        return task_nest(names, [axis.extent for axis in outer], strip_count, wanted, main, rest)

    def _copied(self, at: dict[Var, Index], start: Index, strip: Strip) -> Statements:
        if not self.copies:
            return ()
        if self.lane:
            lane = self.lane
            inner = self.names.var("c", self.scattered.extent)
            moved = {**at, self.scattered: variable(inner)}
            body = strip_loop(
                self.names, strip, start, lambda here, _l, _s: self._copy({**moved, lane: here})
            )
            return loop(inner, LoopKind.SERIAL, body)
        count, tail = strips(self.scattered.extent, self.names.lanes, 1)
        number = self.names.var("c", max(count, 1))

        def along(begin: Index, some: Strip) -> Statements:
            return strip_loop(
                self.names,
                some,
                begin,
                lambda here, _l, _s: self._copy({**at, self.scattered: here}),
            )

        main = along(variable(number) * self.names.lanes, Strip(1)) if count else ()
        whole = loop(number, LoopKind.SERIAL, main)
        return whole + along(constant(count * self.names.lanes), tail)

    def _copy(self, at: dict[Var, Index]) -> Statements:
        rewrite = Rewriter(at)
        return (Store(self.buffer, rewrite.index(self.place), rewrite(self.kept)),)

    def _changed(self, at: dict[Var, Index], start: Index, strip: Strip) -> Statements:
        if not self.along.extent:
            return ()
        inner = self.names.var("s", self.along.extent)
        moved = {**at, self.along: variable(inner)}
        if self.lane:
            lane = self.lane
            body = strip_loop(
                self.names, strip, start, lambda here, _l, _s: self._change({**moved, lane: here})
            )
        else:
            body = self._change(moved)
        return loop(inner, LoopKind.SERIAL, body)

    def _change(self, at: dict[Var, Index]) -> Statements:
        rewrite = Rewriter(at)
        wanted = dynamic(rewrite(self.wanted), *_ANY_INDEX)
        inside = [Bound(wanted, 0, self.scattered.extent)]
        inside += [Bound(rewrite.index(b.index), b.low, b.high) for b in self.guard]
        guard = tuple(inside)
        place = Rewriter({**at, self.scattered: wanted}).index(self.place)
        new = rewrite(self.source)
        op = _COMBINING[self.value.attr("combine")]
        if op is not None:
            new = Apply(op, (Load(self.buffer, place, guard), new), self.value.dtype)
        return (Store(self.buffer, place, new, guard),)
