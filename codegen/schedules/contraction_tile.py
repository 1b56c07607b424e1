"""Micro-kernels: the sums of a small block of results, kept in registers over the whole depth.

Either the lanes of a vector are neighbouring columns, or neighbouring steps of the depth. Which
one and how large is chosen in ``contraction_plan``; what happens to the sums, by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from treadle.codegen.element import Elements
from treadle.codegen.loops import (
    AcrossLanes,
    Apply,
    Assign,
    Buffer,
    Const,
    Expression,
    For,
    Holds,
    Let,
    Load,
    LoopKind,
    Read,
    Register,
    Statement,
)
from treadle.codegen.schedules.contraction_epilogue import moved
from treadle.codegen.schedules.contraction_plan import Plan
from treadle.codegen.schedules.contraction_problem import Operand, Problem
from treadle.ir.index import Bound, Index, Var, constant, substitute, variable
from treadle.ir.types import DType, bool_

Replacement: TypeAlias = Mapping[Var, Index]
# (a sum, the point it belongs to, lanes) -> what to do with it.
Finish: TypeAlias = Callable[[Expression, Replacement, int], tuple[Statement, ...]]


@dataclass(frozen=True)
class Packed:
    """The rows of a part's tiles, tile by tile and side by side for each step of the depth.

    ``start`` is where a tile begins, ``stride`` the distance from one step to the next.
    """

    buffer: Buffer
    stride: int
    start: Index


@dataclass(frozen=True)
class Tile:
    """A block of results: ``rows`` from ``row`` on, ``width`` columns from ``column`` on.

    ``grid`` gives the other axes of the result, ``panel`` and ``left`` hold the
    columns and rows if they were packed.
    """

    row: Index
    rows: int
    column: Index
    width: int
    grid: Replacement
    panel: Buffer | None = None
    left: Packed | None = None


def repeat(var: Var, kind: LoopKind, body: Sequence[Statement]) -> tuple[Statement, ...]:
    """A loop, or its body alone where it runs once."""
    if not body or var.extent == 0:
        return ()
    return tuple(body) if var.extent == 1 else (For(var, kind, tuple(body)),)


def in_lanes(lane: Var, lanes: int, body: Sequence[Statement]) -> tuple[Statement, ...]:
    """Statements run once for every lane."""
    return (For(lane, LoopKind.LANES, tuple(body), lanes),) if body else ()


@dataclass(frozen=True)
class Factors:
    """Reads the two operands of a problem and multiplies them.

    Attributes:
        dtype: of the sums.
        fused: whether multiply-add in one rounding is an instruction.
        lanes: of a vector.
    """

    problem: Problem
    inputs: tuple[Buffer, ...]
    dtype: DType
    fused: bool
    lanes: int

    def read(self, operand: Operand, at: Replacement, guard: tuple[Bound, ...] = ()) -> Expression:
        """A factor; 0 where the guard does not hold."""
        result: Expression
        if operand.plain:
            index = substitute(operand.index, at)
            result = Load(self.inputs[operand.slot], index, guard)
        else:
            position = moved(operand.position, at)
            result = Elements(self.inputs, {}).at(operand.value, position, guard)
            if guard:
                zero = Const(0, result.dtype)
                result = Apply("select", (Holds(guard, bool_), result, zero), result.dtype)
        return result if result.dtype is self.dtype else Apply("cast", (result,), self.dtype)

    def accumulate(self, x: Expression, y: Expression, total: Expression) -> Expression:
        """x * y + total."""
        if self.fused and self.dtype.is_floating_point:
            return Apply("fma", (x, y, total), self.dtype)
        return Apply("add", (Apply("mul", (x, y), self.dtype), total), self.dtype)

    def zero(self) -> Const:
        """The empty sum."""
        return Const(0.0 if self.dtype.is_floating_point else 0, self.dtype)


def column_groups(width: int, lanes: int) -> list[tuple[int, int, int]]:
    """(first vector, vectors, active lanes) of columns cut into vectors; the last may be short."""
    full, rest = divmod(width, lanes)
    groups = [(0, full, lanes)] if full else []
    return [*groups, (full, 1, rest)] if rest else groups


def columns_in_lanes(
    factors: Factors, tile: Tile, lanes: int, sums: Register, sides: Register, finish: Finish
) -> tuple[Statement, ...]:
    """A tile whose vectors lie along the columns; the other factor is the same in every lane."""
    return _ColumnTile(factors, tile, lanes, sums, sides).statements(finish)


class _ColumnTile:
    """The statements of one tile with lanes along the columns."""

    def __init__(
        self, factors: Factors, tile: Tile, lanes: int, sums: Register, sides: Register
    ) -> None:
        self.factors, self.tile, self.problem = factors, tile, factors.problem
        self.sums, self.sides, self.lanes = sums, sides, lanes
        self.row, self.lane = Var("i", tile.rows), Var("l", lanes)
        self.groups = column_groups(tile.width, lanes)
        self.factor = Register("factor", factors.dtype)

    def statements(self, finish: Finish) -> tuple[Statement, ...]:
        """Sums set to 0, added up over the depth, and finished."""
        update = [Let(self.factor, self._left()), *self._each(self._updated)]
        body = (*self._each(self._loaded), *repeat(self.row, LoopKind.UNROLL, update))
        for axis in reversed(self.problem.depth):
            body = repeat(axis, LoopKind.SERIAL, body)
        return (
            *repeat(self.row, LoopKind.UNROLL, self._each(self._cleared)),
            *body,
            *repeat(self.row, LoopKind.UNROLL, self._finished(finish)),
        )

    def _each(self, make: Callable[[Index, int], Statement]) -> tuple[Statement, ...]:
        """A statement for every vector; all lanes run, and ``active`` of them matter."""
        found: tuple[Statement, ...] = ()
        for start, count, active in self.groups:
            step = Var("j", count)
            body = repeat(step, LoopKind.UNROLL, [make(variable(step) + start, active)])
            found += in_lanes(self.lane, self.lanes, body)
        return found

    def _point(self, vector: Index, lane: Var) -> Replacement:
        at = dict(self.tile.grid)
        if self.problem.row is not None:
            at[self.problem.row] = self.tile.row + variable(self.row)
        if self.problem.column is not None:
            at[self.problem.column] = self.tile.column + vector * self.lanes + variable(lane)
        return at

    def _cleared(self, vector: Index, _active: int) -> Statement:
        return Assign(self.sums, self.factors.zero(), (variable(self.row), vector))

    def _loaded(self, vector: Index, active: int) -> Statement:
        lane = variable(self.lane)
        if self.tile.panel is not None:
            place = panel_index(self.problem, self.sums, vector * self.lanes + lane)
            return Assign(self.sides, Load(self.tile.panel, place), (vector,))
        # Lanes beyond the last column add zeros rather than run masked: nothing is selected.
        guard = () if active == self.lanes else (Bound(lane, 0, active),)
        value = self.factors.read(self.problem.right, self._point(vector, self.lane), guard)
        return Assign(self.sides, value, (vector,))

    def _left(self) -> Expression:
        if self.tile.left is None:
            return self.factors.read(self.problem.left, self._point(constant(0), self.lane))
        first = depth_step(self.problem) * self.tile.left.stride + self.tile.left.start
        return Load(self.tile.left.buffer, first + variable(self.row))

    def _updated(self, vector: Index, _active: int) -> Statement:
        place = (variable(self.row), vector)
        side = Read(self.sides, (vector,))
        total = self.factors.accumulate(Read(self.factor), side, Read(self.sums, place))
        return Assign(self.sums, total, place)

    def _finished(self, finish: Finish) -> tuple[Statement, ...]:
        found: tuple[Statement, ...] = ()
        for start, count, active in self.groups:
            step, lane = Var("j", count), Var("l", active)
            vector = variable(step) + start
            total = Read(self.sums, (variable(self.row), vector))
            done = finish(total, self._point(vector, lane), self.lanes)
            found += repeat(step, LoopKind.UNROLL, in_lanes(lane, self.lanes, done))
        return found


def depth_in_lanes(
    factors: Factors, tile: Tile, lanes: int, sums: Register, sides: Register, finish: Finish
) -> tuple[Statement, ...]:
    """A tile whose vectors lie along the last axis of the depth; lanes are added at the end."""
    problem = factors.problem
    row, column, lane = Var("i", tile.rows), Var("j", tile.width), Var("l", lanes)
    at = dict(tile.grid)
    if problem.row is not None:
        at[problem.row] = tile.row + variable(row)
    if problem.column is not None:
        at[problem.column] = tile.column + variable(column)
    # The side with fewer vectors stays in registers while the other streams by.
    few, many = (row, column) if tile.rows <= tile.width else (column, row)
    operands = {row: problem.left, column: problem.right}
    passing = Register("factor", factors.dtype, lanes)
    place = (variable(row), variable(column))

    def step(last: Index, guard: tuple[Bound, ...]) -> tuple[Statement, ...]:
        here = at | {problem.depth[-1]: last}
        load = Assign(sides, factors.read(operands[few], here, guard), (variable(few),))
        total = factors.accumulate(Read(passing), Read(sides, (variable(few),)), Read(sums, place))
        across = [
            Let(passing, factors.read(operands[many], here, guard)),
            *repeat(few, LoopKind.UNROLL, [Assign(sums, total, place)]),
        ]
        body = [
            *repeat(few, LoopKind.UNROLL, [load]),
            *repeat(many, LoopKind.UNROLL, across),
        ]
        return in_lanes(lane, lanes, body)

    full, rest = divmod(problem.depth[-1].extent, lanes)
    chunk = Var("s", full)
    body: tuple[Statement, ...] = ()
    if full:
        body += repeat(chunk, LoopKind.SERIAL, step(variable(chunk) * lanes + variable(lane), ()))
    if rest:
        last = variable(lane) + full * lanes
        body += step(last, (Bound(variable(lane), 0, rest),))
    for axis in reversed(problem.depth[:-1]):
        body = repeat(axis, LoopKind.SERIAL, body)
    clear = in_lanes(lane, lanes, _both(row, column, [Assign(sums, factors.zero(), place)]))
    ends = _both(row, column, finish(AcrossLanes("add", sums, place), at, 0))
    return (*clear, *body, *ends)


def _both(row: Var, column: Var, body: Sequence[Statement]) -> tuple[Statement, ...]:
    return repeat(row, LoopKind.UNROLL, repeat(column, LoopKind.UNROLL, body))


def depth_step(problem: Problem) -> Index:
    """The step of the depth as one number."""
    step = constant(0)
    for axis in problem.depth:
        step = step * axis.extent + variable(axis)
    return step


def panel_index(problem: Problem, sums: Register, column: Index) -> Index:
    """Where a packed factor lies: step of the depth by step, the columns of a tile side by side."""
    return depth_step(problem) * (sums.shape[1] * sums.lanes) + column


def registers_of(rows: int, width: int, plan: Plan, dtype: DType) -> tuple[Register, Register]:
    """The sums of a tile and the side of its factors that is kept while the other streams by."""
    if plan.depth_lanes:
        return (
            Register("sums", dtype, plan.lanes, (rows, width)),
            Register("side", dtype, plan.lanes, (min(rows, width),)),
        )
    vectors = width // plan.lanes
    return (
        Register("sums", dtype, plan.lanes, (rows, vectors)),
        Register("side", dtype, plan.lanes, (vectors,)),
    )


def origin(at: Replacement, var: Var | None) -> Index:
    """Where a point lies along an axis; 0 along an axis that is not there."""
    return constant(0) if var is None else at[var]
