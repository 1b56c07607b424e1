"""Gather, scatter and slices at positions: results, gradients, in-place forms and errors."""

from __future__ import annotations

from typing import Any

import pytest

import treadle
from tests.frontend.agreement import check

pytestmark = pytest.mark.oracle


def matrix(torch: Any, rows: int = 4, columns: int = 3) -> Any:
    return torch.arange(float(rows * columns)).reshape(rows, columns).sub(3.5).requires_grad_()


def places(torch: Any) -> Any:
    return torch.tensor([[0, 2, 1], [2, 2, 0]])


def part(torch: Any) -> Any:
    return torch.tensor([[2.0, -7.0, 0.0], [0.5, 3.0, 1.0]], requires_grad=True)


def vector(torch: Any) -> Any:
    return torch.tensor([3, 0])


CALLS: dict[str, Any] = {
    "gather": lambda t, x, y: x.gather(0, places(t)),
    "take_along_dim": lambda t, x, y: x.take_along_dim(vector(t)[None], 0),
    "take_along_dim flat": lambda t, x, y: t.take_along_dim(x, vector(t)),
    "take": lambda t, x, y: x.take(t.tensor([[0, -1], [5, 5]])),
    "index_select": lambda t, x, y: x.index_select(0, vector(t)),
    "scatter number": lambda t, x, y: x.scatter(0, places(t), 2.5),
    "scatter value": lambda t, x, y: x.scatter(0, places(t), value=2.5),
    "scatter_add": lambda t, x, y: x.scatter_add(0, places(t), y),
    "index_add": lambda t, x, y: x.index_add(0, vector(t), y, alpha=-2),
    "index_copy": lambda t, x, y: x.index_copy(0, vector(t), y),
    "index_fill": lambda t, x, y: x.index_fill(0, vector(t), 1.5),
    "index_fill twice": lambda t, x, y: x.index_fill(0, t.tensor([1, 1]), y.sum()),
    "put": lambda t, x, y: x.put(places(t) + 3, y, accumulate=True),
    "masked_scatter": lambda t, x, y: x.masked_scatter(x > 4, y),
    "masked_select": lambda t, x, y: x.masked_select(x > 1),
    "select_scatter": lambda t, x, y: x.select_scatter(y[0], 0, -1),
    "slice_scatter": lambda t, x, y: x.slice_scatter(y, 0, 1, None, 2),
    "diagonal_scatter": lambda t, x, y: x.diagonal_scatter(y[1, :2], 1),
    **{
        f"scatter_reduce {reduce} {include}": lambda t, x, y, r=reduce, i=include: x.scatter_reduce(
            0, places(t), y, r, include_self=i
        )
        for reduce in ("sum", "prod", "mean", "amax", "amin")
        for include in (True, False)
    },
    **{
        f"index_reduce {reduce} {include}": lambda t, x, y, r=reduce, i=include: x.index_reduce(
            0, vector(t), y, r, include_self=i
        )
        for reduce in ("prod", "mean", "amax", "amin")
        for include in (True, False)
    },
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_results_and_gradients_are_pytorchs(call: Any) -> None:
    def program(torch: Any) -> Any:
        x, y = matrix(torch), part(torch)
        result = call(torch, x, y)
        (result * result).sum().backward()
        return [result, x.grad, y.grad, result.grad_fn.name()]

    check(program)


WRITERS = {
    "scatter", "scatter_add", "index_add", "index_copy", "index_fill", "put", "masked_scatter",
    "scatter_reduce", "index_reduce",
}  # fmt: skip
INPLACE = [name for name in CALLS if name.split()[0] in WRITERS]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", INPLACE)
def test_in_place_forms_write_what_the_function_returns(name: str) -> None:
    class InPlace:
        """A tensor whose methods write into a computed one."""

        def __init__(self, tensor: Any) -> None:
            self.tensor = tensor * 1

        def __getattr__(self, method: str) -> Any:
            return getattr(self.tensor, f"{method}_")

        def __gt__(self, other: float) -> Any:
            return self.tensor > other

    def program(torch: Any) -> Any:
        x, y = matrix(torch), part(torch)
        target = InPlace(x)
        result = CALLS[name](torch, target, y)
        (target.tensor * target.tensor).sum().backward()
        return [result is target.tensor, result, x.grad, y.grad]

    check(program)


def test_the_last_of_repeated_places_wins() -> None:
    x = treadle.zeros(3)
    x[treadle.tensor([1, 1, 2, 1])] = treadle.tensor([5.0, 6.0, 7.0, 8.0])
    assert x.tolist() == [0, 8, 7]
    found = x.scatter(0, treadle.tensor([0, 0]), treadle.tensor([1.0, 2.0]))
    assert found.tolist() == [2, 8, 7]


ERRORS: dict[str, Any] = {
    "scatter dtype": lambda t: t.ones(3).scatter(0, t.tensor([0]), t.ones(1, dtype=t.float64)),
    "scatter index": lambda t: t.ones(3).scatter(0, t.tensor([0.0]), t.ones(1)),
    "scatter range": lambda t: t.ones(3).scatter(0, t.tensor([3]), 1.0),
    "scatter rank": lambda t: t.ones(3, 2).scatter(0, t.tensor([0]), t.ones(1)),
    "scatter shape": lambda t: t.ones(3).scatter(0, t.tensor([0, 1]), t.ones(1)),
    "scatter reduction": lambda t: t.ones(3).scatter(0, t.tensor([0]), t.ones(1), reduce="mean"),
    "scatter_reduce name": lambda t: t.ones(3).scatter_reduce(0, t.tensor([0]), t.ones(1), "add"),
    "index_copy count": lambda t: t.ones(3).index_copy(0, t.tensor([0, 1]), t.ones(1)),
    "index_copy rank": lambda t: t.ones(3, 2).index_copy(0, t.tensor([0]), t.ones(2)),
    "index_copy shape": lambda t: t.ones(3, 2).index_copy(0, t.tensor([0]), t.ones(1, 3)),
    "index_copy range": lambda t: t.ones(3, 2).index_copy(0, t.tensor([3]), t.ones(1, 2)),
    "index_add count": lambda t: t.ones(3).index_add(0, t.tensor([0, 1]), t.ones(1)),
    "index_add index": lambda t: t.ones(3, 2).index_add(0, t.tensor([0.0]), t.ones(1, 2)),
    "index_add range": lambda t: t.ones(3, 2).index_add(0, t.tensor([3]), t.ones(1, 2)),
    "index_add range of a vector": lambda t: t.ones(3).index_add(0, t.tensor([3]), t.ones(1)),
    "index_reduce range": lambda t: t.ones(3, 2).index_reduce(
        0, t.tensor([3]), t.ones(1, 2), "prod"
    ),
    "index_select range": lambda t: t.ones(3).index_select(0, t.tensor([-1])),
    "index_fill range": lambda t: t.ones(3).index_fill(0, t.tensor([3]), 1.0),
    "index_copy dtype": lambda t: t.ones(3).index_copy(0, t.tensor([0]), t.ones(1).double()),
    "take range": lambda t: t.ones(3).take(t.tensor([3])),
    "take dtype": lambda t: t.ones(3).take(t.tensor([1.0])),
    "put count": lambda t: t.ones(3).put(t.tensor([0, 1]), t.ones(1)),
    "masked_scatter source": lambda t: t.ones(3).masked_scatter(t.ones(3) > 0, t.ones(2)),
    "masked_select mask": lambda t: t.ones(3).masked_select(t.ones(3)),
    "select_scatter size": lambda t: t.ones(3, 2).select_scatter(t.ones(3), 0, 0),
    "index_put dtype": lambda t: t.ones(3).index_put((t.tensor([0]),), t.tensor([1])),
    "index_put shape": lambda t: t.ones(3).index_put((t.tensor([0]),), t.ones(2)),
    "number too large": lambda t: t.zeros(3, dtype=t.int8).fill_(300),
    "number zero": lambda t: t.ones(3, dtype=t.int64) // 0,
}


@pytest.mark.parametrize("call", ERRORS.values(), ids=ERRORS)
def test_a_wrong_call_raises_pytorchs_error(call: Any) -> None:
    check(call)


def test_elements_cannot_be_deleted() -> None:
    x = treadle.ones(3)
    with pytest.raises(TypeError, match="Tensor does not support deleting items"):
        del x[0]


def test_positions_are_pytorchs() -> None:
    def program(torch: Any) -> Any:
        x = torch.tensor([[0.0, 2.0, 0.0], [3.0, 0.0, 4.0]])
        return [
            x.nonzero(), *x.nonzero(as_tuple=True), torch.argwhere(x), *torch.where(x),
            torch.nonzero_static(x, size=4), torch.nonzero(torch.tensor(1.0)),
            *torch.unravel_index(torch.tensor([5, 2]), (2, 3)),
            torch.tril_indices(3, 2, 1), torch.triu_indices(2, 4, -1),
        ]  # fmt: skip

    check(program)
