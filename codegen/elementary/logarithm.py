"""log, log1p, log2 and log10 for float32 and float64.

x = 2^e * (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); the sum e * ln 2 + log(1 + f) is compensated.
"""

from __future__ import annotations

import math
from typing import TypeAlias

from treadle.codegen.elementary.term import Arithmetic, Term, number, select
from treadle.ir.types import float32

# float32: (log(1 + f) - f + f^2/2) / f^3, Remez fit of degree 8.
_SINGLE = (
    0.06746634095907211, -0.11675645411014557, 0.11888162046670914, -0.1240558996796608,
    0.14219552278518677, -0.1666799634695053, 0.2000211924314499, -0.25000008940696716,
    0.3333331346511841,
)  # fmt: skip
# ln 2 in two parts (Cephes logf); the first has so few bits that e * part is exact.
_LN2_SINGLE = (0.693359375, -2.12194440e-4)

# float64: the series in s = f / (2 + f) and ln 2 in two parts (fdlibm e_log.c).
_DOUBLE = (
    1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01,
    2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01,
    6.666666666666735130e-01,
)  # fmt: skip
_LN2_DOUBLE = (6.93147180369123816490e-01, 1.90821492927058770002e-10)


# 1/ln 2, 1/ln 10 and log10(2) in two parts, the first of half the digits, so that its products with
# numbers of half the digits are exact (the method of fdlibm's e_log10.c).
_LOG2_SINGLE = ((1.4423828125, 3.1222838896340733e-04), (1.0, 0.0))
_LOG2_DOUBLE = ((1.4426950407214463, 1.6751713164886512e-10), (1.0, 0.0))
_LOG10_SINGLE = (
    (0.4342041015625, 9.038034075182765e-05), (0.301025390625, 4.605038981195214e-06),
)  # fmt: skip
_LOG10_DOUBLE = (
    (0.4342944818781689, 2.5082946711645275e-11), (0.3010299955494702, 1.1451100898021838e-10),
)  # fmt: skip
_Scale: TypeAlias = tuple[tuple[float, float], tuple[float, float]]


def log(m: Arithmetic, x: Term) -> Term:
    """log(x): at most 0.87 ulp for float32 and 0.9 ulp for float64.

    log(0) = -inf, NaN below zero, log(inf) = inf; subnormals are exact inputs.
    """
    exponent, f = split(x)
    return _limits(x, _sum(m, exponent, f, None))


def log1p(m: Arithmetic, x: Term) -> Term:
    """log(1 + x): at most 1.1 ulp for float32, 1.2 ulp for float64. Signed zeros stay."""
    total, lost = m.two_sum(x, number(1.0, x.dtype))
    exponent, f = split(total)
    # log(total + lost) = log(total) + lost / total, up to less than rounding.
    result = _limits(total, _sum(m, exponent, f, lost / total))
    return select(x.equals(0.0), x, result)


def log2(m: Arithmetic, x: Term) -> Term:
    """log2(x): at most 0.8 ulp for float32 and float64; exact for powers of two."""
    return _scaled(m, x, _LOG2_SINGLE if x.dtype is float32 else _LOG2_DOUBLE)


def log10(m: Arithmetic, x: Term) -> Term:
    """log10(x): at most 1 ulp for float32 and float64."""
    return _scaled(m, x, _LOG10_SINGLE if x.dtype is float32 else _LOG10_DOUBLE)


def _limits(x: Term, result: Term) -> Term:
    """A logarithm's values at the ends of its domain and outside."""
    result = select(x.equals(math.inf), x, result)
    result = select(x.equals(0.0), number(-math.inf, x.dtype), result)
    # The comparison with NaN is false as well.
    return select(x >= 0.0, result, math.nan)


def _scaled(m: Arithmetic, x: Term, scale: _Scale) -> Term:
    """log(x) times a constant: factors of log(1 + f) and of the exponent, each in two parts."""
    (high, low), (bit_high, bit_low) = scale
    exponent, f = split(x)
    half_square = f * f * 0.5
    if x.dtype is float32:
        tail = f * f * f * m.polynomial(f, _SINGLE)
    else:
        s = f / (f + 2.0)
        z = s * s
        tail = s * m.mad(m.polynomial(z, _DOUBLE), z, half_square)
    first = (f - half_square).head()
    rest = ((f - first) - half_square) + tail
    main, whole = first * high, exponent * bit_high
    lower = exponent * bit_low + (m.mad(rest + first, low, rest * high))
    total = whole + main
    return _limits(x, total + (lower + ((whole - total) + main)))


def split(x: Term) -> tuple[Term, Term]:
    """Exponent, as a float, and f of a positive number."""
    single = x.dtype is float32
    mantissa_bits = 23 if single else 52
    smallest = 2.0**-126 if single else 2.0**-1022
    tiny = x < smallest
    scaled = select(tiny, x * 2.0**mantissa_bits, x)
    bits = scaled.bits()
    # The bits of sqrt(1/2): subtracting them moves the carry to where the exponent changes.
    exponent = (bits - (0x3F3504F3 if single else 0x3FE6A09E667F3BCD)) >> mantissa_bits
    f = (bits - (exponent << mantissa_bits)).floating() - 1.0
    if single:
        whole = exponent.cast(float32)
    else:
        # 64-bit conversions are no instruction on most CPUs; this addition is.
        magic = 3 << 51
        whole = (exponent + number(magic, f.dtype).bits()).floating() - float(magic)
    return whole - select(tiny, number(mantissa_bits, x.dtype), 0.0), f


def _sum(m: Arithmetic, exponent: Term, f: Term, correction: Term | None) -> Term:
    """exponent * ln 2 + log(1 + f) + correction."""
    build = _single if f.dtype is float32 else _double
    return build(m, exponent, f, correction)


def _single(m: Arithmetic, exponent: Term, f: Term, correction: Term | None) -> Term:
    high, low = _LN2_SINGLE
    square = f * f
    q = m.mad(f, m.polynomial(f, _SINGLE), -0.5)
    total = m.mad(exponent, high, f)
    rest = (exponent * high - total) + f
    rest = m.mad(exponent, low, rest)
    if correction is not None:
        rest = rest + correction
    return total + m.mad(square, q, rest)


def _double(m: Arithmetic, exponent: Term, f: Term, correction: Term | None) -> Term:
    high, low = _LN2_DOUBLE
    s = f / (f + 2.0)
    z = s * s
    half_square = f * f * 0.5
    series = m.polynomial(z, _DOUBLE) * z
    lower = exponent * low if correction is None else exponent * low + correction
    inner = m.mad(s, half_square + series, lower)
    return exponent * high - ((half_square - inner) - f)
