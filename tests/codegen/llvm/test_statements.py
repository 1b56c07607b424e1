"""Loops, registers, branches, tasks and scratch memory of emitted kernels, run natively."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from treadle.codegen.llvm import emit_kernel
from treadle.codegen.loops import (
    AcrossLanes,
    Apply,
    Assign,
    Buffer,
    Const,
    Expression,
    For,
    Kernel,
    Let,
    Load,
    LoopKind,
    Position,
    Read,
    Register,
    Space,
    Statement,
    Store,
    When,
)
from treadle.codegen.target import AVX2
from treadle.ir.index import Bound, Index, Var, constant, variable
from treadle.ir.types import float32, int32, int64

Run = Callable[..., str]
SERIAL, UNROLL, LANES, TASKS = LoopKind.SERIAL, LoopKind.UNROLL, LoopKind.LANES, LoopKind.TASKS


def buffers(*sizes: int) -> list[Buffer]:
    return [Buffer(f"b{number}", float32, size) for number, size in enumerate(sizes)]


def each(size: int, body: Callable[[Index], Statement], lanes: int = 8) -> tuple[Statement, ...]:
    """Statements over 0 <= i < size: whole vectors, then a masked tail."""
    whole, rest = divmod(size, lanes)
    block, lane, tail = Var("i", whole), Var("l", lanes), Var("t", rest)
    main = For(lane, LANES, (body(variable(block) * lanes + variable(lane)),), lanes)
    last = For(tail, LANES, (body(variable(tail) + whole * lanes),), lanes)
    return For(block, SERIAL, (main,)), last


@pytest.mark.parametrize("size", [1, 7, 8, 9, 16, 1003])
def test_a_map_covers_whole_vectors_and_the_tail_only(run: Run, size: int) -> None:
    x, y = buffers(size, size)
    doubled = each(
        size, lambda at: Store(y, at, Apply("mul", (Load(x, at), Const(2.5, float32)), float32))
    )
    source = np.random.default_rng(0).standard_normal(size).astype("f")
    result = np.full(size + 8, -1, "f")
    run(Kernel("double", (x, y), 1, doubled), source, result)
    np.testing.assert_array_equal(result[:size], source * np.float32(2.5))
    np.testing.assert_array_equal(result[size:], -1)


def reduction(size: int, op: str, start: float) -> Kernel:
    x, y = buffers(size, 1)
    total = Register("total", float32, 8)

    def step(at: Index) -> Statement:
        return Assign(total, Apply(op, (Read(total), Load(x, at)), float32))

    body = (
        Assign(total, Const(start, float32)),
        *each(size, step),
        Store(y, constant(0), AcrossLanes(op, total)),
    )
    return Kernel("reduce", (x, y), 1, body, registers=(total,))


@pytest.mark.parametrize("size", [5, 8, 100])
@pytest.mark.parametrize(
    "op, start, reference",
    [("add", 0.0, np.sum), ("maximum", -np.inf, np.max), ("minimum", np.inf, np.min)],
)
def test_lanes_are_reduced(
    run: Run, size: int, op: str, start: float, reference: Callable[..., float]
) -> None:
    source = np.random.default_rng(1).integers(-50, 50, size).astype("f")
    result = np.zeros(1, "f")
    run(reduction(size, op, start), source, result)
    assert result[0] == reference(source)
    source[size // 2] = np.nan
    run(reduction(size, op, start), source, result)
    assert np.isnan(result[0])


def test_lanes_are_combined_in_halves(run: Run) -> None:
    source = (10.0 ** np.arange(8)).astype("f") * np.float32(1.1)
    result = np.zeros(1, "f")
    run(reduction(8, "add", 0.0), source, result)
    quarter = source[:4] + source[4:]
    pair = quarter[:2] + quarter[2:]
    assert result[0] == pair[0] + pair[1]


def tile_kernel(rows: int, columns: int, depth: int, height: int, vectors: int) -> Kernel:
    """A product of row-major matrices with a register tile of height x vectors."""
    a, b, c = buffers(rows * depth, depth * columns, rows * columns)
    tile = Register("tile", float32, 8, (height, vectors))
    down, across = Var("down", rows // height), Var("across", columns // (8 * vectors))
    k, r, v, lane = Var("k", depth), Var("r", height), Var("v", vectors), Var("l", 8)
    place = (variable(r), variable(v))
    row = variable(down) * height + variable(r)
    column = variable(across) * (8 * vectors) + variable(v) * 8 + variable(lane)

    def all_of(statement: Statement) -> For:
        return For(r, UNROLL, (For(v, UNROLL, (statement,)),))

    left = Load(a, row * depth + variable(k))
    right = Load(b, variable(k) * columns + column)
    update = Assign(tile, Apply("fma", (left, right, Read(tile, place)), float32), place)
    body = (
        all_of(Assign(tile, Const(0, float32), place)),
        For(k, SERIAL, (all_of(update),)),
        all_of(Store(c, row * columns + column, Read(tile, place))),
    )
    nest = For(down, TASKS, (For(across, SERIAL, (For(lane, LANES, body, 8),)),))
    return Kernel("product", (a, b, c), 1, (nest,), registers=(tile,))


def test_a_register_tile_multiplies_matrices(run: Run) -> None:
    rng = np.random.default_rng(2)
    a, b = (rng.integers(-4, 5, shape).astype("f") for shape in ((24, 31), (31, 48)))
    c = np.zeros((24, 48), "f")
    run(tile_kernel(24, 48, 31, 6, 2), a, b, c)
    np.testing.assert_array_equal(c, a @ b)


def test_a_register_tile_loads_each_operand_once_a_step() -> None:
    text = emit_kernel(tile_kernel(12, 32, 8, 6, 2), AVX2)
    assert text.count("load float, ") == 6
    assert text.count("load <8 x float>") == 2
    assert text.count("call <8 x float> @llvm.fma.v8f32") == 12
    assert "alloca" not in text


def test_tasks_run_independently(run: Run) -> None:
    x, y = buffers(40, 40)
    task, i = Var("task", 10), Var("i", 4)
    at = variable(task) * 4 + variable(i)
    value = Apply("add", (Load(x, at), Position(variable(task), float32)), float32)
    body = For(task, TASKS, (For(i, SERIAL, (Store(y, at, value),)),))
    source, result = np.arange(40, dtype="f"), np.zeros(40, "f")
    kernel = Kernel("tasks", (x, y), 1, (body,))
    assert kernel.tasks == 10
    run(kernel, source, result)
    np.testing.assert_array_equal(result, source + np.repeat(np.arange(10), 4))


def test_scratch_belongs_to_a_task(run: Run) -> None:
    x, y = buffers(32, 32)
    row = Buffer("row", float32, 8, Space.SCRATCH)
    task, i, j = Var("task", 4), Var("i", 8), Var("j", 8)
    back = variable(j) * -1 + 7
    body = (
        For(i, SERIAL, (Store(row, variable(i), Load(x, variable(task) * 8 + variable(i))),)),
        For(j, SERIAL, (Store(y, variable(task) * 8 + variable(j), Load(row, back)),)),
    )
    kernel = Kernel("flip", (x, y), 1, (For(task, TASKS, body),), scratch=(row,))
    source, result = np.arange(32, dtype="f"), np.zeros(32, "f")
    run(kernel, source, result)
    np.testing.assert_array_equal(result.reshape(4, 8), source.reshape(4, 8)[:, ::-1])


def test_scalar_registers_are_carried_through_nested_loops(run: Run) -> None:
    x, y = buffers(12, 12)
    total = Register("total", float32)
    i, j = Var("i", 3), Var("j", 4)
    at = variable(i) * 4 + variable(j)
    body = (
        Assign(total, Const(0, float32)),
        For(
            i,
            SERIAL,
            (
                For(
                    j,
                    SERIAL,
                    (
                        Assign(total, Apply("add", (Read(total), Load(x, at)), float32)),
                        Store(y, at, Read(total)),
                    ),
                ),
            ),
        ),
    )
    source, result = np.arange(12, dtype="f"), np.zeros(12, "f")
    run(Kernel("scan", (x, y), 1, body, registers=(total,)), source, result)
    np.testing.assert_array_equal(result, np.cumsum(source))


def test_when_merges_registers(run: Run) -> None:
    x, y = buffers(10, 10)
    count = Register("count", float32)
    i = Var("i", 10)
    body = (
        Assign(count, Const(0, float32)),
        For(
            i,
            SERIAL,
            (
                When(
                    (Bound(variable(i), 3, 7),),
                    (Assign(count, Apply("add", (Read(count), Load(x, variable(i))), float32)),),
                ),
                Store(y, variable(i), Read(count)),
            ),
        ),
    )
    source, result = np.ones(10, "f"), np.zeros(10, "f")
    run(Kernel("when", (x, y), 1, body, registers=(count,)), source, result)
    np.testing.assert_array_equal(result, [0, 0, 0, 1, 2, 3, 4, 4, 4, 4])


def test_an_operand_read_again_after_a_store_is_loaded_again(run: Run) -> None:
    (x,) = buffers(1)
    at = constant(0)
    more: Expression = Apply("add", (Load(x, at), Const(1, float32)), float32)
    body = (Store(x, at, more), Store(x, at, more))
    data = np.zeros(1, "f")
    run(Kernel("twice", (x,), 1, body), data)
    assert data[0] == 2


def test_let_names_a_value_read_by_later_statements(run: Run) -> None:
    x, y, z = buffers(8, 8, 8)
    lane = Var("l", 8)
    name = Register("square", float32, 8)
    at = variable(lane)
    body = (
        Let(name, Apply("mul", (Load(x, at), Load(x, at)), float32)),
        Store(y, at, Read(name)),
        Store(z, at, Apply("neg", (Read(name),), float32)),
    )
    kernel = Kernel("let", (x, y, z), 2, (For(lane, LANES, body, 8),))
    source, square, negative = np.arange(8, dtype="f"), np.zeros(8, "f"), np.zeros(8, "f")
    text = run(kernel, source, square, negative)
    np.testing.assert_array_equal(square, source**2)
    np.testing.assert_array_equal(negative, -(source**2))
    assert text.count("fmul") == 1


def test_deep_expressions_do_not_exhaust_the_stack(run: Run) -> None:
    x, y = buffers(1, 1)
    value: Expression = Load(x, constant(0))
    for _ in range(20_000):
        value = Apply("add", (value, Const(1, float32)), float32)
    result = np.zeros(1, "f")
    run(Kernel("deep", (x, y), 1, (Store(y, constant(0), value),)), np.zeros(1, "f"), result)
    assert result[0] == 20_000


def test_lanes_of_i64_may_be_wider_than_the_hardware(run: Run) -> None:
    x, y = Buffer("x", int64, 16), Buffer("y", int64, 16)
    body = each(16, lambda at: Store(y, at, Apply("mul", (Load(x, at), Load(x, at)), int64)), 16)
    source, result = np.arange(16) * 10**7, np.zeros(16, np.int64)
    run(Kernel("wide", (x, y), 1, body), source, result)
    np.testing.assert_array_equal(result, source * source)


def test_the_text_of_a_kernel_is_the_same_every_time() -> None:
    texts = {emit_kernel(tile_kernel(12, 32, 8, 6, 2), AVX2) for _ in range(3)}
    assert len(texts) == 1


def failing(body: tuple[Statement, ...]) -> Kernel:
    return Kernel("failing", tuple(buffers(8, 8)), 1, body)


@pytest.mark.parametrize(
    "body, message",
    [
        (
            (For(Var("i", 4), SERIAL, (For(Var("t", 4), TASKS, ()),)),),
            "a TASKS loop must be the outermost loop",
        ),
        (
            (For(Var("i", 4), LANES, (For(Var("j", 4), LANES, (), 8),), 8),),
            "LANES loop j is inside another",
        ),
        (
            (For(Var("i", 9), LANES, (), 8),),
            "LANES loop i of extent 9 has 8 lanes",
        ),
        (
            (Assign(Register("r", float32), Read(Register("s", float32))),),
            "register s is read before it is set",
        ),
        (
            (Assign(Register("r", float32), Const(1, int32)),),
            "register r is set to a value of int32, not float32",
        ),
        (
            (Store(buffers(8)[0], constant(0), Apply("gamma", (Const(1, float32),), float32)),),
            "no LLVM code for op 'gamma' on float32",
        ),
    ],
)
def test_loop_ir_that_cannot_be_emitted_is_refused(
    body: tuple[Statement, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        emit_kernel(failing(body), AVX2)
