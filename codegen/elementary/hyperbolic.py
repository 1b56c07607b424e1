"""tanh for float32 and float64.

An odd polynomial near 0; beyond, 1 - 2 / (exp(2x) + 1).
"""

from __future__ import annotations

from treadle.codegen.elementary.exponential import exp_in_range
from treadle.codegen.elementary.term import Arithmetic, Term, select
from treadle.ir.types import float32

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
