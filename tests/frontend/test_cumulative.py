"""Running sums, products and extrema, differences and integrals, as PyTorch has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import treadle
from tests.frontend.agreement import check

pytestmark = pytest.mark.oracle

SPECIAL = [[3.0, -1.0, -1.0, float("nan"), 2.0], [0.0, 5.0, 5.0, -0.0, 5.0]]


def running(name: str, dim: int) -> Callable[[Any], Any]:
    def program(torch: Any) -> Any:
        x = torch.tensor([[1.5, 0.0, -2.0, 0.0], [2.0, 3.0, 0.5, -1.0]], requires_grad=True)
        y = getattr(torch, name)(x, dim)
        values = y if name in ("cumsum", "cumprod", "logcumsumexp") else y.values
        (values * torch.tensor([[1.0, 2.0, 3.0, 4.0]])).sum().backward()
        return y, x.grad, values.grad_fn.name()

    return program


@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("name", ["cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"])
def test_running_values_and_their_gradients(name: str, dim: int) -> None:
    check(running(name, dim))


@pytest.mark.parametrize("name", ["cummax", "cummin"])
def test_running_extrema_take_the_last_of_equal_elements_and_nan_wins(name: str) -> None:
    check(lambda torch: getattr(torch.tensor(SPECIAL), name)(1))
    check(lambda torch: repr(getattr(torch.tensor([1, 3, 2]), name)(0)))


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_integers_add_up_as_int64_and_in_place_as_they_are(name: str) -> None:
    check(lambda torch: getattr(torch.tensor([True, True, False]), name)(0))
    check(lambda torch: getattr(torch.tensor([1, 2, 3], dtype=torch.int32), name)(0))
    check(lambda torch: getattr(torch.tensor([1, 2]), name)(0, dtype=torch.float64))
    check(lambda torch: getattr(torch.tensor([2, 3], dtype=torch.int32), f"{name}_")(0))
    check(lambda torch: getattr(torch.tensor(4.0), name)(-1))


def test_in_place_sums_pass_gradients_on() -> None:
    def program(torch: Any) -> Any:
        x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = x * 2.0
        y.cumsum_(0)
        (y * y).sum().backward()
        return x.grad, y

    check(program)


def test_the_second_derivative_of_a_product_with_zeros() -> None:
    def program(torch: Any) -> Any:
        x = torch.tensor([2.0, 0.0, 3.0, 0.0], dtype=torch.float64, requires_grad=True)
        (first,) = torch.autograd.grad(torch.cumprod(x, 0).sum(), x, create_graph=True)
        (first * first).sum().backward()
        return first, x.grad

    check(program)


def test_logarithms_of_sums_bear_infinities() -> None:
    inf = float("inf")
    for numbers in (
        [-inf, -inf, -1000.0, 1.0],
        [1.0, inf, 2.0, -inf],
        [1000.0, -1000.0, 1000.5, 90.0],
        [float("nan"), 1.0, 2.0, 3.0],
    ):
        check(lambda torch, n=numbers: torch.logcumsumexp(torch.tensor(n), 0))


def test_elements_that_add_nothing_get_no_gradient() -> None:
    """Where PyTorch gives NaN."""
    inf = float("inf")
    x = treadle.tensor([[-inf, -inf, -1000.0, 1.0], [-inf] * 4], requires_grad=True)
    treadle.logcumsumexp(x, 1).sum().backward()
    assert x.grad.tolist() == [[0.0, 0.0, 1.0, 1.0], [0.0] * 4]


def test_the_gradient_of_logcumsumexp_is_exact_for_large_numbers() -> None:
    numbers = np.random.default_rng(0).uniform(-1e4, 1e4, 4) + np.arange(40).reshape(10, 4) / 8
    gradients = []
    for dtype in (treadle.float32, treadle.float64):
        x = treadle.tensor(numbers.astype(np.float32), dtype=dtype, requires_grad=True)
        treadle.logcumsumexp(x, 0).sum().backward()
        gradients.append(x.grad.numpy())
    np.testing.assert_allclose(gradients[0], gradients[1], rtol=1e-5, atol=1e-7)


def test_long_sums_are_those_of_float64_rounded() -> None:
    numbers = np.random.default_rng(0).standard_normal(100_003).astype(np.float32)
    found = treadle.tensor(numbers).cumsum(0).numpy()
    np.testing.assert_allclose(found, numbers.astype(np.float64).cumsum(), atol=1e-2)


def test_differences() -> None:
    def program(torch: Any) -> Any:
        x = torch.tensor([[1.0, 4.0, 9.0], [2.0, 2.0, 5.0]], requires_grad=True)
        one = torch.diff(x, prepend=torch.zeros(2, 1))
        two = x.diff(n=2, dim=0, append=torch.ones(1, 3))
        one.sum().backward()
        none = torch.diff(torch.tensor([1, 2]), n=5)
        return one, two, x.grad, none, torch.diff(torch.tensor([True, False, False]))

    check(program)


def test_integrals() -> None:
    def program(torch: Any) -> Any:
        y = torch.tensor([[1.0, 4.0, 9.0], [2.0, 2.0, 5.0]], requires_grad=True)
        places = torch.tensor([0.0, 1.0, 3.0])
        results = [
            torch.trapezoid(y), torch.trapezoid(y, dx=2, dim=0), torch.trapz(y, places),
            torch.cumulative_trapezoid(y, dx=0.5), torch.cumulative_trapezoid(y, places),
            torch.trapezoid(torch.tensor([1, 2, 4])), torch.trapezoid(torch.zeros(2, 0)),
        ]  # fmt: skip
        torch.cumulative_trapezoid(y, places).sum().backward()
        return results, y.grad

    check(program)


ERRORS: dict[str, Callable[[Any], Any]] = {
    "axis": lambda torch: torch.cumsum(torch.zeros(2), 2),
    "integers": lambda torch: torch.logcumsumexp(torch.tensor([1]), 0),
    "no axis": lambda torch: torch.diff(torch.tensor(1.0)),
    "order": lambda torch: torch.diff(torch.zeros(2), n=-1),
    "rank": lambda torch: torch.diff(torch.zeros(2), prepend=torch.tensor(1.0)),
    "shape": lambda torch: torch.diff(torch.zeros(1, 2), prepend=torch.zeros(2, 1)),
    "truth": lambda torch: torch.trapezoid(torch.tensor([True])),
    "truth of places": lambda torch: torch.trapezoid(torch.ones(2), torch.tensor([True, False])),
    "places": lambda torch: torch.trapezoid(torch.zeros(3), torch.zeros(2)),
    "scalar": lambda torch: torch.trapezoid(torch.tensor(1.0)),
    "cumulative places": lambda torch: torch.cumulative_trapezoid(torch.zeros(3), torch.zeros(2)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_pytorchs(name: str) -> None:
    check(ERRORS[name])
