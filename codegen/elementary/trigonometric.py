"""sin, cos and tan for float32 and float64.

x = n * pi + r with abs(r) <= pi/2 (n half-odd for cos), and sin(r) as one polynomial in float64.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from treadle.codegen.elementary.reduction import reduce_exactly
from treadle.codegen.elementary.term import Arithmetic, Term, apply, fma, select, select_rare
from treadle.ir.types import float32, float64

_INVERSE_PI = 0.3183098861837907
_MAGIC = float(3 << 51)
# pi as the sum of two numbers, and of three of which two have 33 bits (own computation).
_PI_PAIR = (3.141592653589793, 1.2246467991473532e-16)
_PI_PARTS = (3.1415926534682512, 1.2154201012607932e-10, 4.044532497591901e-21)

# (sin(r) - r) / r^3 as a polynomial in r^2 on abs(r) <= pi/2: Remez fits with relative errors
# 2^-27.3 and 2^-61.6 in sin.
_SINGLE = (
    2.6056311133333072e-06, -0.0001980953896295141, 0.008333065429853312, -0.16666659521171856,
)  # fmt: skip
_DOUBLE = (
    2.721084880097412e-15, -7.642983108726197e-13, 1.6058939390882418e-10, -2.5052106866681788e-08,
    2.755731921107211e-06, -0.0001984126984120885, 0.008333333333333193, -0.16666666666666666,
)  # fmt: skip

# Up to here products with the two parts of 33 bits are exact (n and its half have 20 bits).
_EXACT_LIMIT = 1.6e6
# Up to here fused products with the pair leave float32 its precision.
_FUSED_LIMIT = 2.0**40


class _Reduced(NamedTuple):
    """x less a multiple of pi: ``r + rest``, to be negated where the low bit of ``parity`` is 1."""

    r: Term
    rest: Term | None
    parity: Term


def sin(m: Arithmetic, x: Term) -> Term:
    """sin(x): at most 0.61 ulp for float32 of any size.

    float64: at most 1.7 ulp for abs(x) < 1.6e6; beyond, the C library's function on those lanes.
    -0 stays; infinities and NaN give NaN.
    """
    return select(x.equals(0.0), x, _sine(m, x, "sin").cast(x.dtype))


def cos(m: Arithmetic, x: Term) -> Term:
    """cos(x): bounds as for sin."""
    return _sine(m, x, "cos").cast(x.dtype)


def tan(m: Arithmetic, x: Term) -> Term:
    """tan(x): at most 0.8 ulp for float32, 3.5 ulp for float64; otherwise as sin."""
    quotient = _sine(m, x, "sin") / _sine(m, x, "cos")
    return select(x.equals(0.0), x, quotient.cast(x.dtype))


def sine_of_half_turn(m: Arithmetic, fraction: Term) -> Term:
    """sin(pi * fraction) for abs(fraction) <= 1/2, float64."""
    r = fraction * math.pi
    square = r * r
    return m.mad(square * r, m.polynomial(square, _DOUBLE), r)


def _sine(m: Arithmetic, x: Term, name: str) -> Term:
    """sin or cos as float64."""
    shift = 0.0 if name == "sin" else 0.5
    if x.dtype is float32:
        wide = x.cast(float64)
        if m.fused:
            common, limit = _reduce_fused(wide, shift), _FUSED_LIMIT
        else:
            common, limit = _reduce_in_parts(m, wide, shift)._replace(rest=None), _EXACT_LIMIT
        r, parity = reduce_exactly(m, wide, shift)
        rare = _signed_sine(m, _Reduced(r, None, parity), _SINGLE)
        result = _signed_sine(m, common, _SINGLE)
        return select_rare(wide.abs() >= limit, rare, result)
    result = _signed_sine(m, _reduce_in_parts(m, x, shift), _DOUBLE)
    return select_rare(x.abs() >= _EXACT_LIMIT, apply(f"{name}_library", x), result)


def _signed_sine(m: Arithmetic, reduced: _Reduced, coefficients: tuple[float, ...]) -> Term:
    r, rest, parity = reduced
    square = r * r
    cubic = square * r
    series = m.polynomial(square, coefficients)
    if rest is None:
        result = m.mad(cubic, series, r)
    else:
        # sin(r + rest) = sin(r) + rest * cos(r), of which 1 - r^2/2 is enough.
        correction = m.mad(square * -0.5, rest, rest)
        result = r + m.mad(cubic, series, correction)
    return (result.bits() ^ (parity << 63)).floating()


def _multiple(m: Arithmetic, x: Term, shift: float) -> tuple[Term, Term]:
    """The multiple of pi nearest to x, and an integer whose low bit tells if it is odd.

    For cos, sin(x + pi/2) is computed: n - 1/2 is subtracted, and n decides the sign.
    """
    if not shift:
        magic = m.mad(x, _INVERSE_PI, _MAGIC)
        return magic - _MAGIC, magic.bits()
    magic = m.mad(x, _INVERSE_PI, shift) + _MAGIC
    return (magic - _MAGIC) - shift, magic.bits()


def _reduce_fused(x: Term, shift: float) -> _Reduced:
    n, parity = _multiple(Arithmetic(True), x, shift)
    high, low = _PI_PAIR
    return _Reduced(fma(n, -low, fma(n, -high, x)), None, parity)


def _reduce_in_parts(m: Arithmetic, x: Term, shift: float) -> _Reduced:
    """Cody and Waite's reduction with exact products and compensated sums."""
    n, parity = _multiple(m, x, shift)
    first, lost = m.two_sum(x, n * -_PI_PARTS[0])
    second, more = m.two_sum(first, n * -_PI_PARTS[1])
    rest = m.mad(n, -_PI_PARTS[2], lost + more)
    r = second + rest
    return _Reduced(r, (second - r) + rest, parity)
