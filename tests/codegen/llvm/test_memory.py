"""Loads and stores of every shape of index and guard, against a walk of the same expressions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import pytest

from treadle.codegen.llvm import emit_kernel
from treadle.codegen.loops import (
    Apply,
    Buffer,
    Const,
    For,
    Holds,
    Kernel,
    Load,
    LoopKind,
    Position,
    Statement,
    Store,
)
from treadle.codegen.target import AVX2
from treadle.ir.index import (
    Bound,
    Index,
    Quotient,
    Remainder,
    Var,
    constant,
    dynamic,
    substitute,
    variable,
)
from treadle.ir.types import DType, Scalar, bool_, float16, float32, float64, int32, int64, uint8

Run: TypeAlias = Any  # the Runner of conftest.py
SERIAL, UNROLL, LANES = LoopKind.SERIAL, LoopKind.UNROLL, LoopKind.LANES
TYPES = (float32, float64, int64, uint8, bool_, float16)
ROW, LANE = Var("row", 6), Var("lane", 8)
R, L = variable(ROW), variable(LANE)


def evaluate(index: Index, env: Mapping[Var, int]) -> int:
    """The number that an index is."""
    total = index.constant
    for atom, factor in index.terms:
        if isinstance(atom, Var):
            value = env[atom]
        elif isinstance(atom, Quotient):
            value = evaluate(atom.operand, env) // atom.divisor
        else:
            assert isinstance(atom, Remainder)
            value = evaluate(atom.operand, env) % atom.divisor
        total += factor * value
    return total


def holds(guard: tuple[Bound, ...], env: Mapping[Var, int]) -> bool:
    return all(
        bound.low <= evaluate(bound.index, env) < bound.high
        and evaluate(bound.index, env) % bound.step == 0
        for bound in guard
    )


def nest(lane: Var, body: tuple[Statement, ...], outer: LoopKind) -> tuple[Statement, ...]:
    return (For(ROW, outer, (For(lane, LANES, body, 8),)),)


def check_load(
    run: Run,
    index: Index,
    size: int,
    dtype: DType = float32,
    guard: tuple[Bound, ...] = (),
    default: Scalar = 0,
    lane: Var = LANE,
    outer: LoopKind = SERIAL,
) -> str:
    """Compares y[row, lane] = x[index] where the guard holds, beside memory that cannot be read."""
    x, y = Buffer("x", dtype, size), Buffer("y", dtype, ROW.extent * 8)
    out = variable(ROW) * 8 + variable(lane)
    store = Store(y, out, Load(x, index, guard, default))
    source = (np.arange(size) * 7 % 13).astype(dtype.numpy)
    expected = np.zeros((ROW.extent, 8), dtype.numpy)
    for row in range(ROW.extent):
        for number in range(lane.extent):
            env = {ROW: row, lane: number}
            inside = holds(guard, env)
            expected[row, number] = source[evaluate(index, env)] if inside else default
    kernel = Kernel("load", (x, y), 1, nest(lane, (store,), outer))
    # Both copies in one program: compiling takes longer than all the rest.
    results = [np.zeros(ROW.extent * 8, dtype.numpy) for _ in range(2)]
    copies = (run.fenced(source) * 2)[:2]
    text = run([kernel, kernel], copies[0], results[0], copies[1], results[1])
    for result in results:
        np.testing.assert_array_equal(result.reshape(-1, 8), expected)
    return text


@pytest.mark.parametrize("lanes", [8, 5])
@pytest.mark.parametrize("outer", [SERIAL, UNROLL])
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_loads_without_guards(run: Run, dtype: DType, outer: LoopKind, lanes: int) -> None:
    lane = Var("lane", lanes)
    moving = variable(lane)
    top = 5 * 40 + (lanes - 1)
    check_load(run, R * 40 + moving, top + 1, dtype, lane=lane, outer=outer)
    check_load(run, R * 3 + 2, 18, dtype, lane=lane, outer=outer)
    for stride in (2, 3, 4, 5):
        size = 5 + stride * (lanes - 1) + 1
        check_load(run, R + moving * stride, size, dtype, lane=lane, outer=outer)
    check_load(run, moving * -1 + R + (lanes - 1), 5 + lanes, dtype, lane=lane, outer=outer)
    check_load(run, (R * 8 + moving) // 3 + moving % 2, 40, dtype, lane=lane, outer=outer)


@pytest.mark.parametrize("lanes", [8, 5, 3])
@pytest.mark.parametrize("outer", [SERIAL, UNROLL])
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_guarded_loads_read_nothing_outside(
    run: Run, dtype: DType, outer: LoopKind, lanes: int
) -> None:
    lane = Var("lane", lanes)
    moving = variable(lane)
    # Padding by one on all sides of a 4 x lanes image: rows differ for all, columns by lane.
    row, column = R - 1, moving - 1
    rows, columns = Bound(row, 0, 4), Bound(column, 0, lanes)
    at = row * lanes + column
    check_load(run, at, 4 * lanes, dtype, (rows, columns), 1, lane, outer)
    check_load(run, row * lanes + moving, 4 * lanes, dtype, (rows,), 1, lane, outer)
    check_load(run, row, 4, dtype, (rows,), 1, lane, outer)
    check_load(run, row, 4, dtype, (rows, columns), 1, lane, outer)
    # Masks that are known when the loop runs, alone and under a condition on the row.
    sliding = moving + R - 3
    inside = Bound(sliding, 0, lanes)
    check_load(run, sliding, lanes, dtype, (inside,), 1, lane, outer)
    check_load(run, sliding + row * lanes, 4 * lanes, dtype, (rows, inside), 1, lane, outer)
    # Two constant masks, and one that no lane passes.
    both = (Bound(moving, 1, 8), Bound(moving, 0, 2))
    check_load(run, moving - 1, 1, dtype, both, 1, lane, outer)
    check_load(run, moving, 3, dtype, (Bound(moving, 0, 1), Bound(moving, 1, 2)), 1, lane, outer)
    # Every second element, as the gradient of a strided slice reads.
    even = Bound(moving, 0, lanes, 2)
    check_load(run, moving // 2, (lanes + 1) // 2, dtype, (even,), 1, lane, outer)
    check_load(run, moving * 3 - 3, 3 * lanes, dtype, (Bound(moving, 1, 3),), 1, lane, outer)


def test_divisions_of_negative_positions_round_down(run: Run) -> None:
    for divisor in (3, 4):
        shifted = R * 2 + L - 7
        check_load(run, shifted // divisor + 7, 30)
        check_load(run, shifted % divisor, 4)
        row = R * 3 - 8
        check_load(run, row // divisor + 3 + L, 30)
        check_load(run, row % divisor + L, 30)


def test_divisions_beyond_32_bits() -> None:
    far = Var("far", 1 << 40)
    x, y = Buffer("x", float32, 1 << 50), Buffer("y", float32, 1)
    at = (variable(far) * 3) // 1000
    body = (For(far, SERIAL, (Store(y, constant(0), Load(x, at)),)),)
    text = emit_kernel(Kernel("far", (x, y), 1, body), AVX2)
    assert "udiv i64" in text and "udiv i32" not in text


def test_a_guard_known_from_ranges_costs_nothing(run: Run) -> None:
    text = check_load(run, R * 8 + L, 48, guard=(Bound(R, 0, 6), Bound(L, 0, 8)))
    assert "icmp" not in text.replace("icmp ult i64 %i", "")
    assert "masked" not in text


def test_a_guard_that_never_holds_reads_nothing(run: Run) -> None:
    x, y = Buffer("x", float32, 0), Buffer("y", float32, 8)
    load = Load(x, L, (Bound(L + 100, 0, 8),), 3)
    body = (For(LANE, LANES, (Store(y, L, load),), 8),)
    result = np.zeros(8, "f")
    run(Kernel("never", (x, y), 1, body), np.zeros(1, "f"), result)
    np.testing.assert_array_equal(result, 3)


def check_store(
    run: Run, index: Index, size: int, dtype: DType, guard: tuple[Bound, ...], lane: Var
) -> None:
    x, y = Buffer("x", dtype, ROW.extent * 8), Buffer("y", dtype, size)
    at = variable(ROW) * 8 + variable(lane)
    body = nest(lane, (Store(y, index, Load(x, at), guard),), SERIAL)
    source = (np.arange(48) * 7 % 13).astype(dtype.numpy)
    result = np.ones(size + 8, dtype.numpy)
    expected = result.copy()
    run(Kernel("store", (x, y), 1, body), source, result)
    for row in range(ROW.extent):
        for number in range(lane.extent):
            env = {ROW: row, lane: number}
            if holds(guard, env):
                expected[evaluate(index, env)] = source[row * 8 + number]
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("lanes", [8, 5])
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_stores(run: Run, dtype: DType, lanes: int) -> None:
    lane = Var("lane", lanes)
    moving = variable(lane)
    rows, columns = Bound(R, 1, 4), Bound(moving, 2, 4)
    for guard in ((), (rows,), (columns,), (rows, columns)):
        check_store(run, R * 8 + moving, 48, dtype, guard, lane)
        check_store(run, R + moving * 6, 48, dtype, guard, lane)
        check_store(run, (R * 8 + moving) // 2, 24, dtype, guard, lane)
    check_store(run, R, 6, dtype, (rows,), lane)


def test_gathers_by_positions_from_data(run: Run) -> None:
    table, rows, y = Buffer("t", float32, 50), Buffer("r", int64, 6), Buffer("y", float32, 48)
    picked = dynamic(Load(rows, R), 0, 4)
    store = Store(y, R * 8 + L, Load(table, picked * 10 + L))
    kernel = Kernel("gather", (table, rows, y), 1, nest(LANE, (store,), SERIAL))
    source, chosen = np.arange(50, dtype="f"), np.array([4, 0, 3, 3, 1, 2])
    result = np.zeros(48, "f")
    run(kernel, source, chosen, result)
    expected = source.reshape(5, 10)[chosen][:, :8].ravel()
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("dtype", [int64, int32])
def test_gathers_by_positions_that_differ_between_lanes(run: Run, dtype: DType) -> None:
    table, rows, y = Buffer("t", float32, 50), Buffer("r", dtype, 8), Buffer("y", float32, 8)
    picked = dynamic(Load(rows, L), 0, 49)
    guard = (Bound(picked, 5, 50),)
    body = (For(LANE, LANES, (Store(y, L, Load(table, picked, guard, -1)),), 8),)
    source = np.arange(50, dtype="f")
    chosen = np.array([4, 49, 0, 10, 11, 5, 30, 20], dtype.numpy)
    result = np.zeros(8, "f")
    run(Kernel("gather", (table, rows, y), 1, body), source, chosen, result)
    np.testing.assert_array_equal(result, np.where(chosen >= 5, source[chosen], -1))


def test_one_hot_rows_compare_positions_with_data(run: Run) -> None:
    rows, y = Buffer("r", int64, 6), Buffer("y", float32, 48)
    same = Apply("eq", (Load(rows, R), Position(L, int64)), bool_)
    value = Apply("select", (same, Const(1, float32), Position(R * 8 + L, float32)), float32)
    body = nest(LANE, (Store(y, R * 8 + L, value),), SERIAL)
    chosen, result = np.array([4, 0, 3, 3, 1, 9]), np.zeros(48, "f")
    run(Kernel("onehot", (rows, y), 1, body), chosen, result)
    expected = np.where(chosen[:, None] == np.arange(8), 1, np.arange(48).reshape(6, 8))
    np.testing.assert_array_equal(result.reshape(6, 8), expected)


@pytest.mark.parametrize("dtype", [float32, float64, int32, int64, bool_], ids=str)
def test_positions_and_guards_as_values(run: Run, dtype: DType) -> None:
    y, z = Buffer("y", dtype, 48), Buffer("z", bool_, 48)
    guard = (Bound(R, 1, 4), Bound(L, 2, 9))
    body = (
        Store(y, R * 8 + L, Position(R + L * 2 - 3, dtype)),
        Store(z, R * 8 + L, Holds(guard, bool_)),
    )
    positions, inside = np.zeros(48, dtype.numpy), np.zeros(48, bool)
    run(Kernel("positions", (y, z), 2, nest(LANE, body, SERIAL)), positions, inside)
    rows, lanes = np.mgrid[:6, :8]
    np.testing.assert_array_equal(
        positions.reshape(6, 8), (rows + lanes * 2 - 3).astype(dtype.numpy)
    )
    expected = (rows >= 1) & (rows < 4) & (lanes >= 2)
    np.testing.assert_array_equal(inside.reshape(6, 8), expected)


def test_index_arithmetic_is_done_in_the_outermost_loop_it_allows() -> None:
    x, y = Buffer("x", float32, 10_000), Buffer("y", float32, 10_000)
    outer, inner = Var("outer", 10), Var("inner", 10)
    at = (variable(outer) // 3) * 1000 + variable(inner)
    loop = For(inner, SERIAL, (Store(y, at, Load(x, at)),))
    text = emit_kernel(Kernel("k", (x, y), 1, (For(outer, SERIAL, (loop,)),)), AVX2)
    outer_block, inner_block = text.split("\nloop")[1:3]
    assert "udiv" in outer_block and "mul" in outer_block
    assert "udiv" not in inner_block and "mul" not in inner_block


def test_a_variable_of_no_loop_around_is_refused() -> None:
    x, y = Buffer("x", float32, 8), Buffer("y", float32, 8)
    body = (Store(y, constant(0), Load(x, L)),)
    with pytest.raises(ValueError, match="loop variable lane is used outside its loop"):
        emit_kernel(Kernel("stray", (x, y), 1, body), AVX2)


@pytest.mark.parametrize("index", [L * -1 + 7, R * 8 - L + 7], ids=["same", "moving"])
@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("lanes", [8, 5])
def test_backward_loads_with_and_without_guards(
    run: Run, dtype: DType, index: Index, lanes: int
) -> None:
    lane = Var("lane", lanes)
    moved = substitute(index, {LANE: variable(lane)})
    check_load(run, moved, 48, dtype, lane=lane)
    check_load(run, moved, 48, dtype, (Bound(moved, 2, 45),), 1, lane=lane)
    check_load(run, moved - 4, 40, dtype, (Bound(moved - 4, 0, 40), Bound(R, 1, 5)), 1, lane=lane)


def test_a_guard_that_changes_between_vectors_alone_needs_no_mask(run: Run) -> None:
    whole, cut = R * 8 + L - 16, R * 8 + L - 15
    assert "masked." not in check_load(run, whole, 16, guard=(Bound(whole, 0, 16),))
    assert "masked." in check_load(run, cut, 16, guard=(Bound(cut, 0, 16),))


def test_positions_from_data_move_with_an_unrolled_loop(run: Run) -> None:
    # What an unrolled step computed from data must not be taken for the next step's.
    index, x, y = Buffer("index", int64, 48), Buffer("x", float32, 64), Buffer("y", float32, 48)
    masked = Apply("and", (Load(index, R * 8 + L), Const(63, int64)), int64)
    for wanted in (masked, Load(index, R * 8)):
        lane = 0 if wanted is masked else L
        load = Load(x, dynamic(wanted, 0, 56) + lane, (Bound(dynamic(wanted, 0, 56), 0, 50),))
        body = nest(LANE, (Store(y, R * 8 + L, load),), UNROLL)
        positions = np.arange(48, dtype=np.int64) * 5 % 53
        values, found = np.arange(64, dtype=np.float32), np.zeros(48, np.float32)
        run(Kernel("gather", (index, x, y), 1, body), positions, values, found)
        at = positions if wanted is masked else np.repeat(positions[::8], 8)
        moved = at if wanted is masked else at + np.tile(np.arange(8), 6)
        np.testing.assert_array_equal(found, np.where(at < 50, moved, 0).astype(np.float32))
