"""Derivatives of elementwise ops, with PyTorch's choices at ties, kinks and poles.

Formulas and their order of operations follow PyTorch's derivatives.yaml.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from treadle.ir import build as b
from treadle.ir.constants import number_of
from treadle.ir.gradient_rules import GradientRule
from treadle.ir.ops import elementwise as ops
from treadle.ir.value import Op, Value
from treadle.ir.zeta import polygamma


def _unary(derive: Callable[[Value, Value, Value], Value]) -> GradientRule:
    """A rule out of a function of (operand, result, upstream)."""

    def rule(value: Value, upstream: Value, _wanted: tuple[bool, ...]) -> tuple[Value | None, ...]:
        return (derive(value.inputs[0], value, upstream),)

    return rule


def _binary(
    left: Callable[[Value, Value, Value, Value], Value],
    right: Callable[[Value, Value, Value, Value], Value],
) -> GradientRule:
    """A rule out of two functions of (x, y, result, upstream)."""

    def rule(value: Value, upstream: Value, wanted: tuple[bool, ...]) -> tuple[Value | None, ...]:
        x, y = value.inputs
        return (
            left(x, y, value, upstream) if wanted[0] else None,
            right(x, y, value, upstream) if wanted[1] else None,
        )

    return rule


def _zero(x: Value, _result: Value, _upstream: Value) -> Value:
    # Steps are flat wherever they have a derivative.
    return b.constant_like(x, 0)


def _pow_base(x: Value, y: Value, _result: Value, upstream: Value) -> Value:
    exponent = number_of(y)
    if exponent is not None:
        if exponent == 0:
            return b.constant_like(x, 0)
        return upstream * (y * b.pow(x, b.constant_like(y, exponent - 1)))
    # 0 * x ** -1 is NaN at x = 0, where the derivative of x ** 0 is 0.
    return b.select(b.eq(y, 0.0), 0.0, upstream * (y * b.pow(x, y - 1.0)))


def _pow_exponent(x: Value, y: Value, result: Value, upstream: Value) -> Value:
    # 0 ** y is flat for y >= 0, where log(0) would give NaN.
    flat = b.logical_and(b.eq(x, 0.0), b.ge(y, 0.0))
    return upstream * b.select(flat, 0.0, result * b.log(x))


def _inverse_square(x: Value, y: Value) -> Value:
    # At the origin the angle has no derivative; PyTorch takes 0.
    square = x * x + y * y
    return b.select(b.eq(square, 0.0), 0.0, b.reciprocal(square))


def _extreme(loses: Callable[[Value, Value], Value]) -> GradientRule:
    """The winner takes the gradient, a tie halves it; ``loses`` says where the first loses."""

    def share(x: Value, y: Value, _result: Value, upstream: Value) -> Value:
        shared = b.select(b.eq(x, y), upstream * 0.5, upstream)
        return b.select(loses(x, y), 0.0, shared)

    return _binary(share, lambda x, y, result, upstream: share(y, x, result, upstream))


def _remainder_divisor(x: Value, y: Value, result: Value, upstream: Value) -> Value:
    # (x - result) / y is the whole quotient up to rounding.
    return -upstream * b.round((x - result) / y)


def _select(value: Value, upstream: Value, wanted: tuple[bool, ...]) -> tuple[Value | None, ...]:
    condition = value.inputs[0]
    return (
        None,
        b.select(condition, upstream, 0.0) if wanted[1] else None,
        b.select(condition, 0.0, upstream) if wanted[2] else None,
    )


RULES: dict[Op, GradientRule] = {
    ops.NEG: _unary(lambda x, y, g: -g),
    ops.ABS: _unary(lambda x, y, g: g * b.sign(x)),
    ops.SIGN: _unary(_zero),
    ops.EXP: _unary(lambda x, y, g: g * y),
    ops.LOG: _unary(lambda x, y, g: g / x),
    ops.EXP2: _unary(lambda x, y, g: g * y * math.log(2.0)),
    ops.EXPM1: _unary(lambda x, y, g: g * (y + 1.0)),
    ops.LOG1P: _unary(lambda x, y, g: g / (x + 1.0)),
    ops.LOG2: _unary(lambda x, y, g: g / (x * math.log(2.0))),
    ops.LOG10: _unary(lambda x, y, g: g / (x * math.log(10.0))),
    ops.SQRT: _unary(lambda x, y, g: g / (y * 2.0)),
    ops.SIN: _unary(lambda x, y, g: g * b.cos(x)),
    ops.COS: _unary(lambda x, y, g: g * -b.sin(x)),
    ops.TAN: _unary(lambda x, y, g: g * (1.0 + y * y)),
    ops.ASIN: _unary(lambda x, y, g: g * b.rsqrt(1.0 - x * x)),
    ops.ACOS: _unary(lambda x, y, g: g * -b.rsqrt(1.0 - x * x)),
    ops.ATAN: _unary(lambda x, y, g: g / (x * x + 1.0)),
    ops.SINH: _unary(lambda x, y, g: g * b.cosh(x)),
    ops.COSH: _unary(lambda x, y, g: g * b.sinh(x)),
    ops.ASINH: _unary(lambda x, y, g: g * b.rsqrt(x * x + 1.0)),
    ops.ACOSH: _unary(lambda x, y, g: g * b.rsqrt(x * x - 1.0)),
    ops.ATANH: _unary(lambda x, y, g: g / (1.0 - x * x)),
    ops.TANH: _unary(lambda x, y, g: g * (1.0 - y * y)),
    ops.ERF: _unary(lambda x, y, g: g * (b.exp(-(x * x)) * (2.0 / math.sqrt(math.pi)))),
    ops.ERFC: _unary(lambda x, y, g: g * (b.exp(-(x * x)) * (-2.0 / math.sqrt(math.pi)))),
    ops.ERFCX: _unary(lambda x, y, g: g * (2.0 * x * y - 2.0 / math.sqrt(math.pi))),
    ops.ERFINV: _unary(lambda x, y, g: g * (b.exp(y * y) * (0.5 * math.sqrt(math.pi)))),
    ops.LGAMMA: _unary(lambda x, y, g: g * b.digamma(x)),
    ops.DIGAMMA: _unary(lambda x, y, g: g * polygamma(1, x)),
    ops.FLOOR: _unary(_zero),
    ops.CEIL: _unary(_zero),
    ops.ROUND: _unary(_zero),
    ops.TRUNC: _unary(_zero),
    ops.ADD: _binary(lambda x, y, r, g: g, lambda x, y, r, g: g),
    ops.SUB: _binary(lambda x, y, r, g: g, lambda x, y, r, g: -g),
    ops.MUL: _binary(lambda x, y, r, g: g * y, lambda x, y, r, g: g * x),
    ops.DIV: _binary(lambda x, y, r, g: g / y, lambda x, y, r, g: -g * (r / y)),
    ops.REMAINDER: _binary(lambda x, y, r, g: g, _remainder_divisor),
    ops.FMOD: _binary(lambda x, y, r, g: g, lambda x, y, r, g: -g * b.trunc(x / y)),
    ops.ATAN2: _binary(
        lambda x, y, r, g: g * y * _inverse_square(x, y),
        lambda x, y, r, g: g * -x * _inverse_square(x, y),
    ),
    ops.POW: _binary(_pow_base, _pow_exponent),
    ops.MAXIMUM: _extreme(b.lt),
    ops.MINIMUM: _extreme(b.gt),
    ops.SELECT: _select,
    ops.CAST: _unary(lambda x, y, g: b.cast(g, x.dtype)),
}

_TRUTH = "its result is a truth value"
_BITS = "it works on bits and truth values"
NOT_DIFFERENTIABLE: dict[Op, str] = {
    ops.BITCAST: "bits read as another dtype are no smooth function",
    **dict.fromkeys((ops.NOT, ops.AND, ops.OR, ops.XOR, ops.SHL, ops.SHR), _BITS),
    **dict.fromkeys((ops.EQ, ops.NE, ops.LT, ops.LE, ops.GT, ops.GE), _TRUTH),
}
