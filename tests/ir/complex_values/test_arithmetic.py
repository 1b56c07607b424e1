"""Complex values are composed of real ones: NumPy's results, PyTorch's gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from treadle.ir import build as b
from treadle.ir.complex_values import BUILDERS
from treadle.ir.complex_values.parts import complex as complex_of
from treadle.ir.errors import UnsupportedDTypeError
from treadle.ir.gradients import vjp
from treadle.ir.graph import input_value
from treadle.ir.interpreter import evaluate
from treadle.ir.types import TensorType, bool_, complex64, complex128, dtype_of, float32, float64
from treadle.ir.value import Array, Value

INF, NAN = np.inf, np.nan


def normal(*shape: int) -> Array:
    rng = np.random.default_rng(sum(shape))
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def inputs_for(arrays: Any) -> list[Value]:
    types = [TensorType(dtype_of(array.dtype), array.shape) for array in arrays]
    return [input_value(slot, type) for slot, type in enumerate(types)]


def run(build: Callable[..., Value], *arrays: Any) -> Array:
    bound = [np.asarray(array) for array in arrays]
    inputs = inputs_for(bound)
    return evaluate([build(*inputs)], dict(zip(inputs, bound, strict=True)))[0]


def sgn(z: Array) -> Array:
    return z / np.abs(z)


# name -> (NumPy's function, its derivative)
HOLOMORPHIC: dict[str, tuple[Callable[..., Array], Callable[[Array], Array]]] = {
    "neg": (np.negative, lambda z: -np.ones_like(z)),
    "exp": (np.exp, np.exp),
    "exp2": (np.exp2, lambda z: np.exp2(z) * np.log(2)),
    "expm1": (np.expm1, np.exp),
    "log": (np.log, lambda z: 1 / z),
    "log1p": (np.log1p, lambda z: 1 / (1 + z)),
    "log2": (np.log2, lambda z: 1 / (z * np.log(2))),
    "log10": (np.log10, lambda z: 1 / (z * np.log(10))),
    "sqrt": (np.sqrt, lambda z: 0.5 / np.sqrt(z)),
    "sin": (np.sin, np.cos),
    "cos": (np.cos, lambda z: -np.sin(z)),
    "tan": (np.tan, lambda z: 1 / np.cos(z) ** 2),
    "asin": (np.arcsin, lambda z: 1 / np.sqrt(1 - z * z)),
    "acos": (np.arccos, lambda z: -1 / np.sqrt(1 - z * z)),
    "atan": (np.arctan, lambda z: 1 / (1 + z * z)),
    "sinh": (np.sinh, np.cosh),
    "cosh": (np.cosh, np.sinh),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "asinh": (np.arcsinh, lambda z: 1 / np.sqrt(1 + z * z)),
    "acosh": (np.arccosh, lambda z: 1 / (np.sqrt(z - 1) * np.sqrt(z + 1))),
    "atanh": (np.arctanh, lambda z: 1 / (1 - z * z)),
}


@pytest.mark.parametrize("name", HOLOMORPHIC)
def test_a_function_and_its_gradient_are_those_of_the_complex_plane(name: str) -> None:
    function, derivative = HOLOMORPHIC[name]
    z, g = normal(200) * 1.5, normal(200)[::-1]
    x, upstream = inputs_for([z, g])
    result = getattr(b, name)(x)
    (gradient,) = vjp([result], [x], [upstream])
    assert gradient is not None
    found, slope = evaluate([result, gradient], {x: z, upstream: g})
    np.testing.assert_allclose(found, function(z), rtol=1e-13)
    # dL/da + i dL/db: the conjugate of the derivative, as in PyTorch.
    np.testing.assert_allclose(slope, g * np.conj(derivative(z)), rtol=1e-9)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow"])
def test_arithmetic_is_numpys(name: str) -> None:
    x, y = normal(300), normal(300)[::-1]
    function = {"sub": "subtract", "div": "divide", "mul": "multiply", "pow": "power"}
    expected = getattr(np, function.get(name, name))(x, y)
    np.testing.assert_allclose(run(getattr(b, name), x, y), expected, rtol=1e-13)


def test_a_magnitude_neither_overflows_nor_underflows() -> None:
    z = np.array([3e38 + 4e37j, 3e-42 + 4e-42j, 0, complex(INF, NAN), complex(NAN, -INF), 3 - 4j])
    single = z.astype(np.complex64)
    np.testing.assert_allclose(run(b.abs, single), np.abs(single), rtol=1e-6)
    tiny = np.array([1e-300 + 1e-300j, 1e300 + 1e300j])
    np.testing.assert_allclose(run(b.abs, tiny), np.abs(tiny), rtol=1e-15)


def test_a_quotient_neither_overflows_nor_underflows() -> None:
    y = np.array([2e38 + 2e38j, 2e-38 - 1e-38j, 1e-40j, 1e30])
    x = (y * np.array([0.5, 1j, -1, 0.5])).astype(np.complex64)
    expected = x.astype(np.complex128) / y.astype(np.complex64).astype(np.complex128)
    np.testing.assert_allclose(run(b.div, x, y.astype(np.complex64)), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["abs", "sign"])
def test_magnitude_and_sign_are_flat_at_zero(name: str) -> None:
    x = input_value(0, TensorType(complex128, (2,)))
    result = getattr(b, name)(x)
    (gradient,) = vjp([result], [x], [b.constant_like(result, 1.0)])
    assert gradient is not None
    found = evaluate([gradient], {x: np.array([0, 3 + 4j])})[0]
    expected = {"abs": 0.6 + 0.8j, "sign": 0.128 - 0.096j}[name]
    np.testing.assert_allclose(found, [0, expected], atol=1e-15)


def test_roots_lie_on_the_side_of_the_cut_that_the_sign_of_zero_says() -> None:
    z = np.array([complex(-4, 0.0), complex(-4, -0.0), complex(-0.0, 2)])
    np.testing.assert_allclose(run(b.sqrt, z), np.sqrt(z), rtol=1e-15)


def test_comparison_and_selection() -> None:
    x, y = np.array([1 + 1j, 2, NAN]), np.array([1 + 1j, 2 + 1j, NAN])
    assert run(b.eq, x, y).tolist() == [True, False, False]
    assert run(b.ne, x, y).tolist() == [False, True, True]
    chosen = run(b.select, np.array([True, False, True]), x, y)
    np.testing.assert_array_equal(chosen, np.where([True, False, True], x, y))


def test_casts_drop_the_imaginary_part_or_add_a_zero() -> None:
    z = np.array([1.5 + 2j, 1j, 0])
    assert run(lambda x: b.cast(x, float32), z).tolist() == [1.5, 0.0, 0.0]
    assert run(lambda x: b.cast(x, bool_), z).tolist() == [True, True, False]
    np.testing.assert_array_equal(run(lambda x: b.cast(x, complex64), z), z.astype(np.complex64))
    np.testing.assert_array_equal(run(lambda x: b.cast(x, complex128), z.real), z.real + 0j)


Z = normal(2, 3, 4)
MOVED: dict[str, tuple[Callable[[Value], Value], Array]] = {
    "reshape": (lambda x: b.reshape(x, (4, 6)), Z.reshape(4, 6)),
    "permute": (lambda x: b.permute(x, (2, 0, 1)), Z.transpose(2, 0, 1)),
    "broadcast_to": (lambda x: b.broadcast_to(x, (5, 2, 3, 4)), np.broadcast_to(Z, (5, 2, 3, 4))),
    "slice": (lambda x: b.slice(x, (0, 1, 0), (2, 3, 4), (1, 1, 2)), Z[:, 1:, ::2]),
    "pad": (
        lambda x: b.pad(x, (0, 0, 1), (0, 0, 2), value=2j),
        np.pad(Z, ((0, 0), (0, 0), (1, 2)), constant_values=2j),
    ),
    "flip": (lambda x: b.flip(x, (0, 2)), Z[::-1, :, ::-1]),
    "concat": (lambda x: b.concat([x, x], 1), np.concatenate([Z, Z], 1)),
    "as_strided": (lambda x: b.as_strided(x, (3, 2), (2, 5), 1), Z.reshape(-1)[
        np.arange(3)[:, None] * 2 + np.arange(2) * 5 + 1
    ]),
    "windows": (
        lambda x: b.windows(x, (2,), (2,), (1,), (1,)),
        np.lib.stride_tricks.sliding_window_view(Z, 2, 2),
    ),
    "view_update": (
        lambda x: b.view_update(x, b.full((4,), 3j, complex128), (4,), (1,), 0),
        np.concatenate([np.full(4, 3j), Z.reshape(-1)[4:]]).reshape(Z.shape),
    ),
    "sum": (lambda x: b.sum(x, (0, 2)), Z.sum((0, 2))),
    "prod": (lambda x: b.prod(x, (1, 2)), Z.prod((1, 2))),
    "prod of nothing": (lambda x: b.prod(b.slice(x, (0, 0, 0), (0, 3, 4)), (0,)), np.ones((3, 4))),
    "cumsum": (lambda x: b.cumsum(x, 1), Z.cumsum(1)),
    "cumprod": (lambda x: b.cumprod(x, 2), Z.cumprod(2)),
    "reversed cumprod": (lambda x: b.cumprod(x, 2, True), Z[..., ::-1].cumprod(2)[..., ::-1]),
    "dot": (lambda x: b.dot(x, b.transpose(x)), Z @ Z.transpose(0, 2, 1)),
    "gather": (
        lambda x: b.gather(x, b.iota((2, 3, 2), 2, dtype_of("int64")), 2), Z[..., :2],
    ),
    "scatter": (
        lambda x: b.scatter_add(x, b.full((2, 3, 1), 0, dtype_of("int64")), b.slice(
            x, (0, 0, 1), (2, 3, 2)), 2),
        np.concatenate([Z[..., :1] + Z[..., 1:2], Z[..., 1:]], 2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVED)
@pytest.mark.parametrize("made", [False, True], ids=["read", "made of parts"])
def test_movement_reduction_and_indexing_take_complex_values(name: str, made: bool) -> None:
    build, expected = MOVED[name]

    def program(x: Value) -> Value:
        return build(b.conj(b.conj(x)) if made else x)

    np.testing.assert_allclose(run(program, Z), expected, rtol=1e-13)


def test_the_parts_of_a_made_value_are_what_it_was_made_of() -> None:
    x, y = (input_value(slot, TensorType(float64, (3,))) for slot in (0, 1))
    z = complex_of(x, y)
    assert b.view_as_real(b.view_as_complex(b.view_as_real(z))) is b.view_as_real(z)
    assert b.conj(z) is complex_of(x, -y)
    assert b.add(z, z) is complex_of(x + x, y + y)


def test_a_real_factor_scales_both_parts() -> None:
    z, x = normal(5), np.arange(5.0)
    np.testing.assert_array_equal(run(b.mul, x, z), x * z)
    np.testing.assert_array_equal(run(b.div, z, x + 1), (z.real / (x + 1)) + 1j * z.imag / (x + 1))


def test_an_op_without_complex_meaning_says_so() -> None:
    z = input_value(0, TensorType(complex64, (2,)))
    assert "floor" not in BUILDERS
    with pytest.raises(UnsupportedDTypeError, match="floor is not defined for complex64"):
        b.floor(z)
    with pytest.raises(UnsupportedDTypeError, match="lt is not defined for complex64"):
        b.lt(z, 1.0)
