"""Where the elements of views lie: size, stride, offset, and what a write through them changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import treadle
from tests.frontend.agreement import Program, check

pytestmark = pytest.mark.oracle
SHARED = np.zeros(2)


def _layout(tensor: Any) -> list[Any]:
    return [list(tensor.shape), list(tensor.stride()), tensor.storage_offset()]


def _cube(t: Any) -> Any:
    return t.arange(24.0).reshape(2, 3, 4)


# Every view of a [2, 3, 4] tensor: its layout, and the whole after the view was filled.
VIEWS: dict[str, Program] = {
    "view": lambda t, x: x.view(4, 6),
    "view_as": lambda t, x: x.view_as(t.zeros(6, 4)),
    "reshape_as": lambda t, x: x.reshape_as(t.zeros(6, 4)),
    "ravel": lambda t, x: t.ravel(x),
    "flatten of one axis": lambda t, x: x.flatten(1, 1),
    "unflatten": lambda t, x: x.unflatten(2, (2, -1)),
    "T of a matrix": lambda t, x: x[0].T,
    "mT": lambda t, x: x.mT,
    "mH": lambda t, x: x.mH,
    "H": lambda t, x: x[1].H,
    "adjoint": lambda t, x: t.adjoint(x),
    "swapaxes": lambda t, x: t.swapaxes(x, 0, 2),
    "swapdims": lambda t, x: x.swapdims(1, 2),
    "movedim": lambda t, x: x.movedim((0, 1), (-1, 0)),
    "moveaxis": lambda t, x: t.moveaxis(x, 0, 1),
    "diagonal": lambda t, x: x.diagonal(1, 1, 2),
    "diagonal below": lambda t, x: t.diagonal(x, -1, 2, 0),
    "unfold": lambda t, x: x.unfold(2, 2, 2),
    "narrow": lambda t, x: x.narrow(1, -2, 2),
    "narrow from a tensor": lambda t, x: t.narrow(x, 1, t.tensor(1), 2),
    "select": lambda t, x: t.select(x, -1, -2),
    "split": lambda t, x: x.split(2, 2)[1],
    "split_with_sizes": lambda t, x: t.split_with_sizes(x, [1, 2], 1)[1],
    "chunk": lambda t, x: x.chunk(2, 1)[1],
    "tensor_split": lambda t, x: t.tensor_split(x, 3, 2)[0],
    "tensor_split at indices": lambda t, x: x.tensor_split((1, 3), dim=2)[1],
    "hsplit": lambda t, x: x.hsplit([1])[1],
    "vsplit": lambda t, x: x.vsplit(2)[1],
    "dsplit": lambda t, x: x.dsplit(2)[0],
    "unbind": lambda t, x: x.unbind(1)[2],
    "atleast_3d": lambda t, x: t.atleast_3d(x[0]),
    "squeeze": lambda t, x: x[:1].squeeze(),
    "squeeze of several axes": lambda t, x: x[:1, :, :1].squeeze((0, 2)),
    "unsqueeze": lambda t, x: x.unsqueeze(-1),
    "broadcast_to": lambda t, x: x,
    "as_strided": lambda t, x: x.as_strided((2, 2), (1, 5), 3),
    "as_strided of a part": lambda t, x: x[1].as_strided((2, 2), (1, 2)),
    "meshgrid": lambda t, x: t.meshgrid(x[0, 0], t.zeros(1), indexing="ij")[0],
    "broadcast_tensors": lambda t, x: t.broadcast_tensors(x, t.zeros(1))[0],
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_lies_where_pytorchs_does(name: str) -> None:
    check(lambda t: [str(_layout(VIEWS[name](t, _cube(t))))])


@pytest.mark.parametrize("name", VIEWS)
def test_filling_a_view_changes_the_elements_it_names(name: str) -> None:
    def program(t: Any) -> Any:
        x = _cube(t)
        VIEWS[name](t, x).fill_(-1.0)
        return x

    check(program)


IN_PLACE: dict[str, Program] = {
    "t_": lambda x: x[0].t_(),
    "transpose_": lambda x: x.transpose_(0, 2),
    "swapaxes_": lambda x: x.swapaxes_(0, 1),
    "swapdims_": lambda x: x.swapdims_(0, 1),
    "squeeze_": lambda x: x[:1].squeeze_(0),
    "unsqueeze_": lambda x: x.unsqueeze_(1),
    "as_strided_": lambda x: x.as_strided_((3, 2), (2, 1), 1),
    "resize_ to less": lambda x: x.resize_(2, 2),
    "resize_ of a view": lambda x: x[1].resize_(5),
    "resize_as_": lambda x: x.resize_as_(x[0]),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_a_view_in_place_gives_the_tensor_itself_the_layout(name: str) -> None:
    def program(t: Any) -> Any:
        x = _cube(t)
        changed = IN_PLACE[name](x)
        return [str(_layout(changed)), changed.clone()]

    check(program)


def test_a_view_in_place_is_followed_by_autograd() -> None:
    def program(t: Any) -> Any:
        x = t.arange(6.0).reshape(2, 3).requires_grad_()
        y = x * 2
        y.t_().unsqueeze_(0)
        (y * t.arange(6.0).reshape(1, 3, 2)).sum().backward()
        return [y, x.grad]

    check(program)


def test_a_view_in_place_of_a_leaf_is_refused() -> None:
    check(lambda t: t.zeros(2, 3, requires_grad=True).t_())


def test_growing_keeps_the_elements_in_their_places() -> None:
    def program(t: Any) -> Any:
        x = t.arange(6.0).reshape(2, 3)
        x.resize_(3, 4)
        return [list(x.shape), x.reshape(-1)[:6].clone()]

    check(program)


@pytest.mark.parametrize(
    "program",
    [
        lambda t: t.zeros(2, requires_grad=True).resize_(3),
        lambda t: t.from_numpy(SHARED).resize_(3),
        lambda t: t.zeros(4).as_strided((2,), (1, 2)),
        lambda t: t.zeros(4).as_strided((2,), (1,), 9),
        lambda t: t.zeros(4).as_strided((2,), (-1,)),
        lambda t: t.zeros(2, 3).view(dtype=t.float64),
        lambda t: t.zeros(()).view(t.int16),
        lambda t: t.zeros(4, 2).t().view(t.int16),
    ],
)
def test_a_layout_that_memory_does_not_have_is_refused(program: Program) -> None:
    check(program)


def test_as_strided_of_a_part_that_requires_gradients_sees_the_memory_around_it() -> None:
    def program(t: Any) -> Any:
        memory = t.arange(8.0)
        part = memory[2:6].requires_grad_()
        seen = part.as_strided((3, 2), (2, 1), 1)
        (seen * seen).sum().backward()
        return [seen, part.grad]

    check(program)


# -- memory formats ------------------------------------------------------------------------------


def test_channels_last_is_a_layout_that_is_kept() -> None:
    def program(t: Any) -> Any:
        x = t.arange(120.0).reshape(2, 3, 4, 5)
        y = x.contiguous(memory_format=t.channels_last)
        made = t.empty((2, 3, 4, 5), memory_format=t.channels_last)
        cloned = x.clone(memory_format=t.channels_last)
        return [
            y,
            str([_layout(z) for z in (y, made, cloned, x.to(memory_format=t.channels_last))]),
            [z.is_contiguous(memory_format=t.channels_last) for z in (x, y)],
            [y.is_contiguous(), y.contiguous().is_contiguous(), y.contiguous(
                memory_format=t.channels_last) is y],
        ]  # fmt: skip

    check(program)


def test_channels_last_needs_four_axes() -> None:
    check(lambda t: t.zeros(2, 3).contiguous(memory_format=t.channels_last))


def test_names_of_layouts_print_as_pytorchs() -> None:
    def program(t: Any) -> Any:
        names = (t.strided, t.contiguous_format, t.preserve_format, t.channels_last)
        return [[repr(name), type(name).__name__] for name in names]

    check(program)


# -- bits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["int32", "int16", "uint8", "float64", "int64", "float16"])
def test_bits_read_as_another_dtype_are_pytorchs(target: str) -> None:
    def program(t: Any) -> Any:
        x = t.tensor([[1.5, -2.25, 0.0, 3e38], [float("inf"), -1e-40, 7.0, -0.0]])
        seen = x.view(getattr(t, target))
        back = seen.view(t.float32)
        integers = {"float64": t.int64, "float16": t.int16}
        return [seen.view(integers.get(target, seen.dtype)), back]

    check(program)


def test_a_reshape_without_copy_shares_memory_and_with_copy_does_not() -> None:
    x = treadle.zeros(2, 3)
    x.reshape(6).fill_(1.0)
    x.t().reshape(6).fill_(2.0)
    assert x.sum().item() == 6.0
