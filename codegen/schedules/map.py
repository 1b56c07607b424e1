"""Kernels whose results are computed element by element: one nest of loops over all of them.

Lanes run along the axis where they cost least; outer axes become tasks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from treadle.codegen.element import Elements
from treadle.codegen.loops import (
    Const,
    Expression,
    Holds,
    Load,
    LoopKind,
    Read,
    Statement,
    Store,
    When,
)
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
    loop,
    strip_loop,
    strips,
    task_nest,
    wanted_tasks,
)
from treadle.codegen.target import Target
from treadle.ir.errors import CompilationError
from treadle.ir.index import Bound, Index, Var, constant, variable
from treadle.ir.types import DType, element_count

_RUN = 16  # elements of a cache line
_CACHED = 256  # lines that stay in the first cache
_PARTS = 8  # pieces that an axis is cut into at most
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
    return names, _nest(names, axes, lane, written, nodes, wanted)


def _tiled(axes: Sequence[Var], lane: Var, nodes: Sequence[Expression]) -> Var | None:
    """An axis to advance in short runs inside the strips, so that cache lines are used up.

    A load that steps far from lane to lane has the neighbours of its elements along that axis. A
    short lane axis needs no runs: its lines are still in the cache at the next step of the axis.
    """
    if lane.extent <= _CACHED:
        return None
    for node in nodes:
        if isinstance(node, Load) and node.index.coefficient(lane) not in (0, 1, None):
            for axis in axes:
                if node.index.coefficient(axis) == 1 and axis.extent > _RUN and axis is not lane:
                    return axis
    return None


def _nest(
    names: Names,
    axes: Sequence[Var],
    lane: Var,
    written: Sequence[Written],
    nodes: Sequence[Expression],
    wanted: int,
) -> Statements:
    outer = [axis for axis in axes if axis is not lane]
    tiled = _tiled(axes, lane, nodes)
    small = cost(nodes) + len(written) <= _SMALL_BODY and names.target.kind == "cpu"
    far = tiled is not None
    unroll = UNROLL if small and not far and lane.extent >= 2 * UNROLL * names.lanes else 1
    count, tail = strips(lane.extent, names.lanes, unroll)
    extents = [-(-axis.extent // _RUN) if axis is tiled else axis.extent for axis in outer]
    parts = _parts(lane, names.lanes, nodes) if math.prod(extents) >= wanted else []

    def strip_at(at: Sequence[Index], start: Index, strip: Strip) -> Statements:
        position = dict(zip(outer, at, strict=True))

        def body(place: Index, _lane: Index, _slot: Index) -> Statements:
            return stores(names, written, Rewriter({**position, lane: place}))

        if tiled is None:
            return strip_loop(names, strip, start, body)
        inner = names.var("y", _RUN)
        position[tiled] = position[tiled] * _RUN + variable(inner)
        bound = Bound(position[tiled], 0, tiled.extent)
        made = strip_loop(names, strip, start, body)
        return loop(inner, LoopKind.SERIAL, made if bound.always() else (When((bound,), made),))

    def main(at: list[Index], number: Index) -> Statements:
        return strip_at(at, number * (unroll * names.lanes), Strip(unroll))

    def rest(at: list[Index]) -> Statements:
        return strip_at(at, constant(count * unroll * names.lanes), tail) if tail.slots else ()

    def in_parts(at: list[Index]) -> Statements:
        made: Statements = ()
        for low, high in parts:
            count, tail = strips(high - low, names.lanes, unroll)
            number = names.var("i", max(count, 1))
            start = variable(number) * (unroll * names.lanes) + low
            whole = strip_at(at, start, Strip(unroll)) if count else ()
            made += loop(number, LoopKind.SERIAL, whole)
            if tail.slots:
                made += strip_at(at, constant(low + count * unroll * names.lanes), tail)
        return made

    if len(parts) > 1:
        return task_nest(names, extents, 0, wanted, main, in_parts)
    return task_nest(names, extents, count, wanted, main, rest)


def _parts(lane: Var, lanes: int, nodes: Sequence[Expression]) -> list[tuple[int, int]]:
    """The lane axis cut where guards begin or end to hold, if fewer loads are worth more vectors.

    Inside a part every guard of the lane alone is decided: of a concatenation one operand is left.
    """
    edges: set[int] = set()
    guarded = 0
    for node in nodes:
        if isinstance(node, (Load, Holds)):
            found = {edge for bound in node.guard for edge in _edges(bound, lane)}
            guarded += bool(found) and isinstance(node, Load)
            edges |= found
    parts = list(pairwise([0, *sorted(edges), lane.extent]))
    if len(parts) > _PARTS:
        return []
    vectors = sum(-(-(high - low) // lanes) for low, high in parts)
    return parts if vectors <= max(guarded, 1) * -(-lane.extent // lanes) else []


def _edges(bound: Bound, lane: Var) -> Iterator[int]:
    """Where along an axis a condition on it alone changes."""
    factor, first = bound.index.coefficient(lane), bound.index.constant
    if bound.step == 1 and len(bound.index.terms) == 1 and factor in (1, -1):
        for limit in (bound.low, bound.high):
            edge = limit - first if factor == 1 else first - limit + 1
            if 0 < edge < lane.extent:
                yield edge
