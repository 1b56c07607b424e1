"""Indexing: reading and assigning parts with every kind of index, and its gradients and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import treadle
from tests.frontend.agreement import check, first_line

pytestmark = pytest.mark.oracle


def base(torch: Any) -> Any:
    return torch.arange(24.0).reshape(2, 3, 4).clone()


KEYS: dict[str, Any] = {
    "integer": lambda t: 1,
    "negative": lambda t: -1,
    "numpy integer": lambda t: np.int64(1),
    "tensor number": lambda t: t.tensor(1),
    "integers": lambda t: (1, 2, 3),
    "slice": lambda t: slice(0, 1),
    "step": lambda t: (slice(None), slice(None, None, 2)),
    "bounds beyond the end": lambda t: (slice(None), slice(1, 100)),
    "negative bounds": lambda t: (Ellipsis, slice(-3, -1)),
    "empty slice": lambda t: (slice(1, 1),),
    "crossed bounds": lambda t: (Ellipsis, slice(3, 1)),
    "ellipsis": lambda t: Ellipsis,
    "ellipsis and integer": lambda t: (Ellipsis, 2),
    "ellipsis between": lambda t: (0, Ellipsis, 1),
    "ellipsis for nothing": lambda t: (0, 1, 2, Ellipsis),
    "none": lambda t: None,
    "nones": lambda t: (None, 0, None, Ellipsis, None),
    "empty tuple": lambda t: (),
    "list": lambda t: [1, 0, 1],
    "list in tuple": lambda t: (slice(None), [2, 0]),
    "negative list": lambda t: (slice(None), [-1, -3]),
    "tensor": lambda t: t.tensor([1, 0]),
    "int32 tensor": lambda t: t.tensor([1, 0], dtype=t.int32),
    "matrix of indices": lambda t: (slice(None), t.tensor([[0, 1], [2, 0]])),
    "two tensors": lambda t: (t.tensor([0, 1]), t.tensor([2, 1])),
    "broadcast tensors": lambda t: (t.tensor([[0], [1]]), t.tensor([2, 1])),
    "adjacent tensors": lambda t: (slice(None), t.tensor([2, 1]), t.tensor([3, 0])),
    "separated tensors": lambda t: (t.tensor([0, 1]), slice(None), t.tensor([3, 0])),
    "tensor and integer": lambda t: (1, slice(None), t.tensor([3, 0])),
    "integer and tensors": lambda t: (t.tensor([0, 1]), 1, t.tensor([3, 0])),
    "tensor and none": lambda t: (None, t.tensor([0, 1])),
    "tensor and slice": lambda t: (t.tensor([0, 1]), slice(1, 3)),
    "numpy array": lambda t: np.array([1, 0]),
    "empty list": lambda t: [],
    "mask": lambda t: t.arange(24).reshape(2, 3, 4) % 5 == 0,
    "mask of rows": lambda t: t.tensor([True, False]),
    "mask of two axes": lambda t: t.tensor([[True, False, True], [False, False, True]]),
    "mask of an inner axis": lambda t: (slice(None), t.tensor([True, False, True])),
    "empty mask": lambda t: t.zeros(2, 3, 4, dtype=t.bool),
    "list of bools": lambda t: [True, False],
    "mask and integer": lambda t: (t.tensor([True, True]), 1),
    "true": lambda t: True,
    "uint8 mask": lambda t: (slice(None), [0, 1, 1]),
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_getitem_is_pytorchs(key: Any) -> None:
    def program(torch: Any) -> Any:
        x = base(torch).requires_grad_()
        y = x * 1
        part = y[key(torch)]
        (part * part).sum().backward()
        return [part, x.grad, part.grad_fn.name()]

    check(program)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_getitem_of_integers_is_pytorchs(key: Any) -> None:
    check(lambda torch: base(torch).to(torch.int64)[key(torch)])


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_setitem_of_a_number_is_pytorchs(key: Any) -> None:
    def program(torch: Any) -> Any:
        x = base(torch).requires_grad_()
        y = x * 1
        y[key(torch)] = -7
        (y * y).sum().backward()
        return [y, x.grad]

    check(program)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_setitem_of_a_tensor_is_pytorchs(key: Any) -> None:
    def program(torch: Any) -> Any:
        x = base(torch).requires_grad_()
        y = x * 1
        shape = y[key(torch)].shape
        new = (torch.arange(float(shape.numel())).reshape(shape) * -1).requires_grad_()
        y[key(torch)] = new
        (y * y).sum().backward()
        return [y, x.grad, None if "repeat" in str(key) else new.grad]

    check(program)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_setitem_broadcasts(key: Any) -> None:
    def program(torch: Any) -> Any:
        x = base(torch)
        x[key(torch)] = torch.tensor(0.5)
        return x

    check(program)


ERRORS: dict[str, Any] = {
    "out of range": lambda t: 2,
    "negative out of range": lambda t: (0, -4),
    "too many": lambda t: (0, 0, 0, 0),
    "list out of range": lambda t: [0, 2],
    "tensor out of range": lambda t: (t.tensor([0, -3]),),
    "float": lambda t: 1.5,
    "text": lambda t: "a",
    "float tensor": lambda t: t.tensor([0.0, 1.0]),
    "negative step": lambda t: slice(None, None, -1),
    "zero step": lambda t: slice(None, None, 0),
    "mask of another shape": lambda t: t.tensor([True, False, True]),
    "shapes of indices": lambda t: (t.tensor([0, 1]), t.tensor([0, 1, 2])),
}


@pytest.mark.parametrize("key", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
def test_a_wrong_index_raises_pytorchs_error_and_changes_nothing(key: Any, write: bool) -> None:
    def program(torch: Any) -> Any:
        x = base(torch)
        try:
            if write:
                x[key(torch)] = 1.0
            else:
                x[key(torch)]
        except Exception as error:
            unchanged = torch is not treadle or x.tolist() == base(torch).tolist()
            return [type(error).__name__, first_line(error), unchanged]
        return "no error"

    check(program)


def test_masks_and_where_agree() -> None:
    def program(torch: Any) -> Any:
        x = torch.tensor([1.0, -2.0, float("nan"), 0.0, -0.5], requires_grad=True)
        y = x * 2
        y[y < 0] = 0
        y[torch.isnan(y)] = 9
        y.sum().backward()
        return [y, x.grad, x[x > 0], x.detach()[x != x]]

    check(program)


def test_assignment_converts_types() -> None:
    def program(torch: Any) -> Any:
        x = torch.zeros(4, dtype=torch.int64)
        x[0] = 2.9
        x[1] = True
        x[2:] = torch.tensor([1.7, -1.7])
        y = torch.zeros(3)
        y[0] = torch.tensor(2)
        y[1:] = torch.tensor([True, False])
        y[[0, 2]] = torch.tensor([5.0, 6.0])
        return [x, y]

    check(program)


def test_repeated_indices_add_up_in_the_gradient() -> None:
    def program(torch: Any) -> Any:
        x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = x[[0, 0, 2, 0]]
        (y * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
        return [y, x.grad]

    check(program)


def test_gather_index_select_and_scatter_add() -> None:
    def program(torch: Any) -> Any:
        x = base(torch)[0].requires_grad_()
        index = torch.tensor([[0, 2, 1], [2, 2, 0]])
        source = torch.arange(6.0).reshape(2, 3).requires_grad_()
        gathered = x.gather(0, index)
        along = torch.gather(x, 1, torch.tensor([[3], [0], [3]]))
        chosen = x.index_select(1, torch.tensor([3, 0, 3]))
        added = torch.zeros(2, 3).scatter_add(1, index, source)
        (gathered.pow(2).sum() + along.sum() + chosen.pow(2).sum() + added.pow(2).sum()).backward()
        return [gathered, along, chosen, added, x.grad, source.grad]

    check(program)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.ones(3, 4).gather(0, t.tensor([0, 1])),
        lambda t: t.ones(3).gather(0, t.tensor([0.0])),
        lambda t: t.ones(3, 4).gather(2, t.tensor([[0]])),
        lambda t: t.ones(3, 4).gather(0, t.zeros(3, 5, dtype=t.int64)),
        lambda t: t.ones(3).gather(0, t.tensor([3])),
        lambda t: t.ones(3, 4).index_select(0, t.tensor([[0]])),
        lambda t: t.ones(3, 4).index_select(0, t.tensor([3])),
    ],
)  # fmt: skip
def test_wrong_calls_along_an_axis_raise_pytorchs_errors(call: Any) -> None:
    check(call)


def test_a_loop_of_row_writes_gives_the_rows() -> None:
    def program(torch: Any) -> Any:
        x = torch.zeros(20, 3)
        for row in range(20):
            x[row] = torch.full((3,), float(row))
            x[row, 1] += 0.5
        return x

    check(program)
