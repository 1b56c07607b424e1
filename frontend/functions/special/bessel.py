"""Bessel functions of the first and second kind of orders 0 and 1, and the spherical one.

Rational approximations in float64 up to 5, Hankel's asymptotic form beyond (Cephes j0.c, j1.c).
"""

from __future__ import annotations

import math

from treadle.functions.special.evaluation import double_function, ratio
from treadle.ir import build as b
from treadle.ir.value import Value

__all__ = ["bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "spherical_bessel_j0"]

# Amplitude and phase beyond 5, in 25 / x^2: numerators and denominators for orders 0 and 1.
_P0 = (
    0.0007969367292973471, 0.08283523921074408, 1.239533716464143, 5.447250030587687,
    8.74716500199817, 5.303240382353949, 1.0,
)  # fmt: skip
_P0_BELOW = (
    0.0009244088105588637, 0.08562884743544745, 1.2535274390105895, 5.470977403304171,
    8.761908832370695, 5.306052882353947, 1.0,
)  # fmt: skip
_Q0 = (
    -0.011366383889846916, -1.2825271867050931, -19.553954425773597, -93.20601521237683,
    -177.68116798048806, -147.07750515495118, -51.41053267665993, -6.050143506007285,
)  # fmt: skip
_Q0_BELOW = (
    1.0, 64.3178256118178, 856.4300259769806, 3882.4018360540163, 7240.467741956525,
    5930.727011873169, 2062.0933166032783, 242.0057402402914,
)  # fmt: skip
_P1 = (
    0.0007621256162081731, 0.07313970569409176, 1.1271960812968493, 5.112079511468076,
    8.424045901417724, 5.214515986823615, 1.0,
)  # fmt: skip
_P1_BELOW = (
    0.0005713231280725487, 0.06884559087544954, 1.105142326340617, 5.073863861286015,
    8.399855543276042, 5.209828486823619, 1.0,
)  # fmt: skip
_Q1 = (
    0.05108625947501766, 4.982138729512334, 75.82382841325453, 366.7796093601508, 710.8563049989261,
    597.4896124006136, 211.68875710057213, 25.207020585802372,
)  # fmt: skip
_Q1_BELOW = (
    1.0, 74.23732770356752, 1056.4488603826283, 4986.410583376536, 9562.318924047562,
    7997.041604473507, 2826.1927851763908, 336.0936078106983,
)  # fmt: skip
# Up to 5, in x^2: j0 and j1 less their first two zeros, y0 and y1 less their logarithms.
_J0 = (
    -4794432209.782018, 1956174919465.5657, -249248344360967.72, 9708622510473064.0,
)  # fmt: skip
_J0_BELOW = (
    1.0, 499.563147152651, 173785.4016763747, 48440965.83399621, 11185553704.535683,
    2112775201154.892, 310518229857422.56, 3.1812195594320496e+16, 1.7108629408104315e+18,
)  # fmt: skip
_J1 = (
    -899971225.7055594, 452228297998.19403, -72749424522181.83, 3682957328638529.0,
)  # fmt: skip
_J1_BELOW = (
    1.0, 620.8364781180543, 256987.25675774884, 83514679.14319493, 22151159547.97925,
    4749141220799.914, 784369607876235.9, 8.952223361846274e+16, 5.322786203326801e+18,
)  # fmt: skip
_Y0 = (
    15592.436785523574, -14663929.59039716, 5435264770.518765, -982136065717.9115, 87590639439536.7,
    -3466283033847297.0, 4.4273326857256984e+16, -1.8495080043698668e+16,
)  # fmt: skip
_Y0_BELOW = (
    1.0, 1041.2835366425984, 626107.330137135, 268919633.39381415, 86400248710.3935,
    20297961275010.555, 3171577528429750.5, 2.5059625617265306e+17,
)  # fmt: skip
_Y1 = (
    1263204747.9017804, -647355876379.1603, 114509511541823.73, -8127702555013251.0,
    2.024394757135949e+17, -7.788771962659501e+17,
)  # fmt: skip
_Y1_BELOW = (
    1.0, 594.3015923461282, 235564.09294306856, 73481194.44597217, 18760131610.870617,
    3882312774962.3857, 620557727146953.8, 6.871410873553005e+16, 3.9727060811656064e+18,
)  # fmt: skip
_ZEROS_J0 = (5.78318596294678452118, 30.4712623436620863991)
_ZEROS_J1 = (14.6819706421238932572, 49.2184563216946036703)
_TWO_OVER_PI = 2.0 / math.pi


def _waves(x: Value, order: int) -> tuple[Value, Value]:
    """The function of the first and of the second kind for x > 5."""
    square = 25.0 / (x * x)
    if order == 0:
        p, q = ratio(square, _P0, _P0_BELOW), ratio(square, _Q0, _Q0_BELOW)
    else:
        p, q = ratio(square, _P1, _P1_BELOW), ratio(square, _Q1, _Q1_BELOW)
    q = q * (5.0 / x)
    phase = x - (0.25 + 0.5 * order) * math.pi
    scale = b.rsqrt(x) * math.sqrt(_TWO_OVER_PI)
    sine, cosine = b.sin(phase), b.cos(phase)
    return (p * cosine - q * sine) * scale, (p * sine + q * cosine) * scale


def _small_j0(square: Value) -> Value:
    first, second = _ZEROS_J0
    return (square - first) * (square - second) * ratio(square, _J0, _J0_BELOW)


def _small_j1(x: Value, square: Value) -> Value:
    first, second = _ZEROS_J1
    return ratio(square, _J1, _J1_BELOW) * x * (square - first) * (square - second)


@double_function
def bessel_j0(x: Value) -> Value:
    """J0(x)."""
    size = b.abs(x)
    return b.select(b.le(size, 5.0), _small_j0(size * size), _waves(size, 0)[0])


@double_function
def bessel_j1(x: Value) -> Value:
    """J1(x)."""
    size = b.abs(x)
    large = _waves(size, 1)[0]
    large = b.select(b.lt(x, 0.0), -large, large)
    return b.select(b.le(size, 5.0), _small_j1(x, x * x), large)


def _second_kind(x: Value, small: Value, large: Value) -> Value:
    result = b.select(b.le(x, 5.0), small, large)
    return b.select(b.eq(x, 0.0), -math.inf, b.select(b.lt(x, 0.0), math.nan, result))


@double_function
def bessel_y0(x: Value) -> Value:
    """Y0(x); NaN below 0."""
    square = x * x
    small = ratio(square, _Y0, _Y0_BELOW) + _TWO_OVER_PI * b.log(x) * _small_j0(square)
    return _second_kind(x, small, _waves(x, 0)[1])


@double_function
def bessel_y1(x: Value) -> Value:
    """Y1(x); NaN below 0."""
    square = x * x
    logarithm = _small_j1(x, square) * b.log(x) - b.reciprocal(x)
    small = x * ratio(square, _Y1, _Y1_BELOW) + _TWO_OVER_PI * logarithm
    return _second_kind(x, small, _waves(x, 1)[1])


@double_function
def spherical_bessel_j0(x: Value) -> Value:
    """sin(x) / x."""
    result = b.select(b.eq(x, 0.0), 1.0, b.sin(x) / x)
    return b.select(b.eq(b.abs(x), math.inf), 0.0, result)
