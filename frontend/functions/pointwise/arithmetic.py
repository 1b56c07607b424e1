"""Sums, products, quotients and remainders.

Python numbers among the arguments count as 0-d tensors of their category.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from treadle.functions.pointwise.arguments import (
    arithmetic_operands,
    is_number,
    need_signature,
    need_tensors,
    not_implemented,
    refuse_bool,
    refuse_complex,
    rounded_once,
    type_of,
)
from treadle.functions.pointwise.gradients import both, no_derivative, reduced_to
from treadle.ir import build as b
from treadle.ir.constants import number_of
from treadle.ir.types import bool_
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import cpp_name, promoted

__all__ = [
    "add", "addcdiv", "addcmul", "div", "divide", "floor_divide", "fmod", "gcd", "lcm", "lerp",
    "mul", "multiply", "remainder", "rsub", "sub", "subtract", "true_divide",
]  # fmt: skip
METHODS = " ".join(name for name in __all__ if name != "rsub")
INPLACE = METHODS


def _scaled(other: Value, factor: Any) -> Value:
    if isinstance(factor, Value):
        return other * b.cast(factor, other.dtype)
    return other if factor == 1 else other * factor


def _alpha(function: str, other: Value, alpha: Any) -> Value:
    """The operand that ``alpha`` multiplies; PyTorch's errors where it is of another kind."""
    if isinstance(alpha, Value):
        return _scaled(other, alpha)
    if not is_number(alpha):
        raise TypeError(f"{function}(): argument 'alpha' must be Number, not {type_of(alpha)}")
    if isinstance(alpha, bool) and other.dtype is not bool_:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, complex) and not other.dtype.is_complex:
        raise RuntimeError(
            "For non-complex input tensors, argument alpha must not be a complex number."
        )
    if not isinstance(alpha, int) and other.dtype.kind not in "fc":
        raise RuntimeError(
            "For integral input tensors, argument alpha must not be a floating point number."
        )
    return _scaled(other, alpha)


@operation("AddBackward0", numbers=True, integers=True)
def add(input: Any, other: Any, *, alpha: Any = 1) -> Value:
    """input + alpha * other."""
    input, other = arithmetic_operands("add", input, other)
    x, y = promoted(input, other)
    return b.add(x, _alpha("add", y, alpha))


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


@operation("SubBackward0", numbers=True, integers=True)
def sub(input: Any, other: Any, *, alpha: Any = 1) -> Value:
    """input - alpha * other; RuntimeError for bool tensors."""
    input, other = arithmetic_operands("sub", input, other)
    _refuse_bool_operands(input, other)
    x, y = promoted(input, other)
    return b.sub(x, _alpha("sub", y, alpha))


@operation("RsubBackward1", numbers=True, integers=True)
def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Value:
    """other - alpha * input; RuntimeError for bool tensors."""
    need_signature("rsub", input, other)
    _refuse_bool_operands(input, other)
    x, y = promoted(input, other)
    return b.sub(y, _alpha("rsub", x, alpha))


@operation("MulBackward0", saves="numbers", numbers=True, integers=True)
def mul(input: Any, other: Any) -> Value:
    """input * other."""
    return b.mul(*promoted(*arithmetic_operands("mul", input, other)))


# -- quotients -----------------------------------------------------------------------------------


def _div_gradient(inputs: Any, _outputs: Any, upstreams: Any, **static: Any) -> Any:
    if static.get("rounding_mode") is not None:
        return tuple(b.constant_like(x, 0) for x in inputs)
    g, first, second = upstreams[0], *both(inputs, static, "other")
    x, y = promoted(first, second, to_float=True)
    found = []
    if isinstance(first, Value):
        found.append(reduced_to(g / b.conj(y), first))
    if isinstance(second, Value):
        found.append(reduced_to(-g * b.conj((x / y) / y), second))
    return tuple(found)


@operation("DivBackward0", vjp=_div_gradient, saves="numbers", numbers=True)
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Value:
    """input / other; with ``rounding_mode`` ``floor`` or ``trunc`` rounded, in integers too."""
    input, other = arithmetic_operands("div", input, other)
    if rounding_mode is None:
        return b.div(*promoted(input, other, to_float=True))
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(
            "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
            f"'{rounding_mode}'"
        )
    x, y = promoted(input, other)
    refuse_bool(x, f"div_{rounding_mode}_cpu")
    refuse_complex(x, f"div_{rounding_mode}_cpu")
    if rounding_mode == "floor":
        return _floor_divided(x, y)
    return b.trunc(b.div(x, y)) if x.dtype.is_floating_point else _divided(x, y)


def _divided(x: Value, y: Value) -> Value:
    """The quotient of integers, rounded towards zero. A divisor that is the number zero is an
    error, as in PyTorch; where a tensor of divisors holds zero, the quotient is 0."""
    _refuse_zero(x, y)
    return b.div(x, y)


def _refuse_zero(x: Value, y: Value) -> None:
    if x.type.numel and number_of(y) == 0:
        raise RuntimeError("ZeroDivisionError")


def _floor_divided(x: Value, y: Value) -> Value:
    """floor(x / y) as Python has it: 1.0 // 0.1 is 9, though 1.0 / 0.1 rounds to 10."""
    rest = _remainder(x, y)
    if not x.dtype.is_floating_point:
        # What the remainder of the divisor's sign leaves divides exactly.
        return _divided(b.sub(x, rest), y)
    quotient = b.div(x, y)
    left = b.fmod(x, y)
    exact = b.div(x - left, y) - b.cast(b.ne(left, rest), x.dtype)
    down = b.floor(exact)
    nearest = down + b.cast(b.gt(exact - down, 0.5), x.dtype)
    nearest = b.select(b.eq(exact, 0), quotient * 0.0, nearest)
    return b.select(b.eq(y, 0), quotient, nearest)


@operation("NotImplemented", vjp=no_derivative("floor_divide"), numbers=True)
def floor_divide(input: Any, other: Any) -> Value:
    """floor(input / other), in integers too."""
    need_signature("floor_divide", input, other, first=True)
    x, y = promoted(input, other)
    refuse_bool(x, "div_floor_cpu")
    refuse_complex(x, "div_floor_cpu")
    return _floor_divided(x, y)


@operation("DivBackward0", saves="numbers", numbers=True)
def true_divide(input: Any, other: Any) -> Value:
    """input / other in floating point."""
    return b.div(*promoted(*arithmetic_operands("true_divide", input, other), to_float=True))


def rdiv(input: Any, other: Any) -> Any:
    """other / input, as PyTorch computes it: other times the reciprocal."""
    return mul(input.reciprocal(), other)


def _remainder(x: Value, y: Value) -> Value:
    """The remainder with the sign of the divisor; a zero has the sign of the dividend."""
    if not x.dtype.is_floating_point:
        _refuse_zero(x, y)
        return b.remainder(x, y)
    rest = b.fmod(x, y)
    differs = b.logical_and(b.ne(rest, 0), b.ne(b.lt(rest, 0), b.lt(y, 0)))
    return b.select(differs, rest + y, rest)


def _remainder_gradient(quotient: Callable[[Value, Value], Value]) -> Any:
    """The rule of what a whole quotient leaves."""

    def rule(inputs: Any, _outputs: Any, upstreams: Any, **static: Any) -> Any:
        g, first, second = upstreams[0], *both(inputs, static, "other")
        x, y = promoted(first, second)
        found = [reduced_to(g, first)] if isinstance(first, Value) else []
        if isinstance(second, Value):
            found.append(reduced_to(-g * quotient(x, y), second))
        return tuple(found)

    return rule


@operation("RemainderBackward0", vjp=_remainder_gradient(_floor_divided), numbers=True)
def remainder(input: Any, other: Any) -> Value:
    """Remainder with the sign of the divisor."""
    need_signature("remainder", input, other, first=True)
    x, y = promoted(input, other)
    refuse_bool(x, "remainder_cpu")
    return _remainder(x, y)


@operation(
    "FmodBackward0", vjp=_remainder_gradient(lambda x, y: b.trunc(b.div(x, y))), numbers=True
)
def fmod(input: Any, other: Any) -> Value:
    """Remainder with the sign of the dividend."""
    need_signature("fmod", input, other)
    x, y = promoted(input, other)
    refuse_bool(x, "fmod_cpu")
    refuse_complex(x, "fmod_cpu")
    return b.fmod(x, y) if x.dtype.is_floating_point else x - _divided(x, y) * y


def _refuse_floats(name: str, x: Value) -> None:
    if x.dtype.kind not in "iu":
        raise not_implemented(x, f"{name}_cpu")


def _divisor(x: Value, y: Value) -> Value:
    """Euclid's algorithm in as many steps as the dtype can need (Fibonacci numbers)."""
    x, y = b.abs(x), b.abs(y)
    for _ in range(math.ceil(8 * x.dtype.itemsize * 1.4404)):
        done = b.eq(y, 0)
        x, y = b.select(done, x, y), b.select(done, y, b.remainder(x, y))
    return x


@operation()
def gcd(input: Value, other: Value) -> Value:
    """The greatest common divisor of integers, not negative."""
    need_tensors("gcd", input=input, other=other)
    x, y = promoted(input, other)
    _refuse_floats("gcd", x)
    return _divisor(x, y)


@operation()
def lcm(input: Value, other: Value) -> Value:
    """The least common multiple of integers, not negative."""
    need_tensors("lcm", input=input, other=other)
    x, y = promoted(input, other)
    _refuse_floats("lcm", x)
    return b.abs(b.div(x, _divisor(x, y)) * y)


# -- of three tensors ----------------------------------------------------------------------------


@operation("AddcmulBackward0", numbers=True)
def addcmul(input: Value, tensor1: Value, tensor2: Value, *, value: Any = 1) -> Value:
    """input + value * tensor1 * tensor2."""
    need_tensors("addcmul", input=input, tensor1=tensor1, tensor2=tensor2)
    x, first, second = promoted(input, tensor1, tensor2)
    terms = rounded_once(lambda x, first, second: x + _scaled(first, value) * second)
    return terms(x, first, second)


@operation("AddcdivBackward0", numbers=True)
def addcdiv(input: Value, tensor1: Value, tensor2: Value, *, value: Any = 1) -> Value:
    """input + value * tensor1 / tensor2."""
    x, first, second = promoted(input, tensor1, tensor2)
    if x.dtype.kind not in "fc":
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future  release "
            "addcdiv will perform a true division of tensor1 and tensor2. The historic addcdiv "
            "behavior can be implemented as (input + value * torch.trunc(tensor1 / "
            "tensor2)).to(input.dtype) for integer inputs and as (input + value * tensor1 / "
            "tensor2) for float inputs. The future addcdiv behavior is just the latter "
            "implementation: (input + value * tensor1 / tensor2), for all dtypes."
        )
    terms = rounded_once(lambda x, first, second: x + _scaled(first, value) / second)
    return terms(x, first, second)


def _lerp_gradient(inputs: Any, _outputs: Any, upstreams: Any, **static: Any) -> Any:
    start, end, g = inputs[0], inputs[1], upstreams[0]
    if "weight" in static:
        w = static["weight"].conjugate()
        return reduced_to(g * (1.0 - w), start), reduced_to(g * w, end)
    w = b.conj(b.cast(inputs[2], g.dtype))
    slope = g * b.conj(b.cast(end, g.dtype) - b.cast(start, g.dtype))
    return (
        reduced_to(g * (1.0 - w), start),
        reduced_to(g * w, end),
        reduced_to(slope, inputs[2]),
    )


@operation("LerpBackward0", vjp=_lerp_gradient, numbers=True)
def lerp(input: Value, end: Value, weight: Any) -> Value:
    """input + weight * (end - input), measured from the nearer end."""
    need_tensors("lerp", input=input, end=end)
    if input.dtype is not end.dtype:
        raise RuntimeError(
            f"expected dtype {cpp_name(input.dtype)} for `end` but got dtype {cpp_name(end.dtype)}"
        )
    x, y = promoted(input, end)
    if x.dtype.kind not in "fc":
        raise not_implemented(x, "lerp_kernel_scalar")
    if not isinstance(weight, Value):
        near = abs(weight) < 0.5

        def between(x: Value, y: Value) -> Value:
            return x + (y - x) * weight if near else y - (y - x) * (1.0 - weight)

        return rounded_once(between)(x, y)
    return rounded_once(_between)(x, y, b.cast(weight, x.dtype))


def _between(x: Value, y: Value, w: Value) -> Value:
    return b.select(b.lt(b.abs(w), 0.5), x + w * (y - x), y - (y - x) * (1.0 - w))


multiply, subtract, divide = mul, sub, div
