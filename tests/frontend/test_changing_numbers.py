"""Loops whose Python numbers change stop compiling: the numbers become inputs of the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import treadle

ROUNDS = 20
DATA = treadle.arange(40.0).reshape(4, 10)
WHOLE = treadle.arange(10)

LOOPS: dict[str, Callable[[int], Any]] = {
    "comparison": lambda i: (i < DATA).sum(),
    "comparison of integers": lambda i: (i >= WHOLE).sum(),
    "where": lambda i: treadle.where(i < DATA, DATA, float(i)).sum(),
    "masked_fill": lambda i: DATA.masked_fill(DATA > 2, i).sum(),
    "full of floats": lambda i: treadle.full((4,), i + 0.5),
    "full of integers": lambda i: treadle.full((4,), i),
    "arange of integers": lambda i: treadle.arange(i, i + 4),
    "arange of floats": lambda i: treadle.arange(i + 0.5, i + 4.5),
    "sum of integers": lambda i: WHOLE + i,
    "product of integers": lambda i: i * WHOLE - i,
    "in place on integers": lambda i: WHOLE.clone().add_(i),
    "randint": lambda i: treadle.randint(0, i + 1, (4,)),
    "normal": lambda i: treadle.normal(float(i), i + 1.0, (3,)),
}


def _compiled() -> int:
    statistics = treadle.statistics()
    return statistics.programs_compiled + statistics.programs_loaded


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_over_numbers_stops_compiling(name: str) -> None:
    for i in range(ROUNDS // 2):
        LOOPS[name](i).tolist()
    before = _compiled()
    for i in range(ROUNDS // 2, ROUNDS):
        LOOPS[name](i).tolist()
    assert _compiled() == before


def test_numbers_that_became_inputs_keep_dtypes_and_values() -> None:
    small = WHOLE.to(treadle.int8)
    for i in range(ROUNDS):
        assert treadle.full((2,), i).tolist() == [i, i]
        assert treadle.full((2,), i).dtype is treadle.int64
        assert treadle.full((2,), i, dtype=treadle.int8).dtype is treadle.int8
        assert treadle.arange(i, i + 3).tolist() == [i, i + 1, i + 2]
        assert (small + i).dtype is treadle.int8
        # A number that the dtype does not hold wraps around, as in PyTorch.
        assert (small[:1] + 300 * i).tolist() == [(300 * i + 128) % 256 - 128]
        assert (WHOLE + i * 0.5).dtype is treadle.float32


def test_draws_with_changing_bounds_are_reproducible() -> None:
    treadle.manual_seed(3)
    first = [treadle.randint(0, i + 1, (4,)).tolist() for i in range(ROUNDS)]
    treadle.manual_seed(3)
    assert [treadle.randint(0, i + 1, (4,)).tolist() for i in range(ROUNDS)] == first
    assert all(max(row) <= i for i, row in enumerate(first))
