"""Pointwise functions: arithmetic, elementary functions, comparison, logic, selection.

Results follow PyTorch's promotion and broadcasting.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from treadle.ir import build as b
from treadle.ir.types import DType, bool_, int64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import as_float, cpp_name, promoted, scalar_name

__all__ = [
    "abs", "add", "addcdiv", "addcmul", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor",
    "ceil", "clamp", "clone", "cos", "div", "eq", "erf", "exp", "floor", "ge", "gt", "isfinite",
    "isinf", "isnan", "le", "lerp", "log", "logical_and", "logical_not", "logical_or",
    "logical_xor", "lt", "masked_fill", "maximum", "minimum", "mul", "ne", "neg", "pow",
    "reciprocal", "relu", "remainder", "round", "rsqrt", "sigmoid", "sign", "sin", "sqrt", "square",
    "sub", "tanh", "trunc", "where",
]  # fmt: skip
METHODS = (
    "exp log sqrt rsqrt sin cos tanh erf reciprocal sigmoid relu floor ceil round trunc neg abs "
    "sign square add sub mul div remainder pow maximum minimum clamp addcmul addcdiv lerp "
    "masked_fill eq ne lt le gt ge logical_and logical_or logical_xor logical_not bitwise_and "
    "bitwise_or bitwise_xor bitwise_not isnan isinf isfinite clone"
)
INPLACE = (
    "exp log sqrt rsqrt sin cos tanh reciprocal sigmoid relu floor ceil round trunc neg abs sign "
    "square add sub mul div remainder pow addcmul addcdiv lerp masked_fill"
)

_SQRT_2 = math.sqrt(2.0)


def _unary(name: str, build: Callable[[Value], Value], saves: str | None = None) -> Any:
    """A function of one tensor whose integer argument becomes floating."""

    def body(input: Value) -> Value:
        return build(as_float(input))

    body.__name__ = build.__name__
    return operation(name, saves=saves)(body)


exp = _unary("ExpBackward0", b.exp, "outputs")
log = _unary("LogBackward0", b.log, "inputs")
sqrt = _unary("SqrtBackward0", b.sqrt, "outputs")
rsqrt = _unary("RsqrtBackward0", b.rsqrt, "outputs")
sin = _unary("SinBackward0", b.sin, "inputs")
cos = _unary("CosBackward0", b.cos, "inputs")
tanh = _unary("TanhBackward0", b.tanh, "outputs")
erf = _unary("ErfBackward0", b.erf, "inputs")
reciprocal = _unary("ReciprocalBackward0", b.reciprocal, "outputs")


def _sigmoid_gradient(_inputs: Any, outputs: Any, upstreams: Any) -> tuple[Value]:
    (y,), (g,) = outputs, upstreams
    return (g * (y * (1.0 - y)),)


@operation("SigmoidBackward0", vjp=_sigmoid_gradient, saves="outputs")
def sigmoid(input: Value) -> Value:
    """1 / (1 + exp(-x))."""
    return b.reciprocal(1.0 + b.exp(-as_float(input)))


def _relu_gradient(_inputs: Any, outputs: Any, upstreams: Any) -> tuple[Value]:
    (y,), (g,) = outputs, upstreams
    return (b.select(b.le(y, 0), 0, g),)  # NaN passes the gradient on


@operation("ReluBackward0", vjp=_relu_gradient, saves="outputs")
def relu(input: Value) -> Value:
    """max(x, 0)."""
    if input.dtype is bool_:
        raise RuntimeError("Boolean inputs not supported for relu")
    return b.maximum(input, 0)


def _refuse_bool(input: Value, kernel: str) -> None:
    if input.dtype is bool_:
        raise NotImplementedError(f"\"{kernel}\" not implemented for 'Bool'")


def _rounding(name: str, build: Callable[[Value], Value]) -> Any:
    def body(input: Value) -> Value:
        _refuse_bool(input, f"{build.__name__}_vml_cpu")
        return build(input) if input.dtype.is_floating_point else input

    body.__name__ = build.__name__
    return operation(name)(body)


floor = _rounding("FloorBackward0", b.floor)
ceil = _rounding("CeilBackward0", b.ceil)
round = _rounding("RoundBackward0", b.round)
trunc = _rounding("TruncBackward0", b.trunc)


@operation("NegBackward0")
def neg(input: Value) -> Value:
    """-x; TypeError for bool tensors."""
    if input.dtype is bool_:
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to "
            "invert a mask, use the `~` or `logical_not()` operator instead."
        )
    return b.neg(input)


@operation("AbsBackward0")
def abs(input: Value) -> Value:
    """Absolute value."""
    _refuse_bool(input, "abs_cpu")
    return input if input.dtype.kind == "u" else b.abs(input)


@operation("SignBackward0")
def sign(input: Value) -> Value:
    """-1, 0 or 1; 0 for NaN."""
    return input if input.dtype is bool_ else b.sign(input)


@operation("PowBackward0")
def square(input: Value) -> Value:
    """x * x; bool counts as int64."""
    x = b.cast(input, int64) if input.dtype is bool_ else input
    return b.mul(x, x)


# -- arithmetic ----------------------------------------------------------------------------------


def _scaled(other: Any, alpha: Any) -> Any:
    return other if alpha == 1 else other * alpha


@operation("AddBackward0", numbers=True)
def add(input: Any, other: Any, *, alpha: Any = 1) -> Value:
    """input + alpha * other."""
    x, y = promoted(input, other)
    return b.add(x, _scaled(y, alpha))


def _refuse_bool_operands(input: Any, other: Any) -> None:
    """PyTorch's errors of a subtraction from or of bool."""
    truths = [
        x.dtype is bool_ if isinstance(x, Value) else isinstance(x, bool) for x in (input, other)
    ]
    if all(truths):
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` "
            "or `logical_xor()` operator instead."
        )
    if any(truths):
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying "
            "to invert a mask, use the `~` or `logical_not()` operator instead."
        )


@operation("SubBackward0", numbers=True)
def sub(input: Any, other: Any, *, alpha: Any = 1) -> Value:
    """input - alpha * other; RuntimeError for bool tensors."""
    _refuse_bool_operands(input, other)
    x, y = promoted(input, other)
    return b.sub(x, _scaled(y, alpha))


@operation("RsubBackward1", numbers=True)
def rsub(input: Any, other: Any) -> Value:
    """other - input."""
    _refuse_bool_operands(input, other)
    x, y = promoted(input, other)
    return b.sub(y, x)


@operation("MulBackward0", saves="numbers", numbers=True)
def mul(input: Any, other: Any) -> Value:
    """input * other."""
    return b.mul(*promoted(input, other))


@operation("DivBackward0", saves="numbers", numbers=True)
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Value:
    """input / other; with ``rounding_mode`` ``floor`` or ``trunc`` rounded, in integers too."""
    if rounding_mode is None:
        return b.div(*promoted(input, other, to_float=True))
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(
            "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
            f"'{rounding_mode}'"
        )
    x, y = promoted(input, other)
    if x.dtype.is_floating_point:
        return _floor_divided(x, y) if rounding_mode == "floor" else b.trunc(b.div(x, y))
    if rounding_mode == "trunc":
        return b.div(x, y)
    # Towards minus infinity: what the remainder of the same sign leaves divides exactly.
    return b.div(b.sub(x, b.remainder(x, y)), y)


def _floor_divided(x: Value, y: Value) -> Value:
    """floor(x / y) as Python has it: 1.0 // 0.1 is 9, though 1.0 / 0.1 rounds to 10."""
    exact = b.floor(b.div(b.sub(x, b.remainder(x, y)), y) + 0.5)
    usual = b.logical_and(b.ne(y, 0), b.lt(b.abs(y), math.inf))
    return b.select(usual, exact, b.floor(b.div(x, y)))


def rdiv(input: Any, other: Any) -> Any:
    """other / input, as PyTorch computes it: other times the reciprocal."""
    return mul(reciprocal(input), other)


@operation("RemainderBackward0")
def remainder(input: Any, other: Any) -> Value:
    """Remainder with the sign of the divisor."""
    return b.remainder(*promoted(input, other))


@operation("PowBackward0")
def pow(input: Any, exponent: Any) -> Value:
    """input ** exponent."""
    x, y = promoted(input, exponent)
    if not isinstance(exponent, Value) and exponent == 2:
        return b.mul(x, x)
    if not isinstance(exponent, Value) and not x.dtype.is_floating_point and exponent < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    return b.pow(x, y)


@operation("MaximumBackward0")
def maximum(input: Any, other: Any) -> Value:
    """The greater element; NaN wins."""
    return b.maximum(*promoted(input, other))


@operation("MinimumBackward0")
def minimum(input: Any, other: Any) -> Value:
    """The lesser element; NaN wins."""
    return b.minimum(*promoted(input, other))


def _clamp_gradient(
    inputs: Any, _outputs: Any, upstreams: Any, *, min: Any = None, max: Any = None
) -> tuple[Value]:
    x, g = inputs[0], upstreams[0]
    if min is not None:
        g = b.select(b.ge(x, min), g, 0)
    if max is not None:
        g = b.select(b.le(x, max), g, 0)
    return (g,)


def _clamp(input: Value, min: Any = None, max: Any = None) -> Value:
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    bounds = [bound for bound in (min, max) if bound is not None]
    x, *limits = promoted(input, *bounds)
    if min is not None:
        x = b.maximum(x, limits[0])
    return x if max is None else b.minimum(x, limits[-1])


_clamp_numbers = operation("ClampBackward1", vjp=_clamp_gradient, saves="inputs")(_clamp)
_clamp_tensors = operation("ClampBackward0")(_clamp)


def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    """Limits elements to [min, max]; either may be a tensor or None."""
    plain = all(bound is None or isinstance(bound, (int, float)) for bound in (min, max))
    return (_clamp_numbers if plain else _clamp_tensors)(input, min=min, max=max)


@operation("AddcmulBackward0")
def addcmul(input: Value, tensor1: Value, tensor2: Value, *, value: Any = 1) -> Value:
    """input + value * tensor1 * tensor2."""
    x, first, second = promoted(input, tensor1, tensor2)
    return b.add(x, b.mul(_scaled(first, value), second))


@operation("AddcdivBackward0")
def addcdiv(input: Value, tensor1: Value, tensor2: Value, *, value: Any = 1) -> Value:
    """input + value * tensor1 / tensor2."""
    x, first, second = promoted(input, tensor1, tensor2)
    return b.add(x, b.div(_scaled(first, value), second))


@operation("LerpBackward0")
def lerp(input: Value, end: Value, weight: Any) -> Value:
    """input + weight * (end - input)."""
    x, y = promoted(input, end)
    w = b.cast(weight, x.dtype) if isinstance(weight, Value) else weight
    return b.add(x, b.mul(b.sub(y, x), w))


@operation("WhereBackward0")
def where(condition: Value, input: Any, other: Any) -> Value:
    """input where the condition holds, else other."""
    if condition.dtype is not bool_:
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{scalar_name(condition.dtype)}"
        )
    if not isinstance(input, Value) and not isinstance(other, Value):
        x, y, _ = promoted(input, other, b.constant(False, bool_, condition.type.device))
    else:
        x, y = promoted(input, other)
    return b.select(condition, x, y)


@operation("MaskedFillBackward0", numbers=True)
def masked_fill(input: Value, mask: Value, value: Any) -> Value:
    """input with ``value`` where the mask holds."""
    if mask.dtype is not bool_:
        kind = cpp_name(mask.dtype)
        raise RuntimeError(
            f"masked_fill_ only supports boolean masks, but got mask with dtype {kind}"
        )
    filling = b.cast(value, input.dtype) if isinstance(value, Value) else value
    shape = b.broadcast_shapes(input.shape, mask.shape)
    return b.select(mask, filling, b.broadcast_to(input, shape))


# -- comparison and logic ------------------------------------------------------------------------


def _comparison(build: Callable[[Any, Any], Value]) -> Any:
    def body(input: Any, other: Any) -> Value:
        return build(*promoted(input, other))

    body.__name__ = build.__name__
    body.__doc__ = "Elementwise comparison; a bool tensor."
    return operation()(body)


eq = _comparison(b.eq)
ne = _comparison(b.ne)
lt = _comparison(b.lt)
le = _comparison(b.le)
gt = _comparison(b.gt)
ge = _comparison(b.ge)


def _logical(build: Callable[[Any, Any], Value], name: str) -> Any:
    def body(input: Value, other: Value) -> Value:
        return build(b.cast(input, bool_), b.cast(other, bool_))

    body.__name__ = name
    body.__doc__ = "Elementwise logic; nonzero counts as True."
    return operation()(body)


logical_and = _logical(b.logical_and, "logical_and")
logical_or = _logical(b.logical_or, "logical_or")
logical_xor = _logical(b.logical_xor, "logical_xor")


@operation()
def logical_not(input: Value) -> Value:
    """Whether elements are zero."""
    return b.logical_not(b.cast(input, bool_))


def _bitwise(build: Callable[[Any, Any], Value], name: str) -> Any:
    def body(input: Any, other: Any) -> Value:
        x, y = promoted(input, other)
        if x.dtype.is_floating_point:
            kind = scalar_name(x.dtype)
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{kind}'")
        return build(x, y)

    body.__name__ = name
    return operation()(body)


bitwise_and = _bitwise(b.logical_and, "bitwise_and")
bitwise_or = _bitwise(b.logical_or, "bitwise_or")
bitwise_xor = _bitwise(b.logical_xor, "bitwise_xor")


@operation()
def bitwise_not(input: Value) -> Value:
    """Bits inverted; logical not on bool."""
    if input.dtype.is_floating_point:
        raise TypeError(
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors"
        )
    return b.logical_not(input)


@operation()
def isnan(input: Value) -> Value:
    """Whether elements are NaN."""
    return b.ne(input, input)


@operation()
def isinf(input: Value) -> Value:
    """Whether elements are infinite."""
    if not input.dtype.is_floating_point:
        return b.full(input.shape, False, bool_, input.type.device)
    return b.eq(b.abs(input), math.inf)


@operation()
def isfinite(input: Value) -> Value:
    """Whether elements are neither infinite nor NaN."""
    if not input.dtype.is_floating_point:
        return b.full(input.shape, True, bool_, input.type.device)
    return b.lt(b.abs(input), math.inf)


# -- conversion ----------------------------------------------------------------------------------


@operation("ToCopyBackward0")
def convert(input: Value, dtype: DType) -> Value:
    """Elements converted to a dtype."""
    return b.cast(input, dtype)


@operation("CloneBackward0")
def clone(input: Value) -> Value:
    """The same elements in memory of their own."""
    return input
