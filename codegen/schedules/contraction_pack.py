"""Packing: factors copied next to each other in scratch memory before they are used many times.

What is packed, and how much of it at once, is chosen in ``contraction_plan``.
"""

from __future__ import annotations

from treadle.codegen.loops import Buffer, LoopKind, Register, Statement, Store, When
from treadle.codegen.schedules.contraction_plan import Plan
from treadle.codegen.schedules.contraction_tile import (
    Factors,
    Packed,
    Tile,
    column_groups,
    depth_step,
    in_lanes,
    panel_index,
    repeat,
)
from treadle.ir.index import Bound, Index, Var, constant, substitute, variable


def pack_columns(
    factors: Factors, tile: Tile, lanes: int, sums: Register, panel: Buffer
) -> tuple[Statement, ...]:
    """Copies the columns of a tile into its panel; what is left of the last vector is 0."""
    problem = factors.problem
    lane = Var("l", lanes)
    last = problem.depth[-1]
    if (
        problem.column is None
        or problem.right.stride(problem.column) == 1
        or (problem.right.stride(last) != 1)
    ):
        return _pack_across(factors, tile, lane, sums, panel)
    body: tuple[Statement, ...] = ()
    vectors = -(-tile.width // lanes)
    if tile.width % lanes:
        place = panel_index(problem, sums, variable(lane) + (vectors - 1) * lanes)
        clear = in_lanes(lane, lanes, [Store(panel, place, factors.zero())])
        for axis in reversed(problem.depth):
            clear = repeat(axis, LoopKind.SERIAL, clear)
        body += clear
    column = Var("j", tile.width)
    full, rest = divmod(last.extent, lanes)
    chunk = Var("s", full)

    def moved_steps(start: Index, count: int) -> tuple[Statement, ...]:
        step = Var("l", count)
        at = dict(tile.grid)
        if problem.column is not None:
            at[problem.column] = tile.column + variable(column)
        here = {last: start + variable(step)}
        value = factors.read(problem.right, at | here)
        place = substitute(panel_index(problem, sums, variable(column)), here)
        return in_lanes(step, lanes, [Store(panel, place, value)])

    steps: tuple[Statement, ...] = ()
    if full:
        steps += repeat(chunk, LoopKind.SERIAL, moved_steps(variable(chunk) * lanes, lanes))
    if rest:
        steps += moved_steps(constant(full * lanes), rest)
    steps = repeat(column, LoopKind.SERIAL, steps)
    for axis in reversed(problem.depth[:-1]):
        steps = repeat(axis, LoopKind.SERIAL, steps)
    return body + steps


def _pack_across(
    factors: Factors, tile: Tile, lane: Var, sums: Register, panel: Buffer
) -> tuple[Statement, ...]:
    """Packs with lanes along the columns."""
    problem, lanes = factors.problem, lane.extent
    body: tuple[Statement, ...] = ()
    for start, count, active in column_groups(tile.width, lanes):
        guard = () if active == lanes else (Bound(variable(lane), 0, active),)
        vector = Var("j", count)
        column = (variable(vector) + start) * lanes + variable(lane)
        at = dict(tile.grid)
        if problem.column is not None:
            at[problem.column] = tile.column + column
        value = factors.read(problem.right, at, guard)
        store = Store(panel, panel_index(problem, sums, column), value)
        body += in_lanes(lane, lanes, repeat(vector, LoopKind.UNROLL, [store]))
    for axis in reversed(problem.depth):
        body = repeat(axis, LoopKind.SERIAL, body)
    return body


def pack_rows(
    factors: Factors, tile: Tile, number: Var, height: int, packed: Packed, plan: Plan
) -> tuple[Statement, ...]:
    """Copies the rows of every tile ``number`` into whole vectors of rows, of ``height`` in all.

    The rows of the next tile may follow in the last vector: they are never used.
    """
    problem = factors.problem
    assert problem.row is not None
    lane, vector = Var("l", plan.lanes), Var("j", packed.stride // plan.lanes)
    local = variable(vector) * plan.lanes
    start = tile.row + local
    body: tuple[Statement, ...] = ()
    # Vectors of rows that all exist need no masks; beyond the last row nothing is copied.
    whole = height - plan.lanes + 1
    for bound in (Bound(start, 0, whole), Bound(start, max(0, whole), height)):
        place = start + variable(lane)
        guard = () if bound.high == whole else (Bound(place, 0, height),)
        value = factors.read(problem.left, {**tile.grid, problem.row: place}, guard)
        index = depth_step(problem) * packed.stride + packed.start + local + variable(lane)
        copied = in_lanes(lane, plan.lanes, [Store(packed.buffer, index, value)])
        low, high = start.bounds()
        if bound.always():
            body += copied
        elif low < bound.high and high >= bound.low:
            body += (When((bound,), copied),)
    body = repeat(vector, LoopKind.UNROLL, body)
    for axis in reversed(problem.depth):
        body = repeat(axis, LoopKind.SERIAL, body)
    return repeat(number, LoopKind.SERIAL, body)
