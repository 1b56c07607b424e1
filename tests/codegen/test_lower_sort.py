"""Rows sorted in registers and in scratch memory, and runs merged; on every target."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.codegen.lowering import TARGETS, Inputs, Make, run
from treadle.codegen.lower import lower
from treadle.codegen.schedules.sort import network
from treadle.codegen.target import AVX2
from treadle.ir import build as b
from treadle.ir.errors import CompilationError
from treadle.ir.graph import Graph
from treadle.ir.types import int32, int64
from treadle.ir.value import Value


def _runs(i: Inputs, length: int, width: int) -> Value:
    numbers = i.random.integers(-1000, 1000, (2, length))
    numbers[:, -1] = np.iinfo(np.int64).max
    for start in range(0, length, width):
        numbers[:, start : start + width].sort(-1)
    return b.merge(i.array(numbers), width)


BODIES: dict[str, Make] = {
    "sort one element": lambda i: b.sort(i.of(1, dtype=int64)),
    "sort few elements": lambda i: b.sort(i.of(7, dtype=int64)),
    "sort short rows": lambda i: b.sort(i.of(3, 5, 11, dtype=int32)),
    "sort many short rows": lambda i: b.sort(i.of(300, 6, dtype=int32)),
    "sort a run": lambda i: b.sort(i.of(40, 16, dtype=int64)),
    "sort more than a run": lambda i: b.sort(i.of(2, 17, dtype=int64)),
    "sort rows": lambda i: b.sort(i.of(3, 100, dtype=int64)),
    "sort long rows": lambda i: b.sort(i.of(2, 1000, dtype=int32)),
    "sort the longest rows": lambda i: b.sort(i.of(1, 2048, dtype=int64)),
    "sort after work": lambda i: b.sort(b.neg(b.permute(i.of(100, 3, dtype=int64), (1, 0)))),
    "merge runs": lambda i: _runs(i, 1024, 64),
    "merge with part of a run": lambda i: _runs(i, 1000, 64),
    "merge with a run left over": lambda i: _runs(i, 2600, 512),
    "merge long runs": lambda i: _runs(i, 5000, 2048),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", BODIES)
def test_a_sort_gives_what_the_interpreter_gives(name: str, target: str) -> None:
    run(BODIES[name], TARGETS[target])


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_the_network_sorts_every_row_of_zeros_and_ones(size: int) -> None:
    """Which suffices for all rows (Knuth, volume 3, 5.3.4, the zero-one principle)."""
    rows = np.array(list(itertools.product((0, 1), repeat=size)))
    for low, high in network(size):
        rows[:, [low, high]] = np.sort(rows[:, [low, high]], 1)
    assert (np.diff(rows, axis=1) >= 0).all()


def test_a_network_of_sixteen_has_sixty_three_exchanges() -> None:
    assert len(list(network(16))) == 63


@pytest.mark.parametrize("target", TARGETS)
def test_the_greatest_number_sorts_like_any_other(target: str) -> None:
    def make(i: Inputs) -> Value:
        numbers = i.random.integers(-5, 5, (2, 333))
        numbers[:, ::3] = np.iinfo(np.int64).max
        numbers[:, 1::7] = np.iinfo(np.int64).min
        return b.sort(i.array(numbers))

    run(make, TARGETS[target])


def test_merges_are_shared_out_to_tasks() -> None:
    assert run(lambda i: _runs(i, 1 << 16, 1 << 15), AVX2).tasks > 1


def test_rows_beyond_scratch_memory_are_refused() -> None:
    inputs = Inputs()
    x = inputs.of(1 << 16, dtype=int64)
    body = Graph("body", tuple(inputs.values), (b.sort(x),))
    with pytest.raises(CompilationError, match="run split-sorts"):
        lower(body, AVX2, "body")


def test_a_sort_is_the_only_result() -> None:
    inputs = Inputs()
    x = inputs.of(5, dtype=int64)
    body = Graph("body", tuple(inputs.values), (b.sort(x), x + 1))
    with pytest.raises(CompilationError, match="only result"):
        lower(body, AVX2, "body")
