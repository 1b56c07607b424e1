"""Derivatives of library functions, first and second, against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.ir.finite_differences import check_gradient
from treadle.ir import build as b, matrices as m
from treadle.ir.gradient_rules.library import NOT_DIFFERENTIABLE, RULES
from treadle.ir.gradients import vjp
from treadle.ir.graph import input_value
from treadle.ir.library import FUNCTIONS
from treadle.ir.types import TensorType, float64
from treadle.ir.value import Value

Array = np.ndarray[Any, Any]


def normal(*shape: int, seed: int = 3) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def regular(*shape: int, seed: int = 4) -> Array:
    return normal(*shape, seed=seed) + 3 * np.eye(shape[-2], shape[-1])


def _positive(x: Value) -> Value:
    return m.dot(x, b.transpose(x))


def _call(name: str, *options: Any, result: int = 0) -> Callable[..., Value]:
    return lambda *operands: b.library(name, operands, *options)[result]


def _squares(name: str, *options: Any, result: int = 0) -> Callable[..., Value]:
    """Squares, which do not depend on the signs of vectors."""

    def build(x: Value) -> Value:
        found = b.library(name, [x], *options)[result]
        return m.squares(found)

    return build


def _symmetric(build: Callable[[Value], Value]) -> Callable[[Value], Value]:
    return lambda x: build(b.add(x, b.transpose(x)))


def _as_complex(build: Callable[[Value], Value]) -> Callable[[Value], Value]:
    """Pairs of parts in, and out where the result is complex."""

    def pairs(x: Value) -> Value:
        found = build(b.view_as_complex(x))
        return b.view_as_real(found) if found.dtype.is_complex else found

    return pairs


CASES: dict[str, list[tuple[Callable[..., Value], tuple[Array, ...]]]] = {
    "cholesky": [
        (lambda x: b.library("cholesky", [_positive(x)], False)[0], (regular(2, 3, 3),)),
        (lambda x: b.library("cholesky", [_positive(x)], True)[0], (regular(3, 3),)),
    ],
    "qr": [
        (_call("qr", "reduced", result=n), (regular(*shape),))
        for n in (0, 1)
        for shape in ((3, 3), (2, 4, 2), (2, 4))
    ],
    "eigh": [
        (_symmetric(_call("eigh", "L", True)), (normal(2, 3, 3),)),
        (_symmetric(_call("eigh", "U", False)), (normal(3, 3),)),
        (_symmetric(_squares("eigh", "L", True, result=1)), (normal(3, 3),)),
    ],
    "eig": [(_squares("eig", True), (normal(3, 3),)), (_squares("eig", False), (normal(2, 3, 3),))],
    "svd": [
        (_call("svd", False, True, result=1), (normal(2, 3, 4),)),
        (_call("svd", False, False), (normal(3, 3),)),
        (_squares("svd", False, True, result=0), (normal(4, 2),)),
        (_squares("svd", True, True, result=2), (normal(3, 3),)),
    ],
    "lu_factor": [(_call("lu_factor", True), (normal(*s),)) for s in ((3, 3), (2, 4, 2), (2, 4))],
    "solve": [(_call("solve"), (regular(2, 3, 3), normal(2, 3, 2)))],
    "inverse": [(_call("inverse"), (regular(2, 3, 3),))],
    "solve_triangular": [
        (_call("solve_triangular", upper, unit), (regular(3, 3), normal(3, 2)))
        for upper in (False, True)
        for unit in (False, True)
    ],
    "det": [(_call("det"), (normal(2, 3, 3),))],
    "cofactors": [(_call("cofactors"), (normal(2, 3, 3),))],
    "slogdet": [(_call("slogdet", result=1), (normal(2, 3, 3),))],
    "pseudoinverse": [
        (lambda x: b.library("pseudoinverse", [x, m.like(x, x.shape[:-2])], False)[0], (a,))
        for a in (normal(2, 3, 2), normal(2, 4), regular(3, 3))
    ],
    "matrix_exp": [(_call("matrix_exp"), (normal(2, 3, 3),))],
    "reflect": [
        (_call("reflect", turned), (normal(2, 4, 2), normal(2, 2), normal(2, 4, 3)))
        for turned in (False, True)
    ],
    "fft": [(_as_complex(_call("fft", (1, 0), inverse)), (normal(2, 3, 2),)) for inverse in (0, 1)],
    "rfft": [
        (lambda x: b.view_as_real(b.library("rfft", [x], (0, 1))[0]), (normal(3, n),))
        for n in (4, 5)
    ],
    "irfft": [
        (_as_complex(_call("irfft", (0, 1), n)), (normal(3, n // 2 + 1, 2),)) for n in (4, 5)
    ],
}
# The gradient that products of reflectors give is computed, not recorded.
_ONCE = ("reflect",)


def test_every_function_has_a_rule_and_cases_or_a_reason() -> None:
    assert set(RULES) | set(NOT_DIFFERENTIABLE) == set(FUNCTIONS)
    assert not set(RULES) & set(NOT_DIFFERENTIABLE)
    assert set(CASES) == set(RULES)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_of_finite_differences(name: str) -> None:
    for build, arrays in CASES[name]:
        check_gradient(build, *arrays, second=name not in _ONCE)


def test_a_function_without_derivative_says_why() -> None:
    x = input_value(0, TensorType(float64, (3, 3)))
    found = b.library("geqrf", [x])[0]
    with pytest.raises(TypeError, match="geqrf has no derivative: as in PyTorch"):
        vjp([found], [x], [found])


def test_the_gradient_of_the_determinant_of_a_singular_matrix_is_its_cofactors() -> None:
    check_gradient(_call("det"), np.array([[1.0, 2, 3], [2, 4, 6], [1, 0, 1]]))
