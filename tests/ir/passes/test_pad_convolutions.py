"""``pad-convolutions``: the same results, and no convolution with padding or base dilation left."""

from __future__ import annotations

import numpy as np
import pytest

from treadle.ir import build as b
from treadle.ir.graph import Graph, input_value
from treadle.ir.interpreter import evaluate
from treadle.ir.pass_manager import parse_pipeline
from treadle.ir.passes.pad_convolutions import PadConvolutions
from treadle.ir.printer import print_graph
from treadle.ir.types import TensorType, float32

X = input_value(0, TensorType(float32, (2, 1, 3, 6, 5)))
W = input_value(1, TensorType(float32, (1, 4, 3, 2, 3)))


@pytest.mark.parametrize(
    ("padding", "base"),
    [
        (((1, 2), (0, 1)), (1, 1)),
        (((0, 0), (0, 0)), (2, 3)),
        (((1, 0), (2, 2)), (3, 1)),
        (((-1, 0), (0, -2)), (1, 1)),
        (((-1, -1), (3, 0)), (2, 2)),
    ],
)
@pytest.mark.parametrize(("stride", "dilation"), [((1, 1), (1, 1)), ((2, 1), (1, 2))])
def test_results_stay_the_same(
    padding: tuple[tuple[int, int], ...],
    base: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> None:
    try:
        value = b.conv(X, W, stride, padding, dilation, base)
    except ValueError:
        pytest.skip("the window does not fit")
    graph = Graph("f", (X, W), (value,))
    padded = PadConvolutions().run(graph)
    (found,) = padded.outputs
    assert found.type == value.type
    assert found.op.name == "conv"
    assert found.attrs == (stride, ((0, 0), (0, 0)), dilation, (1, 1))
    assert found.inputs[0].op.name == "pad"
    random = np.random.default_rng(0)
    arrays = {v: random.standard_normal(v.shape).astype(np.float32) for v in (X, W)}
    before, after = evaluate((value, found), arrays)
    np.testing.assert_array_equal(before, after)


def test_convolutions_without_padding_are_left_alone() -> None:
    value = b.conv(X, W, (1, 2), ((0, 0), (0, 0)), (2, 1), (1, 1))
    graph = Graph("f", (X, W), (value,))
    assert PadConvolutions().run(graph).outputs == (value,)


def test_the_text_after_the_pass() -> None:
    value = b.conv(X, W, (1, 1), ((1, 1), (0, 2)), (1, 1), (2, 1))
    lines = print_graph(PadConvolutions().run(Graph("f", (X, W), (value,)))).splitlines()
    assert lines[1].strip() == (
        "%2: f32[2,1,3,13,7] = pad(%0) {low = [0, 0, 0, 1, 0], high = [0, 0, 0, 1, 2], "
        "interior = [0, 0, 0, 1, 0], value = 0.0}"
    )
    assert lines[2].strip().startswith("%3: f32[2,1,4,12,5] = conv(%2, %1) {stride = [1, 1], ")


def test_pipelines_know_the_pass() -> None:
    assert parse_pipeline("pad-convolutions") == (PadConvolutions(),)
