"""pow for floats and integers.

Special cases are those of C99's Annex F, which NumPy and PyTorch follow.
"""

from __future__ import annotations

import math

from treadle.codegen.elementary.exponential import exp_in_range
from treadle.codegen.elementary.logarithm import log
from treadle.codegen.elementary.power_double import power_of_magnitude
from treadle.codegen.elementary.term import Arithmetic, Term, apply, number, select
from treadle.codegen.loops import Const
from treadle.ir.types import float32, float64

# Up to this constant exponent an integer power is a few multiplications.
_MOST_UNROLLED = 64


def power(m: Arithmetic, x: Term, y: Term) -> Term:
    """x ** y.

    float32: at most 0.51 ulp (through float64). float64: at most 0.9 ulp.
    """
    simple = _constant_exponent(x, y)
    if simple is not None:
        return simple
    if x.dtype is float32:
        magnitude = _through_double(m, x.abs(), y)
    else:
        magnitude = power_of_magnitude(m, x.abs(), y)
    # An infinite exponent of 1 or -1: log is 0 and its product NaN.
    result = select(x.abs().equals(1.0), number(1.0, x.dtype), magnitude)
    whole = apply("floor", y).equals(y)
    half = y * 0.5
    odd = whole & apply("floor", half).differs(half)
    flip = select(odd, x.sign_bit(), 0)
    result = (result.bits() | flip).floating()
    finite_negative = (x < 0.0) & (x > -math.inf)
    result = select(finite_negative & ~whole, number(math.nan, x.dtype), result)
    result = select(y.is_nan(), y, select(x.is_nan(), x, result))
    return select(x.equals(1.0) | y.equals(0.0), number(1.0, x.dtype), result)


def _constant_exponent(x: Term, y: Term) -> Term | None:
    """Products for a few exponents that are written as numbers."""
    if not isinstance(y.expression, Const):
        return None
    exponent = y.expression.value
    if exponent == 0:
        return number(1.0, x.dtype)
    if exponent == 1:
        return x
    if exponent == 2:
        return x * x
    if exponent == 3:
        return x * x * x
    return 1.0 / x if exponent == -1 else None


def _through_double(m: Arithmetic, x: Term, y: Term) -> Term:
    """exp(y * log(x)) in float64: 29 bits more than float32 needs."""
    exponent = y.cast(float64) * log(m, x.cast(float64))
    # float32's range ends well inside these; the cast rounds once or overflows.
    scale, rest = exp_in_range(m, exponent.at_least(-200.0).at_most(200.0))
    return m.mad(rest, scale, scale).cast(float32)


def integer_power(x: Term, y: Term) -> Term:
    """x ** y modulo the integer's width; negative exponents give 0 but for bases 1 and -1."""
    bits = 8 * x.dtype.itemsize
    if isinstance(y.expression, Const) and 0 <= y.expression.value <= _MOST_UNROLLED:
        return _repeated(x, int(y.expression.value))
    one = number(1, x.dtype)
    result, factor = one, x
    for bit in range(bits):
        taken = ((y >> bit) & 1).differs(0)
        result = result * select(taken, factor, one)
        if bit + 1 < bits:
            factor = factor * factor
    if not x.dtype.is_signed:
        return result
    parity = select((y & 1).differs(0), x, one)
    below = select(x.equals(1) | x.equals(-1), parity, 0)
    return select(y < 0, below, result)


def _repeated(x: Term, exponent: int) -> Term:
    result: Term | None = None
    factor = x
    while exponent:
        if exponent & 1:
            result = factor if result is None else result * factor
        exponent >>= 1
        if exponent:
            factor = factor * factor
    return number(1, x.dtype) if result is None else result
