"""The error function for float32 and float64.

A polynomial in x^2 near 0; beyond, 1 - exp(p(x)) with p a polynomial for log(1 - erf).
"""

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
# float64: the same up to 1, and log(1 - erf(t)) as a polynomial in t - 1 up to 6, where erf is 1:
# Remez fits with relative errors 2^-56.9 and 2^-57.0 in erf.
_SMALL_DOUBLE = (
    -7.779113572490677e-10, 1.3710792924897279e-08, -1.6206271067788843e-07,
    1.6447126087586765e-06, -1.4924711865491408e-05, 0.00012055293554627055,
    -0.0008548325928586333, 0.005223977606103672, -0.026866170643109717, 0.11283791670944174,
    -0.3761263890318352, 0.12837916709551256,
)  # fmt: skip
_LARGE_DOUBLE = (
    -4.929029667392166e-12, 1.2071843069218834e-10, -1.3326972490999097e-09,
    8.597577504930552e-09, -3.369381985912582e-08, 5.882410031893887e-08, 2.0324064633682122e-07,
    -2.1297199609779585e-06, 9.669076734829255e-06, -2.7197232521230498e-05,
    2.6295378251699305e-05, 0.00023731679914829588, -0.0019779013110112114, 0.010033825195165024,
    -0.04156109802668304, -0.8431072563593304, -2.6389675142347775, -1.8496055099332482,
)  # fmt: skip


def erf(m: Arithmetic, x: Term) -> Term:
    """erf(x): at most 1.02 ulp for float32 (1.2 without fused arithmetic), 1.1 ulp for float64.

    Odd, so that signed zeros stay as they are; NaN stays.
    """
    size = x.abs()
    square = x * x
    if x.dtype is float32:
        small = m.mad(m.polynomial(square, _SMALL_SINGLE), x, x)
        exponent = _large_single(m, size, square)
    else:
        small = small_erf(m, x)
        exponent = m.polynomial(size.at_most(6.0) - 1.0, _LARGE_DOUBLE)
    scale, rest = exp_in_range(m, exponent.at_least(-80.0))
    large = 1.0 - m.mad(rest, scale, scale)
    limit = _LIMIT if x.dtype is float32 else 1.0
    # The comparison with NaN is false, and the polynomial keeps NaN.
    return select(size > limit, large.signed_as(x), small)


def small_erf(m: Arithmetic, x: Term) -> Term:
    """erf(x) for abs(x) <= 1, float64."""
    return m.mad(m.polynomial(x * x, _SMALL_DOUBLE), x, x)


def _large_single(m: Arithmetic, size: Term, square: Term) -> Term:
    """log(1 - erf(size)), the highest four degrees evaluated in pairs."""
    result = m.mad(size, -1.72853470e-5, 3.83197126e-4)
    lower = m.mad(size, -3.88396438e-3, 2.42546219e-2)
    result = m.mad(result, square, lower)
    for coefficient in _LARGE_SINGLE:
        result = m.mad(result, size, coefficient)
    return m.mad(result, size, -size)
