"""Modified Bessel functions of orders 0 and 1, plain and with their exponential taken out.

Cephes' Chebyshev series (i0.c, i1.c, k0.c, k1.c), written as powers, in float64.
"""

from __future__ import annotations

import math
from typing import Any

from treadle.functions.special.evaluation import double, double_function, polynomial
from treadle.ir import build as b
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import as_float

__all__ = [
    "i0", "i0e", "i1", "i1e", "modified_bessel_i0", "modified_bessel_i1", "modified_bessel_k0",
    "modified_bessel_k1", "scaled_modified_bessel_k0", "scaled_modified_bessel_k1",
]  # fmt: skip

# exp(-x) I0(x) and exp(-x) I1(x) / x in x/4 - 1 up to 8; times sqrt(x) in 16/x - 1 beyond.
_I0 = (
    -1.1852342482684723e-09, 4.470516727511741e-09, -7.723094556846333e-09, 2.626536315197011e-08,
    -1.1384114641747254e-07, 3.6758429265554296e-07, -1.0883393970072518e-06,
    3.2293390826404927e-06, -9.251680584432657e-06, 2.520232727107692e-05, -6.55086138962085e-05,
    0.00016240542162878106, -0.0003829020955006598, 0.0008563152748272305, -0.0018118867939377241,
    0.003617126448897043, -0.006792399873073169, 0.01196007790702622, -0.019682654690592345,
    0.03017791202297836, -0.042985949454796106, 0.05677703201991694, -0.06954119561719382,
    0.07927522590716346, -0.08496338091616307, 0.08734341617552316, -0.08904344136075956,
    0.09451562853995098, -0.11300432688620551, 0.2070019212239867,
)  # fmt: skip
_I0_LARGE = (
    -6.067631570603006e-11, -2.0260604287413626e-11, 4.577087631643623e-10, 1.5279202694981569e-10,
    -1.6189806836246817e-09, -5.715843864202709e-10, 3.6379546359011143e-09, 1.5200816953924232e-09,
    -5.95356943826489e-09, -3.505966530879332e-09, 7.4304646503254255e-09, 7.552583062123384e-09,
    -5.404771567579958e-09, -1.340891754008974e-08, -6.747657956107524e-09, 7.554691881248808e-09,
    2.1548377974791598e-08, 3.9325843345529525e-08, 8.872219737904054e-08, 2.9735985885673923e-07,
    1.4838475658279249e-06, 1.114303379093204e-05, 0.0001362160743919305, 0.003360551983667862,
    0.40217650944500805,
)  # fmt: skip
_I1 = (
    3.7284532079392345e-10, -1.41695079121077e-09, 2.603206542331157e-09, -8.984420960424587e-09,
    3.8029847851382837e-08, -1.2424759932738304e-07, 3.759367306404118e-07, -1.1327072698408053e-06,
    3.293899139003749e-06, -9.136543922789091e-06, 2.4233753149624314e-05, -6.142360299099795e-05,
    0.00014842124334758523, -0.00034117602890733307, 0.0007445123445061157, -0.00153887456203039,
    0.0030057624197775295, -0.005534567847563678, 0.009583962150731578, -0.015571309243980052,
    0.023686016957729532, -0.03367135552108536, 0.044674572621254675, -0.05528003922699163,
    0.0637674037134072, -0.06848260620582691, 0.0680575999095116, -0.06112433802966629,
    0.04468770987560883,
)  # fmt: skip
_I1_LARGE = (
    6.305965197150057e-11, 1.8515118828852956e-11, -4.758818838703853e-10, -1.4011625179770627e-10,
    1.6848984479705148e-09, 5.295625441161261e-10, -3.794670896208339e-09, -1.4387250533041013e-09,
    6.242741219786445e-09, 3.4262341490077958e-09, -7.888351507862078e-09, -7.64239413436356e-09,
    5.974437608040264e-09, 1.4034238782067183e-08, 6.7344648153015925e-09, -8.427766093735183e-09,
    -2.337392820814264e-08, -4.312917729178349e-08, -1.0001288294864884e-07, -3.483855761044295e-07,
    -1.8349101326980946e-06, -1.5038547200567218e-05, -0.00021923576383388928,
    -0.009749577193235737, 0.38939845902587233,
)  # fmt: skip
# K0(x) + log(x/2) I0(x) and x (K1(x) - log(x/2) I1(x)) in x^2/2 - 1 up to 2; exp(x) sqrt(x) K(x)
# in 4/x - 1 beyond.
_K0 = (
    3.518631515170619e-14, 5.452564662779661e-12, 6.623013272794745e-10, 6.093361894172113e-08,
    4.054506619949891e-06, 0.0001828055582791554, 0.005053392643196092, 0.07177701034240509,
    0.3404973210133806, -0.30362077291575545,
)  # fmt: skip
_K0_LARGE = (
    4.446326114902617e-11, -6.910453188510021e-11, -1.5750973723840095e-10, 2.2137577328294305e-10,
    3.883027804773596e-10, -5.541050616127114e-10, -2.4261120079889964e-10, 1.788708526024986e-10,
    1.0573778800842492e-09, -1.9309444047146178e-09, 3.1706298888461173e-09,
    -7.2863809485579336e-09, 1.7316226016206364e-08, -4.133923050804712e-08, 1.0287980688374422e-07,
    -2.6890662473153447e-07, 7.427932208049765e-07, -2.1911777880152476e-06, 7.00224428748746e-06,
    -2.4735204561466923e-05, 9.956054749305857e-05, -0.00047976905676623137, 0.003032891810273794,
    -0.03107146182488952, 1.2185953385133905,
)  # fmt: skip
_K1 = (
    -3.5962181014457795e-15, -6.214271617329577e-13, -8.53273511404978e-11, -9.03212750174068e-09,
    -7.081133770184679e-07, -3.891869064371633e-05, -0.0013831688466153064, -0.02785423521977184,
    -0.24383852886774365, -0.3322409552403131, 0.8850882877295894,
)  # fmt: skip
_K1_LARGE = (
    -4.8291072829628234e-11, 7.5247947534463e-11, 1.7042975914413381e-10, -2.39937620685383e-10,
    -4.2190638775716397e-10, 6.042481408589899e-10, 2.5605338226407163e-10, -1.7982127213670102e-10,
    -1.1800979026859208e-09, 2.175778114196266e-09, -3.6392648362010863e-09, 8.409387609326606e-09,
    -2.010939862219853e-08, 4.846195218622973e-08, -1.2195093823345307e-07, 3.229811917742043e-07,
    -9.067229884852652e-07, 2.730041433569504e-06, -8.961205912549462e-06, 3.284386555825455e-05,
    -0.00013959021964175084, 0.0007357241549081501, -0.00556672988007293, 0.10334973775386523,
    1.363151890371342,
)  # fmt: skip


def _i0e(x: Value) -> Value:
    size = b.abs(x)
    large = polynomial(16.0 / size - 1.0, _I0_LARGE) * b.rsqrt(size)
    return b.select(b.le(size, 8.0), polynomial(size * 0.25 - 1.0, _I0), large)


def _i1e(x: Value) -> Value:
    size = b.abs(x)
    large = polynomial(16.0 / size - 1.0, _I1_LARGE) * b.rsqrt(size)
    result = b.select(b.le(size, 8.0), polynomial(size * 0.25 - 1.0, _I1) * size, large)
    return b.select(b.lt(x, 0.0), -result, result)


def _i0(x: Value) -> Value:
    return b.exp(b.abs(x)) * _i0e(x)


def _i1(x: Value) -> Value:
    return b.exp(b.abs(x)) * _i1e(x)


def _sign(x: Value) -> Value:
    return b.sign(x)


def _i0_gradient(inputs: Any, _outputs: Any, upstreams: Any) -> tuple[Value]:
    x = as_float(inputs[0])
    return (upstreams[0] * double(_i1)(x),)


def _i0e_gradient(inputs: Any, outputs: Any, upstreams: Any) -> tuple[Value]:
    x = as_float(inputs[0])
    return (upstreams[0] * (double(_i1e)(x) - _sign(x) * outputs[0]),)


def _i1_gradient(inputs: Any, outputs: Any, upstreams: Any) -> tuple[Value]:
    x = as_float(inputs[0])
    slope = double(_i0)(x) - outputs[0] / x
    return (upstreams[0] * b.select(b.eq(x, 0.0), 0.5, slope),)


def _i1e_gradient(inputs: Any, outputs: Any, upstreams: Any) -> tuple[Value]:
    x = as_float(inputs[0])
    slope = double(_i0e)(x) - outputs[0] * (_sign(x) + b.reciprocal(x))
    return (upstreams[0] * b.select(b.eq(x, 0.0), 0.5, slope),)


@operation("I0Backward0", vjp=_i0_gradient)
def i0(input: Value) -> Value:
    """The modified Bessel function I0."""
    return double(_i0)(as_float(input))


@operation("SpecialI0EBackward0", vjp=_i0e_gradient)
def i0e(input: Value) -> Value:
    """exp(-abs(x)) I0(x)."""
    return double(_i0e)(as_float(input))


@operation("SpecialI1Backward0", vjp=_i1_gradient)
def i1(input: Value) -> Value:
    """The modified Bessel function I1."""
    return double(_i1)(as_float(input))


@operation("SpecialI1EBackward0", vjp=_i1e_gradient)
def i1e(input: Value) -> Value:
    """exp(-abs(x)) I1(x)."""
    return double(_i1e)(as_float(input))


@double_function
def modified_bessel_i0(x: Value) -> Value:
    """I0(x)."""
    return _i0(x)


@double_function
def modified_bessel_i1(x: Value) -> Value:
    """I1(x)."""
    return _i1(x)


def _second_kind(x: Value, small: Value, large: Value, scaled: bool) -> Value:
    """The functions up to 2, and beyond what is left of them without exp(-x)."""
    large = large * b.rsqrt(x)
    if scaled:
        small = small * b.exp(x)
    else:
        large = large * b.exp(-x)
    result = b.select(b.le(x, 2.0), small, large)
    return b.select(b.eq(x, 0.0), math.inf, b.select(b.lt(x, 0.0), math.nan, result))


def _k0(x: Value, scaled: bool) -> Value:
    small = polynomial(x * x * 0.5 - 1.0, _K0) - b.log(0.5 * x) * _i0(x)
    return _second_kind(x, small, polynomial(4.0 / x - 1.0, _K0_LARGE), scaled)


def _k1(x: Value, scaled: bool) -> Value:
    small = b.log(0.5 * x) * _i1(x) + polynomial(x * x * 0.5 - 1.0, _K1) / x
    return _second_kind(x, small, polynomial(4.0 / x - 1.0, _K1_LARGE), scaled)


@double_function
def modified_bessel_k0(x: Value) -> Value:
    """K0(x); NaN below 0."""
    return _k0(x, False)


@double_function
def modified_bessel_k1(x: Value) -> Value:
    """K1(x); NaN below 0."""
    return _k1(x, False)


@double_function
def scaled_modified_bessel_k0(x: Value) -> Value:
    """exp(x) K0(x); NaN below 0."""
    return _k0(x, True)


@double_function
def scaled_modified_bessel_k1(x: Value) -> Value:
    """exp(x) K1(x); NaN below 0."""
    return _k1(x, True)
