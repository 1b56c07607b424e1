"""Signs, magnitudes, and the representation of floats: bits, exponents, neighbours."""

from __future__ import annotations

from typing import Any

from treadle.functions.pointwise.arguments import (
    need_signature,
    need_tensors,
    promoted_floats,
    refuse_bool,
    refuse_complex,
)
from treadle.functions.pointwise.gradients import no_derivative, reduced_to
from treadle.ir import build as b
from treadle.ir.types import DType, bool_, float32, float64, int16, int32, int64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import promoted
from treadle.return_types import return_type

__all__ = [
    "abs", "absolute", "copysign", "frexp", "heaviside", "neg", "negative", "nextafter",
    "positive", "sgn", "sign", "signbit",
]  # fmt: skip
METHODS = " ".join(__all__)
INPLACE = "abs absolute copysign heaviside neg negative nextafter sgn sign"


@operation("NegBackward0")
def neg(input: Value) -> Value:
    """-x; RuntimeError for bool tensors."""
    if input.dtype is bool_:
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to "
            "invert a mask, use the `~` or `logical_not()` operator instead."
        )
    return b.neg(input)


negative = neg


def positive(input: Any) -> Any:
    """The tensor itself; RuntimeError for bool tensors."""
    if input.dtype is bool_:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


@operation("AbsBackward0")
def abs(input: Value) -> Value:
    """Absolute value."""
    refuse_bool(input, "abs_cpu")
    return input if input.dtype.kind == "u" else b.abs(input)


absolute = abs


@operation("SignBackward0")
def sign(input: Value) -> Value:
    """-1, 0 or 1; 0 for NaN."""
    if input.dtype.is_complex:
        raise NotImplementedError(
            "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use "
            "torch.sgn instead."
        )
    return input if input.dtype is bool_ else b.sign(input)


@operation("SgnBackward0")
def sgn(input: Value) -> Value:
    """x / |x|, 0 at 0."""
    return input if input.dtype is bool_ else b.sign(input)


def integer_of(dtype: DType) -> DType:
    """The signed integer type with the bits of a float type."""
    return {2: int16, 4: int32, 8: int64}[dtype.itemsize]


@operation()
def signbit(input: Value) -> Value:
    """Whether the sign is set; it is for -0.0."""
    if input.dtype.is_floating_point:
        return b.lt(b.bitcast(input, integer_of(input.dtype)), 0)
    if not input.dtype.is_signed:
        return b.full(input.shape, False, bool_, input.type.device)
    return b.lt(input, 0)


def _copysign_gradient(inputs: Any, outputs: Any, upstreams: Any, **static: Any) -> Any:
    x, g = inputs[0], upstreams[0]
    if "input" in static:
        return (b.constant_like(x, 0),)
    wide = b.broadcast_to(b.cast(x, g.dtype), g.shape)
    slope = g * b.select(b.eq(wide, 0), 0, outputs[0] / wide)
    return (reduced_to(slope, x), *(b.constant_like(y, 0) for y in inputs[1:]))


@operation("CopysignBackward0", vjp=_copysign_gradient)
def copysign(input: Any, other: Any) -> Value:
    """The magnitude of ``input`` with the sign of ``other``."""
    need_signature("copysign", input, other)
    x, y = promoted(input, other, to_float=True)
    refuse_complex(x, "copysign_cpu")
    integer = integer_of(x.dtype)
    least = -(1 << (8 * integer.itemsize - 1))
    magnitude = b.logical_and(b.bitcast(x, integer), -least - 1)
    return b.bitcast(b.logical_or(magnitude, b.logical_and(b.bitcast(y, integer), least)), x.dtype)


@operation("NotImplemented", vjp=no_derivative("heaviside"))
def heaviside(input: Value, values: Value) -> Value:
    """0 below zero, 1 above, ``values`` at zero; NaN gives NaN."""
    need_tensors("heaviside", input=input, values=values)
    if "c" in (input.dtype.kind, values.dtype.kind):
        raise RuntimeError("heaviside is not yet implemented for complex tensors.")
    if input.dtype is not values.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    x, y = promoted(input, values)
    if x.dtype is bool_:
        return b.logical_or(x, y)
    step = b.cast(b.gt(x, 0), x.dtype)
    return b.select(b.eq(x, 0), y, step)


def _nextafter_gradient(inputs: Any, _outputs: Any, upstreams: Any) -> tuple[Value, Value]:
    first, second = inputs
    x, y = promoted(first, second)
    return reduced_to(b.select(b.eq(x, y), 0, upstreams[0]), first), b.constant_like(second, 0)


@operation("NextafterBackward0", vjp=_nextafter_gradient)
def nextafter(input: Value, other: Value) -> Value:
    """The float that follows ``input`` in the direction of ``other``."""
    need_tensors("nextafter", input=input, other=other)
    x, y = promoted_floats("nextafter", input, other)
    integer = integer_of(x.dtype)
    bits = b.bitcast(x, integer)
    # Bits of numbers of one sign are ordered as magnitudes are; from zero it goes to the least.
    away = b.eq(b.lt(x, y), b.gt(x, 0))
    stepped = b.bitcast(b.select(away, bits + 1, bits - 1), x.dtype)
    least = b.bitcast(b.constant_like(bits, 1), x.dtype)
    from_zero = b.select(b.gt(y, 0), least, -least)
    moved = b.select(b.eq(x, 0), from_zero, stepped)
    result = b.select(b.eq(x, y), y, moved)
    return b.select(b.logical_or(b.ne(x, x), b.ne(y, y)), x + y, result)


_Frexp = return_type("frexp", "mantissa exponent")


def _frexp_gradient(_inputs: Any, outputs: Any, upstreams: Any) -> tuple[Value | None]:
    g, exponent = upstreams[0], outputs[1]
    return (None if g is None else g / b.exp2(b.cast(exponent, g.dtype)),)


@operation("FrexpBackward0", vjp=_frexp_gradient)
def frexp(input: Value) -> tuple[Value, Value]:
    """Mantissas in [1/2, 1) and exponents (int32) with input = mantissa * 2 ** exponent."""
    if not input.dtype.is_floating_point:
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    wide = float64 if input.dtype is float64 else float32
    x = b.cast(input, wide)
    shift, mask, bias = (52, 0x7FF, 1022) if wide is float64 else (23, 0xFF, 126)
    # Subnormal numbers are scaled to normal ones.
    tiny = b.lt(b.abs(x), 2.0 ** (1 - bias))
    bits = b.bitcast(b.select(tiny, x * 2.0**shift, x), integer_of(wide))
    field = b.logical_and(b.shift_right(bits, shift), mask)
    exponent = field - bias - b.select(tiny, b.constant_like(field, shift), 0)
    fraction = b.logical_or(b.logical_and(bits, ~(mask << shift)), bias << shift)
    special = b.logical_or(b.eq(x, 0), b.eq(field, mask))
    mantissa = b.select(special, x, b.bitcast(fraction, wide))
    exponent = b.select(special, 0, exponent)
    return _Frexp(b.cast(mantissa, input.dtype), b.cast(exponent, int32))
