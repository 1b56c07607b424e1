"""Argument reduction modulo pi for float32 numbers of any size (Payne and Hanek's method).

Products with pieces of 1/pi are exact in float64 and their even integer parts are dropped.
"""

from __future__ import annotations

from treadle.codegen.elementary.term import Arithmetic, Term, number

_PI = 3.141592653589793
_MAGIC = float(3 << 51)

# 1/pi in pieces of 29 bits, so that products with 24 bits are exact: 202 bits, of which the
# largest float32 needs 128 + 24 for the integer part's parity and the rest for the fraction.
_INVERSE_PI = (
    0.31830988451838493, 1.6654057369280828e-09, 1.138005023905068e-18, 1.2634130166723784e-26,
    1.1191965415417832e-35, 1.3102015890144196e-44, 1.8602374314801004e-53,
)  # fmt: skip


def reduce_exactly(m: Arithmetic, x: Term, shift: float) -> tuple[Term, Term]:
    """r and an integer whose low bit tells the sign, with sin(x + shift * pi) = +-sin(r).

    ``x`` is a float32 number held as float64. abs(r) <= pi/2, with a relative error of 2^-40 at
    worst; infinities give NaN.
    """
    total, rest = number(shift, x.dtype), number(0.0, x.dtype)
    for piece in _INVERSE_PI:
        product = x * piece
        # Even multiples of pi change nothing; both operations are exact.
        fraction = product - (product * 0.5).round() * 2.0
        total, lost = m.two_sum(total, fraction)
        rest = rest + lost
    shifted = total + _MAGIC
    turns = (total - (shifted - _MAGIC)) + rest
    return turns * _PI, shifted.bits()
