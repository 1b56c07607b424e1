"""Binary search, membership, distinct elements, counts and histograms, as PyTorch has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.frontend.agreement import check

pytestmark = pytest.mark.oracle

NAN, INF = float("nan"), float("inf")
EDGES = [-INF, -1.0, 0.0, 0.0, 2.0, 2.0, 2.0, 7.5]
VALUES = [[-2.0, -1.0, 0.0, 1.0], [2.0, 7.5, 9.0, NAN]]


@pytest.mark.parametrize("right", [False, True])
def test_search(right: bool) -> None:
    def program(torch: Any) -> Any:
        edges, values = torch.tensor(EDGES), torch.tensor(VALUES)
        several = torch.tensor([[1, 3, 5], [2, 2, 9]])
        order = torch.tensor([2, 0, 1])
        return (
            torch.searchsorted(edges, values, right=right),
            torch.searchsorted(edges, 2.0, right=right),
            torch.searchsorted(several, torch.tensor([[3, 0], [2, 10]]), right=right),
            torch.searchsorted(torch.tensor([3, 9, 1]), torch.tensor([1, 4]), sorter=order),
            torch.searchsorted(torch.zeros(0), values),
            torch.bucketize(values, edges, out_int32=True, right=right),
            torch.bucketize(1, torch.tensor([0, 1, 2]), right=right),
        )

    check(program)


@pytest.mark.parametrize("count", [0, 1, 5, 100])
@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8"])
def test_membership(count: int, dtype: str) -> None:
    numbers = np.random.default_rng(count).integers(0, 60, count)

    def program(torch: Any) -> Any:
        tests = torch.tensor(numbers).to(getattr(torch, dtype))
        elements = torch.arange(40).reshape(5, 8).to(getattr(torch, dtype))
        invert = torch.isin(elements, tests, invert=True)
        return torch.isin(elements, tests), invert, torch.isin(3, tests), torch.isin(elements, 3)

    check(program)


def test_nan_is_a_member_of_nothing() -> None:
    check(lambda torch: torch.isin(torch.tensor([NAN, 1.0, -0.0]), torch.tensor([NAN, 0.0] * 20)))


@pytest.mark.parametrize("dim", [None, 0, 1])
def test_distinct_elements(dim: int | None) -> None:
    def program(torch: Any) -> Any:
        x = torch.tensor([[2, 2, 1, 2], [0, 0, 1, 0], [2, 2, 1, 2]])
        return (
            torch.unique(x, dim=dim),
            x.unique(return_inverse=True, dim=dim),
            x.unique(return_counts=True, dim=dim),
            torch.unique_consecutive(x, return_inverse=True, return_counts=True, dim=dim),
            x.unique_consecutive(dim=dim),
        )

    check(program)


def test_distinct_elements_of_every_kind() -> None:
    def program(torch: Any) -> Any:
        both = {"return_inverse": True, "return_counts": True}
        return [
            torch.unique(torch.tensor(numbers), **both)
            for numbers in ([True, False, True], [1.5, NAN, NAN, 1.5], [-0.0, 0.0, 1.0])
        ] + [
            torch.unique(torch.tensor(3), **both),
            torch.unique(torch.zeros(0), **both),
            torch.unique(torch.zeros(0, 2), dim=0),
            torch.unique_consecutive(torch.zeros(0), **both),
        ]

    check(program)


def test_counts() -> None:
    def program(torch: Any) -> Any:
        x = torch.tensor([1, 4, 1, 0, 4, 4])
        weights = torch.tensor([0.5, 1.0, 2.0, 4.0, 8.0, 16.0])
        return (
            torch.bincount(x), x.bincount(weights), x.bincount(weights.long(), minlength=8),
            torch.bincount(x.to(torch.uint8), minlength=3),
            torch.bincount(torch.zeros(0, dtype=torch.int64), minlength=2),
        )  # fmt: skip

    check(program)


def test_histograms() -> None:
    def program(torch: Any) -> Any:
        x = torch.tensor([0.0, 1.0, 2.5, 2.5, 4.0, -1.0, 3.999])
        points = torch.stack([x, x * x], 1)
        weight = torch.arange(7.0)
        edges = torch.tensor([-1.0, 0.0, 2.5, 4.0])
        grid = torch.histogramdd(points, [2, 3], weight=weight)
        return [
            torch.histc(x, 4), x.histc(5, 0, 4), torch.histc(torch.ones(3), 3),
            torch.histogram(x, 4), x.histogram(edges, density=True),
            torch.histogram(x, 3, range=(0.0, 3.0), weight=weight),
            grid.hist, list(grid.bin_edges), repr(torch.histogram(x, 2)),
        ]  # fmt: skip

    check(program)


ERRORS: dict[str, Callable[[Any], Any]] = {
    "side": lambda torch: torch.searchsorted(torch.zeros(2), 1, side="middle"),
    "sides": lambda torch: torch.searchsorted(torch.zeros(2), 1, side="left", right=True),
    "rank": lambda torch: torch.searchsorted(torch.tensor(1.0), torch.zeros(1)),
    "scalar": lambda torch: torch.searchsorted(torch.zeros(1, 2), 1),
    "rows": lambda torch: torch.searchsorted(torch.zeros(1, 2), torch.zeros(1)),
    "sorter": lambda torch: torch.searchsorted(torch.zeros(2), 1, sorter=torch.tensor([0])),
    "sorter dtype": lambda torch: torch.searchsorted(torch.zeros(2), 1, sorter=torch.zeros(2)),
    "sorter range": lambda torch: torch.searchsorted(
        torch.zeros(2), 1, sorter=torch.tensor([0, 5])
    ),
    "boundaries": lambda torch: torch.bucketize(torch.zeros(2), torch.zeros(1, 1)),
    "numbers": lambda torch: torch.isin(1, 1),
    "truth values": lambda torch: torch.isin(torch.tensor([True]), torch.tensor([True])),
    "unique of none": lambda torch: torch.unique(torch.zeros(2, 0), dim=0),
    "negative": lambda torch: torch.bincount(torch.tensor([-1])),
    "matrix": lambda torch: torch.bincount(torch.tensor([[1]])),
    "floats": lambda torch: torch.bincount(torch.tensor([1.0])),
    "weights": lambda torch: torch.bincount(torch.tensor([1]), torch.tensor([1, 2])),
    "length": lambda torch: torch.bincount(torch.tensor([1]), minlength=-1),
    "bins": lambda torch: torch.histc(torch.zeros(2), 0),
    "range": lambda torch: torch.histc(torch.zeros(2), 3, min=2, max=1),
    "integers": lambda torch: torch.histc(torch.tensor([1, 2]), 3),
    "edges": lambda torch: torch.histogram(torch.zeros(3), torch.zeros(1, 1)),
    "dtype of edges": lambda torch: torch.histogram(torch.zeros(3), torch.zeros(2).double()),
    "weight": lambda torch: torch.histogram(torch.zeros(3), 2, weight=torch.zeros(1)),
    "limits": lambda torch: torch.histogram(torch.zeros(3), 3, range=(2, 1)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_pytorchs(name: str) -> None:
    check(ERRORS[name])
