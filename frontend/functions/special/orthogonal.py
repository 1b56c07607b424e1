"""Orthogonal polynomials of a degree that may be a tensor.

Chebyshev's polynomials have closed forms; the others are recurrences up to the greatest degree.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from treadle.functions.pointwise.arguments import is_number, need_signature
from treadle.ir import build as b
from treadle.ir.types import float32, float64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import promoted
from treadle.tensor import Tensor

__all__ = [
    "chebyshev_polynomial_t", "chebyshev_polynomial_u", "chebyshev_polynomial_v",
    "chebyshev_polynomial_w", "hermite_polynomial_h", "hermite_polynomial_he",
    "laguerre_polynomial_l", "legendre_polynomial_p", "shifted_chebyshev_polynomial_t",
    "shifted_chebyshev_polynomial_u", "shifted_chebyshev_polynomial_v",
    "shifted_chebyshev_polynomial_w",
]  # fmt: skip


def _operands(name: str, x: Any, n: Any) -> tuple[Value, Value, Any]:
    """Argument and degree in float64, and the dtype of the result."""
    need_signature(f"special_{name}", x, n, first=True, name="n")
    argument, degree = promoted(x, n, to_float=True)
    return b.cast(argument, float64), b.trunc(b.cast(degree, float64)), argument.dtype


# -- Chebyshev -----------------------------------------------------------------------------------


def _is_odd(n: Value) -> Value:
    return b.ne(b.floor(n * 0.5) * 2.0, n)


def _angle(size: Value) -> tuple[Value, Value]:
    """Where size < 1, and the angle whose cosine or hyperbolic cosine it is."""
    inside = b.lt(size, 1.0)
    return inside, b.select(inside, b.acos(size), b.acosh(size))


def _first(x: Value, n: Value) -> Value:
    """T: cos(n angle)."""
    inside, angle = _angle(b.abs(x))
    result = b.select(inside, b.cos(n * angle), b.cosh(n * angle))
    return b.select(b.logical_and(b.lt(x, 0.0), _is_odd(n)), -result, result)


def _sines(size: Value, times: Value, part: float, limit: Value) -> Value:
    """sin(times * angle) / sin(part * angle), which tends to times / part."""
    inside, angle = _angle(size)
    above = b.select(inside, b.sin(times * angle), b.sinh(times * angle))
    below = b.select(inside, b.sin(part * angle), b.sinh(part * angle))
    result = b.select(b.eq(size, 1.0), limit, above / below)
    return b.select(b.eq(size, math.inf), math.inf, result)


def _second(x: Value, n: Value) -> Value:
    """U: sin((n + 1) angle) / sin(angle)."""
    result = _sines(b.abs(x), n + 1.0, 1.0, n + 1.0)
    return b.select(b.logical_and(b.lt(x, 0.0), _is_odd(n)), -result, result)


def _third(x: Value, n: Value) -> Value:
    """V: cos((n + 1/2) angle) / cos(angle / 2), and W mirrored on the left."""
    inside, angle = _angle(b.abs(x))
    above = b.select(inside, b.cos((n + 0.5) * angle), b.cosh((n + 0.5) * angle))
    right = above / b.select(inside, b.cos(angle * 0.5), b.cosh(angle * 0.5))
    right = b.select(b.eq(x, math.inf), math.inf, right)
    left = _sines(b.abs(x), n + 0.5, 0.5, 2.0 * n + 1.0)
    return b.select(b.lt(x, 0.0), b.select(_is_odd(n), -left, left), right)


def _fourth(x: Value, n: Value) -> Value:
    """W: V mirrored."""
    result = _third(-x, n)
    return b.select(_is_odd(n), -result, result)


def _chebyshev(name: str, function: Callable[[Value, Value], Value], shifted: bool) -> Any:
    def body(x: Any, n: Any) -> Value:
        argument, degree, dtype = _operands(name, x, n)
        if shifted:
            argument = argument + argument - 1.0
        result = b.select(b.eq(degree, 0.0), 1.0, function(argument, degree))
        return b.cast(b.select(b.lt(degree, 0.0), 0.0, result), dtype)

    body.__name__ = name
    body.__doc__ = f"The polynomial {name[-1].upper()} of degree n at x."
    return operation()(body)


chebyshev_polynomial_t = _chebyshev("chebyshev_polynomial_t", _first, False)
chebyshev_polynomial_u = _chebyshev("chebyshev_polynomial_u", _second, False)
chebyshev_polynomial_v = _chebyshev("chebyshev_polynomial_v", _third, False)
chebyshev_polynomial_w = _chebyshev("chebyshev_polynomial_w", _fourth, False)
shifted_chebyshev_polynomial_t = _chebyshev("shifted_chebyshev_polynomial_t", _first, True)
shifted_chebyshev_polynomial_u = _chebyshev("shifted_chebyshev_polynomial_u", _second, True)
shifted_chebyshev_polynomial_v = _chebyshev("shifted_chebyshev_polynomial_v", _third, True)
shifted_chebyshev_polynomial_w = _chebyshev("shifted_chebyshev_polynomial_w", _fourth, True)


# -- by recurrence -------------------------------------------------------------------------------

# (x, polynomial of degree k, of degree k - 1, k) -> polynomial of degree k + 1.
_Step = Callable[[Value, Value, Value, float], Value]


def _recurrence(
    name: str, start: Callable[[Value], Value], step: _Step, limited: bool = False
) -> Any:
    """A family of polynomials from those of degrees 0 (which is 1) and 1.

    Args:
        limited: PyTorch gives NaN above degree 128 in float32 and 512 in float64.
    """

    def body(x: Any, n: Any, greatest: int) -> Value:
        argument, degree, dtype = _operands(name, x, n)
        before, here = b.constant_like(argument, 1.0), start(argument)
        result = b.select(b.eq(degree, 0.0), before, here)
        for k in range(1, greatest):
            before, here = here, step(argument, here, before, float(k))
            result = b.select(b.eq(degree, float(k + 1)), here, result)
        result = b.select(b.lt(degree, 0.0), 0.0, result)
        if limited:
            most = 128.0 if dtype is float32 else 512.0
            result = b.select(b.gt(degree, most), math.nan, result)
        return b.cast(result, dtype)

    body.__name__ = name
    row = operation()(body)

    def function(x: Any, n: Any, *, out: Any = None) -> Any:
        greatest = _greatest(n, limited)
        return row(x, n, greatest) if out is None else row(x, n, greatest, out=out)

    function.__name__ = name
    function.__doc__ = f"The polynomial {name.rsplit('_', 1)[1].title()} of degree n at x."
    return function


def _greatest(n: Any, limited: bool) -> int:
    """The greatest degree, a multiple of 8 for degrees in a tensor, whose contents it needs."""
    if isinstance(n, Tensor):
        numbers = n.detach()._concrete()
        finite = [number for number in numbers.ravel().tolist() if math.isfinite(number)]
        found = -(-int(max(finite, default=0)) // 8) * 8
    else:
        found = int(n) if is_number(n) and math.isfinite(n) else 0
    return min(found, 512) if limited else found


hermite_polynomial_h = _recurrence(
    "hermite_polynomial_h",
    lambda x: x + x,
    lambda x, here, before, k: (x + x) * here - 2.0 * k * before,
    limited=True,
)
hermite_polynomial_he = _recurrence(
    "hermite_polynomial_he",
    lambda x: x,
    lambda x, here, before, k: x * here - k * before,
    limited=True,
)
laguerre_polynomial_l = _recurrence(
    "laguerre_polynomial_l",
    lambda x: 1.0 - x,
    lambda x, here, before, k: ((2.0 * k + 1.0 - x) * here - k * before) / (k + 1.0),
)
legendre_polynomial_p = _recurrence(
    "legendre_polynomial_p",
    lambda x: x,
    lambda x, here, before, k: ((2.0 * k + 1.0) * x * here - k * before) / (k + 1.0),
)
