"""Kernels whose results are computed element by element: one nest of loops over all of them.

Lanes run along the axis where they cost least; outer axes become tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from treadle.codegen.element import Elements
from treadle.codegen.loops import Const, Expression, Read, Statement, Store
from treadle.codegen.schedules.axes import (
    at_variables,
    axis_variables,
    chosen_axes,
    lane_cost,
    position_in,
    refined,
    store_cost,
)
from treadle.codegen.schedules.expressions import Rewriter, cost, postorder
from treadle.codegen.schedules.problem import Problem, Result, Written
from treadle.codegen.schedules.tiling import (
    UNROLL,
    Names,
    Statements,
    Strip,
    strip_loop,
    strips,
    task_nest,
    wanted_tasks,
)
from treadle.codegen.target import Target
from treadle.ir.errors import CompilationError
from treadle.ir.index import Index, Var, constant
from treadle.ir.types import DType, element_count

_SMALL_BODY = 8  # additions a vector step: below, loop overhead shows and steps are unrolled


def lanes_of(target: Target, nodes: Sequence[Expression], outputs: Sequence[DType]) -> int:
    """Lanes that hold the widest number computed or written; indices do not count."""
    computed = {node.dtype for node in nodes if node.dtype.is_floating_point}
    return target.lanes(max((d.itemsize for d in computed.union(outputs)), default=4))


def stores(names: Names, written: Sequence[Written], rewrite: Rewriter) -> Statements:
    """The stores of one step; every value is computed before the first is written.

    An output may lie in the memory of an input, which other outputs read.
    """
    before: list[Statement] = []
    after: list[Statement] = []
    for one in written:
        value = rewrite(one.value)
        if len(written) > 1 and not isinstance(value, (Const, Read)):
            named = names.let(value, 0)
            before.append(named)
            value = Read(named.register)
        after.append(Store(one.buffer, rewrite.index(one.index), value))
    return (*before, *after)


def elements_of(
    results: Sequence[Result], elements: Elements, axes: Sequence[Var]
) -> list[Written]:
    """Every result's element at the position that the axes name."""
    at = at_variables(axes)
    extents = [axis.extent for axis in axes]
    written = []
    for result in results:
        position = position_in(result.value.shape, extents, at)
        value = elements.at(result.value, position)
        written.append(Written(result.buffer, result.place(position), value))
    return written


def schedule_map(
    kernel: Problem, results: Sequence[Result], most_tasks: int = 1 << 30
) -> tuple[Names, Statements]:
    """The loops that compute results of one element count.

    Raises:
        CompilationError: the counts differ.
    """
    counts = {result.value.type.numel for result in results}
    if len(counts) != 1:
        found = ", ".join(str(result.value.type) for result in results)
        raise CompilationError(f"a kernel's results need one element count, found {found}")
    count = element_count(results[0].value.shape)
    extents = refined([result.value.shape for result in results])

    def probe(axes: Sequence[Var]) -> list[Expression]:
        return [w.value for w in elements_of(results, Elements(kernel.inputs, {}), axes)]

    nodes = postorder(probe(axis_variables(extents)))
    lanes = lanes_of(kernel.target, nodes, [result.buffer.dtype for result in results])
    extents = chosen_axes(extents, probe, lanes, set())
    axes = axis_variables(extents)
    written = elements_of(results, Elements(kernel.inputs, {}), axes)
    names = Names(kernel.target, lanes)
    if not axes:
        return names, stores(names, written, Rewriter({}))
    nodes = postorder(w.value for w in written)

    def price(lane: Var) -> float:
        steps = count // lane.extent * -(-lane.extent // lanes)
        return lane_cost(nodes, axes, lane, lanes) + steps * sum(
            store_cost(w.index, lane, lanes) for w in written
        )

    lane = min(reversed(axes), key=price)
    weight = cost(nodes) + len(results)
    wanted = min(most_tasks, wanted_tasks(kernel.target, count * weight))
    return names, _nest(names, axes, lane, written, weight, wanted)


def _nest(
    names: Names,
    axes: Sequence[Var],
    lane: Var,
    written: Sequence[Written],
    weight: int,
    wanted: int,
) -> Statements:
    outer = [axis for axis in axes if axis is not lane]
    small = weight <= _SMALL_BODY and names.target.kind == "cpu"
    unroll = UNROLL if small and lane.extent >= 2 * UNROLL * names.lanes else 1
    count, tail = strips(lane.extent, names.lanes, unroll)

    def step(at: Sequence[Index]) -> Callable[[Index, Index, Index], Statements]:
        def body(place: Index, _lane: Index, _slot: Index) -> Statements:
            replacement = {**dict(zip(outer, at, strict=True)), lane: place}
            return stores(names, written, Rewriter(replacement))

        return body

    def main(at: list[Index], strip: Index) -> Statements:
        start = strip * (unroll * names.lanes)
        return strip_loop(names, Strip(unroll), start, step(at))

    def rest(at: list[Index]) -> Statements:
        start = constant(count * unroll * names.lanes)
        return strip_loop(names, tail, start, step(at))

    extents = [axis.extent for axis in outer]
    return task_nest(names, extents, count, wanted, main, rest)
