"""The pass ``split-reductions``: tasks for few results of many elements, and the same results.

Sums are compared within rounding, everything else bit for bit.
"""

from __future__ import annotations

import numpy as np
import pytest

from treadle.ir import build as b
from treadle.ir.graph import Graph, input_value
from treadle.ir.interpreter import interpret
from treadle.ir.pass_manager import parse_pipeline
from treadle.ir.passes.fuse import fuse
from treadle.ir.passes.simplify import Simplify
from treadle.ir.passes.split_reductions import SplitReductions
from treadle.ir.printer import print_graph
from treadle.ir.types import DType, TensorType, bool_, float16, float32, float64, int64, uint8
from treadle.ir.value import Value
from treadle.ir.verifier import verify

REDUCTIONS = {"sum": b.sum, "prod": b.prod, "max": b.max, "min": b.min}
SHAPES = [
    ((262144,), (0,)),
    ((65537,), (0,)),  # prime: padded
    ((1000003,), (0,)),  # prime
    ((256, 257), (0, 1)),
    ((131071, 2), (0, 1)),
    ((2, 131072), (1,)),
    ((65536, 3), (0,)),
    ((3, 70001, 2), (1,)),  # prime, between other axes
    ((64, 3, 40, 40), (0, 2, 3)),  # two runs of axes
    ((300, 4, 300), (0, 2)),
    ((70000, 2, 1), (0, 2)),
]


def graph_of(kind: str, shape: tuple[int, ...], dims: tuple[int, ...], dtype: DType) -> Graph:
    x = input_value(0, TensorType(dtype, shape))
    return Graph("f", (x,), (REDUCTIONS[kind](x, dims),))


def reductions(graph: Graph) -> list[Value]:
    return [value for value in graph.values() if value.op.name in REDUCTIONS]


def numbers(type: TensorType, near_one: bool) -> np.ndarray:
    random = np.random.default_rng(0)
    if type.dtype.kind == "f":
        found = random.standard_normal(type.shape)
        return np.asarray(1 + found * 1e-3 if near_one else found).astype(type.dtype.numpy)
    if type.dtype is bool_:
        return random.random(type.shape) < (0.99999 if near_one else 0.00001)
    return random.integers(0 if type.dtype is uint8 else -90, 90, type.shape).astype(
        type.dtype.numpy
    )


@pytest.mark.parametrize(("shape", "dims"), SHAPES)
@pytest.mark.parametrize("kind", REDUCTIONS)
@pytest.mark.parametrize("dtype", [float32, float64, int64, uint8], ids=lambda d: d.name)
def test_results_stay_the_same(
    kind: str, dtype: DType, shape: tuple[int, ...], dims: tuple[int, ...]
) -> None:
    graph = graph_of(kind, shape, dims, dtype)
    split = SplitReductions().run(graph)
    verify(split)
    first, second = reductions(split)
    assert first.type.numel >= 16, "the first step has tasks"
    assert second.inputs[0].type.numel <= 256 * second.type.numel
    array = numbers(graph.inputs[0].type, kind == "prod")
    (before,), (after,) = interpret(graph, [array]), interpret(split, [array])
    if dtype.kind != "f" or kind in ("max", "min"):
        np.testing.assert_array_equal(before, after)
    else:
        scale = np.abs(array).sum(dims) * np.finfo(dtype.numpy).eps if kind == "sum" else before
        bound = 64 * scale if kind == "sum" else np.abs(before) * 1e-3
        assert (np.abs(before - after) <= bound).all()


@pytest.mark.parametrize("kind", ["max", "min"])
@pytest.mark.parametrize("length", [1 << 17, 65537])
def test_truth_values_are_reduced_exactly(kind: str, length: int) -> None:
    graph = graph_of(kind, (length,), (0,), bool_)
    split = SplitReductions().run(graph)
    assert len(reductions(split)) == 2
    for value in (True, False):
        array = np.full(length, value)
        assert interpret(split, [array])[0] == value
        array[length // 2] = not value
        assert interpret(split, [array])[0] == (kind == "max")


@pytest.mark.parametrize("length", [1 << 16, 65537])
def test_padding_keeps_infinities_nan_and_negative_zero(length: int) -> None:
    for kind, fill in (("max", -np.inf), ("min", np.inf), ("sum", -0.0)):
        split = SplitReductions().run(graph_of(kind, (length,), (0,), float32))
        array = np.full(length, fill, np.float32)
        (found,) = interpret(split, [array])
        assert found == fill
        array[7] = np.nan
        assert np.isnan(interpret(split, [array])[0])
    pads = [v for v in split.values() if v.op.name == "pad"]
    assert all(str(pad.attr("value")) == "-0.0" for pad in pads)
    assert bool(pads) == (length == 65537)


def test_half_precision_is_rounded_once() -> None:
    graph = graph_of("sum", (1 << 17,), (0,), float16)
    split = SplitReductions().run(graph)
    array = np.random.default_rng(0).random(1 << 17).astype(np.float16) / np.float16(8)
    (found,) = interpret(split, [array])
    assert found.dtype == np.float16
    assert found == np.float16(array.astype(np.float64).sum())


@pytest.mark.parametrize(
    ("shape", "dims"),
    [((65535,), (0,)), ((16, 65536), (1,)), ((4096, 4096), (0,)), ((0, 70000), (1,))],
)
def test_reductions_that_have_tasks_or_are_small_stay(
    shape: tuple[int, ...], dims: tuple[int, ...]
) -> None:
    graph = graph_of("sum", shape, dims, float32)
    assert SplitReductions().run(graph) == graph


def test_the_text_after_the_pass() -> None:
    lines = print_graph(SplitReductions().run(graph_of("sum", (1024, 1024), (0, 1), float32)))
    assert lines.splitlines()[1:] == [
        "  %1: f32[64,16384] = reshape(%0) {shape = [64, 16384]}",
        "  %2: f32[64] = sum(%1) {dims = [1]}",
        "  %3: f32[] = sum(%2) {dims = [0]}",
        "  return %3",
        "}",
    ]


def test_options_are_part_of_pipelines() -> None:
    (step,) = parse_pipeline("split-reductions{min-reduced=100,block=32}")
    graph = graph_of("max", (4096,), (0,), float32)
    assert reductions(graph) == reductions(SplitReductions().run(graph))
    assert step == SplitReductions(min_reduced=100, block=32)


def test_work_before_a_split_sum_stays_in_its_kernel() -> None:
    x = input_value(0, TensorType(float32, (1024, 512)))
    y = input_value(1, TensorType(float32, (1024, 512)))
    error = x - y
    graph = Graph("loss", (x, y), (b.sum(error * error) / 2.0, error * 3.0))
    result, _ = fuse(Simplify().run(SplitReductions().run(graph)))
    names = [v.attrs[0].name for v in result.values() if v.op.name == "kernel"]
    assert sorted(names) == ["sub_mul_sum", "sum_mul"], "the gradient is stored on the way"
