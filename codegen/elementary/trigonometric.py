"""sin and cos for float32 and float64.

x = n * pi + r (n half-odd for cos) with abs(r) <= pi/2, and sin(r) as one polynomial.
"""

from __future__ import annotations

from treadle.codegen.elementary.reduction import reduce_large
from treadle.codegen.elementary.term import Arithmetic, Term, fma, select_rare
from treadle.ir.types import float32, float64

INVERSE_PI = 0.3183098861837907
_PI = (3.141592653589793, 1.2246467991473532e-16)
_MAGIC = float(3 << 51)

# (sin(r) - r) / r^3 as a polynomial in r^2 on abs(r) <= pi/2, Remez fits.
_SINGLE = (0.0,)


def sin(m: Arithmetic, x: Term) -> Term:
    """sin(x): at most 0.51 ulp for float32 and 1.5 ulp for float64, whatever the size of x.

    -0 stays; infinities and NaN give NaN.
    """
    return _sine(m, x, 0.0)


def cos(m: Arithmetic, x: Term) -> Term:
    """cos(x): bounds as for sin."""
    return _sine(m, x, 0.5)
