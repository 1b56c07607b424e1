"""The interpreter: bindings, kernels, freeing, ownership of results, errors."""

from __future__ import annotations

import numpy as np
import pytest

from treadle.ir import build as b
from treadle.ir.errors import EvaluationError
from treadle.ir.graph import Graph, input_value
from treadle.ir.interpreter import evaluate, interpret
from treadle.ir.ops.kernel import ITEM, KERNEL
from treadle.ir.types import TensorType, float32, int64
from treadle.ir.value import make

X = input_value(0, TensorType(float32, (2, 3)))
Y = input_value(1, TensorType(float32, (3,)))
ONES = np.ones((2, 3), np.float32)
RAMP = np.arange(3, dtype=np.float32)


def test_a_program_runs_on_one_array_an_input() -> None:
    graph = Graph("f", (X, Y), (X + Y, b.sum(Y)))
    first, second = interpret(graph, [ONES, RAMP])
    np.testing.assert_array_equal(first, [[1, 2, 3], [1, 2, 3]])
    assert second.shape == ()
    assert second == 3


def test_any_value_can_be_bound() -> None:
    inner = b.exp(X)
    (found,) = evaluate([inner * 2.0], {inner: ONES})
    np.testing.assert_array_equal(found, ONES * 2)


def test_a_kernel_runs_its_body_and_item_picks_a_result() -> None:
    body = Graph("body", (X, Y), (X + Y, b.max(Y)))
    kernel = make(KERNEL, (X, Y), (body, ()))
    graph = Graph("f", (X, Y), tuple(make(ITEM, (kernel,), (k,)) for k in (1, 0)))
    greatest, total = interpret(graph, [ONES, RAMP])
    assert greatest == 2
    np.testing.assert_array_equal(total[0], [1, 2, 3])


def test_results_never_share_memory() -> None:
    graph = Graph("f", (X,), (X, b.reshape(X, (6,)), b.broadcast_to(X, (4, 2, 3)), X, b.neg(X)))
    array = ONES.copy()
    results = interpret(graph, [array])
    everything = [array, *results]
    for position, one in enumerate(everything):
        assert one.flags.c_contiguous
        assert one.flags.writeable
        assert not any(np.shares_memory(one, other) for other in everything[position + 1 :])


def test_arguments_must_fit() -> None:
    graph = Graph("step", (X, Y), (X + Y,))
    with pytest.raises(ValueError, match="program @step takes 2 arrays, found 1"):
        interpret(graph, [ONES])
    with pytest.raises(ValueError, match=r"must be f32\[3\], found float64\[3\]"):
        interpret(graph, [ONES, RAMP.astype(np.float64)])


def test_errors_name_the_value() -> None:
    with pytest.raises(
        EvaluationError, match=r"input\(\) .*f32\[3\]: program input 1 has no array"
    ):
        evaluate([X + Y], {X: ONES})


def test_intermediate_arrays_are_freed_after_their_last_use() -> None:
    tracemalloc = pytest.importorskip("tracemalloc")
    x = input_value(0, TensorType(int64, (100_000,)))
    y = x
    for _ in range(200):
        y = b.neg(y) + 1
    array = np.zeros(100_000, np.int64)
    tracemalloc.start()
    interpret(Graph("f", (x,), (y,)), [array])
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * array.nbytes


def test_a_long_chain_runs() -> None:
    x = input_value(0, TensorType(int64, ()))
    y = x
    for _ in range(20_000):
        y = b.neg(y + 1)
    (found,) = interpret(Graph("f", (x,), (y,)), [np.array(5)])
    assert found == 5
