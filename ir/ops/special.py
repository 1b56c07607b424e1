"""Meanings of the special functions that NumPy lacks, in float64 by series and Newton's method.

For the interpreter only: kernels have polynomials of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from treadle.ir.value import Array


def _over_elements(function: Callable[[float], float]) -> Callable[[Array], Array]:
    """A function of Python floats as one of arrays of any floating dtype."""
    each = np.vectorize(function, otypes=[np.float64])

    def evaluate(x: Array) -> Array:
        wide = x.astype(np.float64)
        return np.asarray(each(wide)).astype(x.dtype) if x.size else x.copy()

    return evaluate


def _lgamma(x: float) -> float:
    if math.isinf(x) or (x <= 0 and x == math.floor(x)):
        return math.inf
    return math.lgamma(x)


def _erfinv(x: float) -> float:
    """Halley's method on erfc, whose value at the result keeps all digits of 1 - abs(x)."""
    size = abs(x)
    if not size < 1:
        return math.copysign(math.inf, x) if size == 1 else math.nan
    # The first approximation is S. Winitzki's.
    logarithm = math.log1p(-size * size)
    middle = 2 / (math.pi * 0.147) + logarithm / 2
    y = math.sqrt(max(math.sqrt(middle * middle - logarithm / 0.147) - middle, 0.0))
    for _ in range(4):
        error = math.erf(y) - size if size < 0.5 else (1 - size) - math.erfc(y)
        step = error / (2 / math.sqrt(math.pi) * math.exp(-y * y))
        y -= step / (1 + y * step)
    return math.copysign(y, x)


def _erfcx(x: float) -> float:
    """exp(x^2) * erfc(x); far to the right by its continued fraction (DLMF 7.9.1)."""
    if x < 10:
        return math.exp(x * x) * math.erfc(x) if x > -26.7 else math.inf
    if x == math.inf or x != x:
        return 0.0 if x > 0 else x
    fraction = x
    for k in range(40, 0, -1):
        fraction = x + k / 2 / fraction
    return 1 / (fraction * math.sqrt(math.pi))


_BERNOULLI = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)


def _digamma(x: float) -> float:
    """Recurrence up to 10 and the asymptotic series (DLMF 5.5.2, 5.11.2), reflection below 0."""
    if x == 0:
        return math.copysign(math.inf, -x)
    if math.isinf(x):
        return x if x > 0 else math.nan
    if x < 0:
        if x == math.floor(x):
            return math.nan
        fraction = x - round(x)
        return _digamma(1 - x) - math.pi / math.tan(math.pi * fraction)
    result = 0.0
    while x < 10:
        result -= 1 / x
        x += 1
    power, series = 1.0, 0.0
    for coefficient in _BERNOULLI:
        power /= x * x
        series += coefficient * power
    return result + math.log(x) - 0.5 / x - series


erf = _over_elements(math.erf)
erfc = _over_elements(math.erfc)
erfcx = _over_elements(_erfcx)
erfinv = _over_elements(_erfinv)
lgamma = _over_elements(_lgamma)
digamma = _over_elements(_digamma)
