"""How special functions are evaluated: polynomials by Horner's rule, in float64 throughout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from treadle.ir import build as b
from treadle.ir.types import float64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import as_float


def polynomial(x: Value, coefficients: Sequence[float]) -> Value:
    """A polynomial, its coefficients from the highest degree down."""
    result = b.constant_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        result = result * x + coefficient
    return result


def ratio(x: Value, above: Sequence[float], below: Sequence[float]) -> Value:
    """A quotient of two polynomials."""
    return polynomial(x, above) / polynomial(x, below)


def double(function: Callable[[Value], Value]) -> Callable[[Value], Value]:
    """A function of float64 values as one of every floating dtype."""

    def evaluate(x: Value) -> Value:
        return b.cast(function(b.cast(x, float64)), x.dtype)

    return evaluate


def double_function(function: Callable[[Value], Value]) -> Any:
    """A function of tensors, without a gradient as in PyTorch, out of one of float64 values."""

    def body(input: Value) -> Value:
        return double(function)(as_float(input))

    body.__name__, body.__doc__ = function.__name__, function.__doc__
    return operation()(body)
