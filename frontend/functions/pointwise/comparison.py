"""Comparison of elements and of whole tensors, and questions about elements."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from treadle.functions.pointwise.arguments import need_signature, need_tensors
from treadle.ir import build as b
from treadle.ir.types import bool_, int64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import as_float, promoted, scalar_name
from treadle.tensor import Tensor

__all__ = [
    "allclose", "eq", "equal", "ge", "greater", "greater_equal", "gt", "isclose", "isfinite",
    "isinf", "isnan", "isneginf", "isposinf", "le", "less", "less_equal", "lt", "ne",
    "not_equal",
]  # fmt: skip
METHODS = " ".join(__all__)
INPLACE = "eq ge greater greater_equal gt le less less_equal lt ne not_equal"


def _comparison(build: Callable[[Any, Any], Value]) -> Any:
    def body(input: Any, other: Any) -> Value:
        need_signature(build.__name__, input, other)
        return build(*promoted(input, other))

    body.__name__ = build.__name__
    body.__doc__ = "Elementwise comparison; a bool tensor."
    return operation(numbers=True, integers=True)(body)


eq = _comparison(b.eq)
ne = not_equal = _comparison(b.ne)
lt = less = _comparison(b.lt)
le = less_equal = _comparison(b.le)
gt = greater = _comparison(b.gt)
ge = greater_equal = _comparison(b.ge)


def _everywhere(input: Value, answer: bool) -> Value:
    return b.full(input.shape, answer, bool_, input.type.device)


@operation()
def isnan(input: Value) -> Value:
    """Whether elements are NaN."""
    return b.ne(input, input)


@operation()
def isinf(input: Value) -> Value:
    """Whether elements are infinite."""
    if input.dtype.kind not in "fc":
        return _everywhere(input, False)
    return b.eq(b.abs(input), math.inf)


@operation()
def isposinf(input: Value) -> Value:
    """Whether elements are positive infinity."""
    return b.eq(input, math.inf) if input.dtype.is_floating_point else _everywhere(input, False)


@operation()
def isneginf(input: Value) -> Value:
    """Whether elements are negative infinity."""
    return b.eq(input, -math.inf) if input.dtype.is_floating_point else _everywhere(input, False)


@operation()
def isfinite(input: Value) -> Value:
    """Whether elements are neither infinite nor NaN."""
    if input.dtype.kind not in "fc":
        return _everywhere(input, True)
    return b.lt(b.abs(input), math.inf)


def _close(input: Value, other: Value, rtol: float, atol: float, equal_nan: bool) -> Value:
    if input.dtype is not other.dtype:
        raise RuntimeError(f"{scalar_name(input.dtype)} did not match {scalar_name(other.dtype)}")
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        if not tolerance >= 0:
            raise RuntimeError(
                f"{name} must be greater than or equal to zero, but got {tolerance:g}"
            )
    x, y = promoted(input, other)
    same = b.eq(x, y)
    if equal_nan:
        same = b.logical_or(same, b.logical_and(b.ne(x, x), b.ne(y, y)))
    if rtol == 0 and atol == 0:
        return same
    x, y = as_float(x), as_float(y)
    allowed, difference = b.abs(y * rtol) + atol, b.abs(x - y)
    finite = b.lt(difference, math.inf)
    return b.logical_or(same, b.logical_and(finite, b.le(difference, allowed)))


@operation()
def isclose(
    input: Value, other: Value, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Value:
    """Whether abs(input - other) <= atol + rtol * abs(other)."""
    need_tensors("isclose", input=input, other=other)
    return _close(input, other, rtol, atol, equal_nan)


def _count(where: Value) -> Value:
    return b.sum(b.cast(where, int64))


@operation()
def _apart(input: Value, other: Value, rtol: float, atol: float, equal_nan: bool) -> Value:
    """How many elements are not close."""
    need_tensors("allclose", input=input, other=other)
    return _count(b.logical_not(_close(input, other, rtol, atol, equal_nan)))


@operation()
def _unequal(input: Value, other: Value) -> Value:
    """How many elements differ."""
    return _count(b.ne(*promoted(input, other)))


def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether all elements are close; see ``isclose``."""
    return int(_apart(input, other, rtol, atol, equal_nan).item()) == 0


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one shape and equal elements."""
    for position, (name, item) in enumerate((("input", input), ("other", other)), 1):
        if not isinstance(item, Tensor):
            raise TypeError(
                f"equal(): argument '{name}' (position {position}) must be Tensor, "
                f"not {type(item).__name__}"
            )
    if tuple(input.shape) != tuple(other.shape):
        return False
    return int(_unequal(input, other).item()) == 0
