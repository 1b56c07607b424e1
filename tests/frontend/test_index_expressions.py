"""Random index expressions, read and written, with gradients and errors, against PyTorch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.frontend.agreement import check

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

Draw = Callable[[Any], Any]
# An item of a key: a function of the library that makes it.
Item = Callable[[Any], Any]

KINDS = ["int", "slice", "slice", "none", "tensor", "tensor", "list", "mask", "numpy"]
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


def constant(item: Any) -> Item:
    return lambda _t: item


def tensor(array: Any) -> Item:
    return lambda t: t.tensor(array)


@st.composite
def integer_arrays(draw: Draw, extent: int, shape: tuple[int, ...]) -> Any:
    size = int(np.prod(shape))
    # Rarely out of range: an error then.
    low, high = (-extent, extent - 1) if draw(st.integers(0, 19)) else (-extent - 1, extent)
    numbers = draw(st.lists(st.integers(low, high), min_size=size, max_size=size))
    return np.array(numbers, np.int64).reshape(shape)


@st.composite
def slices(draw: Draw, extent: int) -> slice:
    bound = st.none() | st.integers(-extent - 1, extent + 1)
    return slice(draw(bound), draw(bound), draw(st.none() | st.integers(1, 3)))


@st.composite
def keys(draw: Draw, shape: tuple[int, ...]) -> list[Item]:
    """Items for some of the axes of a shape, with new axes, an ellipsis and truth values."""
    together = draw(st.sampled_from([(2,), (2,), (1,), (2, 1), (3,), (0,)]))
    items: list[Item] = []
    at = 0
    while at < len(shape) and draw(st.integers(0, 4)):
        extent = shape[at]
        kind = draw(st.sampled_from(KINDS))
        if kind == "none":
            items.append(constant(draw(st.sampled_from([None, None, None, True, False]))))
            continue
        if kind == "int":
            items.append(constant(draw(st.integers(-extent, extent - 1))))
        elif kind == "slice":
            items.append(constant(draw(slices(extent))))
        elif kind == "mask":
            rank = draw(st.integers(1, min(2, len(shape) - at)))
            size = shape[at : at + rank]
            count = int(np.prod(size))
            held = draw(st.lists(st.booleans(), min_size=count, max_size=count))
            items.append(tensor(np.array(held).reshape(size)))
            at += rank
            continue
        else:
            array = draw(integer_arrays(extent, draw(st.sampled_from([together, together, (1,)]))))
            if kind == "tensor":
                items.append(tensor(array))
            else:
                items.append(constant(array.tolist() if kind == "list" else array))
        at += 1
    if draw(st.booleans()):
        items.insert(draw(st.integers(0, len(items))), constant(Ellipsis))
    return items


def key_of(items: list[Item], library: Any) -> Any:
    made = tuple(item(library) for item in items)
    return made[0] if len(made) == 1 else made


def leaf(torch: Any, shape: tuple[int, ...], start: float = 0.0) -> Any:
    count = int(np.prod(shape))
    array = (np.arange(count, dtype=np.float32) + start).reshape(shape)
    return torch.tensor(array, requires_grad=True)


@st.composite
def cases(draw: Draw) -> tuple[tuple[int, ...], list[Item]]:
    shape = draw(SHAPES)
    return shape, draw(keys(shape))


relaxed = settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


@relaxed
@given(cases())
def test_reading_any_index_gives_pytorchs_elements_and_gradient(
    case: tuple[tuple[int, ...], list[Item]],
) -> None:
    shape, items = case

    def program(torch: Any) -> Any:
        x = leaf(torch, shape)
        y = x * 1
        part = y[key_of(items, torch)]
        (part * part).sum().backward()
        return [part, list(part.shape), x.grad]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(program)


@relaxed
@given(cases(), st.data())
def test_writing_any_index_gives_pytorchs_contents_and_gradients(
    case: tuple[tuple[int, ...], list[Item]], data: Any
) -> None:
    shape, items = case
    kept = data.draw(st.lists(st.booleans(), min_size=6, max_size=6))
    lead = data.draw(st.integers(0, 3))
    action = data.draw(st.sampled_from(["tensor", "number", "0-d", "add", "put"]))

    def program(torch: Any) -> Any:
        x = leaf(torch, shape)
        y = x * 1
        key = key_of(items, torch)
        whole = list(y[key].shape)
        wanted = [n if keep else 1 for n, keep in zip(whole, kept, strict=False)]
        wanted += whole[len(wanted) :]
        new = leaf(torch, tuple(wanted[min(lead, len(wanted)) :]), -50.0)
        if action == "number":
            y[key] = -3.5
        elif action == "0-d":
            y[key] = new.sum()
        elif action == "add":
            y[key] += new
        elif action == "put":
            index = key if isinstance(key, tuple) else (key,)
            index = tuple(
                torch.tensor(i) if isinstance(i, (list, np.ndarray)) else i for i in index
            )
            if not index or not all(isinstance(i, torch.Tensor) for i in index):
                return "not for index_put"
            y.index_put_(index, new, accumulate=True)
        else:
            y[key] = new
        (y * y).sum().backward()
        return [y, x.grad, new.grad]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(program)
