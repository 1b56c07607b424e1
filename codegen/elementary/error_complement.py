"""erfc, erfcx and erfinv for float32 and float64.

erfc(x) = exp(-x^2) * erfcx(x) keeps its precision where 1 - erf(x) has none; erfinv is a polynomial
in the logarithm of 1 - x^2 (M. Giles, "Approximating the erfinv function").
"""

from __future__ import annotations

import math

from treadle.codegen.elementary.error_function import small_erf
from treadle.codegen.elementary.exponential import exp
from treadle.codegen.elementary.logarithm import log
from treadle.codegen.elementary.term import Arithmetic, Term, number, select
from treadle.ir.types import float32, float64

# (1 + 2x) * erfcx(x) as a polynomial in (x - 3) / (x + 3), Schonfelder's variable, for x >= 0: a
# Chebyshev fit with relative error 2^-54.
_ERFCX = (
    -3.451497487664328e-11, 8.393734858690877e-10, 1.2019719440135793e-09, -8.217595058711455e-09,
    -1.3906145791730994e-08, 4.1064013667940355e-08, 1.0277997488271058e-07,
    -1.4047654315428462e-07, -6.175617678992323e-07, 3.5576086684080595e-07, 3.473024167841533e-06,
    -7.308281468783614e-07, -2.0100843094844725e-05, 4.949196649968345e-06, 0.0001250994355712812,
    -0.00010515971958448065, -0.0007798322884823084, 0.0018886903449991718, 0.0025293918180474668,
    -0.02377051491717134, 0.06830802734384515, -0.11927366341538638, 0.12964515870276475,
    -0.0475622943534492, -0.1356211061245812, 1.2530080582697296,
)  # fmt: skip
# erfinv(x) / x. float32: polynomials in w - 2.5 and sqrt(w) - 3 with w = -log(1 - x^2) (Giles).
_SINGLE_CENTRE = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503,
    -0.00417768164, 0.246640727, 1.50140941,
)  # fmt: skip
_SINGLE_TAIL = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613,
    0.00943887047, 1.00167406, 2.83297682,
)  # fmt: skip
# float64: in w - 3.125 up to w = 6.25, in sqrt(w) - 3.25 up to 16, in sqrt(w) - 5 beyond: Chebyshev
# fits with relative errors of at most 2^-54.4.
_DOUBLE_CENTRE = (
    -2.0539736898825478e-23, -3.3850330157210103e-22, 4.444204668295457e-21, 1.877151678052992e-20,
    -3.808203291051781e-19, 6.38844750019161e-19, 1.6029071389467372e-17, -1.2261848463709764e-16,
    -4.4534327464053935e-17, 6.525655141401077e-15, -3.998609153844135e-14, -8.074595688729043e-14,
    2.6303749169557164e-12, -1.2978695334656446e-11, -5.4142576121337444e-11,
    1.0512230784674892e-09, -4.112661333459598e-09, -2.9070390761936884e-08, 4.234788179085308e-07,
    -1.3654691764001387e-06, -1.3882523394693834e-05, 0.00018673420802008554, -0.000740702534154412,
    -0.006033670871426908, 0.2401581824255883, 1.6536545626831027,
)  # fmt: skip
_DOUBLE_SIDE = (
    7.598895200781737e-09, -1.5294532436152358e-08, -2.0686402109195944e-08, 1.3155760748321638e-07,
    -2.4577015472044047e-07, -2.7584506876359507e-08, 1.4817772244790875e-06,
    -3.985726034382243e-06, 2.932506943526351e-06, 1.2465035568283125e-05, -4.7320663035945735e-05,
    6.828711576985263e-05, 2.4031510221694095e-05, -0.0003550378135746499, 0.0009532893418069925,
    -0.0016882755354636595, 0.0024914420979470237, -0.003751208508224261, 0.005370914553555201,
    1.0052589676941655, 3.0838856104922208,
)  # fmt: skip
_DOUBLE_TAIL = (
    -1.5682586349208766e-11, 4.3016347738128346e-11, 4.8097982910939343e-11, -4.383099463354755e-10,
    1.3567719500122152e-09, -3.469806703106832e-09, 7.77969998960336e-09, -1.525669117700585e-08,
    2.904350822331553e-08, -6.755521354270655e-08, 2.2904413997973463e-07, -9.930297240626443e-07,
    4.5260542221058045e-06, -1.9681770637617603e-05, 7.599527793145215e-05, -0.0002150301198330508,
    -0.0001387193183739764, 1.0103004648645455, 4.849906401408584,
)  # fmt: skip


def erfc(m: Arithmetic, x: Term) -> Term:
    """1 - erf(x): at most 0.51 ulp for float32 (through float64), 5.5 ulp for float64."""
    if x.dtype is float32:
        return erfc(m, x.cast(float64)).cast(float32)
    size = x.abs().at_most(28.0)  # where the result is 0 and 2
    square, lost = _square(size)
    scale = exp(m, -square)
    result = _scaled(m, size) * (scale * (1.0 - lost))
    result = select(x < 0.0, 2.0 - result, result)
    return select(size < 0.5, 1.0 - small_erf(m, x), result)


def erfcx(m: Arithmetic, x: Term) -> Term:
    """exp(x^2) * erfc(x): bounds as for erfc."""
    if x.dtype is float32:
        return erfcx(m, x.cast(float64)).cast(float32)
    size = x.abs()
    square, lost = _square(size.at_most(28.0))
    scale = exp(m, square)
    right = _scaled(m, size)
    result = select(x < 0.0, 2.0 * (scale * (1.0 + lost)) - right, right)
    return select(x.equals(0.0), number(1.0, x.dtype), result)


def _square(size: Term) -> tuple[Term, Term]:
    """A square and its rounding error, which counts in an exponent: it is as large as 10^-13."""
    square = size * size
    head = size.head()
    tail = size - head
    return square, ((head * head - square) + 2.0 * head * tail) + tail * tail


def _scaled(m: Arithmetic, size: Term) -> Term:
    """erfcx for x >= 0."""
    limited = size.at_most(2.0**1000)
    scaled = m.polynomial((limited - 3.0) / (limited + 3.0), _ERFCX)
    return scaled / m.mad(size, 2.0, 1.0)


def erfinv(m: Arithmetic, x: Term) -> Term:
    """The inverse of erf: at most 5 ulp for float32, 2.5 ulp for float64.

    Odd; infinities at -1 and 1, NaN beyond.
    """
    size = x.abs()
    w = -log(m, (1.0 - size) * (1.0 + size))
    root = w.sqrt()
    if x.dtype is float32:
        tail = m.polynomial(root - 3.0, _SINGLE_TAIL)
        factor = select(w < 5.0, m.polynomial(w - 2.5, _SINGLE_CENTRE), tail)
    else:
        tail = m.polynomial(root - 5.0, _DOUBLE_TAIL)
        side = select(w < 16.0, m.polynomial(root - 3.25, _DOUBLE_SIDE), tail)
        factor = select(w < 6.25, m.polynomial(w - 3.125, _DOUBLE_CENTRE), side)
    result = select(size.equals(1.0), number(math.inf, x.dtype), factor * size)
    return result.signed_as(x)
