"""Systems, determinants and exponentials against what defines them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from treadle.ir.library import FUNCTIONS
from treadle.ir.library.triangular import substitute

Array = np.ndarray[Any, Any]


def call(name: str, *arrays: Array, options: tuple[Any, ...] = ()) -> list[Array]:
    return [np.asarray(found) for found in FUNCTIONS[name].evaluate(arrays, options)]


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("order", [1, 5, 16, 17, 50])
@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_substitution_reads_one_triangle(order: int, upper: bool, unit: bool) -> None:
    a = normal(2, order, order) / order + 2 * np.eye(order)
    right = normal(2, order, 3, seed=1)
    triangle = np.triu(a) if upper else np.tril(a)
    if unit:
        triangle[..., np.arange(order), np.arange(order)] = 1
    found = substitute(a, right, upper, unit)
    np.testing.assert_allclose(triangle @ found, right, rtol=1e-9, atol=1e-9)


def test_a_zero_on_the_diagonal_gives_infinities() -> None:
    with np.errstate(all="ignore"):
        found = substitute(np.diag([1.0, 0.0]), np.ones((2, 1)), False, False)
    assert found.tolist() == [[1.0], [np.inf]]


def test_singular_systems_are_told_and_the_others_solved() -> None:
    a = np.stack([2 * np.eye(2), np.ones((2, 2)), np.zeros((2, 2))])
    found, info = call("solve", a, np.ones((3, 2, 1)))
    assert info.tolist() == [0, 2, 1]
    assert found[0].tolist() == [[0.5], [0.5]]
    assert call("inverse", a)[1].tolist() == [0, 2, 1]


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_the_exponential_of_a_matrix_has_those_of_its_eigenvalues(scale: float) -> None:
    a = normal(3, 4, 4) * scale
    a = (a - np.swapaxes(a, -1, -2)) / 2  # eigenvalues on the imaginary axis
    values, vectors = np.linalg.eig(a)
    expected = (vectors * np.exp(values)[..., None, :]) @ np.linalg.inv(vectors)
    np.testing.assert_allclose(call("matrix_exp", a)[0], expected.real, rtol=1e-9, atol=1e-9)


def test_an_exponential_without_numbers_is_nan_and_others_stay() -> None:
    a = np.stack([np.zeros((2, 2)), np.full((2, 2), np.nan), np.full((2, 2), np.inf)])
    (found,) = call("matrix_exp", a)
    np.testing.assert_allclose(found[0], np.eye(2), rtol=1e-15)
    assert np.isnan(found[1:]).all()


def test_cofactors_exist_where_there_is_no_inverse() -> None:
    a = normal(4, 4)
    expected = np.linalg.det(a) * np.linalg.inv(a).T
    np.testing.assert_allclose(call("cofactors", a)[0], expected, rtol=1e-9, atol=1e-9)
    singular = np.array([[1.0, 2], [2, 4]])
    np.testing.assert_allclose(call("cofactors", singular)[0], [[4, -2], [-2, 1]], atol=1e-12)


@pytest.mark.parametrize("hermitian", [False, True])
def test_singular_values_up_to_the_tolerance_are_left_out(hermitian: bool) -> None:
    a = np.diag([3.0, 0.5, 1e-9])
    (found,) = call("pseudoinverse", a, np.array(1e-3), options=(hermitian,))
    np.testing.assert_allclose(found, np.diag([1 / 3, 2.0, 0.0]), atol=1e-12)
