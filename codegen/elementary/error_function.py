"""The error function for float32 and float64."""
from __future__ import annotations

from treadle.codegen.elementary.exponential import exp_in_range
from treadle.codegen.elementary.term import Arithmetic, Term, select
from treadle.ir.types import float32

# float32: structure and coefficients after N. Juffa (BSD-2): erf(x)/x - 1 as a polynomial in x^2
# up to the limit, log(1 - erf(t)) as one in t beyond it.
_LIMIT = 0.927734375
_SMALL_SINGLE = (
    -5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1,
)  # fmt: skip
_LARGE_SINGLE = (-1.06777877e-1, -6.34846687e-1, -1.28717512e-1)


def erf(m: Arithmetic, x: Term) -> Term:
    """erf(x): at most 1.0 ulp for float32 and 1.5 ulp for float64.

    Odd, so that signed zeros stay as they are; NaN stays.
    """
    size = x.abs()
    square = x * x
    if x.dtype is float32:
        small = m.mad(m.polynomial(square, _SMALL_SINGLE), x, x)
        exponent = _large_single(m, size, square)
    else:
        small = m.mad(m.polynomial(square, _SMALL_DOUBLE), x, x)
        exponent = m.polynomial(size.at_most(6.0) - 1.0, _LARGE_DOUBLE)
    scale, rest = exp_in_range(m, exponent.at_least(-80.0))
    large = 1.0 - m.mad(rest, scale, scale)
    limit = _LIMIT if x.dtype is float32 else 1.0
    # The comparison with NaN is false, and the polynomial keeps NaN.
    return select(size > limit, large.signed_as(x), small)


def _large_single(m: Arithmetic, size: Term, square: Term) -> Term:
    """log(1 - erf(size)), the highest four degrees evaluated in pairs."""
    result = m.mad(size, -1.72853470e-5, 3.83197126e-4)
    lower = m.mad(size, -3.88396438e-3, 2.42546219e-2)
    result = m.mad(result, square, lower)
    for coefficient in _LARGE_SINGLE:
        result = m.mad(result, size, coefficient)
    return m.mad(result, size, -size)
