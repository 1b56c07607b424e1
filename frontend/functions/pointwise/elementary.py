"""Elementary functions: exponentials, logarithms, trigonometric and hyperbolic functions, roots.

Integers and truth values become floats of the default dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from treadle.functions.pointwise.arguments import need_tensors, promoted_floats, rounded_once
from treadle.functions.pointwise.gradients import reduced_to, zeros
from treadle.ir import build as b
from treadle.ir.complex_values.functions import angle as angle_of
from treadle.ir.complex_values.parts import complex as complex_of, parts
from treadle.ir.types import bool_, float64, int64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import as_float, promoted

__all__ = [
    "acos",
    "acosh",
    "angle",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cos",
    "cosh",
    "deg2rad",
    "digamma",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "hypot",
    "lgamma",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logaddexp2",
    "rad2deg",
    "reciprocal",
    "rsqrt",
    "sigmoid",
    "sin",
    "sinc",
    "sinh",
    "sqrt",
    "square",
    "tan",
    "tanh",
]  # fmt: skip
METHODS = " ".join(__all__)
INPLACE = " ".join(name for name in __all__ if name not in ("angle", "logaddexp", "logaddexp2"))


def unary(name: str, build: Callable[[Value], Value], saves: str | None = None) -> Any:
    """A function of one tensor whose integer argument becomes floating."""

    def body(input: Value) -> Value:
        return build(as_float(input))

    body.__name__ = build.__name__
    body.__doc__ = f"The function ``{build.__name__}`` of every element."
    return operation(name, saves=saves)(body)


exp = unary("ExpBackward0", b.exp, "outputs")
exp2 = unary("Exp2Backward0", b.exp2, "outputs")
expm1 = unary("Expm1Backward0", b.expm1, "outputs")
log = unary("LogBackward0", b.log, "inputs")
log1p = unary("Log1PBackward0", b.log1p, "inputs")
log2 = unary("Log2Backward0", b.log2, "inputs")
log10 = unary("Log10Backward0", b.log10, "inputs")
sqrt = unary("SqrtBackward0", b.sqrt, "outputs")
rsqrt = unary("RsqrtBackward0", b.rsqrt, "outputs")
reciprocal = unary("ReciprocalBackward0", b.reciprocal, "outputs")
sin = unary("SinBackward0", b.sin, "inputs")
cos = unary("CosBackward0", b.cos, "inputs")
tan = unary("TanBackward0", b.tan, "outputs")
asin = unary("AsinBackward0", b.asin, "inputs")
acos = unary("AcosBackward0", b.acos, "inputs")
atan = unary("AtanBackward0", b.atan, "inputs")
sinh = unary("SinhBackward0", b.sinh, "inputs")
cosh = unary("CoshBackward0", b.cosh, "inputs")
tanh = unary("TanhBackward0", b.tanh, "outputs")
asinh = unary("AsinhBackward0", b.asinh, "inputs")
acosh = unary("AcoshBackward0", b.acosh, "inputs")
atanh = unary("AtanhBackward0", b.atanh, "inputs")
erf = unary("ErfBackward0", b.erf, "inputs")
erfc = unary("ErfcBackward0", b.erfc, "inputs")
erfinv = unary("ErfinvBackward0", b.erfinv, "inputs")
lgamma = unary("LgammaBackward0", b.lgamma, "inputs")
digamma = unary("DigammaBackward0", b.digamma, "inputs")


def _sigmoid_gradient(_inputs: Any, outputs: Any, upstreams: Any) -> tuple[Value]:
    (y,), (g,) = outputs, upstreams
    return (g * b.conj(y * (1.0 - y)),)


@operation("SigmoidBackward0", vjp=_sigmoid_gradient, saves="outputs")
def sigmoid(input: Value) -> Value:
    """1 / (1 + exp(-x))."""
    return rounded_once(lambda x: b.reciprocal(1.0 + b.exp(-x)))(as_float(input))


@operation("PowBackward0")
def square(input: Value) -> Value:
    """x * x; bool counts as int64."""
    x = b.cast(input, int64) if input.dtype is bool_ else input
    return b.mul(x, x)


@operation("Deg2RadBackward0")
def deg2rad(input: Value) -> Value:
    """Degrees as radians."""
    return rounded_once(lambda x: x * (math.pi / 180.0))(as_float(input))


@operation("Rad2DegBackward0")
def rad2deg(input: Value) -> Value:
    """Radians as degrees."""
    return rounded_once(lambda x: x * (180.0 / math.pi))(as_float(input))


def _angle_gradient(inputs: Any, outputs: Any, upstreams: Any) -> tuple[Value, ...]:
    (z,), (g,) = inputs, upstreams
    if not z.dtype.is_complex:
        return zeros(inputs, outputs, upstreams)
    real, imag = parts(z)
    square = b.squared_magnitude(z)
    nothing = b.eq(square, 0)
    over = b.select(nothing, 0.0, g / b.select(nothing, 1.0, square))
    return (complex_of(-imag * over, real * over),)


@operation("AngleBackward0", vjp=_angle_gradient)
def angle(input: Value) -> Value:
    """The angle of a complex number; of a real one 0, or pi if it is negative; NaN stays."""
    if input.dtype.is_complex:
        return angle_of(input)
    x = as_float(input)
    return b.select(b.ne(x, x), x, b.select(b.lt(x, 0), math.pi, b.constant_like(x, 0)))


def _sinc_slope(x: Value) -> Value:
    turns = x * math.pi
    slope = (turns * b.cos(turns) - b.sin(turns)) / (turns * x)
    return b.select(b.eq(turns * x, 0), 0, slope)


def _sinc_gradient(inputs: Any, _outputs: Any, upstreams: Any) -> tuple[Value]:
    return (upstreams[0] * b.conj(rounded_once(_sinc_slope)(as_float(inputs[0]))),)


def _sinc(x: Value) -> Value:
    turns = x * math.pi
    return b.select(b.eq(x, 0), 1, b.sin(turns) / turns)


@operation("SincBackward0", vjp=_sinc_gradient)
def sinc(input: Value) -> Value:
    """sin(pi x) / (pi x), 1 at 0."""
    return rounded_once(_sinc)(as_float(input))


# -- of two arguments ----------------------------------------------------------------------------


@operation("Atan2Backward0")
def atan2(input: Value, other: Value) -> Value:
    """The angle of the point (other, input)."""
    need_tensors("atan2", input=input, other=other)
    return b.atan2(*promoted(input, other, to_float=True))


def _hypot_gradient(inputs: Any, outputs: Any, upstreams: Any) -> tuple[Value, Value]:
    (x, y), (result,), (g,) = inputs, outputs, upstreams
    return reduced_to(g * (x / result), x), reduced_to(g * (y / result), y)


@operation("HypotBackward0", vjp=_hypot_gradient)
def hypot(input: Value, other: Value) -> Value:
    """sqrt(x^2 + y^2) without overflow; inf where either is infinite."""
    need_tensors("hypot", input=input, other=other)
    x, y = promoted_floats("hypot", input, other)
    infinite = b.logical_or(b.eq(b.abs(x), math.inf), b.eq(b.abs(y), math.inf))
    if x.dtype is not float64:
        wide, other_wide = b.cast(x, float64), b.cast(y, float64)
        result = b.cast(b.sqrt(wide * wide + other_wide * other_wide), x.dtype)
    else:
        large = b.maximum(b.abs(x), b.abs(y))
        ratio = b.minimum(b.abs(x), b.abs(y)) / large
        result = b.select(b.eq(large, 0), 0, large * b.sqrt(ratio * ratio + 1.0))
    return b.select(infinite, math.inf, result)


def _log_sum(
    name: str, build: Callable[[Value, Value], Value], raise_to: Callable[[Value], Value]
) -> Any:
    """log(b^x + b^y) to a base whose powers are ``raise_to``."""

    def gradient(inputs: Any, _outputs: Any, upstreams: Any) -> tuple[Value, Value]:
        (first, second), (g,) = inputs, upstreams
        x, y = promoted(first, second)
        return (
            reduced_to(g / (raise_to(y - x) + 1.0), first),
            reduced_to(g / (raise_to(x - y) + 1.0), second),
        )

    def whole(x: Value, y: Value) -> Value:
        # Two infinities have no difference.
        equal = b.logical_and(b.eq(x, y), b.eq(b.abs(x), math.inf))
        return b.select(equal, x, build(b.maximum(x, y), -b.abs(x - y)))

    def body(input: Value, other: Value) -> Value:
        need_tensors(build.__name__, input=input, other=other)
        return rounded_once(whole)(*promoted_floats(build.__name__, input, other))

    body.__name__ = build.__name__
    body.__doc__ = build.__doc__
    return operation(name, vjp=gradient)(body)


def _logaddexp(greater: Value, difference: Value) -> Value:
    """log(exp(x) + exp(y))."""
    return greater + b.log1p(b.exp(difference))


def _logaddexp2(greater: Value, difference: Value) -> Value:
    """log2(2 ** x + 2 ** y)."""
    return greater + b.log1p(b.exp2(difference)) * (1.0 / math.log(2.0))


_logaddexp.__name__, _logaddexp2.__name__ = "logaddexp", "logaddexp2"
logaddexp = _log_sum("LogaddexpBackward0", _logaddexp, b.exp)
logaddexp2 = _log_sum("Logaddexp2Backward0", _logaddexp2, b.exp2)

arccos, arccosh, arcsin, arcsinh = acos, acosh, asin, asinh
arctan, arctan2, arctanh = atan, atan2, atanh
