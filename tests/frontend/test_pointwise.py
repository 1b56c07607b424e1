"""Pointwise functions at the points where they are hard, against PyTorch: values and gradients."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import treadle
from tests.frontend.agreement import check, oracle
from treadle.operation import VARIATION_LIMIT

INF, NAN = float("inf"), float("nan")
POINTS = np.array(
    [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.5, -3.0, 1e-30, -1e-30, 10.0, 1e30, INF, -INF, NAN]
)
_FEWER = (0.0, -0.0, 1.0, -1.0, 0.5, 3.0, -2.5, INF, -INF, NAN)
PAIRS = np.array(list(itertools.product(_FEWER, _FEWER)))

Call = Callable[..., Any]


def named(names: str) -> dict[str, Call]:
    """Functions of the library by name."""

    def call(name: str) -> Call:
        return lambda t, *tensors: getattr(t, name)(*tensors)

    return {name: call(name) for name in names.split()}


UNARY: dict[str, Call] = {
    **named(
        "abs acos acosh angle asin asinh atan atanh ceil cos cosh deg2rad digamma erf erfc erfinv "
        "exp exp2 expm1 floor frac lgamma log log10 log1p log2 logit nan_to_num neg positive "
        "rad2deg reciprocal rsqrt sgn sigmoid sign signbit sin sinc sinh sqrt square tan tanh "
        "trunc isneginf isposinf arccos arctan absolute negative fix"
    ),
    **{
        f"power {exponent}": lambda t, x, e=exponent: x**e
        for exponent in (0, 0.5, -0.5, 1, -1, 2, -2, 3, 1.5, 4)
    },
    **{f"power of {base}": lambda t, x, n=base: n**x for base in (0, 1, 2, 0.5)},
    "round to decimals": lambda t, x: t.round(x, decimals=2),
    "round to tens": lambda t, x: t.round(x, decimals=-1),
    "floor division by a number": lambda t, x: x.detach() // 2,
    "remainder of a number": lambda t, x: x % -3,
    "remainder of infinity": lambda t, x: x % INF,
    "fmod of a number": lambda t, x: t.fmod(x, 3),
    "clamp": lambda t, x: x.clamp(-0.75, 2.0),
    "clamp to NaN": lambda t, x: x.clamp(min=NAN),
    "clamp to nothing": lambda t, x: x.clamp(2, -1),
    "clamp_min": lambda t, x: t.clamp_min(x, -1),
    "clip": lambda t, x: t.clip(x, max=0.5),
    "threshold": lambda t, x: t.threshold(x, 1, 20.0),
    "nan_to_num of numbers": lambda t, x: t.nan_to_num(x, 1.0, 2.0, 3.0),
    "logit within": lambda t, x: t.logit(x, eps=0.1),
    "mantissa": lambda t, x: t.frexp(x)[0],
    "exponent": lambda t, x: t.frexp(x).exponent,
    "copysign of a number": lambda t, x: t.copysign(x, -2.0),
    "xlogy of a number": lambda t, x: t.xlogy(2, x),
    "lerp of a number": lambda t, x: t.lerp(x, x * 2, 0.3),
    "rsub": lambda t, x: t.rsub(x, 2, alpha=3),
}
BINARY: dict[str, Call] = {
    **named(
        "add sub mul div fmod pow atan2 maximum minimum fmax fmin hypot copysign nextafter "
        "logaddexp logaddexp2 xlogy float_power ldexp isclose logical_xor remainder"
    ),
    "floor division": lambda t, x, y: x.detach() // y.detach(),
    "heaviside": lambda t, x, y: t.heaviside(x.detach(), y.detach()),
    "div floor": lambda t, x, y: t.div(x, y, rounding_mode="floor"),
    "div trunc": lambda t, x, y: t.div(x, y, rounding_mode="trunc"),
    "clamp": lambda t, x, y: t.clamp(x, y, y * 0 + 1),
    "clamp_max": lambda t, x, y: t.clamp_max(x, y),
    "where": lambda t, x, y: t.where(x > y, x, y),
    "where of a number": lambda t, x, y: t.where(x > y, 2.0, y),
    "where as a method": lambda t, x, y: x.where(x > y, y),
    "addcmul": lambda t, x, y: t.addcmul(x, x, y, value=0.5),
}


def with_gradient(function: Call, arrays: tuple[Any, ...]) -> Call:
    """A program that gives a result and its gradients with respect to the arguments."""

    def program(t: Any) -> Any:
        tensors = [t.tensor(array, requires_grad=True) for array in arrays]
        result = function(t, *tensors)
        if not result.requires_grad:
            return [result]
        result.backward(t.ones_like(result))
        grads = [tensor.grad for tensor in tensors]
        return [result, *(g + 0.0 if g is not None else None for g in grads)]

    return program


@pytest.mark.oracle
@pytest.mark.parametrize("name", UNARY)
def test_functions_at_special_points_agree_with_pytorch(name: str) -> None:
    check(with_gradient(UNARY[name], (POINTS,)), rtol=1e-9)


@pytest.mark.oracle
@pytest.mark.parametrize("name", BINARY)
def test_functions_of_special_pairs_agree_with_pytorch(name: str) -> None:
    check(with_gradient(BINARY[name], (PAIRS[:, 0].copy(), PAIRS[:, 1].copy())), rtol=1e-9)


INTEGERS: dict[str, Call] = {
    **named(
        "gcd lcm fmod remainder bitwise_left_shift bitwise_right_shift bitwise_and floor_divide "
        "true_divide float_power atan2 xlogy copysign ldexp heaviside fmax isclose"
    ),
    "rshift": lambda t, x, y: x >> y,
    "reflected shift": lambda t, x, y: 3 << y.abs(),
    "reflected division": lambda t, x, y: 7 // y,
    "sinc": lambda t, x, y: t.sinc(x),
    "round": lambda t, x, y: t.round(x),
    "clamp to a float": lambda t, x, y: x.clamp(1.5),
    "equal": lambda t, x, y: [
        t.equal(x, y),
        t.equal(x, x.double()),
        t.equal(x, x),
        t.allclose(x, y),
        t.allclose(x, x),
    ],
}


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
@pytest.mark.parametrize("name", INTEGERS)
def test_functions_of_integers_agree_with_pytorch(name: str, dtype: str) -> None:
    x = np.array([12, 18, 7, 100, 0, 9, 3], dtype)
    y = np.array([8, 27, 3, 64, 5, 1, 3], dtype)
    check(lambda t: INTEGERS[name](t, t.tensor(x), t.tensor(y)), rtol=1e-6)


X = np.array([1.5, -2.0], np.float32)
ERRORS: dict[str, Call] = {
    "a number first": lambda t, x: t.maximum(2, x),
    "a number second": lambda t, x: t.atan2(x, 2),
    "no tensor": lambda t, x: t.fmod(2, 3),
    "a comparison from a number": lambda t, x: t.eq(2, x),
    "frac of integers": lambda t, x: t.frac(x.long()),
    "floor of bool": lambda t, x: t.floor(x > 0),
    "shift of floats": lambda t, x: x << 1,
    "gcd of floats": lambda t, x: t.gcd(x, x),
    "heaviside of two dtypes": lambda t, x: t.heaviside(x, x.double()),
    "pow of bool": lambda t, x: (x > 0) ** (x > 0),
    "remainder of bool": lambda t, x: (x > 0) % (x > 0),
    "positive of bool": lambda t, x: +(x > 0),
    "isclose of two dtypes": lambda t, x: t.isclose(x, x.long()),
    "isclose below zero": lambda t, x: t.isclose(x, x, rtol=-1.0),
    "frexp of integers": lambda t, x: t.frexp(x.long()),
    "alpha of another kind": lambda t, x: t.add(x.long(), x.long(), alpha=1.5),
    "alpha that is no number": lambda t, x: t.sub(x, x, alpha="2"),
    "alpha of truth": lambda t, x: t.add(x, x, alpha=True),
    "clamp without bounds": lambda t, x: t.clamp(x),
    "no derivative": lambda t, x: (x.requires_grad_() // 2).sum().backward(),
}


@pytest.mark.oracle
@pytest.mark.parametrize("name", ERRORS)
def test_wrong_arguments_raise_pytorchs_error(name: str) -> None:
    check(lambda t: ERRORS[name](t, t.tensor(X)))


CHANGING: dict[str, Callable[[Any, float], Any]] = {
    "clamp": lambda x, c: x.clamp(-c, c),
    "clamp_max": lambda x, c: x.clamp_max(c),
    "pow": lambda x, c: x.abs() ** c,
    "lerp": lambda x, c: x.lerp(x * 2.0, c),
    "addcmul": lambda x, c: x.addcmul(x, x, value=c),
    "where": lambda x, c: treadle.where(x > 0, x, c),
    "masked_fill": lambda x, c: x.masked_fill(x > 0, c),
    "remainder": lambda x, c: x % c,
    "floor division": lambda x, c: x // c,
}


@pytest.mark.parametrize("name", CHANGING)
def test_numbers_that_keep_changing_stop_compiling(name: str) -> None:
    x = treadle.tensor(np.linspace(-3, 3, 7))
    numbers = [0.37 + 0.11 * step for step in range(VARIATION_LIMIT + 6)]
    for number in numbers[: VARIATION_LIMIT + 2]:
        CHANGING[name](x, number).numpy()
    treadle.reset_statistics()
    for number in numbers[VARIATION_LIMIT + 2 :]:
        CHANGING[name](x, number).numpy()
    assert treadle.statistics().programs_compiled == 0


@pytest.mark.oracle
@pytest.mark.parametrize("name", CHANGING)
def test_numbers_that_became_inputs_have_the_same_gradient(name: str) -> None:
    oracle()

    def program(t: Any) -> Any:
        found = []
        for step in range(VARIATION_LIMIT + 3):
            x = t.tensor(np.linspace(-3, 3, 8), requires_grad=True)
            function = CHANGING[name]
            if name == "where":
                result = t.where(x > 0, x, 0.37 + step)
            elif name == "floor division":
                result = (x.detach() // (0.37 + step)) * x
            else:
                result = function(x, 0.37 + 0.11 * step)
            result.sum().backward()
            found += [result, x.grad]
        return found

    check(program, rtol=1e-9)


def test_functions_in_place_are_functions_of_the_package() -> None:
    x = treadle.tensor([0.5, 1.0])
    assert treadle.sin_(x) is x
    np.testing.assert_allclose(x.numpy(), np.sin([0.5, 1.0]), rtol=1e-6)
    treadle.clamp_(x, max=0.5)
    assert x.max().item() == 0.5
