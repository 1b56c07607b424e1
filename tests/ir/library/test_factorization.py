"""Factorisations: results that multiply to what was factorised, and where they say they failed."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from treadle.ir.library import FUNCTIONS
from treadle.ir.types import TensorType, float64

Array = np.ndarray[Any, Any]


def call(name: str, *arrays: Array, options: tuple[Any, ...] = ()) -> list[Array]:
    return [np.asarray(found) for found in FUNCTIONS[name].evaluate(arrays, options)]


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def near(found: Array, expected: Array) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", [(4, 4), (3, 6, 4), (2, 3, 70), (0, 3, 3), (3, 0)])
def test_lu_and_its_permutation_give_the_matrix_back(shape: tuple[int, ...]) -> None:
    a = normal(*shape)
    rows, columns = shape[-2:]
    count = min(rows, columns)
    lu, pivots, info = call("lu_factor", a, options=(True,))
    order, inverse = call("permutation", pivots, options=(rows,))
    low = np.tril(lu[..., :count], -1) + np.eye(rows, count)
    near(
        np.take_along_axis(a, order[..., None], -2),
        low @ np.triu(lu[..., :count, :]),
    )
    near(np.take_along_axis(order, inverse, -1), np.broadcast_to(np.arange(rows), order.shape))
    assert np.abs(low).max(initial=1) == 1
    assert not info.any()


def test_lu_says_where_the_first_zero_pivot_is() -> None:
    a = np.array([[[1.0, 2], [2, 4]], [[0, 1], [1, 0]], [[0, 0], [0, 0]]])
    assert call("lu_factor", a, options=(True,))[2].tolist() == [2, 0, 1]


def test_cholesky_says_which_minor_is_not_positive_and_keeps_the_others() -> None:
    a = np.stack([np.eye(3), np.diag([1.0, 1, -1]), -np.eye(3)])
    factor, info = call("cholesky", a, options=(False,))
    assert info.tolist() == [0, 3, 1]
    near(factor[0], np.eye(3))
    near(factor[1], np.diag([1.0, 1, 0]))


def test_a_minor_with_nan_is_not_positive() -> None:
    assert call("cholesky", np.diag([1.0, np.nan]), options=(False,))[1] == 2


@pytest.mark.parametrize("transpose", [False, True])
def test_reflectors_of_geqrf_are_the_whole_of_q(transpose: bool) -> None:
    a = normal(2, 5, 3)
    raw, tau = call("geqrf", a)
    c = normal(2, 5, 4, seed=1)
    q = np.linalg.qr(a, "complete")[0]
    (found,) = call("reflect", raw, tau, c, options=(transpose,))
    near(found, (np.swapaxes(q, -1, -2) if transpose else q) @ c)


def test_results_have_the_precision_of_the_operand() -> None:
    a = normal(3, 3).astype(np.float32)
    for name, options in (("geqrf", ()), ("qr", ("reduced",)), ("eigh", ("L", True))):
        assert call(name, a, options=options)[0].dtype == np.float32
    assert call("eig", a, options=(True,))[0].dtype == np.complex64


def test_the_triangle_that_eigh_is_told_is_read() -> None:
    a = normal(4, 4)
    for triangle, half in (("L", np.tril(a, -1)), ("U", np.triu(a, 1).T)):
        whole = half + half.T + np.diag(np.diag(a))
        near(call("eigh", a, options=(triangle, False))[0], np.linalg.eigvalsh(whole))


def test_svd_says_that_a_matrix_is_not_finite() -> None:
    a = np.stack([np.eye(2), np.full((2, 2), np.nan)])
    u, s, vh, info = call("svd", a, options=(True, True))
    assert info.tolist() == [0, -4]
    near(u[0] * s[0] @ vh[0], a[0])
    assert call("svd", a, options=(True, False))[1].tolist() == [0, -4]


def test_a_function_of_scipy_names_the_extra_to_install_where_it_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "scipy.linalg", None)
    with pytest.raises(ImportError, match=r"Treadle with the extra treadle\[linalg\]"):
        FUNCTIONS["ldl_factor"].infer([TensorType(float64, (2, 2))], (False,))


def test_ldl_multiplies_to_the_matrix() -> None:
    pytest.importorskip("scipy")
    a = normal(2, 4, 4)
    a = a + np.swapaxes(a, -1, -2)
    factors, pivots, info = call("ldl_factor", a, options=(False,))
    right = normal(2, 4, 3, seed=1)
    (found,) = call("ldl_solve", factors, pivots, right, options=(False,))
    near(a @ found, right)
    assert not info.any()
