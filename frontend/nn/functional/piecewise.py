"""Activation functions made of pieces: straight lines and steps, with PyTorch's slopes at kinks."""

from __future__ import annotations

from typing import Any

import treadle
from treadle.functions import pointwise
from treadle.ir import build as b
from treadle.ir.types import bool_
from treadle.ir.value import Value
from treadle.nn.functional.arguments import applied, check_floating, forms
from treadle.nn.functional.precision import operation
from treadle.promotion import as_float
from treadle.tensor import Tensor
from treadle.type_info import finfo
from treadle.utils.typename import scalar_type

Values = tuple[Value, ...]


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(input, 0), elementwise."""
    return applied(pointwise.relu, inplace, input)


def relu_(input: Tensor) -> Tensor:
    """``relu`` in place."""
    return relu(input, inplace=True)


@forms("LeakyRelu")
def _leaky_relu(input: Value, slope: float) -> Value:
    check_floating("leaky_relu_cpu", input)
    return b.select(b.gt(input, 0.0), input, input * slope)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """input where positive, else input times ``negative_slope``."""
    return applied(_leaky_relu, inplace, input, float(negative_slope))


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """``leaky_relu`` in place."""
    return leaky_relu(input, negative_slope, inplace=True)


@operation("PreluKernelBackward0")
def prelu(input: Value, weight: Value) -> Value:
    """input where positive, else input times ``weight``: one number, or one for each channel."""
    if weight.ndim > 1:
        raise RuntimeError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}"
        )
    if input.dtype != weight.dtype:
        raise RuntimeError(
            f"prelu: Type promoting not supported. Got {scalar_type(input.dtype)} and "
            f"{scalar_type(weight.dtype)}"
        )
    if weight.type.numel != 1:
        if not input.ndim:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = input.shape[1] if input.ndim > 1 else 1
        if channels != weight.type.numel:
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                f"{weight.type.numel} and channel size = {channels}."
            )
    shape = tuple(weight.type.numel if axis == 1 else 1 for axis in range(input.ndim))
    slopes = b.reshape(weight, shape if input.ndim > 1 else (1,) * input.ndim)
    return b.select(b.gt(input, 0), input, slopes * input)


@forms("RreluWithNoise")
def _rrelu(input: Value, slopes: Value | float) -> Value:
    check_floating("rrelu_with_noise_out_cpu", input)
    return b.select(b.gt(input, 0.0), input, input * slopes)


def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """Leaky ReLU whose slope is drawn for each element while training, else the middle one."""
    if lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    slopes: Any = (lower + upper) / 2.0
    if training and input.dtype.is_floating_point:
        drawn = treadle.rand(tuple(input.shape), dtype=input.dtype, device=input.device)
        slopes = drawn * (upper - lower) + lower
    return applied(_rrelu, inplace, input, slopes)


def rrelu_(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False
) -> Tensor:
    """``rrelu`` in place."""
    return rrelu(input, lower, upper, training, inplace=True)


# -- bounded ---------------------------------------------------------------------------------


def _hardtanh_vjp(
    inputs: Values, outputs: Values, upstreams: Values, *, low: float, high: float
) -> Values:
    (x,), (g,) = inputs, upstreams
    return (b.select(b.logical_or(b.le(x, low), b.ge(x, high)), 0.0, g),)


@operation("HardtanhBackward0", vjp=_hardtanh_vjp)
def _hardtanh(input: Value, low: float, high: float) -> Value:
    if input.dtype is bool_:
        raise RuntimeError("Bool inputs not supported for hardtanh")
    if input.dtype.kind == "u" and (low < 0 or high < 0):
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    return b.minimum(b.maximum(input, low), high)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """input limited to [min_val, max_val]."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return applied(_hardtanh, inplace, input, min_val, max_val)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """``hardtanh`` in place."""
    return hardtanh(input, min_val, max_val, inplace=True)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """input limited to [0, 6]."""
    return hardtanh(input, 0.0, 6.0, inplace)


def _hardsigmoid_vjp(inputs: Values, outputs: Values, upstreams: Values) -> Values:
    (x,), (g,) = inputs, upstreams
    inside = b.logical_and(b.gt(x, -3.0), b.lt(x, 3.0))
    return (b.select(inside, g * (1.0 / 6.0), 0.0),)


@operation("HardsigmoidBackward0", vjp=_hardsigmoid_vjp)
def _hardsigmoid(input: Value) -> Value:
    check_floating("hardsigmoid_cpu", input)
    return b.minimum(b.maximum(input + 3.0, 0.0), 6.0) / 6.0


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(input + 3, 0), 6) / 6."""
    return applied(_hardsigmoid, inplace, input)


def _hardswish_vjp(inputs: Values, outputs: Values, upstreams: Values) -> Values:
    (x,), (g,) = inputs, upstreams
    inner = b.select(b.lt(x, 3.0), g * (x / 3.0 + 0.5), g)
    return (b.select(b.le(x, -3.0), 0.0, inner),)


@operation("HardswishBackward0", vjp=_hardswish_vjp)
def _hardswish(input: Value) -> Value:
    check_floating("hardswish_cpu", input)
    return input * b.minimum(b.maximum(input + 3.0, 0.0), 6.0) / 6.0


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """input * hardsigmoid(input)."""
    return applied(_hardswish, inplace, input)


# -- thresholds ------------------------------------------------------------------------------


def _within(x: Value, lambd: float) -> Value:
    return b.logical_and(b.ge(x, -lambd), b.le(x, lambd))


def _shrink_vjp(inputs: Values, outputs: Values, upstreams: Values, *, lambd: float) -> Values:
    (x,), (g,) = inputs, upstreams
    return (b.select(_within(x, lambd), 0.0, g),)


@operation("HardshrinkBackward0", vjp=_shrink_vjp)
def hardshrink(input: Value, lambd: float = 0.5) -> Value:
    """input, but 0 where its size is at most ``lambd``."""
    check_floating("hardshrink_cpu", input)
    return b.select(_within(input, lambd), 0.0, input)


@operation("SoftshrinkBackward0", vjp=_shrink_vjp)
def softshrink(input: Value, lambd: float = 0.5) -> Value:
    """input moved towards 0 by ``lambd``, at most to 0."""
    check_floating("softshrink_cpu", input)
    if lambd < 0:
        greatest = finfo(input.dtype).max
        raise RuntimeError(
            f"lambda must be in range [0, {greatest:g}] for input dtype "
            f"{scalar_type(input.dtype)}, but found {lambd:g}"
        )
    below = b.select(b.lt(input, -lambd), input + lambd, input * 0.0)  # NaN stays NaN
    return b.select(b.gt(input, lambd), input - lambd, below)


def _threshold_vjp(
    inputs: Values, outputs: Values, upstreams: Values, *, threshold: float, value: float
) -> Values:
    (x,), (g,) = inputs, upstreams
    return (b.select(b.le(x, threshold), 0.0, g),)


@forms("Threshold", vjp=_threshold_vjp)
def _threshold(input: Value, threshold: float, value: float) -> Value:
    return b.select(b.le(input, threshold), value, input)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """input where greater than ``threshold``, else ``value``."""
    return applied(_threshold, inplace, input, threshold, value)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """``threshold`` in place."""
    return applied(_threshold, True, input, threshold, value)


@operation("DivBackward0")
def softsign(input: Value) -> Value:
    """input / (1 + |input|)."""
    x = as_float(input)
    return x / (b.abs(x) + 1.0)


@operation("SubBackward0")
def tanhshrink(input: Value) -> Value:
    """input - tanh(input)."""
    x = as_float(input)
    return x - b.tanh(x)
