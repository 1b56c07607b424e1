"""tanh, sinh, cosh and their inverses for float32 and float64.

Odd polynomials near 0; beyond, exponentials. The inverses are logarithms.
"""

from __future__ import annotations

import math

from treadle.codegen.elementary.exponential import LN2, exp_in_range, half_exp
from treadle.codegen.elementary.logarithm import log1p
from treadle.codegen.elementary.term import Arithmetic, Term, number, select
from treadle.ir.types import float32, float64

# float32: (tanh(x) - x) / x^3 as a polynomial in x^2 on abs(x) <= 0.625, Remez fit of degree 5.
_SINGLE = (
    0.0021426270250231028, -0.008177043870091438, 0.02170056477189064,
    -0.053946737200021744, 0.1333320587873459, -0.3333333134651184,
)  # fmt: skip
# float64: the same as a quotient of polynomials (Cephes tanh.c).
_NUMERATOR = (-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3)
_DENOMINATOR = (
    1.0, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3,
)  # fmt: skip
# (sinh(x) - x) / x^3 as a polynomial in x^2 on abs(x) <= 1: Chebyshev fits with relative errors
# 2^-32.5 and 2^-56.6 in sinh.
_SINH_SINGLE = (
    2.8062904395183082e-06, 0.00019838100441792883, 0.008333339681641011, 0.16666666646810355,
)  # fmt: skip
_SINH_DOUBLE = (
    7.746183786252816e-13, 1.605767946801234e-10, 2.5052117697660347e-08, 2.755731919137273e-06,
    0.0001984126984132422, 0.008333333333333299, 0.16666666666666666,
)  # fmt: skip
# Up to here x^2 is finite, and from here on log(1 + x) is log(x).
_LARGE = 2.0**500


def tanh(m: Arithmetic, x: Term) -> Term:
    """tanh(x): at most 1.33 ulp for float32, 1.3 ulp for float64.

    Odd, so that signed zeros and subnormals stay as they are; NaN stays.
    """
    single = x.dtype is float32
    size = x.abs()
    square = x * x
    if single:
        series = m.polynomial(square, _SINGLE)
    else:
        series = m.polynomial(square, _NUMERATOR) / m.polynomial(square, _DENOMINATOR)
    small = m.mad(square * size, series, size)
    # 1 - 2 / (exp(2x) + 1), which is 1 from the limit on.
    scale, rest = exp_in_range(m, (size * 2.0).at_most(20.0 if single else 40.0))
    large = 1.0 - 2.0 / (m.mad(rest, scale, scale) + 1.0)
    return select(size < 0.625, small, large).signed_as(x)


def sinh(m: Arithmetic, x: Term) -> Term:
    """sinh(x): at most 1.7 ulp. Odd; overflow gives infinities, NaN stays."""
    size = x.abs()
    square = x * x
    coefficients = _SINH_SINGLE if x.dtype is float32 else _SINH_DOUBLE
    small = m.mad(square * size, m.polynomial(square, coefficients), size)
    half = half_exp(m, size)
    return select(size < 1.0, small, half - 0.25 / half).signed_as(x)


def cosh(m: Arithmetic, x: Term) -> Term:
    """cosh(x): at most 1.7 ulp. Overflow gives inf, NaN stays."""
    half = half_exp(m, x.abs())
    return half + 0.25 / half


def asinh(m: Arithmetic, x: Term) -> Term:
    """asinh(x): at most 0.51 ulp for float32 (through float64), 2.2 ulp for float64. Odd."""
    if x.dtype is float32:
        return asinh(m, x.cast(float64)).cast(float32)
    size = x.abs()
    square = size * size
    usual = size + square / (1.0 + (square + 1.0).sqrt())
    return _long_log1p(m, size, usual).signed_as(x)


def acosh(m: Arithmetic, x: Term) -> Term:
    """acosh(x): bounds as for asinh; NaN below 1."""
    if x.dtype is float32:
        return acosh(m, x.cast(float64)).cast(float32)
    above = x - 1.0
    usual = above + (above * (above + 2.0)).sqrt()
    return select(x >= 1.0, _long_log1p(m, x, usual), math.nan)


def _long_log1p(m: Arithmetic, x: Term, usual: Term) -> Term:
    """log(1 + usual), which is log(2x) for large x."""
    large = x > _LARGE
    extra = select(large, number(LN2, x.dtype), 0.0)
    return log1p(m, select(large, x, usual)) + extra


def atanh(m: Arithmetic, x: Term) -> Term:
    """atanh(x): bounds as for asinh; infinities at -1 and 1, NaN beyond. Odd."""
    if x.dtype is float32:
        return atanh(m, x.cast(float64)).cast(float32)
    size = x.abs()
    return (0.5 * log1p(m, 2.0 * size / (1.0 - size))).signed_as(x)
