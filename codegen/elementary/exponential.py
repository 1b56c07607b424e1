"""exp, exp2 and expm1 for float32 and float64, and the reduced exponentials that others use.

exp(x) = 2^k * exp(r) with k the integer nearest to x / ln 2 and a polynomial for exp(r).
"""

from __future__ import annotations

from treadle.codegen.elementary.term import Arithmetic, Term, number, select
from treadle.ir.types import float32

LOG2_E = 1.4426950408889634
LN2 = 0.6931471805599453

# float32: (exp(r) - 1 - r) / r^2 on |r| <= ln(2)/2, and ln 2 in two parts (Cephes expf).
_SINGLE = (
    1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
    4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
)  # fmt: skip
_LN2_SINGLE = (0.693145751953125, 1.42860682030941723212e-6)

# float64: the same quotient, Remez fit of degree 9 with relative error 2^-57.9 in exp; ln 2 in two
# parts, the first of 32 bits so that k * part is exact (fdlibm e_exp.c).
_DOUBLE = (
    2.500001607912623e-08, 2.763030630155809e-07, 2.7557586813042948e-06, 2.4801492949508475e-05,
    0.00019841269505762647, 0.0013888888943760053, 0.008333333333494983, 0.041666666666529725,
    0.1666666666666641, 0.5000000000000011,
)  # fmt: skip
_LN2_DOUBLE = (6.93147180369123816490e-01, 1.90821492927058770002e-10)


def exp(m: Arithmetic, x: Term) -> Term:
    """exp(x).

    float32: at most 1.02 ulp. float64: at most 1 ulp. Subnormal results are rounded a second
    time. Overflow gives inf, NaN stays.
    """
    return _scaled_exp(m, x, 0)


def half_exp(m: Arithmetic, x: Term) -> Term:
    """exp(x) / 2, which is finite where sinh and cosh are."""
    return _scaled_exp(m, x, -1)


def _scaled_exp(m: Arithmetic, x: Term, power: int) -> Term:
    """exp(x) * 2^power."""
    single = x.dtype is float32
    # Beyond these the result is inf or rounds to 0 by itself.
    x = x.at_least(-104.0).at_most(90.0) if single else x.at_least(-746.0).at_most(711.0)
    # Twice the exponent's bias rides on the integer, so that halves of k become exponents by
    # shifts alone: one factor of 2^k would overflow or lose subnormals.
    bits, r = _reduce(m, x, (254 if single else 2046) + power)
    return _times_power(expm1_reduced(m, r) + 1.0, bits)


def exp2(m: Arithmetic, x: Term) -> Term:
    """2 ** x: at most 1.1 ulp; whole exponents are exact. Limits as for exp."""
    single = x.dtype is float32
    x = x.at_least(-151.0).at_most(129.0) if single else x.at_least(-1076.0).at_most(1025.0)
    magic = float((3 << 22) + 254 if single else (3 << 51) + 2046)
    shifted = x + magic
    r = (x - (shifted - magic)) * LN2
    return _times_power(expm1_reduced(m, r) + 1.0, shifted.bits())


def expm1(m: Arithmetic, x: Term) -> Term:
    """exp(x) - 1: at most 1.3 ulp for float32, 1.4 ulp for float64. Signed zeros and NaN stay."""
    single = x.dtype is float32
    limited = x.at_least(-18.0).at_most(89.0) if single else x.at_least(-40.0).at_most(710.0)
    bits, r = _reduce(m, limited, 254 if single else 2046)
    # 2^k * (exp(r) - 2^-k): the power to subtract needs no exponent beyond the limit.
    bias, shift = (127, 23) if single else (1023, 52)
    inverse = ((number(3 * bias, bits.dtype) - bits) << shift).floating()
    rest = select(limited > 40.0, number(1.0, x.dtype), 1.0 - inverse)
    result = _times_power(expm1_reduced(m, r) + rest, bits)
    return select(x.equals(0.0), x, result)


def _times_power(y: Term, bits: Term) -> Term:
    """y * 2^k for an integer whose low bits are k and twice the exponent's bias."""
    shift = 23 if y.dtype is float32 else 52
    half = bits >> 1
    return y * (half << shift).floating() * ((bits - half) << shift).floating()


def exp_in_range(m: Arithmetic, x: Term) -> tuple[Term, Term]:
    """2^k and exp(r) - 1 with exp(x) = 2^k * exp(r), for an x whose 2^k is a normal number."""
    single = x.dtype is float32
    bits, r = _reduce(m, x, 127 if single else 1023)
    return (bits << (23 if single else 52)).floating(), expm1_reduced(m, r)


def expm1_reduced(m: Arithmetic, r: Term) -> Term:
    """exp(r) - 1 for abs(r) <= ln(2)/2."""
    coefficients = _SINGLE if r.dtype is float32 else _DOUBLE
    return m.mad(m.polynomial(r, coefficients), r * r, r)


def _reduce(m: Arithmetic, x: Term, offset: int) -> tuple[Term, Term]:
    """An integer whose low bits are k + offset, and r = x - k * ln 2.

    Adding 1.5 * 2^23 (2^52) to a small number leaves its integer part in the low bits.
    """
    single = x.dtype is float32
    magic = float((3 << 22 if single else 3 << 51) + offset)
    shifted = m.mad(x, LOG2_E, magic)
    k = shifted - magic
    high, low = _LN2_SINGLE if single else _LN2_DOUBLE
    r = m.mad(k, -low, m.mad(k, -high, x))
    return shifted.bits(), r
