"""Loops of a kernel around one contraction: products, batched products and convolutions.

The index space comes from ``contraction_problem``, the choices from ``contraction_plan``, the
inner loops from ``contraction_tile``, what follows the sums from ``contraction_epilogue``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from treadle.codegen.loops import (
    Buffer,
    Expression,
    Kernel,
    Load,
    LoopKind,
    Space,
    Statement,
    Store,
    When,
)
from treadle.codegen.schedules.contraction_epilogue import Epilogue
from treadle.codegen.schedules.contraction_pack import pack_columns, pack_rows
from treadle.codegen.schedules.contraction_plan import (
    Plan,
    depth_of,
    extent_of,
    padded_rows,
    plan_of,
    row_bytes,
)
from treadle.codegen.schedules.contraction_problem import (
    Problem,
    inputs_of,
    outputs_of,
    problem_of,
)
from treadle.codegen.schedules.contraction_tile import (
    Factors,
    Finish,
    Packed,
    Replacement,
    Tile,
    columns_in_lanes,
    depth_in_lanes,
    in_lanes,
    origin,
    registers_of,
    repeat,
)
from treadle.codegen.target import Target
from treadle.ir.graph import Graph
from treadle.ir.index import Bound, Index, Var, constant, variable
from treadle.ir.types import NARROW_FLOATS, DType, float32


def schedule(body: Graph, target: Target, name: str, aliases: Mapping[int, int]) -> Kernel:
    """Loop IR of a body with one contraction, movement before it and elementwise ops after it.

    ``aliases`` (output to the input slot whose memory it is) need no care here: an element is
    read only at the point that writes it, and before. Raises ValueError where the body is not
    of that form.
    """
    problem = problem_of(body)
    arguments = (*inputs_of(body), *outputs_of(body))
    if not math.prod(problem.product.shape):
        return Kernel(name, arguments, len(body.outputs), ())
    plan = plan_of(problem, target, accumulator_of(problem.product.dtype).itemsize)
    return _Nest(problem, plan, target, arguments).kernel(name)


def accumulator_of(dtype: DType) -> DType:
    """The dtype in which products are summed."""
    return float32 if dtype in NARROW_FLOATS else dtype


@dataclass(frozen=True)
class _Cut:
    """An axis cut into blocks, one for each of some tasks, and a loop over the steps of a block.

    Attributes:
        count: steps of the whole axis.
        size: steps of a block.
    """

    count: int
    size: int

    @property
    def blocks(self) -> int:
        """Blocks along the axis."""
        return -(-self.count // self.size)


# (guard, first position, extent) of the full pieces of an axis and of the last, shorter one.
Piece: TypeAlias = tuple[tuple[Bound, ...], Index, int]


def _pieces(number: Index, extent: int, size: int) -> list[Piece]:
    """The cases of piece ``number`` of an extent cut into pieces of a size; beyond it, none."""
    full, rest = divmod(extent, size)
    pieces = []
    if full:
        pieces.append((Bound(number, 0, full), number * size, size))
    if rest:
        pieces.append((Bound(number, full, full + 1), constant(full * size), rest))
    return [(() if bound.always() else (bound,), start, size) for bound, start, size in pieces]


def _when(guard: tuple[Bound, ...], body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    return (When(guard, body),) if guard and body else body


class _Nest:
    """The loops of one kernel, from the tasks down to the tiles."""

    def __init__(
        self, problem: Problem, plan: Plan, target: Target, arguments: Sequence[Buffer]
    ) -> None:
        self.problem, self.plan = problem, plan
        self.arguments = tuple(arguments)
        inputs = self.arguments[: len(problem.body.inputs)]
        self.outputs = self.arguments[len(inputs) :]
        dtype = accumulator_of(problem.product.dtype)
        self.epilogue = Epilogue(problem, inputs, self.outputs)
        self.factors = Factors(problem, inputs, dtype, target.fma, plan.lanes)
        self.height, self.breadth = extent_of(problem.row), extent_of(problem.column)
        self.down = _Cut(-(-self.height // plan.rows), plan.row_tiles)
        self.along = _Cut(-(-self.breadth // plan.width), plan.column_tiles)
        self.block_width = self.along.size * plan.width
        self.sums, self.sides = registers_of(plan.rows, plan.width, plan, dtype)
        # Sums across lanes are numbers. What follows them works on vectors again, once a block of
        # them is complete.
        block = Buffer("block", dtype, plan.row_part * plan.rows * self.block_width, Space.SCRATCH)
        fits = block.size * dtype.itemsize <= target.max_scratch
        self.staged = plan.depth_lanes and not self.epilogue.trivial and fits
        self.block = block if self.staged else None
        self.panel: Buffer | None = None
        if plan.packed:
            size = depth_of(problem) * plan.width
            self.panel = Buffer("panel", dtype, size, Space.SCRATCH)
        self.left: Packed | None = None
        if plan.packed_rows:
            size = row_bytes(problem, plan, dtype.itemsize) // dtype.itemsize
            left = Buffer("left", dtype, size, Space.SCRATCH)
            self.left = Packed(left, padded_rows(plan), constant(0))

    def kernel(self, name: str) -> Kernel:
        """The whole kernel."""
        grid = zip(self.problem.grid, self.plan.grid, strict=True)
        cuts = [*(_Cut(var.extent, size) for var, size in grid), self.down, self.along]
        tasks = Var("t", math.prod(cut.blocks for cut in cuts))
        blocks: list[Index] = []
        rest = variable(tasks)
        for cut in reversed(cuts):
            blocks.append(rest % cut.blocks)
            rest = rest // cut.blocks
        blocks.reverse()
        body = repeat(tasks, LoopKind.TASKS, self._grid(blocks, 0, {}))
        return Kernel(
            name,
            self.arguments,
            len(self.outputs),
            body,
            self._scratch(),
            (self.sums, self.sides),
        )

    def _scratch(self) -> tuple[Buffer, ...]:
        left = None if self.left is None else self.left.buffer
        return tuple(buffer for buffer in (left, self.panel, self.block) if buffer is not None)

    def _grid(self, blocks: Sequence[Index], axis: int, at: Replacement) -> tuple[Statement, ...]:
        """Loops over the grid axes of a task's block, from one axis on."""
        if axis == len(self.problem.grid):
            return self._parts(blocks[-2], blocks[-1], at)
        var, size = self.problem.grid[axis], self.plan.grid[axis]
        step = Var(f"g{axis}", size)
        place = blocks[axis] * size + variable(step)
        body = self._grid(blocks, axis + 1, {**at, var: place})
        bound = Bound(place, 0, var.extent)
        return repeat(step, LoopKind.SERIAL, _when(() if bound.always() else (bound,), body))

    def _parts(
        self, row_block: Index, column_block: Index, at: Replacement
    ) -> tuple[Statement, ...]:
        """The parts of a block whose rows stay in the second-level cache."""
        part = Var("p", self.down.size // self.plan.row_part)
        row_tile = row_block * self.down.size + variable(part) * self.plan.row_part
        column_tile = column_block * self.along.size
        body = self._tiles(row_tile, column_tile, at)
        if self.left is not None:
            body = self._pack_rows(self.left, row_tile, at) + body
        if self.block is not None:
            body += self._staged(row_tile, column_tile, at)
        return repeat(part, LoopKind.SERIAL, body)

    def _pack_rows(self, packed: Packed, row_tile: Index, at: Replacement) -> tuple[Statement, ...]:
        """Copies the rows of every tile of a part."""
        u = Var("u", self.plan.row_part)
        row = (row_tile + variable(u)) * self.plan.rows
        tile = Tile(row, self.plan.rows, constant(0), 0, at)
        packed = self._packed_tile(packed, variable(u))
        return pack_rows(self.factors, tile, u, self.height, packed, self.plan)

    def _packed_tile(self, packed: Packed, number: Index) -> Packed:
        return replace(packed, start=number * (packed.stride * depth_of(self.problem)))

    def _tiles(self, row_tile: Index, column_tile: Index, at: Replacement) -> tuple[Statement, ...]:
        """Every register tile of a part: all rows against the columns that are in cache."""
        u, v = Var("u", self.plan.row_part), Var("v", self.along.size)
        below: list[Statement] = []
        for wide, column, width in _pieces(
            column_tile + variable(v), self.breadth, self.plan.width
        ):
            rows: list[Statement] = []
            for tall, row, height in _pieces(row_tile + variable(u), self.height, self.plan.rows):
                corner = variable(u) * self.plan.rows, variable(v) * self.plan.width
                left = self.left and self._packed_tile(self.left, variable(u))
                tile = Tile(row, height, column, width, at, self.panel, left)
                rows += _when(tall, self._tile(tile, corner))
            inner = repeat(u, LoopKind.SERIAL, rows)
            if self.panel is not None:
                tile = Tile(constant(0), 0, column, width, at)
                lanes = self.plan.lanes
                inner = pack_columns(self.factors, tile, lanes, self.sums, self.panel) + inner
            below += _when(wide, inner)
        return repeat(v, LoopKind.SERIAL, below)

    def _tile(self, tile: Tile, corner: tuple[Index, Index]) -> tuple[Statement, ...]:
        """One register tile; ``corner`` is where it lies in its part."""
        finish: Finish = self.epilogue.statements
        if self.block is not None:
            finish = self._stage(self.block, tile, corner)
        compute = depth_in_lanes if self.plan.depth_lanes else columns_in_lanes
        return compute(self.factors, tile, self.plan.lanes, self.sums, self.sides, finish)

    def _stage(self, block: Buffer, tile: Tile, corner: tuple[Index, Index]) -> Finish:
        """Keeps a sum in the block until what follows it is computed."""

        def finish(total: Expression, at: Replacement, _lanes: int) -> tuple[Statement, ...]:
            row = origin(at, self.problem.row) - tile.row + corner[0]
            column = origin(at, self.problem.column) - tile.column + corner[1]
            return (Store(block, row * self.block_width + column, total),)

        return finish

    def _staged(
        self, row_tile: Index, column_tile: Index, at: Replacement
    ) -> tuple[Statement, ...]:
        """What follows the sums of a part, row by row in vectors."""
        assert self.block is not None
        lanes, problem = self.plan.lanes, self.problem
        r, v = (
            Var("r", self.plan.row_part * self.plan.rows),
            Var("v", -(-self.block_width // lanes)),
        )
        row = row_tile * self.plan.rows + variable(r)
        # A block of several is whole vectors wide; a lone one starts at column 0.
        vector = (column_tile * self.plan.width) // lanes + variable(v)
        body: list[Statement] = []
        for wide, column, width in _pieces(vector, self.breadth, lanes):
            lane = Var("l", width)
            here = dict(at)
            if problem.row is not None:
                here[problem.row] = row
            if problem.column is not None:
                here[problem.column] = column + variable(lane)
            place = variable(r) * self.block_width + variable(v) * lanes + variable(lane)
            done = self.epilogue.statements(Load(self.block, place), here, lanes)
            body += _when(wide, in_lanes(lane, lanes, done))
        bound = Bound(row, 0, self.height)
        inside = _when(() if bound.always() else (bound,), repeat(v, LoopKind.SERIAL, body))
        return repeat(r, LoopKind.SERIAL, inside)
