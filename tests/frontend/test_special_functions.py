"""``treadle.special``: float64 against SciPy, gradients and errors against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import treadle
from tests.frontend.agreement import check, oracle

special = treadle.special
RANDOM = np.random.default_rng(12)


def uniform(low: float, high: float, count: int = 400) -> Any:
    return RANDOM.uniform(low, high, count)


# name here -> (name in SciPy, arguments)
ONE: dict[str, tuple[str, Any]] = {
    "airy_ai": ("airy", np.concatenate([uniform(-20, 10), uniform(-2.2, 2.2), uniform(1.9, 8.5)])),
    "bessel_j0": ("j0", uniform(-40, 40)),
    "bessel_j1": ("j1", uniform(-40, 40)),
    "bessel_y0": ("y0", uniform(0, 40)),
    "bessel_y1": ("y1", uniform(0, 40)),
    "digamma": ("psi", uniform(-20, 20)),
    "entr": ("entr", uniform(0, 3)),
    "erfcx": ("erfcx", uniform(-10, 30)),
    "gammaln": ("gammaln", uniform(0, 100)),
    "i0": ("i0", uniform(-20, 20)),
    "i0e": ("i0e", uniform(-50, 50)),
    "i1": ("i1", uniform(-20, 20)),
    "i1e": ("i1e", uniform(-50, 50)),
    "log_ndtr": ("log_ndtr", uniform(-40, 8)),
    "modified_bessel_i0": ("i0", uniform(-20, 20)),
    "modified_bessel_i1": ("i1", uniform(-20, 20)),
    "modified_bessel_k0": ("k0", uniform(0, 30)),
    "modified_bessel_k1": ("k1", uniform(0, 30)),
    "ndtr": ("ndtr", uniform(-12, 8)),
    "ndtri": ("ndtri", np.concatenate([uniform(0, 1), 10 ** uniform(-30, 0)])),
    "scaled_modified_bessel_k0": ("k0e", uniform(0, 60)),
    "scaled_modified_bessel_k1": ("k1e", uniform(0, 60)),
}
TWO: dict[str, tuple[str, Any, Any]] = {
    "gammainc": ("gammainc", uniform(0.1, 40), uniform(0, 60)),
    "gammaincc": ("gammaincc", uniform(0.1, 40), uniform(0, 60)),
    "zeta": ("zeta", uniform(1.01, 20), uniform(0.01, 30)),
    "xlogy": ("xlogy", uniform(-3, 3), uniform(0, 9)),
    "xlog1py": ("xlog1py", uniform(-3, 3), uniform(-1, 9)),
    "polygamma": ("polygamma", 2, uniform(0.01, 30)),
    "multigammaln": ("multigammaln", uniform(3, 30), 4),
}


def agree(found: Any, expected: Any, rtol: float = 2e-12) -> None:
    """Equal up to ``rtol``, or up to that of the largest result near zeros."""
    size = min(float(np.median(np.abs(expected))), 1.0)
    np.testing.assert_allclose(found.numpy(), expected, rtol=rtol, atol=rtol * size)


@pytest.mark.parametrize("name", ONE)
def test_functions_of_float64_agree_with_scipy(name: str) -> None:
    scipy = pytest.importorskip("scipy.special")
    known, x = ONE[name]
    expected = getattr(scipy, known)(x)
    agree(getattr(special, name)(treadle.tensor(x)), expected[0] if known == "airy" else expected)


@pytest.mark.parametrize("name", TWO)
def test_functions_of_two_arguments_agree_with_scipy(name: str) -> None:
    scipy = pytest.importorskip("scipy.special")
    known, first, second = TWO[name]
    arguments = [treadle.tensor(a) if isinstance(a, np.ndarray) else a for a in (first, second)]
    agree(getattr(special, name)(*arguments), getattr(scipy, known)(first, second))


def test_incomplete_gamma_functions_hold_for_extreme_parameters() -> None:
    mpmath = pytest.importorskip("mpmath")
    a = np.array([1e-4, 1e-2, 0.9, 30.0, 1e3, 1e5, 1e5, 50.0, 0.5])
    x = np.array([1e-3, 5.0, 1.2, 30.0, 1.1e3, 1e5, 0.99e5, 1e-3, 300.0])
    with mpmath.workdps(50):
        pairs = list(zip(a, x, strict=True))
        lower = [float(mpmath.gammainc(p, 0, q, regularized=True)) for p, q in pairs]
        upper = [float(mpmath.gammainc(p, q, mpmath.inf, regularized=True)) for p, q in pairs]
    first, second = treadle.tensor(a), treadle.tensor(x)
    np.testing.assert_allclose(treadle.igamma(first, second).numpy(), lower, rtol=1e-12)
    np.testing.assert_allclose(treadle.igammac(first, second).numpy(), upper, rtol=1e-11)


def test_polygamma_reflects_negative_numbers() -> None:
    mpmath = pytest.importorskip("mpmath")
    x = -uniform(0.01, 12, 60)
    for order in (1, 2, 3):
        expected = [float(mpmath.polygamma(order, number)) for number in x]
        found = special.polygamma(order, treadle.tensor(x)).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-9)


FAMILIES = {
    "chebyshev_polynomial_t": "eval_chebyt",
    "chebyshev_polynomial_u": "eval_chebyu",
    "hermite_polynomial_h": "eval_hermite",
    "hermite_polynomial_he": "eval_hermitenorm",
    "laguerre_polynomial_l": "eval_laguerre",
    "legendre_polynomial_p": "eval_legendre",
    "shifted_chebyshev_polynomial_t": "eval_sh_chebyt",
    "shifted_chebyshev_polynomial_u": "eval_sh_chebyu",
}


@pytest.mark.parametrize("name", FAMILIES)
def test_polynomials_agree_with_scipy(name: str) -> None:
    scipy = pytest.importorskip("scipy.special")
    x, n = uniform(-1.5, 1.5), RANDOM.integers(0, 12, 400)
    expected = getattr(scipy, FAMILIES[name])(n, x)
    function = getattr(special, name)
    size = np.abs(expected).max()
    found = function(treadle.tensor(x), treadle.tensor(n)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12 * size)
    for degree in (0, 1, 5):
        found = function(treadle.tensor(x), degree).numpy()
        known = getattr(scipy, FAMILIES[name])(degree, x)
        np.testing.assert_allclose(found, known, rtol=1e-10, atol=1e-11)


@pytest.mark.oracle
def test_the_names_are_pytorchs() -> None:
    torch = oracle()
    theirs = {name for name in torch.special.__all__ if not name.startswith("_")}
    assert theirs <= set(special.__all__)


Call = Callable[..., Any]
_OF_ONE = "entr erfcx i0 i0e i1 i1e log_ndtr ndtr ndtri digamma gammaln logit psi"
GRADIENTS: dict[str, Call] = {
    **{name: lambda t, x, n=name: getattr(t.special, n)(x) for name in _OF_ONE.split()},
    "xlogy": lambda t, x: t.special.xlogy(x, x + 1),
    "xlog1py": lambda t, x: t.special.xlog1py(x, x),
    "zeta": lambda t, x: t.special.zeta(3.0, x),
    "igamma": lambda t, x: t.igamma(t.tensor(2.5), x),
    "igammac": lambda t, x: t.igammac(t.tensor(2.5), x),
    "polygamma": lambda t, x: x.polygamma(2),
    "polygamma of order 0": lambda t, x: t.polygamma(0, x),
    "mvlgamma": lambda t, x: t.mvlgamma(x + 2, 3),
    "softmax": lambda t, x: t.special.softmax(x, 0)[0],
    "log_softmax": lambda t, x: t.special.log_softmax(x, 0, dtype=t.float64)[0],
    "logsumexp": lambda t, x: t.special.logsumexp(x, 0),
}


@pytest.mark.oracle
@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_agree_with_pytorch(name: str) -> None:
    def program(t: Any) -> Any:
        x = t.tensor(np.linspace(0.05, 0.95, 9), dtype=t.float64, requires_grad=True)
        result = GRADIENTS[name](t, x)
        result.sum().backward()
        return [result, x.grad]

    check(program, rtol=1e-6)


ERRORS: dict[str, Call] = {
    "negative order": lambda t, x: t.polygamma(-1, x),
    "no dimension": lambda t, x: t.mvlgamma(x, 0),
    "igamma of integers": lambda t, x: t.igamma(x.long(), x.long()),
    "igamma of a number": lambda t, x: t.igamma(x, 2),
    "two numbers": lambda t, x: t.special.zeta(2.0, 3.0),
    "a parameter's gradient": lambda t, x: t.igamma(x.requires_grad_(), x).sum().backward(),
}


@pytest.mark.oracle
@pytest.mark.parametrize("name", ERRORS)
def test_wrong_arguments_raise_pytorchs_error(name: str) -> None:
    check(lambda t: ERRORS[name](t, t.tensor([0.5, 1.5])))
