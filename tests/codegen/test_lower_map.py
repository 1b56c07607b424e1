"""Elementwise bodies with movement, gather and random bits, on every target."""

from __future__ import annotations

import numpy as np
import pytest

from tests.codegen.lowering import TARGETS, Inputs, check, run
from treadle.codegen.loops import For, Kernel, LoopKind
from treadle.codegen.target import AVX2, AVX512, BASELINE
from treadle.ir import build as b
from treadle.ir.types import (
    bool_,
    float16,
    float32,
    float64,
    int8,
    int32,
    int64,
    uint8,
    uint32,
)
from treadle.ir.value import Value

BODIES = {
    "add": lambda i: i.of(7, 13) + i.of(7, 13),
    "scalar": lambda i: b.exp(i.of()) + 1.0,
    "one element": lambda i: b.exp(i.of(1, 1)),
    "vector of one lane too many": lambda i: b.neg(i.of(33)),
    "broadcast row": lambda i: i.of(5, 21) * i.of(21),
    "broadcast column": lambda i: i.of(5, 21) * i.of(5, 1),
    "shared subexpression": lambda i: (e := b.exp(i.of(40))) * e + e,
    "two results": lambda i: [(x := i.of(8, 12)) + 1.0, b.reshape(b.exp(x), (12, 8))],
    "results refine each other": lambda i: [
        b.reshape(x := i.of(120), (6, 20)) + 1.0,
        b.reshape(x, (2, 3, 4, 5)) * 2.0,
    ],
    "results do not refine each other": lambda i: [
        b.reshape(x := i.of(36), (4, 9)) + 1.0,
        b.reshape(x, (6, 6)) * 2.0,
    ],
    "transpose": lambda i: b.transpose(i.of(9, 17)),
    "transpose and add": lambda i: b.transpose(i.of(9, 17)) + i.of(17, 9),
    "permute": lambda i: b.permute(i.of(3, 4, 5, 6), (2, 0, 3, 1)),
    "reshape of permute": lambda i: b.reshape(b.permute(i.of(6, 4, 10), (0, 2, 1)), (60, 4)),
    "reshape merges odd": lambda i: b.reshape(b.transpose(i.of(6, 10)), (4, 15)),
    "slice": lambda i: b.slice(i.of(9, 30), (1, 3), (8, 29), (2, 3)),
    "flip": lambda i: b.flip(i.of(5, 20), (0, 1)) + i.of(5, 20),
    "pad": lambda i: b.pad(i.of(5, 20), (1, 2), (2, 3), value=7.0),
    "pad crops": lambda i: b.pad(i.of(9, 20), (-2, 2), (3, -4), value=1.5),
    "pad interior": lambda i: b.pad(i.of(4, 11), (1, 0), (0, 2), (2, 1), value=-1.0),
    "pad interior crops": lambda i: b.pad(i.of(4, 11), (-1, -2), (1, -3), (2, 1)),
    "pad of exp": lambda i: b.pad(b.exp(i.of(4, 19)), (1, 1), (1, 1), value=2.0) * 3.0,
    "pad of pad": lambda i: b.pad(
        b.pad(i.of(4, 19), (1, 1), (1, 1), value=2.0), (2, 0), (0, 3), value=3.0
    ),
    "pad of reshape": lambda i: b.pad(b.reshape(i.of(3, 64), (3, 8, 8)), (0, 1, 1), (0, 1, 1)),
    "pad of a broadcast": lambda i: b.pad(b.broadcast_to(i.of(7), (3, 7)), (1, 1), (1, 1)),
    "pad of bool": lambda i: b.pad(i.of(4, 9, dtype=bool_), (1, 1), (1, 1), value=True),
    "concat": lambda i: b.concat([i.of(3, 4), i.of(3, 15), i.of(3, 1)], 1) * 2.0,
    "concat rows of work": lambda i: b.concat([b.exp(i.of(3, 14)), b.neg(i.of(2, 14))], 0),
    "concat with empty": lambda i: b.concat([i.of(3, 0), i.of(3, 5)], 1),
    "windows": lambda i: b.windows(i.of(2, 12, 20), (1, 2), (3, 3), (2, 1), (1, 2)),
    "as_strided": lambda i: b.as_strided(i.of(100), (5, 9), (3, 7), 4),
    "as_strided of work": lambda i: b.as_strided(b.exp(i.of(10, 10)), (6, 6), (11, 1), 2),
    "gather rows": lambda i: b.gather(i.of(10, 17), i.index(10, 6, 17), 0),
    "gather columns": lambda i: b.gather(i.of(10, 17), i.index(17, 10, 5), 1),
    "gather clamps": lambda i: b.gather(
        i.of(10), i.array(np.array([-5, 3, 99, 9, 0, 2, 7, 10, -1])), 0
    ),
    "embedding": lambda i: b.gather(
        i.of(10, 24), b.broadcast_to(b.reshape(i.index(10, 6), (6, 1)), (6, 24)), 0
    ),
    "gather of work at work": lambda i: b.exp(
        b.gather(b.neg(i.of(10, 17)), i.index(10, 4, 17) + i.index(10, 4, 17), 0)
    ),
    "gather under pad": lambda i: b.pad(
        b.gather(i.of(10, 17), i.index(10, 6, 17), 0), (1, 1), (1, 1)
    ),
    "gather of gather": lambda i: b.gather(
        i.of(20), b.gather(i.index(20, 9), i.index(9, 30), 0), 0
    ),
    "random": lambda i: b.random_bits(i.array(np.array([12345, 7])), (9, 11)),
    "random wraps": lambda i: b.random_bits(i.array(np.array([-3, (1 << 32) - 3])), (50,)),
    "dropout": lambda i: b.select(
        b.lt(b.shift_right(b.random_bits(i.array(np.array([5, 6])), (6, 20)), 8), 1 << 23),
        i.of(6, 20) * 2.0,
        0.0,
    ),
    "random under slice": lambda i: b.slice(
        b.random_bits(i.array(np.array([5, 6])), (6, 20)), (1, 3), (5, 18), (2, 1)
    ),
    "iota": lambda i: b.iota((5, 20), 0, float32) * 2.0 + i.of(5, 20),
    "one hot": lambda i: b.cast(
        b.eq(b.iota((6, 10), 1, int64), b.broadcast_to(b.reshape(i.index(10, 6), (6, 1)), (6, 10))),
        float32,
    ),
    "constant": lambda i: b.full((4, 9), 2.5, float32),
    "negative zero": lambda i: b.full((4,), -0.0, float32) * b.abs(i.of(4)),
    "bool": lambda i: b.logical_and(i.of(40, dtype=bool_), b.gt(i.of(40), 0.0)),
    "uint8": lambda i: i.of(70, dtype=uint8) + i.of(70, dtype=uint8),
    "int8 to float": lambda i: b.cast(i.of(70, dtype=int8), float32) * 0.5,
    "int64": lambda i: i.of(70, dtype=int64) * 3,
    "int32 remainder": lambda i: b.remainder(i.of(70, dtype=int32), 7),
    "float64": lambda i: b.exp(i.of(7, 9, dtype=float64)),
    "float16": lambda i: i.of(7, 9, dtype=float16) * 2.0,
    "bitcast": lambda i: b.bitcast(i.of(7, 9), uint32),
    "copy of an input": lambda i: i.of(70),
    "same result twice": lambda i: [y := b.exp(i.of(9)), y],
    "empty": lambda i: b.exp(i.of(0, 5)),
    "fold of separate windows": lambda i: b.fold(
        i.of(2, 3, 4, 2, 2), (2, 6, 8), (1, 2), (2, 2), (2, 2), (1, 1)
    ),
    "fold with gaps": lambda i: b.fold(
        i.of(2, 3, 4, 2, 2), (2, 9, 13), (1, 2), (2, 2), (3, 3), (1, 1)
    ),
    "view update": lambda i: b.view_update(i.of(6, 20), b.exp(i.of(6, 5)), (6, 5), (20, 4), 1),
    "view update of a diagonal": lambda i: b.view_update(i.of(9, 9), i.of(9), (9,), (10,), 0),
    "view update of nothing": lambda i: b.view_update(i.of(9), i.of(0), (0,), (1,), 0),
    "view update of an element": lambda i: b.view_update(i.of(9), i.of(), (), (), 4),
    "work on a view update": lambda i: b.exp(b.view_update(i.of(30), i.of(10), (10,), (3,), 2)),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", BODIES)
def test_a_map_gives_what_the_interpreter_gives(name: str, target: str) -> None:
    run(BODIES[name], TARGETS[target])


def loops(kernel: Kernel) -> list[For]:
    found = []
    pending = list(kernel.body)
    while pending:
        statement = pending.pop()
        if isinstance(statement, For):
            found.append(statement)
        pending.extend(getattr(statement, "body", ()))
    return found


def test_a_contiguous_kernel_is_one_flat_loop() -> None:
    kernel = run(lambda i: i.of(4, 16, 16) + i.of(4, 16, 16), AVX2)
    kinds = [loop.kind for loop in loops(kernel)]
    assert kinds.count(LoopKind.SERIAL) == 1
    assert kinds.count(LoopKind.LANES) == 1


def test_large_work_is_split_into_tasks_and_small_work_is_not() -> None:
    small = run(lambda i: i.of(10, 10) + 1.0, AVX2)
    assert small.tasks == 1
    inputs = Inputs()
    x = inputs.of(100_003)
    large = check(inputs, [b.exp(x)], AVX512)
    assert 8 <= large.tasks <= 64


def test_lanes_follow_the_widest_number() -> None:
    widths = {loop.lanes for loop in loops(run(lambda i: i.of(64) + 1.0, AVX2))} - {0}
    assert widths == {8}
    kernel = run(lambda i: i.of(64, dtype=float64) + 1.0, AVX2)
    assert {loop.lanes for loop in loops(kernel)} - {0} == {4}


def test_results_may_lie_in_the_memory_of_inputs() -> None:
    inputs = Inputs()
    x, m, g = inputs.of(5, 30), inputs.of(5, 30), inputs.of(5, 30)
    moved = m * 0.9 + g
    check(inputs, [x - moved * 0.1, moved, x * x], AVX2, aliases={0: 0, 1: 1})


def test_a_chain_of_thousands_of_operations_lowers() -> None:
    inputs = Inputs()
    y: Value = inputs.of(20)
    for _ in range(3000):
        y = y * 1.0001
    check(inputs, [y], BASELINE, tolerance=1e-3)
