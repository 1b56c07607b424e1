"""Activation functions: elementwise ones, softmax and log-softmax.

Pure functions of values; modules that hold their options are in ``nn.modules.activation``.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from treadle.ir import build as b
from treadle.ir.types import DType, float32
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.tensor import Tensor
from treadle.utils.typename import scalar_type

Values = tuple[Value, ...]


# -- numerically careful parts ---------------------------------------------------------------


def log1p(x: Value) -> Value:
    """log(1 + x) without cancellation for small x.

    Kahan's correction: with w = fl(1 + x), log(w) * x / (w - 1). The error of rounding 1 + x
    appears in both factors and cancels (W. Kahan, HP-15C Advanced Functions Handbook, 1982).
    """
    w = x + 1.0
    difference = w - 1.0
    exact = b.eq(difference, 0.0)
    divisor = b.select(exact, 1.0, difference)
    return b.select(exact, x, b.log(w) * (x / divisor))


def expm1(x: Value) -> Value:
    """exp(x) - 1 without cancellation for small x, by the same correction as ``log1p``."""
    w = b.exp(x)
    difference = w - 1.0
    exact = b.eq(difference, 0.0)
    # Where exp(x) rounds to 0 the logarithm is -inf, and where it overflows +inf: no correction.
    far = b.gt(b.abs(x), 1.0)
    divisor = b.select(b.logical_or(exact, far), 1.0, b.log(w))
    return b.select(exact, x, b.select(far, difference, difference * (x / divisor)))


def logistic(x: Value) -> Value:
    """1 / (1 + exp(-x))."""
    return b.reciprocal(b.exp(-x) + 1.0)


def softplus_value(x: Value) -> Value:
    """log(1 + exp(x)) for every x without overflow."""
    return b.maximum(x, 0.0) + log1p(b.exp(-b.abs(x)))


def check_floating(name: str, x: Value) -> None:
    """NotImplementedError in PyTorch's words for integer and bool input."""
    if not x.dtype.is_floating_point:
        raise NotImplementedError(f"\"{name}\" not implemented for '{scalar_type(x.dtype)}'")


def axis_of(dim: int, ndim: int) -> int:
    """``dim`` counted from the front; IndexError in PyTorch's words out of range."""
    extent = max(ndim, 1)
    if not -extent <= dim < extent:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-extent}, {extent - 1}], "
            f"but got {dim})"
        )
    return dim % extent


def into(input: Tensor, result: Tensor, inplace: bool) -> Tensor:
    """The result, written over ``input`` when ``inplace``."""
    return input.copy_(result) if inplace else result


# -- operations ------------------------------------------------------------------------------


@operation("ReluBackward0")
def _relu(input: Value) -> Value:
    # A select, not a maximum: the gradient at 0 is 0, and NaN stays NaN.
    return b.select(b.le(input, 0), 0, input)


def _sigmoid_vjp(inputs: Values, outputs: Values, upstreams: Values) -> Values:
    (y,), (g,) = outputs, upstreams
    return (g * y * (1.0 - y),)


@operation("SigmoidBackward0", vjp=_sigmoid_vjp)
def _sigmoid(input: Value) -> Value:
    return logistic(input if input.dtype.is_floating_point else b.cast(input, float32))


@operation("TanhBackward0")
def _tanh(input: Value) -> Value:
    return b.tanh(input if input.dtype.is_floating_point else b.cast(input, float32))


@operation("GeluBackward0")
def _gelu(input: Value, approximate: str) -> Value:
    check_floating("GeluKernelImpl", input)
    if approximate == "tanh":
        inner = (input + input * input * input * 0.044715) * math.sqrt(2.0 / math.pi)
        return input * 0.5 * (b.tanh(inner) + 1.0)
    return input * 0.5 * (b.erf(input * math.sqrt(0.5)) + 1.0)


@operation("LeakyReluBackward0")
def _leaky_relu(input: Value, slope: float) -> Value:
    check_floating("leaky_relu_cpu", input)
    return b.select(b.gt(input, 0.0), input, input * slope)


def _elu_vjp(inputs: Values, outputs: Values, upstreams: Values, *, alpha: float) -> Values:
    (x,), (g,) = inputs, upstreams
    # The exponential of positive x could overflow, and inf * 0 is NaN in higher derivatives.
    below = b.exp(b.minimum(x, 0.0)) * alpha
    return (b.select(b.gt(x, 0.0), g, g * below),)


@operation("EluBackward0", vjp=_elu_vjp)
def _elu(input: Value, alpha: float) -> Value:
    check_floating("elu_cpu", input)
    return b.select(b.gt(input, 0.0), input, expm1(input) * alpha)


def _silu_vjp(inputs: Values, outputs: Values, upstreams: Values) -> Values:
    (x,), (g,) = inputs, upstreams
    s = logistic(x)
    return (g * s * (x * (1.0 - s) + 1.0),)


@operation("SiluBackward0", vjp=_silu_vjp)
def _silu(input: Value) -> Value:
    check_floating("silu_cpu", input)
    return input * logistic(input)


def _softplus_vjp(
    inputs: Values, outputs: Values, upstreams: Values, *, beta: float, threshold: float
) -> Values:
    (x,), (g,) = inputs, upstreams
    linear = b.gt(x * beta, threshold)
    return (b.select(linear, g, g * logistic(x * beta)),)


@operation("SoftplusBackward0", vjp=_softplus_vjp)
def _softplus(input: Value, beta: float, threshold: float) -> Value:
    check_floating("softplus_cpu", input)
    linear = b.gt(input * beta, threshold)
    return b.select(linear, input, softplus_value(input * beta) * (1.0 / beta))


def _logsigmoid_vjp(inputs: Values, outputs: Values, upstreams: Values) -> Values:
    (x,), (g,) = inputs, upstreams
    return (g * logistic(-x),)


@operation("LogSigmoidBackward0", vjp=_logsigmoid_vjp)
def _logsigmoid(input: Value) -> Value:
    check_floating("log_sigmoid_cpu", input)
    return -softplus_value(-input)


def _softmax_vjp(inputs: Values, outputs: Values, upstreams: Values, *, dim: int) -> Values:
    (y,), (g,) = outputs, upstreams
    axis = (axis_of(dim, y.ndim),) if y.ndim else ()
    return (y * (g - b.sum(g * y, axis, keepdim=True)),)


@operation("SoftmaxBackward0", vjp=_softmax_vjp)
def _softmax(input: Value, dim: int) -> Value:
    check_floating("softmax_lastdim_kernel_impl", input)
    axis = axis_of(dim, input.ndim)
    if input.ndim == 0:
        return b.exp(input - input)
    scaled = b.exp(input - b.max(input, (axis,), keepdim=True))
    return scaled / b.sum(scaled, (axis,), keepdim=True)


def _log_softmax_vjp(inputs: Values, outputs: Values, upstreams: Values, *, dim: int) -> Values:
    (y,), (g,) = outputs, upstreams
    axis = (axis_of(dim, y.ndim),) if y.ndim else ()
    return (g - b.exp(y) * b.sum(g, axis, keepdim=True),)


def log_softmax_value(x: Value, axis: int) -> Value:
    """x - log(sum(exp(x))) along an axis, shifted by the maximum so that nothing overflows."""
    shifted = x - b.max(x, (axis,), keepdim=True)
    return shifted - b.log(b.sum(b.exp(shifted), (axis,), keepdim=True))


@operation("LogSoftmaxBackward0", vjp=_log_softmax_vjp)
def _log_softmax(input: Value, dim: int) -> Value:
    check_floating("log_softmax_lastdim_kernel_impl", input)
    axis = axis_of(dim, input.ndim)
    return log_softmax_value(input, axis) if input.ndim else input - input


# -- the functions that users call -----------------------------------------------------------


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(input, 0), elementwise."""
    return into(input, _relu(input), inplace)


def relu_(input: Tensor) -> Tensor:
    """``relu`` in place."""
    return relu(input, inplace=True)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-input)), elementwise."""
    return _sigmoid(input)


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent, elementwise."""
    return _tanh(input)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """input times the normal distribution function; ``approximate="tanh"`` for its estimate."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    return _gelu(input, approximate)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """input where positive, else input times ``negative_slope``."""
    return into(input, _leaky_relu(input, float(negative_slope)), inplace)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """input where positive, else alpha * (exp(input) - 1)."""
    return into(input, _elu(input, float(alpha)), inplace)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """input * sigmoid(input), elementwise."""
    return into(input, _silu(input), inplace)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * input)) / beta; the input itself where beta * input > threshold."""
    return _softplus(input, float(beta), float(threshold))


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(input)), elementwise, without overflow."""
    return _logsigmoid(input)


def softmax(
    input: Tensor,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: DType | None = None,
) -> Tensor:
    """exp(input) over its sum along ``dim``; ``dtype`` converts the input first."""
    return _softmax(_converted(input, dtype), _softmax_dim("softmax", input, dim, _stacklevel))


def log_softmax(
    input: Tensor,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: DType | None = None,
) -> Tensor:
    """The logarithm of ``softmax``, computed without overflow."""
    axis = _softmax_dim("log_softmax", input, dim, _stacklevel)
    return _log_softmax(_converted(input, dtype), axis)


def _converted(input: Tensor, dtype: Any) -> Tensor:
    return input if dtype is None else input.to(dtype=dtype)


def _softmax_dim(name: str, input: Tensor, dim: int | None, stacklevel: int) -> int:
    if dim is not None:
        return dim
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include "
        "dim=X as an argument.",
        stacklevel=stacklevel,
    )
    return 0 if input.ndim in (0, 1, 3) else 1
