"""The choices of a contraction's schedule: which lanes, which register tile, which blocks.

A small cost model in clock cycles of one core; it depends on shapes and target alone, so that the
same program is cut the same way for every number of threads.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from treadle.codegen.schedules.contraction_problem import Operand, Problem
from treadle.codegen.target import Target
from treadle.ir.index import Var

# A task is worth handing to another thread from about two microseconds of work on.
TASK_MULTIPLICATIONS = 100_000
MOST_TASKS = 64
# What a block of rows may take of the second-level cache: half of the smallest in use, 256 KiB.
RESIDENT_BYTES = 128 << 10

# Vector multiply-adds and loads a clock, and clocks from one sum to the next in the same register:
# what current x86 cores have in common (Agner Fog, instruction tables).
_PER_CLOCK = 2
_LOADS_PER_CLOCK = 1.6
_LATENCY = 4
# Clocks to add up the lanes of a vector and store the number; to branch back to the next step.
_ACROSS = 3
_BRANCH = 0.5
# Clocks for an element that is not the neighbour of the last, while packing or instead of it.
_SCATTERED = 1.25
# Clocks for a line that has left the first-level cache (32 KiB of 64 sets, 8 lines each), and for
# a page of 4 KiB that has left the first-level table of 64 translations.
_MISS = 1
_LINE, _SETS, _WAYS = 64, 64, 8
_PAGE, _TRANSLATIONS = 4096, 64
# Clocks for a line that streams in from the second level, in order.
_STREAM = 2
_SAMPLES = 2048


@dataclass(frozen=True)
class Plan:
    """How one contraction is computed.

    Attributes:
        depth_lanes: whether lanes are steps of the depth rather than columns.
        packed: whether the columns of a tile are first copied next to each other.
        packed_rows: whether the rows of a part are, too.
        lanes: lanes of a vector.
        rows, width: rows and columns of a register tile.
        row_tiles, column_tiles: register tiles of a task's block.
        row_part: row tiles, a divisor of ``row_tiles``, that are done with all columns together.
        grid: extent of a task's block along each grid axis.
    """

    depth_lanes: bool
    packed: bool
    packed_rows: bool
    lanes: int
    rows: int
    width: int
    row_tiles: int = 1
    column_tiles: int = 1
    row_part: int = 1
    grid: tuple[int, ...] = ()


def extent_of(var: Var | None) -> int:
    """Extent of an axis; 1 where there is none."""
    return 1 if var is None else var.extent


def depth_of(problem: Problem) -> int:
    """Factors that are multiplied and added up for one result."""
    return math.prod(var.extent for var in problem.depth)


def _contiguous(operand: Operand, var: Var | None) -> bool:
    return var is None or operand.stride(var) == 1


def _parts(extent: int, size: int) -> list[tuple[int, int]]:
    """(size, count) of the pieces that an extent is cut into."""
    full, rest = divmod(extent, size)
    return [(size, full)] * (full > 0) + [(rest, 1)] * (rest > 0)


def _step(rows: int, vectors: int) -> float:
    """Clocks to multiply-add rows x vectors registers once."""
    return max(rows * vectors / _PER_CLOCK, (rows + vectors) / _LOADS_PER_CLOCK, _LATENCY) + _BRANCH


def _misses(problem: Problem, operand: Operand, itemsize: int) -> float:
    """Clocks lost for each line of a panel that is not kept from one tile to the next.

    A panel is one line wide and as long as the depth; strides of powers of two crowd few sets.
    """
    strides = [operand.stride(var) or 0 for var in problem.depth]
    ranges = [range(var.extent) for var in problem.depth]
    lines, pages = set(), set()
    for point in itertools.islice(itertools.product(*ranges), _SAMPLES):
        offset = sum(at * stride for at, stride in zip(point, strides, strict=True)) * itemsize
        lines.add(offset // _LINE)
        pages.add(offset // _PAGE)
    sets = Counter(line % _SETS for line in lines)
    kept = sum(min(count, _WAYS) for count in sets.values())
    lost = 1 - kept / max(1, len(lines))
    return _MISS * (lost + max(0.0, 1 - _TRANSLATIONS / max(1, len(pages))))


def _column_plans(problem: Problem, lanes: int, target: Target) -> Iterator[Plan]:
    """Tiles with lanes along the columns."""
    itemsize = target.lane_bytes // lanes
    height, most = extent_of(problem.row), -(-extent_of(problem.column) // lanes)
    limit = _most_sums(target)
    # Rows are copied in vectors of rows, where they are neighbours or are computed anyway.
    packable = problem.row is not None and problem.left.stride(problem.row) in (1, None)
    for vectors in range(1, min(most, limit) + 1):
        panel = depth_of(problem) * vectors * lanes * itemsize
        for rows in range(1, min(height, limit) + 1):
            # A lone row needs no vector twice: each is loaded where it is multiplied.
            kept = vectors + 1 if rows > 1 else 1
            if rows * vectors + kept < target.registers and rows * vectors <= limit:
                width = vectors * lanes
                yield Plan(False, False, False, lanes, rows, width)
                if not 0 < panel <= target.max_scratch or target.kind != "cpu":
                    continue
                yield Plan(False, True, False, lanes, rows, width)
                plan = Plan(False, True, True, lanes, rows, width)
                if packable and panel + row_bytes(problem, plan, itemsize) <= target.max_scratch:
                    yield plan


def _depth_plans(problem: Problem, lanes: int, target: Target) -> Iterator[Plan]:
    """Tiles with lanes along the last axis of the depth."""
    if not problem.depth:
        return
    last = problem.depth[-1]
    if not (_contiguous(problem.left, last) and _contiguous(problem.right, last)):
        return
    height, width = extent_of(problem.row), extent_of(problem.column)
    limit = _most_sums(target)
    for columns in range(1, min(width, limit) + 1):
        for rows in range(1, min(height, limit) + 1):
            fits = rows * columns + min(rows, columns) + 1 < target.registers
            if fits and rows * columns <= limit:
                yield Plan(True, False, False, lanes, rows, columns)


def padded_rows(plan: Plan) -> int:
    """Rows of a tile in whole vectors."""
    return -(-plan.rows // plan.lanes) * plan.lanes


def row_bytes(problem: Problem, plan: Plan, itemsize: int) -> int:
    """Bytes of the packed rows of a part."""
    return plan.row_part * padded_rows(plan) * depth_of(problem) * itemsize


def _most_sums(target: Target) -> int:
    return 8 if target.kind == "cuda" else target.registers - 3


def _cost(problem: Problem, plan: Plan, misses: tuple[float, float], itemsize: int) -> float:
    """Clocks of the whole contraction on one core."""
    depth, height = depth_of(problem), extent_of(problem.row)
    cost = 0.0
    if plan.depth_lanes:
        last = problem.depth[-1].extent
        steps = depth // max(last, 1) * -(-last // plan.lanes)
        lines = depth * itemsize / _LINE
        # Rows pass by tile after tile while the columns of a tile stay in the first level.
        stream = _STREAM * lines if lines * height > _SETS * _WAYS / 2 else 0
        for tall, down in _parts(height, plan.rows):
            for wide, along in _parts(extent_of(problem.column), plan.width):
                tile = steps * _step(tall, wide) + _ACROSS * tall * wide + stream * tall
                cost += down * along * tile
        return cost
    # Elements of a vector are read one by one where they are not neighbours.
    unit = _contiguous(problem.right, problem.column)
    blocks = -(-height // (plan.row_tiles * plan.rows))
    vectors = -(-extent_of(problem.column) // plan.lanes)
    # Rows are neighbours of a line where the left operand is transposed: all in it is lost at once.
    below = problem.row is not None and problem.left.stride(problem.row) == 1
    row_line = misses[0] if below and not plan.packed_rows else 0.0
    computed = 0 if problem.left.plain or plan.packed_rows else _SCATTERED
    for wide, along in _parts(vectors, plan.width // plan.lanes):
        lines = -(-wide * plan.lanes * itemsize // _LINE)
        extra = lines * misses[1] if unit else wide * plan.lanes * _SCATTERED
        for tall, down in _parts(height, plan.rows):
            step = _step(tall, wide) + (0 if plan.packed else extra) + row_line + computed * tall
            cost += down * along * (depth * step + 2 * tall * wide)
        if plan.packed:
            parts = blocks * plan.row_tiles // plan.row_part
            cost += parts * along * depth * (extra + 2 * wide + _BRANCH)
    if plan.packed_rows:
        read = 1 + misses[0] if below else plan.lanes * _SCATTERED
        blocks = -(-vectors * plan.lanes // (plan.column_tiles * plan.width))
        copies = -(-height // plan.rows) * padded_rows(plan) / plan.lanes
        cost += blocks * depth * copies * (read + 1 + _BRANCH)
    return cost


def plan_of(problem: Problem, target: Target, itemsize: int) -> Plan:
    """The cheapest plan, with its tiles grouped into tasks."""
    lanes = target.lanes(itemsize)
    candidates = [*_column_plans(problem, lanes, target), *_depth_plans(problem, lanes, target)]
    plans = [_with_tasks(problem, plan, itemsize, target) for plan in candidates]
    misses = 0.0, 0.0
    if target.kind == "cpu":
        misses = (
            _misses(problem, problem.left, itemsize),
            _misses(problem, problem.right, itemsize),
        )
    return min(plans, key=lambda plan: _cost(problem, plan, misses, itemsize))


def _with_tasks(problem: Problem, plan: Plan, itemsize: int, target: Target) -> Plan:
    """Blocks of tiles such that a task is worth its start; grid axes are cut before tiles are."""
    wanted = min(MOST_TASKS, max(1, problem.multiplications // TASK_MULTIPLICATIONS))
    grid = []
    for var in problem.grid:
        size = -(-var.extent // min(wanted, var.extent))
        grid.append(size)
        wanted = max(1, wanted // -(-var.extent // size))
    down = -(-extent_of(problem.row) // plan.rows)
    along = -(-extent_of(problem.column) // plan.width)
    row_tiles, column_tiles = _block(down, along, plan, wanted)
    part = row_tiles
    tile_bytes = max(1, depth_of(problem) * plan.rows * itemsize)
    if not plan.packed:
        part = min(row_tiles, max(1, RESIDENT_BYTES // tile_bytes))
    elif plan.packed_rows:
        panel = depth_of(problem) * plan.width * itemsize
        left = row_bytes(problem, plan, itemsize)
        part = min(row_tiles, max(1, (target.max_scratch - panel) // left))
    parts = -(-row_tiles // part)
    part = -(-row_tiles // parts)
    return replace(
        plan,
        row_tiles=part * parts,
        column_tiles=column_tiles,
        row_part=part,
        grid=tuple(grid),
    )


def _block(down: int, along: int, plan: Plan, wanted: int) -> tuple[int, int]:
    """Tiles of a block, down and along: the least traffic among cuts into so many tasks.

    Each element of a block's operands is read once for all of it, so square blocks are best.
    """
    # A block's results are whole vectors, for what follows the product.
    unit = plan.lanes // math.gcd(plan.lanes, plan.width) if plan.depth_lanes else 1
    best, choice = math.inf, (down, along)
    for cuts in range(1, min(wanted, along) + 1):
        wide = -(-along // cuts)
        if cuts > 1:
            wide = -(-wide // unit) * unit
        used = -(-along // wide)
        tall = -(-down // min(down, max(1, wanted // used)))
        tasks = used * -(-down // tall)
        traffic = 1 / (tall * plan.rows) + 1 / (wide * plan.width)
        # Idle threads cost more than traffic: first as many tasks as wanted, within a third.
        cost = traffic * max(1.0, wanted / tasks / 1.5)
        if cost < best:
            best, choice = cost, (tall, wide)
    return choice
