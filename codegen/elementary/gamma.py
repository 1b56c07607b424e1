"""lgamma and digamma, computed in float64 for every dtype.

Recurrences lead to where a polynomial or Stirling's series holds; reflection leads from negative
arguments to positive ones.
"""

from __future__ import annotations

import math

from treadle.codegen.elementary.logarithm import log
from treadle.codegen.elementary.term import Arithmetic, Term, number, select
from treadle.codegen.elementary.trigonometric import sine_of_half_turn
from treadle.ir.types import float32, float64

# log(gamma(2 + t)) / t on abs(t) <= 1/2: a Chebyshev fit with relative error 2^-55.5.
_NEAR_TWO = (
    -3.132113095718165e-08, 6.473973449314896e-08, -9.500561364952553e-08, 2.0192169921430407e-07,
    -4.511226578219266e-07, 9.584290249224467e-07, -2.0388179147899775e-06, 4.374221208333783e-06,
    -9.439542157811552e-06, 2.0507292365464966e-05, -4.4926232067590164e-05, 9.945750665169756e-05,
    -0.00022315475870541318, 0.0005096695250262799, -0.0011927539116953513, 0.0028905103307343394,
    -0.007385551028674112, 0.02058080842778463, -0.06735230105319809, 0.3224670334241132,
    0.42278433509846713,
)  # fmt: skip
# B_2k / (2k (2k - 1)) for k = 8 ... 1: Stirling's series in 1 / x^2, times 1 / x (DLMF 5.11.1).
_STIRLING = (
    -3617.0 / 122400.0, 1.0 / 156.0, -691.0 / 360360.0, 1.0 / 1188.0, -1.0 / 1680.0, 1.0 / 1260.0,
    -1.0 / 360.0, 1.0 / 12.0,
)  # fmt: skip
_STIRLING_FROM = 8.0
_HALF_LOG_TWO_PI = 0.9189385332046728
# B_2k / 2k for k = 7 ... 1, and from where the series holds (Cephes psi.c).
_DIGAMMA = (
    1.0 / 12.0, -691.0 / 32760.0, 1.0 / 132.0, -1.0 / 240.0, 1.0 / 252.0, -1.0 / 120.0, 1.0 / 12.0,
)  # fmt: skip
_DIGAMMA_FROM = 10


def lgamma(m: Arithmetic, x: Term) -> Term:
    """log(abs(gamma(x))): for positive x at most 0.51 ulp for float32 and 5 ulp for float64.

    Between negative integers an absolute error of 2^-50 times the larger summand remains, as the
    function has zeros there. inf at whole numbers from 0 down and at both infinities.
    """
    if x.dtype is float32:
        return lgamma(m, x.cast(float64)).cast(float32)
    negative = x < 0.0
    positive = _log_gamma(m, select(negative, 1.0 - x, x))
    # gamma(x) * gamma(1 - x) = pi / sin(pi x); whole numbers give log(0).
    fraction = x - x.round()
    sine = sine_of_half_turn(m, fraction).abs() * (1.0 / math.pi)
    result = select(negative, -log(m, sine) - positive, positive)
    return select(x.abs().equals(math.inf), number(math.inf, x.dtype), result)


def _log_gamma(m: Arithmetic, x: Term) -> Term:
    """lgamma of a number that is not negative."""
    y, product = x, number(1.0, x.dtype)
    for _ in range(6):
        above = y > 2.5
        y = select(above, y - 1.0, y)
        product = select(above, product * y, product)
    below = x < 1.5
    tiny = x < 0.5
    t = select(tiny, x, select(below, x - 1.0, y - 2.0))
    product = select(tiny, x * (x + 1.0), select(below, x, product))
    large = x >= _STIRLING_FROM
    logarithm = log(m, select(large, x, product))
    small = t * m.polynomial(t, _NEAR_TWO) + select(below, -logarithm, logarithm)
    inverse = 1.0 / x
    series = inverse * m.polynomial(inverse * inverse, _STIRLING)
    stirling = (x - 0.5) * (logarithm - 1.0) + (series + (_HALF_LOG_TWO_PI - 0.5))
    return select(large, stirling, small)


def digamma(m: Arithmetic, x: Term) -> Term:
    """The derivative of lgamma, with an error of 2^-50 times the largest summand.

    Infinite at the zeros with the sign that a pole has there; NaN at negative whole numbers.
    """
    if x.dtype is float32:
        return digamma(m, x.cast(float64)).cast(float32)
    negative = x < 0.0
    y = select(negative, 1.0 - x, x)
    # The sum of 1 / y, 1 / (y + 1), ... as one fraction.
    above, below = number(0.0, x.dtype), number(1.0, x.dtype)
    for _ in range(_DIGAMMA_FROM):
        more = y < float(_DIGAMMA_FROM)
        above = select(more, m.mad(above, y, below), above)
        below = select(more, below * y, below)
        y = select(more, y + 1.0, y)
    inverse = 1.0 / y
    square = inverse * inverse
    series = m.mad(square, m.polynomial(square, _DIGAMMA), 0.5 * inverse)
    result = log(m, y) - series - above / below
    fraction = x - x.round()
    size = fraction.abs()
    # pi / tan(pi x), by sines of angles up to pi/2.
    cosine = sine_of_half_turn(m, 0.5 - size)
    cotangent = cosine / sine_of_half_turn(m, fraction) * math.pi
    result = select(negative, result - cotangent, result)
    pole = negative & fraction.equals(0.0)
    result = select(pole | x.equals(-math.inf), number(math.nan, x.dtype), result)
    infinity = number(math.inf, x.dtype).signed_as(-x)
    return select(x.equals(0.0), infinity, result)
