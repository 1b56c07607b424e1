"""The normal distribution: its cumulative function, the logarithm and the inverse of that."""

from __future__ import annotations

import math
from typing import Any

from treadle.functions.pointwise.arguments import rounded_once
from treadle.functions.special.evaluation import double, ratio
from treadle.ir import build as b
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import as_float

__all__ = ["erfcx", "log_ndtr", "ndtr", "ndtri"]

_SQRT_HALF = math.sqrt(0.5)
# Cephes ndtri.c: near 1/2, and in 1 / sqrt(-2 log y) up to 1/8 and beyond.
_MIDDLE = (
    -59.96335010141079, 98.00107541859997, -56.67628574690703, 13.931260938727968,
    -1.2391658386738125,
)  # fmt: skip
_MIDDLE_BELOW = (
    1.0, 1.9544885833814176, 4.676279128988815, 86.36024213908905, -225.46268785411937,
    200.26021238006066, -82.03722561683334, 15.90562251262117, -1.1833162112133,
)  # fmt: skip
_SIDE = (
    4.0554489230596245, 31.525109459989388, 57.16281922464213, 44.08050738932008,
    14.684956192885803, 2.1866330685079025, -0.1402560791713545, -0.03504246268278482,
    -0.0008574567851546854,
)  # fmt: skip
_SIDE_BELOW = (
    1.0, 15.779988325646675, 45.39076351288792, 41.3172038254672, 15.04253856929075,
    2.504649462083094, -0.14218292285478779, -0.03808064076915783, -0.0009332594808954574,
)  # fmt: skip
_TAIL = (
    3.2377489177694603, 6.915228890689842, 3.9388102529247444, 1.3330346081580755,
    0.20148538954917908, 0.012371663481782003, 0.00030158155350823543, 2.6580697468673755e-06,
    6.239745391849833e-09,
)  # fmt: skip
_TAIL_BELOW = (
    1.0, 6.02427039364742, 3.6798356385616087, 1.3770209948908132, 0.21623699359449663,
    0.013420400608854318, 0.00032801446468212774, 2.8924786474538068e-06, 6.790194080099813e-09,
)  # fmt: skip
# exp(-2), from where on the tails count.
_BORDER = 0.13533528323661269189


@operation("SpecialErfcxBackward0", saves="inputs")
def erfcx(input: Value) -> Value:
    """exp(x^2) erfc(x)."""
    return b.erfcx(as_float(input))


@operation("MulBackward1")
def ndtr(input: Value) -> Value:
    """The probability of a normal deviate below x."""
    return rounded_once(lambda x: 0.5 * b.erfc(x * -_SQRT_HALF))(as_float(input))


def _log_ndtr_gradient(inputs: Any, _outputs: Any, upstreams: Any) -> tuple[Value]:
    x = as_float(inputs[0])
    return (upstreams[0] / b.erfcx(x * -_SQRT_HALF) * math.sqrt(2.0 / math.pi),)


def _log_ndtr(x: Value) -> Value:
    t = x * _SQRT_HALF
    left = b.log(b.erfcx(-t) * 0.5) - t * t
    return b.select(b.lt(x, -1.0), left, b.log1p(-0.5 * b.erfc(t)))


@operation("SpecialLogNdtrBackward0", vjp=_log_ndtr_gradient)
def log_ndtr(input: Value) -> Value:
    """The logarithm of ``ndtr``, exact far to the left too."""
    return double(_log_ndtr)(as_float(input))


def _ndtri(y: Value) -> Value:
    upper = b.gt(y, 1.0 - _BORDER)
    below = b.select(upper, 1.0 - y, y)
    centred = below - 0.5
    square = centred * centred
    middle = centred + centred * (square * ratio(square, _MIDDLE, _MIDDLE_BELOW))
    root = b.sqrt(-2.0 * b.log(below))
    inverse = b.reciprocal(root)
    side = ratio(inverse, _SIDE, _SIDE_BELOW)
    tail = b.select(b.lt(root, 8.0), side, ratio(inverse, _TAIL, _TAIL_BELOW))
    outer = (root - b.log(root) / root) - inverse * tail
    result = b.select(upper, outer, -outer)
    result = b.select(b.gt(below, _BORDER), middle * math.sqrt(2.0 * math.pi), result)
    result = b.select(b.eq(y, 1.0), math.inf, b.select(b.eq(y, 0.0), -math.inf, result))
    return b.select(b.logical_or(b.lt(y, 0.0), b.gt(y, 1.0)), math.nan, result)


def _ndtri_gradient(_inputs: Any, outputs: Any, upstreams: Any) -> tuple[Value]:
    y = outputs[0]
    return (upstreams[0] * b.exp(y * y * 0.5) * math.sqrt(2.0 * math.pi),)


@operation("SpecialNdtriBackward0", vjp=_ndtri_gradient)
def ndtri(input: Value) -> Value:
    """The inverse of ``ndtr``; NaN outside [0, 1]."""
    return double(_ndtri)(as_float(input))
