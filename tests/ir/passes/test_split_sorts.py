"""The pass ``split-sorts``: blocks, then merges, and the same order."""

from __future__ import annotations

import numpy as np
import pytest

from treadle.ir import build as b
from treadle.ir.graph import Graph, input_value
from treadle.ir.interpreter import interpret
from treadle.ir.pass_manager import parse_pipeline
from treadle.ir.passes.fuse import fuse
from treadle.ir.passes.simplify import Simplify
from treadle.ir.passes.split_sorts import SplitSorts
from treadle.ir.types import DType, TensorType, int32, int64
from treadle.ir.verifier import verify


def graph_of(shape: tuple[int, ...], dtype: DType = int64) -> Graph:
    x = input_value(0, TensorType(dtype, shape))
    return Graph("f", (x,), (b.sort(x),))


def names(graph: Graph) -> list[str]:
    return [v.op.name for v in graph.values() if v.op.name in ("sort", "merge")]


@pytest.mark.parametrize("dtype", [int32, int64], ids=lambda d: d.name)
@pytest.mark.parametrize("shape", [(2049,), (4096,), (3, 5000), (10001,), (2, 2, 2600)])
def test_results_stay_the_same(shape: tuple[int, ...], dtype: DType) -> None:
    graph = graph_of(shape, dtype)
    split = SplitSorts().run(graph)
    verify(split)
    assert names(split)[1:] == ["merge"] * (len(names(split)) - 1) != []
    array = np.random.default_rng(0).integers(-50, 50, shape).astype(dtype.numpy)
    array[..., 7] = np.iinfo(dtype.numpy).max
    np.testing.assert_array_equal(interpret(split, [array])[0], interpret(graph, [array])[0])


def test_the_merges_are_as_many_as_the_blocks_have_doublings() -> None:
    assert names(SplitSorts().run(graph_of((1 << 20,)))) == ["sort"] + ["merge"] * 9


@pytest.mark.parametrize("shape", [(2048,), (100, 30), (0, 4096)])
def test_short_rows_stay(shape: tuple[int, ...]) -> None:
    graph = graph_of(shape)
    assert SplitSorts().run(graph) == graph


def test_options_are_part_of_pipelines() -> None:
    (step,) = parse_pipeline("split-sorts{block=1024}")
    assert step == SplitSorts(block=1024)


def test_every_step_is_a_kernel_that_reads_the_one_before() -> None:
    x = input_value(0, TensorType(int64, (8000,)))
    graph = Graph("f", (x,), (b.sort(b.neg(x)) + 1,))
    result, _ = fuse(Simplify().run(SplitSorts().run(graph)))
    kernels = [v.attrs[0].name for v in result.values() if v.op.name == "kernel"]
    assert kernels == ["neg_sort", "merge", "merge", "add"]
