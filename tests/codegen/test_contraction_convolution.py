"""Convolutions and both of their gradients: strides, dilations, groups, any number of axes."""

from __future__ import annotations

import pytest

from tests.codegen.contraction_runs import TARGETS, Case, case_of, check
from treadle.codegen.schedules.contraction import schedule
from treadle.codegen.target import AVX2, AVX512, BASELINE, Target
from treadle.ir import build as b
from treadle.ir.types import float32, float64, int32
from treadle.ir.value import Value


def convolution(x: tuple[int, ...], w: tuple[int, ...], stride: int = 1, dilation: int = 1) -> Case:
    """conv without padding, the same options along every axis."""
    axes = len(x) - 3

    def build(x: Value, w: Value) -> Value:
        return b.conv(x, w, (stride,) * axes, ((0, 0),) * axes, (dilation,) * axes, (1,) * axes)

    return case_of(build, x, w)


def input_gradient(n: int, c: int, o: int, size: int, taps: int) -> Case:
    """The gradient of a convolution's input: the upstream gradient by the flipped weight."""

    def build(upstream: Value, w: Value) -> Value:
        turned = b.flip(b.permute(w, (0, 2, 1, 3, 4)), (3, 4))
        return b.conv(upstream, turned, (1, 1), ((0, 0),) * 2, (1, 1), (1, 1))

    grown = size + 2 * (taps - 1)
    return case_of(build, (n, 1, o, grown, grown), (1, o, c, taps, taps))


def weight_gradient(n: int, c: int, o: int, size: int, out: int) -> Case:
    """The gradient of a convolution's weight: the input by the upstream gradient, images summed."""

    def build(x: Value, upstream: Value) -> Value:
        by_channel = b.permute(x, (2, 1, 0, 3, 4))
        by_output = b.permute(upstream, (1, 2, 0, 3, 4))
        found = b.conv(by_channel, by_output, (1, 1), ((0, 0),) * 2, (1, 1), (1, 1))
        return b.permute(found, (1, 2, 0, 3, 4))  # [c, g, o, *k] -> [g, o, c, *k]

    return case_of(build, (n, 1, c, size, size), (n, 1, o, out, out))


CASES = {
    "one channel": convolution((2, 1, 1, 9, 11), (1, 3, 1, 3, 3)),
    "channels": convolution((2, 1, 3, 7, 8), (1, 5, 3, 2, 3)),
    "groups": convolution((2, 3, 2, 6, 6), (3, 4, 2, 3, 3)),
    "depthwise": convolution((1, 6, 1, 8, 12), (6, 1, 1, 3, 3)),
    "stride": convolution((2, 1, 2, 9, 12), (1, 3, 2, 3, 3), stride=2),
    "dilation": convolution((2, 1, 2, 9, 12), (1, 3, 2, 3, 3), dilation=2),
    "stride and dilation": convolution((1, 2, 2, 11, 13), (2, 3, 2, 2, 3), stride=3, dilation=2),
    "pointwise": convolution((2, 1, 5, 4, 6), (1, 7, 5, 1, 1)),
    "one output": convolution((3, 1, 2, 4, 4), (1, 5, 2, 4, 4)),
    "one axis": convolution((2, 1, 3, 20), (1, 4, 3, 5)),
    "three axes": convolution((1, 1, 2, 4, 5, 6), (1, 3, 2, 2, 2, 3)),
    "input gradient": input_gradient(2, 3, 4, 6, 3),
    "weight gradient": weight_gradient(3, 2, 4, 8, 6),
}


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: f"{t.kind}{t.lane_bytes}")
@pytest.mark.parametrize("name", CASES)
def test_convolutions_on_every_target(name: str, target: Target) -> None:
    check(CASES[name], target)


@pytest.mark.parametrize("target", (AVX2, AVX512, BASELINE), ids=lambda t: str(t.lane_bytes))
@pytest.mark.parametrize("name", CASES)
def test_convolutions_natively(name: str, target: Target) -> None:
    check(CASES[name], target, native=True)


@pytest.mark.parametrize("dtype", [float64, int32], ids=lambda d: d.short)
@pytest.mark.parametrize("name", ["groups", "stride and dilation", "weight gradient"])
def test_convolutions_of_other_dtypes(name: str, dtype: object) -> None:
    check(CASES[name], dtype=dtype, native=True)  # type: ignore[arg-type]


LENET = {
    "first": convolution((8, 1, 1, 32, 32), (1, 6, 1, 5, 5)),
    "second": convolution((8, 1, 6, 14, 14), (1, 16, 6, 5, 5)),
    "second, input": input_gradient(8, 6, 16, 10, 5),
    "first, weight": weight_gradient(8, 1, 6, 32, 28),
    "second, weight": weight_gradient(8, 6, 16, 14, 10),
}


@pytest.mark.parametrize("name", LENET)
def test_the_convolutions_of_lenet(name: str) -> None:
    check(LENET[name], native=True)


def test_padding_must_be_explicit() -> None:
    def build(x: Value, w: Value) -> Value:
        return b.conv(x, w, (1,), ((1, 1),), (1,), (1,))

    graph = case_of(build, (1, 1, 1, 5), (1, 1, 1, 3))(float32)
    with pytest.raises(ValueError, match="run pad-convolutions first"):
        schedule(graph, AVX2, "k", {})
