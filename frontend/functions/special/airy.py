"""Airy's function Ai (Cephes airy.c), in float64.

Series in x^3 near 0, asymptotic forms beyond.
"""

from __future__ import annotations

import math

from treadle.functions.special.evaluation import double_function, polynomial, ratio
from treadle.ir import build as b
from treadle.ir.value import Value

__all__ = ["airy_ai"]

# Beyond 8.32 in 3 / (2 x^(3/2)); below -2.09 in its square.
_RIGHT = (
    0.346538101525629, 12.007595273964581, 76.27960536152345, 168.08922493463058,
    159.75639135016442, 70.53609068404442, 14.026469116338967, 1.0,
)  # fmt: skip
_RIGHT_BELOW = (
    0.5675945326387702, 14.75625625848472, 84.51389701414746, 177.31808814540045, 164.2346928715297,
    71.47784008255756, 14.095913560783403, 1.0,
)  # fmt: skip
_COSINE = (
    -0.1316963234183318, -0.6264565444319123, -0.6931580360369335, -0.2797799815451191,
    -0.04919001326095003, -0.004062659235948854, -0.0001592764962392621, -2.776491081552329e-06,
    -1.6778769848911465e-08,
)  # fmt: skip
_COSINE_BELOW = (
    1.0, 13.356042070655324, 32.682503279522464, 26.736704094149957, 9.187074029072596,
    1.4752914677166642, 0.11568717379518804, 0.004402916416152112, 7.547203482874142e-05,
    4.5185009297058035e-07,
)  # fmt: skip
_SINE = (
    0.01973399320916857, 0.39110302961568827, 1.0657989759959559, 0.9391692298166502,
    0.35146565610554764, 0.06338889196289255, 0.005858041130483885, 0.000282851600836737,
    6.98793669997261e-06, 8.117892395543892e-08, 3.415517847659236e-10,
)  # fmt: skip
_SINE_BELOW = (
    1.0, 9.30892908077442, 19.835292871831214, 15.564662893286462, 5.476860694229755,
    0.9542936116189619, 0.08645808263523921, 0.004126565238242226, 0.00010125908511650914,
    1.1716673321441352e-06, 4.9183457006293e-09,
)  # fmt: skip
_AT_ZERO, _SLOPE = 0.355028053887817239260, 0.258819403792806798405
_RSQRT_PI = 1.0 / math.sqrt(math.pi)
# Ai(x) = _AT_ZERO f(x^3) - _SLOPE x g(x^3), DLMF 9.4.1, up to abs(x) = 2.09.
_TERMS = 14


def _series() -> tuple[tuple[float, ...], tuple[float, ...]]:
    f, g = [1.0], [1.0]
    for k in range(1, _TERMS):
        f.append(f[-1] / ((3 * k - 1) * (3 * k)))
        g.append(g[-1] / ((3 * k) * (3 * k + 1)))
    return tuple(reversed(f)), tuple(reversed(g))


_F, _G = _series()


@double_function
def airy_ai(x: Value) -> Value:
    """Ai(x)."""
    size = b.abs(x)
    root = b.sqrt(size)
    # Ai decays as exp(-zeta) on the right and oscillates as sin(zeta + pi/4) on the left.
    zeta = size * root * (2.0 / 3.0)
    inverse = b.reciprocal(zeta)
    scale = b.rsqrt(root) * _RSQRT_PI
    right = scale * ratio(inverse, _RIGHT, _RIGHT_BELOW) * 0.5 * b.exp(-zeta)
    square = inverse * inverse
    angle = zeta + 0.25 * math.pi
    across = 1.0 + square * ratio(square, _COSINE, _COSINE_BELOW)
    along = inverse * ratio(square, _SINE, _SINE_BELOW)
    left = scale * (b.sin(angle) * across - b.cos(angle) * along)
    cube = x * x * x
    middle = _AT_ZERO * polynomial(cube, _F) - _SLOPE * x * polynomial(cube, _G)
    result = b.select(b.lt(x, -2.09), left, b.select(b.gt(x, 2.09), right, middle))
    return b.select(b.eq(size, math.inf), math.nan, result)
