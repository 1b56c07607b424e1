"""Kernels of reductions: which axis the lanes run along, and the loops over rows.

The structure of every sum depends on shapes alone, so that results are the same for any threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from treadle.codegen.element import Elements, Known
from treadle.codegen.loops import Expression, Read, Register
from treadle.codegen.schedules.axes import (
    at_variables,
    axis_variables,
    chosen_axes,
    lane_cost,
    position_in,
    store_cost,
)
from treadle.codegen.schedules.expressions import cost, dynamics, indices, postorder
from treadle.codegen.schedules.map import lanes_of
from treadle.codegen.schedules.problem import Problem, Result
from treadle.codegen.schedules.row_body import RowBody, operand_at, row_body
from treadle.codegen.schedules.row_loops import FEW, RowPlan
from treadle.codegen.schedules.row_nest import RowNest
from treadle.codegen.schedules.tiling import (
    UNROLL,
    Names,
    Statements,
    Strip,
    strips,
    task_nest,
    wanted_tasks,
)
from treadle.ir.access import Position as At
from treadle.ir.index import Index, Var, constant
from treadle.ir.types import Shape, contiguous_strides, element_count
from treadle.ir.value import Value

_ACROSS = 4.0  # cost of joining the lanes once, for each halving of their number
_PLACEHOLDER = "result"


def schedule_rows(problem: Problem) -> tuple[Names, Statements]:
    """The loops of a body with reductions."""
    body = row_body(problem)
    extents, lanes = _axes(body)
    axes = axis_variables(extents)
    reduced = _reduced(body, axes)
    nodes = postorder(_probe(body, axes))
    lane = _lane_axis(body, axes, reduced, lanes)
    names = Names(problem.target, lanes)
    work = element_count(body.shape) * (cost(nodes) + len(body.reductions))
    wanted = wanted_tasks(problem.target, work)
    plan = RowPlan(body, tuple(axes), frozenset(reduced), lane, lanes)
    outer = [axis for axis in axes if axis not in reduced and axis is not lane]
    sizes = [axis.extent for axis in outer]
    # Lanes along the row: a row is the unit. Else a strip of columns is.
    unroll = _columns_unrolled(plan) if lane is not None and lane not in reduced else 0
    count, tail = strips(lane.extent, lanes, unroll) if lane and unroll else (0, Strip(0))

    def nest(at: Sequence[Index], start: Index, strip: Strip) -> Statements:
        return RowNest(names, plan, dict(zip(outer, at, strict=True)), start, strip).statements()

    def main(at: list[Index], number: Index) -> Statements:
        return nest(at, number * (unroll * lanes), Strip(unroll))

    def rest(at: list[Index]) -> Statements:
        if unroll and not tail.slots:
            return ()
        return nest(at, constant(count * unroll * lanes), tail)

    return names, task_nest(names, sizes, count, wanted, main, rest)


def _axes(body: RowBody) -> tuple[list[int], int]:
    """Extents of the iteration's axes, and the lanes."""
    extents = [extent for extent in body.shape if extent != 1]
    strides = contiguous_strides(body.shape)
    kinds = [axis in body.dims for axis in range(len(body.shape)) if body.shape[axis] != 1]
    below = [strides[axis] for axis in range(len(body.shape)) if body.shape[axis] != 1]
    fixed = {below[nth] for nth in range(len(extents) - 1) if kinds[nth] is not kinds[nth + 1]}
    nodes = postorder(_probe(body, axis_variables(extents)))
    written = [result.buffer.dtype for results in body.rows for result in results]
    lanes = lanes_of(body.problem.target, nodes, written)
    if 0 in extents:
        return extents, lanes
    return chosen_axes(extents, lambda axes: _probe(body, axes), lanes, fixed), lanes


def _reduced(body: RowBody, axes: Sequence[Var]) -> list[Var]:
    """Axes that run over reduced elements."""
    strides = contiguous_strides(body.shape)
    found = []
    below = element_count(tuple(axis.extent for axis in axes))
    if not below:
        real = [at for at, extent in enumerate(body.shape) if extent != 1]
        return [axis for axis, at in zip(axes, real, strict=True) if at in body.dims]
    for axis in axes:
        below //= axis.extent
        if any(strides[dim] <= below < strides[dim] * body.shape[dim] for dim in body.dims):
            found.append(axis)
    return found


def _probe(body: RowBody, axes: Sequence[Var], outer: bool = False) -> list[Expression]:
    """Everything evaluated for an element, with stand-ins for the results of reductions.

    Args:
        outer: also what is evaluated once a row.
    """

    def stand_in(value: Value) -> Known:
        return lambda _position, _guard: Read(Register(_PLACEHOLDER, value.dtype))

    known = {value: stand_in(value) for some in body.reductions for value in some}
    elements = Elements(body.problem.inputs, known)
    if any(axis.extent == 0 for axis in axes):
        return []
    position = position_in(body.shape, [axis.extent for axis in axes], at_variables(axes))
    roots = [operand_at(elements, value, position) for some in body.reductions for value in some]
    for results in body.rows:
        for result in results:
            at = position_in(result.value.shape, body.shape, position)
            roots.append(elements.at(result.value, at))
    for result in body.outer if outer else ():
        rows = body.outer_position(position)
        at = position_in(result.value.shape, body.outer_shape, rows)
        roots.append(elements.at(result.value, at))
    return roots


def _lane_axis(
    body: RowBody, axes: Sequence[Var], reduced: Sequence[Var], lanes: int
) -> Var | None:
    """The cheapest axis for the lanes; None where there is nothing to run along."""
    if any(axis.extent == 0 for axis in axes):
        return next((axis for axis in reversed(axes) if axis not in reduced), None)
    nodes = postorder(_probe(body, axes))
    rows = math.prod(axis.extent for axis in axes if axis not in reduced)
    position = position_in(body.shape, [axis.extent for axis in axes], at_variables(axes))
    at_rows = body.outer_position(position)
    whole = [(r, body.shape, position) for results in body.rows for r in results]
    once = [(result, body.outer_shape, at_rows) for result in body.outer]

    def stored(results: Sequence[tuple[Result, Shape, At]], lane: Var) -> float:
        places = [r.place(position_in(r.value.shape, shape, at)) for r, shape, at in results]
        return sum(store_cost(place, lane, lanes) for place in places)

    def price(lane: Var) -> float:
        total = lane_cost(nodes, axes, lane, lanes)
        steps = element_count(body.shape) // lane.extent * -(-lane.extent // lanes)
        total += steps * stored(whole, lane)
        if lane in reduced:
            return total + rows * _ACROSS * math.log2(lanes) * len(body.reductions)
        return total + rows // lane.extent * -(-lane.extent // lanes) * stored(once, lane)

    only_reduced = _addressed_by_result(body, axes)
    choices = [axis for axis in axes if not only_reduced or axis in reduced]
    return min(reversed(choices), key=price, default=None)


def _addressed_by_result(body: RowBody, axes: Sequence[Var]) -> bool:
    """Whether a reduction's result is used as an address.

    Such an address is known to be the same in all lanes only if the lanes run along the row.
    """
    nodes = postorder(_probe(body, axes, outer=True))
    addresses = [inner for node in nodes for index in indices(node) for inner in dynamics(index)]
    return any(
        isinstance(node, Read) and node.register.name == _PLACEHOLDER
        for node in postorder(addresses)
    )


def _columns_unrolled(plan: RowPlan) -> int:
    """Vectors of columns that go through the reduction together."""
    target = plan.body.problem.target
    if target.kind != "cpu" or plan.steps <= FEW or plan.lane is None:
        return 1
    states = max(map(len, plan.body.reductions))
    most = max(1, target.registers // (2 * max(states, 1)))
    return min(UNROLL, most, max(1, plan.lane.extent // plan.lanes))
