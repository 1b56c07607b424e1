"""Gradient rules: every op against finite differences, PyTorch's conventions, the walk itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.ir.finite_differences import check_gradient
from treadle.ir import build as b
from treadle.ir.gradients import NOT_DIFFERENTIABLE, RULES, vjp
from treadle.ir.graph import Graph, input_value
from treadle.ir.interpreter import evaluate
from treadle.ir.ops import TABLE
from treadle.ir.ops.kernel import ITEM, KERNEL
from treadle.ir.ops.movement import VIEW_AS_COMPLEX, VIEW_AS_REAL
from treadle.ir.types import TensorType, float32, float64, int64
from treadle.ir.value import Value, make, topological

Array = np.ndarray[Any, Any]


def normal(*shape: int, seed: int = 7) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def positive(*shape: int, seed: int = 8) -> Array:
    return np.random.default_rng(seed).uniform(0.5, 2.0, shape)


def index(*rows: list[int]) -> Array:
    return np.array(rows, np.int64)


INDEX = index([0, 2, 1], [2, 2, 0])
DISTINCT = index([0, 2, 1], [2, 0, 0])
GIVEN = [[True, False, True], [False, True, True]]
WITH_ZEROS = np.array([[0.0, 2.0, 3.0], [0.0, 0.0, 5.0], [1.5, -2.0, 0.5]])


def _through_complex(x: Value) -> Value:
    """Both views, which their builders would fold."""
    return make(VIEW_AS_REAL, (make(VIEW_AS_COMPLEX, (x,)),)) * x


# op -> (function of the inputs, arrays for them)
CASES: dict[str, list[tuple[Callable[..., Value], tuple[Array, ...]]]] = {
    "neg": [(b.neg, (normal(2, 3),))],
    "abs": [(b.abs, (normal(2, 3),))],
    "sign": [(b.sign, (normal(2, 3),))],
    "exp": [(b.exp, (normal(2, 3),))],
    "log": [(b.log, (positive(2, 3),))],
    "sqrt": [(b.sqrt, (positive(2, 3),))],
    "sin": [(b.sin, (normal(2, 3),))],
    "cos": [(b.cos, (normal(2, 3),))],
    "tanh": [(b.tanh, (normal(2, 3),))],
    "erf": [(b.erf, (normal(2, 3),))],
    "exp2": [(b.exp2, (normal(2, 3),))],
    "expm1": [(b.expm1, (normal(2, 3),))],
    "log1p": [(b.log1p, (positive(2, 3),))],
    "log2": [(b.log2, (positive(2, 3),))],
    "log10": [(b.log10, (positive(2, 3),))],
    "tan": [(b.tan, (normal(2, 3) * 0.3,))],
    "asin": [(b.asin, (normal(2, 3) * 0.2,))],
    "acos": [(b.acos, (normal(2, 3) * 0.2,))],
    "atan": [(b.atan, (normal(2, 3),))],
    "atan2": [(b.atan2, (normal(2, 3), positive(2, 3)))],
    "sinh": [(b.sinh, (normal(2, 3),))],
    "cosh": [(b.cosh, (normal(2, 3),))],
    "asinh": [(b.asinh, (normal(2, 3),))],
    "acosh": [(b.acosh, (positive(2, 3) + 1.0,))],
    "atanh": [(b.atanh, (normal(2, 3) * 0.2,))],
    "erfc": [(b.erfc, (normal(2, 3),))],
    "erfcx": [(b.erfcx, (normal(2, 3),))],
    "erfinv": [(b.erfinv, (normal(2, 3) * 0.2,))],
    "lgamma": [(b.lgamma, (positive(2, 3),))],
    "digamma": [(b.digamma, (positive(2, 3),))],
    "fmod": [(b.fmod, (normal(2, 3) * 5, positive(2, 3)))],
    "floor": [(b.floor, (normal(2, 3),))],
    "ceil": [(b.ceil, (normal(2, 3),))],
    "round": [(b.round, (normal(2, 3),))],
    "trunc": [(b.trunc, (normal(2, 3),))],
    "add": [(b.add, (normal(2, 3), normal(3)))],
    "sub": [(b.sub, (normal(2, 3), normal(3)))],
    "mul": [(b.mul, (normal(2, 3), normal(2, 1))), (lambda x: x * x, (normal(3),))],
    "div": [(b.div, (normal(2, 3), positive(3)))],
    "remainder": [(b.remainder, (normal(2, 3) * 5, positive(2, 3)))],
    "pow": [
        (b.pow, (positive(2, 3), normal(2, 3))),
        (lambda x: x**3, (normal(4),)),
        (lambda x: x**0, (normal(4),)),
        (lambda x: x**-1.5, (positive(4),)),
    ],
    "maximum": [(b.maximum, (normal(2, 3), normal(2, 3, seed=1)))],
    "minimum": [(b.minimum, (normal(2, 3), normal(2, 3, seed=1)))],
    "select": [(b.select, (np.array(GIVEN), normal(2, 3), normal(3)))],
    "cast": [(lambda x: b.cast(x * 1.0, float64), (normal(3),))],
    "reshape": [(lambda x: b.reshape(x, (3, 2)) * normal_value(3, 2), (normal(2, 3),))],
    "permute": [(lambda x: b.permute(x, (2, 0, 1)), (normal(2, 3, 4),))],
    "expand": [(lambda x: b.broadcast_to(x, (4, 2, 3)), (normal(2, 1),))],
    "slice": [
        (lambda x: b.slice(x, (1, 0), (6, 3), (2, 1)), (normal(7, 3),)),
        (lambda x: b.slice(x, (0,), (6,), (3,)), (normal(7),)),
        (lambda x: b.slice(x, (2,), (2,), (3,)), (normal(7),)),
    ],
    "pad": [
        (lambda x: b.pad(x, (1, 0), (2, 1), value=3.0), (normal(2, 3),)),
        (lambda x: b.pad(x, (1,), (2,), (2,)), (normal(4),)),
        (lambda x: b.pad(x, (-1, -2), (-1, 3), (0, 1)), (normal(4, 5),)),
        (lambda x: b.pad(x, (-3,), (4,), (1,)), (normal(2),)),
        (lambda x: b.pad(x, (2,), (1,)), (normal(0),)),
    ],
    "flip": [(lambda x: b.flip(x, (0, 2)), (normal(2, 3, 2),))],
    "concat": [
        (lambda x, y, z: b.concat([x, y, z], 1), (normal(2, 1), normal(2, 3), normal(2, 0)))
    ],
    "view_as_real": [(_through_complex, (normal(3, 2),))],
    "view_as_complex": [(_through_complex, (normal(3, 2),))],
    "windows": [
        (lambda x: b.windows(x, (1, 2), (2, 3), (1, 2), (2, 1)), (normal(2, 5, 6),)),
        (lambda x: b.windows(x, (0,), (2,), (3,), (1,)), (normal(7),)),
    ],
    "fold": [
        (lambda x: b.fold(x, (2, 5), (1,), (3,), (1,), (2,)), (normal(2, 1, 3),)),
        (lambda x: b.fold(x, (7,), (0,), (2,), (3,), (1,)), (normal(2, 2),)),
    ],
    "as_strided": [
        (lambda x: b.as_strided(x, (2, 3), (1, 4), 2), (normal(3, 5),)),
        (lambda x: b.as_strided(x, (3, 2, 4), (1, 0, 3), 0), (normal(12),)),
        (lambda x: b.as_strided(x, (4, 3), (1, 1), 1), (normal(8),)),
        (lambda x: b.as_strided(x, (0, 3), (1, 1), 1), (normal(8),)),
        (lambda x: b.as_strided(x, (2,), (0,), 1), (normal(3),)),
    ],
    "sum": [
        (lambda x: b.sum(x, (0, 2)), (normal(2, 3, 2),)),
        (lambda x: b.sum(x), (normal(2, 3),)),
        (lambda x: b.sum(x, (1,), keepdim=True), (normal(2, 0),)),
    ],
    "prod": [
        (lambda x: b.prod(x, (0, 2)), (normal(2, 3, 2),)),
        (lambda x: b.prod(x, (1,)), (WITH_ZEROS,)),
        (lambda x: b.prod(x, (0,)), (normal(1, 3),)),
        (lambda x: b.prod(x, (0,)), (normal(7),)),
        (lambda x: b.prod(x, (0,)), (normal(0, 2),)),
    ],
    "max": [(lambda x: b.max(x, (0, 2)), (normal(2, 3, 2),))],
    "min": [(lambda x: b.min(x, (1,)), (normal(2, 3),))],
    "dot": [(b.dot, (normal(2, 3, 4), normal(2, 4, 2))), (b.dot, (normal(1, 4), normal(4, 1)))],
    "conv": [
        (lambda x, w, o=o: b.conv(x, w, *o), (normal(2, 2, 2, *s), normal(2, 3, 2, *k)))
        for s, k, o in [
            ((6,), (3,), ((1,), ((0, 0),), (1,), (1,))),
            ((6,), (2,), ((3,), ((1, 0),), (2,), (1,))),
            ((4,), (3,), ((2,), ((2, -1),), (1,), (3,))),
            ((5, 4), (2, 3), ((2, 1), ((0, 1), (2, 2)), (1, 2), (1, 1))),
            ((3, 5), (1, 2), ((1, 2), ((3, 0), (-1, -1)), (2, 1), (2, 1))),
        ]
    ],
    "cumsum": [
        (lambda x: b.cumsum(x, 1), (normal(2, 3, 2),)),
        (lambda x: b.cumsum(x, 0, True), (normal(4),)),
    ],
    "cumprod": [
        (lambda x: b.cumprod(x, 1), (normal(2, 4),)),
        (lambda x: b.cumprod(x, 1), (WITH_ZEROS,)),
        (lambda x: b.cumprod(x, 1, True), (WITH_ZEROS,)),
        (lambda x: b.cumprod(x, 1), (normal(2, 0),)),
    ],
    "cummax": [
        (lambda x: b.cummax(x, 1), (normal(2, 5),)),
        (lambda x: b.cummax(x, 0, True), (normal(5, 2),)),
    ],
    "cummin": [(lambda x: b.cummin(x, 1), (normal(2, 5),))],
    "recurrence": [
        (lambda x, y: b.recurrence(x, y, 1), (normal(2, 4), normal(2, 4, seed=1))),
        (lambda x, y: b.recurrence(x, y, 0, True), (normal(4), normal(4, seed=1))),
        (lambda x: b.recurrence(x, x, 0), (normal(4),)),
    ],
    "gather": [(lambda x, i: b.gather(x, i, 0), (normal(3, 4), INDEX))],
    "scatter": [
        (lambda x, i, y: b.scatter(x, i, y, 0, "set"), (normal(3, 4), DISTINCT, normal(2, 3))),
        *(
            (lambda x, i, y, c=combine: b.scatter(x, i, y, 0, c), (x, INDEX, y))
            for combine in ("add", "mul", "min", "max")
            for x, y in [(normal(3, 4), normal(2, 3))]
        ),
        # Products with zeros in either operand: one and two of them in a place.
        (
            lambda x, i, y: b.scatter(x, i, y, 0, "mul"),
            (WITH_ZEROS, INDEX, np.array([[2.0, 0.0, 0.5], [0.0, 0.0, -1.0]])),
        ),
    ],
    "view_update": [
        (lambda x, y: b.view_update(x, y, (2, 2), (1, 4), 3), (normal(3, 4), normal(2, 2))),
    ],
}


def normal_value(*shape: int) -> Value:
    ramp = b.cast(b.iota(shape, 0, int64), float64)
    return ramp * 0.5 + 1.0


@pytest.mark.parametrize("name", CASES)
def test_each_rule_matches_finite_differences(name: str) -> None:
    for build, arrays in CASES[name]:
        check_gradient(build, *arrays)


SECOND = [
    "mul", "div", "pow", "tanh", "erf", "atan2", "lgamma", "prod", "dot", "conv", "gather",
    "windows", "max",
]  # fmt: skip


@pytest.mark.parametrize("name", SECOND)
def test_rules_differentiate_again(name: str) -> None:
    for build, arrays in CASES[name]:
        if any(array.size == 0 for array in arrays):
            continue

        def squared(*inputs: Value, build: Callable[..., Value] = build) -> Value:
            result = build(*inputs)
            return result * result

        check_gradient(squared, *arrays, second=True)


def test_every_op_has_a_rule_or_a_reason() -> None:
    for op in TABLE.values():
        assert (op in RULES) != (op in NOT_DIFFERENTIABLE), op.name
    assert set(CASES) == {op.name for op in RULES}
    assert all(NOT_DIFFERENTIABLE.values())


def derivative_at(build: Callable[..., Value], *numbers: float) -> list[float]:
    """The derivative of a scalar function with respect to each of its arguments."""
    inputs = [input_value(slot, TensorType(float64, ())) for slot in range(len(numbers))]
    gradients = vjp([build(*inputs)], inputs, [b.constant(1.0, float64)])
    bindings = {i: np.array(n) for i, n in zip(inputs, numbers, strict=True)}
    values = [gradient for gradient in gradients if gradient is not None]
    return [float(array) for array in evaluate(values, bindings)]


def test_conventions_at_ties_and_kinks_are_pytorchs() -> None:
    assert derivative_at(b.maximum, 2.0, 2.0) == [0.5, 0.5]
    assert derivative_at(b.minimum, 2.0, 2.0) == [0.5, 0.5]
    assert derivative_at(b.abs, 0.0) == [0.0]
    assert derivative_at(b.sqrt, 0.0) == [np.inf]
    assert derivative_at(b.pow, 0.0, 0.0) == [0.0, 0.0]
    assert derivative_at(b.pow, 0.0, 2.0) == [0.0, 0.0]
    assert derivative_at(b.pow, 0.0, -1.0)[1] == -np.inf
    assert derivative_at(lambda x: x**0, 0.0) == [0.0]
    assert derivative_at(b.sign, 3.0) == [0.0]


def test_ties_of_a_reduction_share_its_gradient() -> None:
    x = input_value(0, TensorType(float64, (4,)))
    for build, array in ((b.max, [3.0, 1.0, 3.0, 3.0]), (b.min, [-1.0, 1.0, -1.0, -1.0])):
        (gradient,) = vjp([build(x)], [x], [b.constant(6.0, float64)])
        assert gradient is not None
        found = evaluate([gradient], {x: np.array(array)})[0]
        np.testing.assert_array_equal(found, [2.0, 0.0, 2.0, 2.0])


def test_cast_between_floats_casts_the_gradient_back() -> None:
    x = input_value(0, TensorType(float32, (3,)))
    y = b.cast(x, float64)
    (gradient,) = vjp([y], [x], [b.full((3,), 0.5, float64)])
    assert gradient is not None
    assert gradient.dtype is float32


def test_integers_and_unused_inputs_get_none() -> None:
    x = input_value(0, TensorType(float64, (2, 3)))
    i = input_value(1, TensorType(int64, (2, 3)))
    unused = input_value(2, TensorType(float64, ()))
    y = b.gather(x, i, 0) + b.cast(i, float64)
    gradients = vjp([y], [x, i, unused], [b.constant_like(y, 1.0)])
    assert [gradient is None for gradient in gradients] == [False, True, True]


def test_an_input_is_a_leaf_even_where_others_come_from_it() -> None:
    x = input_value(0, TensorType(float64, ()))
    y = x * 3.0
    z = y * x
    one = b.constant(1.0, float64)
    to_x, to_y = vjp([z], [x, y], [one])
    assert to_x is not None
    assert to_y is not None
    values = evaluate([to_x, to_y], {x: np.array(5.0)})
    assert [float(value) for value in values] == [15.0, 5.0]
    assert vjp([y], [y], [one]) == [one]


def test_nothing_is_built_for_operands_that_need_no_gradient() -> None:
    x = input_value(0, TensorType(float64, (2, 2)))
    w = input_value(1, TensorType(float64, (2, 2)))
    (gradient,) = vjp([b.dot(b.exp(w), x)], [x], [b.full((2, 2), 1.0, float64)])
    assert gradient is not None
    names = [value.op.name for value in topological([gradient])]
    assert names.count("dot") == 1


def test_upstreams_must_fit_the_outputs() -> None:
    x = input_value(0, TensorType(float64, (2,)))
    with pytest.raises(ValueError, match=r"output 0 must be f64\[2\], found f64\[\]"):
        vjp([x * 2.0], [x], [b.constant(1.0, float64)])
    with pytest.raises(ValueError, match="1 outputs need as many upstreams, found 0"):
        vjp([x * 2.0], [x], [])


def test_a_fused_kernel_has_no_derivative() -> None:
    x = input_value(0, TensorType(float64, (2,)))
    kernel = make(KERNEL, (x,), (Graph("body", (x,), (x * 2.0,)), ()))
    y = make(ITEM, (kernel,), (0,))
    with pytest.raises(TypeError, match="item has no derivative: kernels are formed after"):
        vjp([y], [x], [b.constant_like(x, 1.0)])


def test_a_long_chain_differentiates() -> None:
    x = input_value(0, TensorType(float64, ()))
    y = x
    for step in range(100_000):
        y = b.sin(y) if step % 2 else -y
    (gradient,) = vjp([y], [x], [b.constant(1.0, float64)])
    assert gradient is not None
