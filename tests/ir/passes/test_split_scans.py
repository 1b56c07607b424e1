"""The pass ``split-scans``: tasks for long scans of few rows, and the same results."""

from __future__ import annotations

import numpy as np
import pytest

from treadle.ir import build as b
from treadle.ir.graph import Graph, input_value
from treadle.ir.interpreter import interpret
from treadle.ir.pass_manager import parse_pipeline
from treadle.ir.passes.split_scans import SplitScans
from treadle.ir.types import DType, TensorType, bool_, float16, float32, float64, int64
from treadle.ir.value import Value
from treadle.ir.verifier import verify

SCANS = {"cumsum": b.cumsum, "cumprod": b.cumprod, "cummax": b.cummax, "cummin": b.cummin}
SHAPES = [((40000,), 0), ((32768,), 0), ((32769, 3), 0), ((2, 33000), 1), ((3, 40001, 2), 1)]


def graph_of(kind: str, shape: tuple[int, ...], axis: int, reverse: bool, dtype: DType) -> Graph:
    x = input_value(0, TensorType(dtype, shape))
    return Graph("f", (x,), (SCANS[kind](x, axis, reverse),))


def scans(graph: Graph) -> list[Value]:
    return [value for value in graph.values() if value.op.name in SCANS]


def numbers(type: TensorType, near_one: bool) -> np.ndarray:
    random = np.random.default_rng(0)
    if type.dtype is bool_:
        return random.random(type.shape) < 0.001
    if type.dtype.kind == "i":
        return random.integers(-90, 90, type.shape)
    found = random.standard_normal(type.shape)
    return np.asarray(1 + found * 1e-4 if near_one else found).astype(type.dtype.numpy)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
@pytest.mark.parametrize("kind", SCANS)
@pytest.mark.parametrize("dtype", [float64, int64], ids=lambda d: d.name)
def test_results_stay_the_same(
    kind: str, dtype: DType, shape: tuple[int, ...], axis: int, reverse: bool
) -> None:
    graph = graph_of(kind, shape, axis, reverse, dtype)
    split = SplitScans().run(graph)
    verify(split)
    within, ends = scans(split)
    assert within.type.numel >= graph.inputs[0].type.numel
    assert ends.shape[axis] >= 8
    array = numbers(graph.inputs[0].type, kind == "cumprod")
    (before,), (after,) = interpret(graph, [array]), interpret(split, [array])
    if dtype is int64 or kind in ("cummax", "cummin"):
        np.testing.assert_array_equal(before, after)
    else:
        np.testing.assert_allclose(after, before, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("reverse", [False, True])
def test_infinities_nan_and_truth_values_stay(reverse: bool) -> None:
    graph = graph_of("cummax", (40000,), 0, reverse, float32)
    array = np.full(40000, -np.inf, np.float32)
    array[20000] = np.nan
    (before,), (after,) = interpret(graph, [array]), interpret(SplitScans().run(graph), [array])
    np.testing.assert_array_equal(before, after)
    graph = graph_of("cummin", (40000,), 0, reverse, bool_)
    array = numbers(graph.inputs[0].type, False)
    (before,), (after,) = interpret(graph, [array]), interpret(SplitScans().run(graph), [array])
    np.testing.assert_array_equal(before, after)


def test_half_precision_is_rounded_once() -> None:
    graph = graph_of("cumsum", (40000,), 0, False, float16)
    array = np.random.default_rng(0).standard_normal(40000).astype(np.float16)
    (found,) = interpret(SplitScans().run(graph), [array])
    exact = array.astype(np.float64).cumsum()
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, exact, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("shape", [(32767,), (16, 40000), (0, 40000)])
def test_short_scans_and_those_of_many_rows_stay(shape: tuple[int, ...]) -> None:
    graph = graph_of("cumsum", shape, len(shape) - 1, False, float32)
    assert SplitScans().run(graph) == graph


def test_options_are_part_of_pipelines() -> None:
    (step,) = parse_pipeline("split-scans{min-length=100,block=32}")
    assert step == SplitScans(min_length=100, block=32)
    graph = graph_of("cumsum", (320,), 0, False, float32)
    assert [scan.shape for scan in scans(step.run(graph))] == [(10, 32), (10, 1)]
