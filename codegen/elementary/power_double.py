"""abs(x) ** y for float64 with a logarithm of about 70 bits (fdlibm e_pow.c).

Written without branches; the caller treats signs, NaN and exponents of one.
"""

from __future__ import annotations

import math

from treadle.codegen.elementary.term import Arithmetic, Term, number, select
from treadle.ir.types import float64

# log2((1 + s) / (1 - s)) = 2 / (3 ln 2) * (3s + s^3 * ...); ln 2, 2 / (3 ln 2) and log2(3/2) in
# two parts; exp as in fdlibm's e_exp.c.
_LOG = (
    2.06975017800338417784e-01, 2.30660745775561754067e-01, 2.72728123808534006489e-01,
    3.33333329818377432918e-01, 4.28571428578550184252e-01, 5.99999999999994648725e-01,
)  # fmt: skip
_EXP = (
    4.13813679705723846039e-08, -1.65339022054652515390e-06, 6.61375632143793436117e-05,
    -2.77777777770155933842e-03, 1.66666666666666019037e-01,
)  # fmt: skip
_LN2 = 6.93147180559945286227e-01
_LN2_PARTS = (6.93147182464599609375e-01, -1.90465429995776804525e-09)
_SCALE = 9.61796693925975554329e-01
_SCALE_PARTS = (9.61796700954437255859e-01, -7.02846165095275826516e-09)
_LOG2_THREE_HALVES = (5.84962487220764160156e-01, 1.35003920212974897128e-08)
_MAGIC = float(3 << 51)
_BIAS = 1023
_MANTISSA_MASK = (1 << 52) - 1
# High words of sqrt(3/2) and sqrt(3), the borders between the intervals about 1, 3/2 and 2.
_BORDERS = (0x3988E << 32 | 0xFFFFFFFF, 0xBB67A << 32)


def power_of_magnitude(m: Arithmetic, x: Term, y: Term) -> Term:
    """x ** y for x >= 0, at most 0.9 ulp (fdlibm states 0.70)."""
    high, low = _log2(m, x)
    # Larger exponents overflow or underflow just so; smaller products stay finite here.
    y = y.at_least(-1e290).at_most(1e290)
    y_head = y.head()
    rest = (y - y_head) * high + y * low
    main = y_head * high
    total = rest + main
    result = _exp2(m, main, rest, total.at_least(-1080.0).at_most(1030.0))
    result = select(total >= 1025.0, number(math.inf, float64), result)
    result = select(total <= -1076.0, number(0.0, float64), result)
    # log2 is not defined at the ends.
    ends = select(x.equals(0.0).equals(y < 0.0), number(math.inf, float64), 0.0)
    return select(x.equals(0.0) | x.equals(math.inf), ends, result)


def _log2(m: Arithmetic, x: Term) -> tuple[Term, Term]:
    """log2(x) of a positive number in two parts, the first with 21 zero bits or more."""
    tiny = x < 2.0**-1022
    scaled = select(tiny, x * 2.0**53, x).bits()
    fraction = scaled & _MANTISSA_MASK
    middle = (fraction > _BORDERS[0]) & (fraction < _BORDERS[1])
    upper = fraction >= _BORDERS[1]
    exponent = (scaled >> 52) - _BIAS + select(upper, number(1, scaled.dtype), 0)
    bias = select(upper, number((_BIAS - 1) << 52, scaled.dtype), _BIAS << 52)
    ax = (fraction | bias).floating()
    base = select(middle, number(1.5, float64), 1.0)
    u, v = ax - base, 1.0 / (ax + base)
    s = u * v
    s_head = s.head()
    sum_head = (ax + base).head()
    sum_rest = ax - (sum_head - base)
    s_rest = v * ((u - s_head * sum_head) - s_head * sum_rest)
    square = s * s
    series = square * square * m.polynomial(square, _LOG) + s_rest * (s_head + s)
    head_square = s_head * s_head
    three = (head_square + 3.0 + series).head()
    three_rest = series - ((three - 3.0) - head_square)
    main, rest = s_head * three, s_rest * three + three_rest * s
    product = (main + rest).head()
    product_rest = rest - (product - main)
    z_high = product * _SCALE_PARTS[0]
    z_low = product * _SCALE_PARTS[1] + product_rest * _SCALE
    z_low = z_low + select(middle, number(_LOG2_THREE_HALVES[1], float64), 0.0)
    base_log = select(middle, number(_LOG2_THREE_HALVES[0], float64), 0.0)
    magic = (exponent + number(_MAGIC, float64).bits()).floating() - _MAGIC
    whole = magic - select(tiny, number(53.0, float64), 0.0)
    high = (((z_high + z_low) + base_log) + whole).head()
    return high, z_low - (((high - whole) - base_log) - z_high)


def _exp2(m: Arithmetic, main: Term, rest: Term, total: Term) -> Term:
    """2 ** (main + rest), which is about ``total`` and in range."""
    shifted = total + (_MAGIC + 2.0 * _BIAS)
    n = shifted - (_MAGIC + 2.0 * _BIAS)
    main = main - n
    head = (rest + main).head()
    u = head * _LN2_PARTS[0]
    v = (rest - (head - main)) * _LN2 + head * _LN2_PARTS[1]
    z = u + v
    w = v - (z - u)
    square = z * z
    t = z - square * m.polynomial(square, _EXP)
    r = (z * t) / (t - 2.0) - (w + z * w)
    result = 1.0 - (r - z)
    bits = shifted.bits()
    half = bits >> 1
    return result * (half << 52).floating() * ((bits - half) << 52).floating()
