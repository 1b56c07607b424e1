"""Smooth activation functions; those made of straight pieces are in ``piecewise``.

Pure functions of values; modules that hold their options are in ``nn.modules.activation``.
"""

from __future__ import annotations

import math

from treadle.functions import pointwise
from treadle.ir import build as b
from treadle.ir.value import Value
from treadle.nn.functional.arguments import applied, axis_of, check_floating, forms
from treadle.nn.functional.precision import operation
from treadle.tensor import Tensor

Values = tuple[Value, ...]

# S. Klambauer et al., Self-Normalizing Neural Networks, 2017: they fix mean 0 and variance 1.
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


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


# -- operations ------------------------------------------------------------------------------


@operation("GeluBackward0")
def _gelu(input: Value, approximate: str) -> Value:
    check_floating("GeluKernelImpl", input)
    if approximate == "tanh":
        inner = (input + input * input * input * 0.044715) * math.sqrt(2.0 / math.pi)
        return input * 0.5 * (b.tanh(inner) + 1.0)
    return input * 0.5 * (b.erf(input * math.sqrt(0.5)) + 1.0)


def _elu_vjp(
    inputs: Values, outputs: Values, upstreams: Values, *, alpha: float, scale: float, slope: float
) -> Values:
    (x,), (g,) = inputs, upstreams
    # The exponential of positive x could overflow, and inf * 0 is NaN in higher derivatives.
    below = b.exp(b.minimum(x, 0.0) * slope) * (slope * alpha * scale)
    return (b.select(b.gt(x, 0.0), g * scale, g * below),)


def _elu_value(input: Value, alpha: float, scale: float, slope: float) -> Value:
    """scale * (x where positive, else alpha * (exp(slope * x) - 1))."""
    check_floating("elu_cpu", input)
    below = expm1(input * slope) * (alpha * scale)
    return b.select(b.gt(input, 0.0), input * scale, below)


_elu = forms("Elu", vjp=_elu_vjp)(_elu_value)
_celu = forms("Celu", vjp=_elu_vjp)(_elu_value)


def _silu_vjp(inputs: Values, outputs: Values, upstreams: Values) -> Values:
    (x,), (g,) = inputs, upstreams
    s = logistic(x)
    return (g * s * (x * (1.0 - s) + 1.0),)


@operation("SiluBackward0", vjp=_silu_vjp)
def _silu(input: Value) -> Value:
    check_floating("silu_cpu", input)
    return input * logistic(input)


def _mish_vjp(inputs: Values, outputs: Values, upstreams: Values) -> Values:
    (x,), (g,) = inputs, upstreams
    t = b.tanh(softplus_value(x))
    return (g * (t + x * logistic(x) * (1.0 - t * t)),)


@operation("MishBackward0", vjp=_mish_vjp)
def _mish(input: Value) -> Value:
    check_floating("mish_cpu", input)
    return input * b.tanh(softplus_value(input))


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
def logsigmoid(input: Value) -> Value:
    """log(sigmoid(input)), elementwise, without overflow."""
    check_floating("log_sigmoid_cpu", input)
    return -softplus_value(-input)


@operation("GluBackward0")
def _glu(input: Value, dim: int) -> Value:
    axis = axis_of(dim, input.ndim)
    extent = input.shape[axis]
    if extent % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {axis} is size {extent}")
    check_floating("glu_cpu", input)
    middle = tuple(extent // 2 if at == axis else 0 for at in range(input.ndim))
    upper = tuple(extent // 2 if at == axis else e for at, e in enumerate(input.shape))
    first = b.slice(input, (0,) * input.ndim, upper)
    return first * logistic(b.slice(input, middle, input.shape))


# -- the functions that users call -----------------------------------------------------------


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-input)), elementwise."""
    result: Tensor = pointwise.sigmoid(input)
    return result


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent, elementwise."""
    result: Tensor = pointwise.tanh(input)
    return result


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """input times the normal distribution function; ``approximate="tanh"`` for its estimate."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    return _gelu(input, approximate)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """input where positive, else alpha * (exp(input) - 1)."""
    return applied(_elu, inplace, input, float(alpha), 1.0, 1.0)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """``elu`` in place."""
    return elu(input, alpha, inplace=True)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """``elu`` with the scales that keep mean 0 and variance 1 from layer to layer."""
    return applied(_elu, inplace, input, SELU_ALPHA, SELU_SCALE, 1.0)


def selu_(input: Tensor) -> Tensor:
    """``selu`` in place."""
    return selu(input, inplace=True)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """input where positive, else alpha * (exp(input / alpha) - 1)."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return applied(_celu, inplace, input, float(alpha), 1.0, 1.0 / alpha)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """``celu`` in place."""
    return celu(input, alpha, inplace=True)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """input * sigmoid(input), elementwise."""
    return applied(_silu, inplace, input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """input * tanh(softplus(input)), elementwise."""
    return applied(_mish, inplace, input)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * input)) / beta; the input itself where beta * input > threshold."""
    return _softplus(input, float(beta), float(threshold))


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half of an axis times the sigmoid of the second."""
    if input.ndim == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    return _glu(input, dim)
