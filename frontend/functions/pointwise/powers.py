"""Powers, by exponents that are numbers or tensors."""

from __future__ import annotations

from typing import Any

from treadle.functions.pointwise.arguments import need_signature, need_tensors
from treadle.functions.pointwise.gradients import both, reduced_to
from treadle.ir import build as b, gradients
from treadle.ir.types import bool_, complex128, float64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import number_for, promoted

__all__ = ["float_power", "ldexp", "pow"]
METHODS = INPLACE = "float_power ldexp pow"


def _power(x: Value, exponent: float) -> Value:
    """A power whose exponent is written as a number."""
    if exponent == 1:
        return x
    if exponent == 2:
        return b.mul(x, x)
    if exponent == 3:
        return b.mul(b.mul(x, x), x)
    if x.dtype.kind in "fc":
        if exponent == 0.5:
            return b.sqrt(x)  # which differs from a power at -0 and -inf
        if exponent == -0.5:
            return b.rsqrt(x)
        if exponent == -1:
            return b.reciprocal(x)
        if exponent == -2:
            return b.reciprocal(b.mul(x, x))
    return b.pow(x, b.constant_like(x, exponent))


def _pow_gradient(inputs: Any, _outputs: Any, upstreams: Any, **static: Any) -> Any:
    g, first, second = upstreams[0], *both(inputs, static, "exponent")
    if not isinstance(second, Value):
        if second == 0:
            return (b.constant_like(first, 0),)
        x = b.cast(first, g.dtype)
        return (reduced_to(g * b.conj(second * _power(x, second - 1)), first),)
    x, y = promoted(first, second)
    wanted = [value for value in (first, second) if isinstance(value, Value)]
    found = gradients.vjp([b.pow(x, y)], [v for v in wanted if v.dtype.kind in "fc"], [g])
    floating = iter(found)
    return tuple(next(floating) if v.dtype.kind in "fc" else None for v in wanted)


# Exponents that are products and roots, which differ from powers at -0 and -inf.
_PLAIN_EXPONENTS = frozenset((0.0, 0.5, -0.5, 1.0, -1.0, 1.5, 2.0, -2.0, 3.0, 4.0))


@operation("PowBackward0", vjp=_pow_gradient, numbers=True, fixed=_PLAIN_EXPONENTS)
def pow(input: Any, exponent: Any) -> Value:
    """input ** exponent."""
    need_signature("pow", input, exponent, first=True, name="exponent")
    x, y = promoted(input, exponent)
    if x.dtype is bool_ and isinstance(exponent, bool):
        return x if exponent else b.logical_or(x, b.logical_not(x))
    if x.dtype is bool_:
        raise NotImplementedError("\"pow\" not implemented for 'Bool'")
    if isinstance(exponent, Value):
        return b.pow(x, y)
    if x.dtype.kind not in "fc" and exponent < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    if x.dtype.kind in "iu":
        number_for(exponent, x.dtype)  # raises for what does not fit
    return _power(x, exponent)


@operation("PowBackward0")
def float_power(input: Any, exponent: Any) -> Value:
    """input ** exponent in float64, or complex128."""
    need_signature("float_power", input, exponent, first=True, name="exponent")
    operands = promoted(input, exponent)
    wide = complex128 if operands[0].dtype.is_complex else float64
    x, y = (b.cast(item, wide) for item in operands)
    return b.pow(x, y) if isinstance(exponent, Value) else _power(x, exponent)


@operation("LdexpBackward0")
def ldexp(input: Value, other: Value) -> Value:
    """input * 2 ** other."""
    need_tensors("ldexp", input=input, other=other)
    (power,) = promoted(other, to_float=True)
    x, scale = promoted(input, b.exp2(power))
    return b.mul(x, scale)
