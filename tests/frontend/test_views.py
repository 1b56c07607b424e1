"""Views alias their base as PyTorch's do: layouts, and writes that are seen on both sides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.frontend.agreement import check

pytestmark = pytest.mark.oracle

View = Callable[[Any], Any]

# Views of a contiguous 2 x 3 x 4 tensor.
VIEWS: dict[str, View] = {
    "view": lambda x: x.view(6, 4),
    "view with -1": lambda x: x.view(2, -1),
    "view to vector": lambda x: x.view(-1),
    "reshape": lambda x: x.reshape(4, 6),
    "flatten": lambda x: x.flatten(1),
    "unflatten": lambda x: x.unflatten(2, (2, 2)),
    "permute": lambda x: x.permute(2, 0, 1),
    "transpose": lambda x: x.transpose(0, -1),
    "t": lambda x: x[0].t(),
    "T of a matrix": lambda x: x[1].T,
    "mT": lambda x: x.mT,
    "movedim": lambda x: x.movedim(0, 2),
    "select": lambda x: x.select(1, 2),
    "integer index": lambda x: x[1],
    "negative index": lambda x: x[-1, :, -2],
    "slice": lambda x: x[:, 1:],
    "slice with step": lambda x: x[..., ::2],
    "slice of slice": lambda x: x[:, :, 1:][:, 1:, ::2],
    "narrow": lambda x: x.narrow(2, 1, 2),
    "ellipsis": lambda x: x[..., 1],
    "new axis": lambda x: x[:, None, 1],
    "unsqueeze": lambda x: x.unsqueeze(-1),
    "squeeze": lambda x: x[:, :1].squeeze(1),
    "squeeze all": lambda x: x[:1, :1].squeeze(),
    "split": lambda x: x.split(2, 2)[1],
    "split sizes": lambda x: x.split([1, 3], 2)[1],
    "chunk": lambda x: x.chunk(2, 1)[1],
    "unbind": lambda x: x.unbind(1)[2],
    "iteration": lambda x: list(x)[1],
    "as_strided": lambda x: x.as_strided((2, 3), (1, 2), 5),
    "as_strided of a view": lambda x: x[1].as_strided((2, 2), (3, 1)),
    "view of permuted": lambda x: x.permute(1, 0, 2).view(3, 2, 2, 2),
    "transpose twice": lambda x: x.transpose(0, 1).transpose(1, 2),
    "empty slice": lambda x: x[:, 2:2],
    "detach": lambda x: x.detach()[0],
    "data": lambda x: x.data[0],
    "element": lambda x: x[0, 1, 2],
    "whole": lambda x: x[:],
    "view_as": lambda x: x.view_as(x.reshape(4, 6)),
}


def base(torch: Any) -> Any:
    return torch.arange(24.0).reshape(2, 3, 4).clone()


def layout(x: Any) -> list[Any]:
    return [list(x.shape), list(x.stride()), x.storage_offset(), x.is_contiguous()]


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_layout_is_pytorchs(view: View) -> None:
    check(lambda torch: [layout(view(base(torch))), view(base(torch))])


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_writes_are_seen_on_both_sides_in_every_order(view: View) -> None:
    def program(torch: Any) -> Any:
        x = base(torch)
        part = view(x)
        part.mul_(2)  # before anything was computed
        seen = [x.clone(), part.clone()]
        x.add_(1)
        seen += [part.clone(), x.sum().item()]
        part += 3
        x[0] = -1
        part[...] = part * 0.5
        seen += [x, part, x.tolist()]
        again = view(x)
        again.zero_()
        return [*seen, part, x, again]

    check(program)


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_writes_are_seen_after_evaluation(view: View) -> None:
    def program(torch: Any) -> Any:
        x = base(torch)
        part = view(x)
        before = part.tolist()
        x.mul_(3)
        middle = part.tolist()
        part.sub_(1)
        return [before, middle, x.tolist(), part.tolist()]

    check(program)


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_gradients_flow_through_a_view(view: View) -> None:
    def program(torch: Any) -> Any:
        x = base(torch).requires_grad_()
        part = view(x * 2)
        if not part.requires_grad:
            return "outside autograd"
        (part * part).sum().backward()
        return [x.grad, part.grad_fn.name()]

    check(program)


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_gradients_flow_through_writes_to_a_view(view: View) -> None:
    def program(torch: Any) -> Any:
        x = base(torch).requires_grad_()
        scale = torch.tensor(1.5, requires_grad=True)
        y = x * 1
        part = view(y)
        if not part.requires_grad:
            return "outside autograd"
        part.mul_(scale)
        names = [y.grad_fn.name(), part.grad_fn.name()]
        (y * y).sum().backward()
        return [x.grad, scale.grad, names]

    check(program)


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_view_follows_the_history_of_its_base(view: View) -> None:
    def program(torch: Any) -> Any:
        x = base(torch).requires_grad_()
        y = x * 1
        part = view(y)
        if not part.requires_grad:
            return "outside autograd"
        y.mul_(3)
        y[0].add_(1)
        (part * part).sum().backward()
        return [x.grad, part.is_leaf]

    check(program)


def test_view_of_incompatible_strides_is_an_error() -> None:
    check(lambda torch: base(torch).permute(2, 0, 1).view(-1))
    check(lambda torch: base(torch)[:, :, ::3].view(12))


def test_reshape_of_incompatible_strides_copies() -> None:
    def program(torch: Any) -> Any:
        x = base(torch)
        copy = x.permute(2, 0, 1).reshape(-1)
        copy.zero_()
        return [x, copy, layout(copy)]

    check(program)


def test_expanded_tensors_repeat_memory() -> None:
    def program(torch: Any) -> Any:
        x = torch.arange(3.0)
        wide = x.expand(2, 3)
        x.add_(1)
        return [wide, layout(wide), layout(x.view(3, 1).expand(-1, 4)), wide.contiguous().stride()]

    check(program)


@pytest.mark.parametrize("write", ["add_", "mul_", "copy_"])
def test_writing_to_an_expanded_tensor_is_an_error(write: str) -> None:
    def program(torch: Any) -> Any:
        x = torch.arange(3.0)
        getattr(x.expand(2, 3), write)(torch.ones(2, 3))
        return x

    check(program)


def test_contiguous_is_the_tensor_itself_or_a_copy() -> None:
    def program(torch: Any) -> Any:
        x = base(torch)
        copy = x.mT.contiguous()
        copy.zero_()
        return [x.contiguous() is x, x, layout(copy)]

    check(program)


def test_clone_has_memory_of_its_own() -> None:
    def program(torch: Any) -> Any:
        x = base(torch)
        copy = x.clone()
        x.zero_()
        part = x[0].clone()
        part.add_(1)
        return [x, copy, part]

    check(program)


def test_views_of_one_base_see_each_other() -> None:
    def program(torch: Any) -> Any:
        x = torch.zeros(4, 4)
        rows, columns = x[1], x[:, 2]
        rows.add_(1)
        columns.add_(2)
        rows[2] = 7
        return [x, rows, columns]

    check(program)


def test_a_swap_through_views_reads_before_it_writes() -> None:
    def program(torch: Any) -> Any:
        x = torch.arange(6.0)
        x[:3], x[3:] = x[3:].clone(), x[:3].clone()
        y = torch.arange(6.0)
        y[:3] = y[3:]
        return [x, y]

    check(program)


def test_an_operand_that_overlaps_its_target_is_read_first() -> None:
    def program(torch: Any) -> Any:
        x = torch.arange(6.0).reshape(2, 3)
        x += x[0].clone()
        y = torch.arange(6.0).reshape(2, 3)
        y.add_(y)
        return [x, y]

    check(program)


def test_assigning_data_replaces_the_memory() -> None:
    def program(torch: Any) -> Any:
        x = torch.ones(2, requires_grad=True)
        new = torch.tensor([3.0, 4.0])
        x.data = new
        (x * x).sum().backward()
        new.add_(1)
        return [x, x.grad]

    check(program)


def test_a_base_dies_before_its_views() -> None:
    def program(torch: Any) -> Any:
        x = base(torch) + 1
        part = x[1]
        del x
        part.add_(1)
        return part

    check(program)


def test_layouts_of_empty_and_single_tensors() -> None:
    def program(torch: Any) -> Any:
        empty, number = torch.zeros(0, 3), torch.tensor(2.0)
        return [
            layout(empty), layout(empty.t()), layout(empty.view(3, 0)), layout(number),
            layout(number.view(1, 1)), layout(number.unsqueeze(0)), layout(empty[:, 1]),
            layout(number.expand(2, 2)), layout(torch.zeros(1, 3).t()), layout(empty.reshape(0)),
        ]  # fmt: skip

    check(program)
