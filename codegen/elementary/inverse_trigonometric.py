"""asin, acos, atan and atan2 for float32 and float64.

The argument is brought near 0, where a polynomial in its square is enough.
"""

from __future__ import annotations

from treadle.codegen.elementary.term import Arithmetic, Term, number, select
from treadle.ir.types import float32

# (atan(t) - t) / t^3 as a polynomial in t^2 up to t = tan(pi/8), and (asin(s) - s) / s^3 as one in
# s^2 up to s = 1/2: Chebyshev fits with relative errors 2^-28.5, 2^-58.2, 2^-30 and 2^-57.5.
_ATAN_SINGLE = (
    -0.06459168077942885, 0.10746235918532847, -0.14264226806677294, 0.19999549911586106,
    -0.33333331812714373,
)  # fmt: skip
_ATAN_DOUBLE = (
    0.016306411149839467, -0.03459014653484307, 0.04552395253784295, -0.05230639915011124,
    0.058789556853308306, -0.06666427350829321, 0.07692296521303855, -0.09090908758913711,
    0.11111111105272353, -0.14285714285661125, 0.1999999999999981, -0.3333333333333333,
)  # fmt: skip
_ASIN_SINGLE = (
    0.033805748308875325, 0.01707785937138728, 0.03111615643856706, 0.04459803222965996,
    0.07500098762726146, 0.16666666316763595,
)  # fmt: skip
_ASIN_DOUBLE = (
    0.028878362746452394, -0.015032162599250314, 0.01751883397953867, 0.005413184483715509,
    0.01033337215296726, 0.011477517005507167, 0.01397138708310213, 0.017352380709839098,
    0.022372173467043486, 0.03038194412500875, 0.04464285714653523, 0.0749999999999834,
    0.16666666666666669,
)  # fmt: skip
_TAN_PI_8 = 0.41421356237309503
_TAN_3PI_8 = 2.414213562373095
# pi as the sum of two numbers of each dtype.
_PI_SINGLE = (3.1415927410125732, -8.742278000372485e-08)
_PI_DOUBLE = (3.141592653589793, 1.2246467991473532e-16)


def _pi(x: Term) -> tuple[float, float]:
    return _PI_SINGLE if x.dtype is float32 else _PI_DOUBLE


def atan(m: Arithmetic, x: Term) -> Term:
    """atan(x): at most 1.4 ulp for float32 and float64. Odd; NaN stays."""
    return _arc(m, x.abs(), number(1.0, x.dtype)).signed_as(x)


def atan2(m: Arithmetic, y: Term, x: Term) -> Term:
    """The angle of the point (x, y) in (-pi, pi]: at most 2 ulp.

    Zeros and infinities are those of C99's Annex F; NaN in either gives NaN.
    """
    across, up = x.abs(), y.abs()
    # Sums in the reduction stay finite.
    huge = 2.0**120 if x.dtype is float32 else 2.0**1000
    scale = select((across > huge) | (up > huge), number(0.25, x.dtype), 1.0)
    both = across.equals(up)
    # Equal sizes, zeros and infinities among them, are the point (1, 1) or on an axis.
    unit = number(1.0, x.dtype)
    angle = _arc(m, select(both, unit, up * scale), select(both, unit, across * scale))
    angle = select(up.equals(0.0), number(0.0, x.dtype), angle)
    high, low = _pi(x)
    angle = select(x.bits() < 0, high - (angle - low), angle).signed_as(y)
    return select(x.is_nan() | y.is_nan(), x + y, angle)


def _arc(m: Arithmetic, up: Term, across: Term) -> Term:
    """atan(up / across) for two numbers of which none is negative, with one division.

    The angle less 0, pi/4 or pi/2 has a tangent of at most tan(pi/8).
    """
    steep = up > across * _TAN_3PI_8
    middle = up > across * _TAN_PI_8
    above = select(steep, -across, select(middle, up - across, up))
    below = select(steep, up, select(middle, up + across, across))
    t = above / below
    square = t * t
    coefficients = _ATAN_SINGLE if t.dtype is float32 else _ATAN_DOUBLE
    cubic = square * t * m.polynomial(square, coefficients)
    high, low = _pi(t)
    fraction = select(steep, number(0.5, t.dtype), select(middle, number(0.25, t.dtype), 0.0))
    return fraction * high + (t + (cubic + fraction * low))


def asin(m: Arithmetic, x: Term) -> Term:
    """asin(x): at most 2.6 ulp for float32 and float64. Odd; NaN beyond 1."""
    size = x.abs()
    large = size > 0.5
    s = select(large, ((1.0 - size) * 0.5).sqrt(), size)
    high, low = _pi(x)
    folded = 0.5 * high - (2.0 * _arcsine(m, s) - 0.5 * low)
    return select(large, folded, _arcsine(m, s)).signed_as(x)


def acos(m: Arithmetic, x: Term) -> Term:
    """acos(x): at most 2 ulp for float32 and float64; NaN beyond 1."""
    size = x.abs()
    large = size > 0.5
    angle = _arcsine(m, select(large, ((1.0 - size) * 0.5).sqrt(), x))
    high, low = _pi(x)
    left = high - (2.0 * angle - low)
    folded = select(x < 0.0, left, 2.0 * angle)
    return select(large, folded, 0.5 * high - (angle - 0.5 * low))


def _arcsine(m: Arithmetic, s: Term) -> Term:
    """asin(s) for abs(s) <= 1/2."""
    square = s * s
    coefficients = _ASIN_SINGLE if s.dtype is float32 else _ASIN_DOUBLE
    return m.mad(square * s, m.polynomial(square, coefficients), s)
