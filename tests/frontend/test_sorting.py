"""Sorting, the greatest elements, medians, modes and quantiles, as PyTorch has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import treadle
from tests.frontend.agreement import check

pytestmark = pytest.mark.oracle

NAN = float("nan")
ROWS = [[3.0, -1.0, NAN, 2.0, 2.5], [0.0, 5.0, 1.0, -0.5, 7.0]]
EQUAL = [[3, 1, 3, 2, 1, 1], [0, 0, 5, 5, 5, 0]]


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("descending", [False, True])
def test_sorts_keep_the_order_of_equal_elements(dim: int, descending: bool) -> None:
    def program(torch: Any) -> Any:
        x = torch.tensor(EQUAL)
        y = torch.tensor(ROWS)
        kept = torch.sort(x, dim=dim, descending=descending, stable=True)
        found = kept, y.sort(dim, descending)
        return found, y.argsort(dim, descending), torch.argsort(x, dim=dim, stable=True), y.msort()

    check(program)


@pytest.mark.parametrize("length", [1, 15, 16, 17, 300, 2049, 5000])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int32", "uint8"])
def test_rows_of_every_length_and_dtype(length: int, dtype: str) -> None:
    numbers = np.random.default_rng(length).integers(0, 200, (2, length))

    def program(torch: Any) -> Any:
        x = torch.tensor(numbers).to(getattr(torch, dtype))
        return torch.sort(x, stable=True), torch.sort(x, dim=1, descending=True, stable=True)

    check(program)


def test_results_are_named_and_printed_as_in_pytorch() -> None:
    check(lambda torch: repr(torch.sort(torch.tensor([2.0, 1.0]))))
    check(lambda torch: repr(torch.topk(torch.tensor([2.0, 1.0]), 1)))
    check(lambda torch: torch.tensor([2.0, 1.0]).kthvalue(1).indices)
    check(lambda torch: torch.tensor(EQUAL).mode(1).values)


def chosen(call: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    """A program that takes the gradient of a function's values, each weighted differently."""

    def program(torch: Any) -> Any:
        x = torch.tensor([[3.0, -1.0, 4.0, 2.0], [0.0, 5.0, 1.0, -0.5]], requires_grad=True)
        found = call(torch, x)
        values = found if torch.is_tensor(found) else found.values
        weights = torch.arange(1.0, 1.0 + values.numel()).reshape(values.shape)
        (values * weights).sum().backward()
        return found, x.grad, values.grad_fn.name()

    return program


CHOICES: dict[str, Callable[[Any, Any], Any]] = {
    "sort": lambda torch, x: torch.sort(x, 1),
    "sort columns": lambda torch, x: torch.sort(x, 0, True),
    "topk": lambda torch, x: torch.topk(x, 2),
    "least": lambda torch, x: x.topk(3, dim=1, largest=False),
    "kthvalue": lambda torch, x: torch.kthvalue(x, 3, keepdim=True),
    "median": lambda torch, x: x.median(),
    "median of rows": lambda torch, x: torch.median(x, 1),
    "nanmedian": lambda torch, x: torch.nanmedian(x),
    "mode": lambda torch, x: torch.mode(x, 0),
}


@pytest.mark.parametrize("name", CHOICES)
def test_gradients_go_to_the_chosen_elements(name: str) -> None:
    check(chosen(CHOICES[name]))


@pytest.mark.parametrize("q", [0.3, 1, [0.0, 0.25, 1.0]])
@pytest.mark.parametrize("interpolation", ["linear", "lower", "higher", "midpoint", "nearest"])
def test_quantiles(q: Any, interpolation: str) -> None:
    def program(torch: Any) -> Any:
        x = torch.tensor([[3.0, -1.0, 4.0, 2.0], [0.0, NAN, 1.0, -0.5]], requires_grad=True)
        fractions = torch.tensor(q) if isinstance(q, list) else q
        found = torch.quantile(x, fractions, 1, True, interpolation=interpolation)
        ignoring = x.nanquantile(fractions, dim=1, interpolation=interpolation)
        ignoring.sum().backward()
        return found, ignoring, x.grad, torch.quantile(x.detach()[0], fractions)

    check(program)


def test_medians_with_nan() -> None:
    def program(torch: Any) -> Any:
        x = torch.tensor(ROWS)
        nothing = torch.tensor([NAN, NAN])
        return x.median(), x.median(1), x.nanmedian(), x.nanmedian(1), nothing.nanmedian(0)

    check(program)


def test_tensors_without_dimensions_or_elements() -> None:
    def program(torch: Any) -> Any:
        one, none = torch.tensor(3.0), torch.zeros(0, 2)
        of_one = [one.sort(), one.topk(1), one.kthvalue(1), one.median(0), one.mode(), one.median()]
        return of_one, none.sort(0), none.topk(0, 0), none.mode(1), none.median(), none.argsort()

    check(program)


def test_the_greatest_of_long_rows_are_those_of_the_sorted_row() -> None:
    numbers = np.random.default_rng(0).standard_normal((3, 20_000)).astype(np.float32)
    x = treadle.tensor(numbers)
    values, indices = x.topk(7)
    expected = np.sort(numbers, 1)[:, ::-1][:, :7]
    np.testing.assert_array_equal(values.numpy(), expected)
    np.testing.assert_array_equal(np.take_along_axis(numbers, indices.numpy(), 1), expected)


ERRORS: dict[str, Callable[[Any], Any]] = {
    "k": lambda torch: torch.topk(torch.zeros(2), 3),
    "topk of truth values": lambda torch: torch.topk(torch.tensor([True]), 1),
    "kth": lambda torch: torch.kthvalue(torch.zeros(2), 3),
    "kth of none": lambda torch: torch.kthvalue(torch.zeros(0), 1),
    "axis": lambda torch: torch.sort(torch.zeros(2), 1),
    "median of none": lambda torch: torch.zeros(2, 0).median(1),
    "mode of none": lambda torch: torch.zeros(2, 0).mode(1),
    "median of truth values": lambda torch: torch.tensor([True]).median(),
    "quantile of none": lambda torch: torch.quantile(torch.zeros(0), 0.5),
    "quantile beyond": lambda torch: torch.quantile(torch.zeros(3), 1.5),
    "quantiles beyond": lambda torch: torch.quantile(torch.zeros(3), torch.tensor([1.5])),
    "quantile of integers": lambda torch: torch.quantile(torch.tensor([1]), 0.5),
    "fractions": lambda torch: torch.quantile(torch.zeros(3), torch.zeros(1, 1)),
    "dtype of fractions": lambda torch: torch.quantile(torch.zeros(3), torch.zeros(1).double()),
    "interpolation": lambda torch: torch.quantile(torch.zeros(3), 0.5, interpolation="cubic"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_pytorchs(name: str) -> None:
    check(ERRORS[name])
