"""Memory as such: strided views, resizing, contiguous copies, memory formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from treadle.functions import movement, pointwise
from treadle.functions.aliasing import view_operation
from treadle.functions.axes import check_extents, named_extents
from treadle.ir import build as b
from treadle.ir.types import contiguous_strides, element_count
from treadle.ir.value import Value
from treadle.layouts import innermost_channels, memory_format
from treadle.operation import operation
from treadle.out_argument import takes_tensor
from treadle.tensor import Tensor, new_tensor, set_view_node
from treadle.tracer.segment import recorder
from treadle.views import TypedView, View, read, whole, write

__all__ = ["as_strided", "as_strided_", "clone", "resize_as_"]
METHODS = "as_strided as_strided_ clone contiguous resize_ resize_as_"


@view_operation("AsStridedBackward0")
def _as_strided(input: Value, target: View) -> Value:
    return read(input, target) if isinstance(target, TypedView) else b.as_strided(input, *target)


@view_operation("AsStridedBackward0")
def _as_strided_beyond(input: Value, memory: Value, layout: View, target: View) -> Value:
    """A view of a storage of which a tensor is a part."""
    return read(write(memory, input, layout), target)


@takes_tensor
def as_strided(
    input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """A view of the storage with any size, stride and offset."""
    offset = input.storage_offset() if storage_offset is None else storage_offset
    layout = View(tuple(size), tuple(stride), offset)
    _check_layout(input, layout)
    # Only the base has all elements that a view of its memory may need.
    base = input._base
    return _strided(input if base is None or _leaf_of_memory(input, base) else base, layout)


def _leaf_of_memory(input: Tensor, base: Tensor) -> bool:
    """Whether autograd knows a view but not its base."""
    return input.requires_grad and not base._requires_grad


def _strided(source: Tensor, layout: View) -> Tensor:
    if source._layout == whole(source._storage.type.shape):
        return _as_strided(source, layout, layout)
    if source._requires_grad and recorder.grad_enabled:
        memory = _storage_of(source)
        return _as_strided_beyond(source, layout, memory, source._layout, layout)
    return _as_strided(_storage_of(source), layout, layout)


def _storage_of(tensor: Tensor) -> Tensor:
    """All elements of a tensor's memory."""
    everything = tensor._alias(None)
    everything._untracked = tensor._untracked
    return everything


def _check_layout(input: Tensor, layout: View) -> None:
    size, stride, offset = layout
    if len(size) != len(stride):
        raise RuntimeError("mismatch in length of strides and shape")
    if offset < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {offset}")
    if min(stride, default=0) < 0:
        raise RuntimeError(
            "as_strided: Negative strides are not supported at the moment, got strides: "
            f"{list(stride)}"
        )
    if min(size, default=0) < 0:
        raise RuntimeError(
            f"Storage size calculation overflowed with sizes={list(size)} and strides="
            f"{list(stride)}"
        )
    itemsize = input.dtype.itemsize
    have = input._storage.type.numel
    needed = _span(layout)
    if needed > have and element_count(size):
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {offset}, and "
            f"itemsize {itemsize} requiring a storage size of {needed * itemsize} are out of "
            f"bounds for storage of size {have * itemsize}"
        )


def _span(layout: View) -> int:
    """Elements from the start of the storage to the last one of a view."""
    steps = zip(layout.size, layout.stride, strict=True)
    return layout.offset + 1 + sum((extent - 1) * step for extent, step in steps)


def as_strided_(
    input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """Gives a tensor any size, stride and offset over its storage."""
    offset = input.storage_offset() if storage_offset is None else storage_offset
    layout = View(tuple(size), tuple(stride), offset)
    _check_layout(input, layout)
    input._view, input._cached = _shown(input, layout), None
    return input


def _shown(tensor: Tensor, layout: View) -> View | None:
    return None if layout == whole(tensor._storage.type.shape) else layout


# -- size ----------------------------------------------------------------------------------------


@operation()
def _grown(input: Value, count: int) -> Value:
    """The elements in one axis, followed by zeros up to ``count``."""
    flat = b.reshape(input, (input.type.numel,))
    return b.pad(flat, (0,), (count - input.type.numel,))


def resize_(
    input: Tensor, *sizes: Any, size: Any = None, memory_format: memory_format | None = None
) -> Tensor:
    """Gives a tensor another size; elements keep their places in memory, new ones are zeros.

    Memory that must grow is a tensor's own from then on.
    """
    if input._requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    shape = named_extents(sizes, size)
    check_extents(shape)
    storage = input._storage
    layout = View(shape, contiguous_strides(shape), input.storage_offset())
    if tuple(input.shape) == shape and input.is_contiguous():
        return input
    if element_count(shape) and _span(layout) > storage.type.numel:
        if storage.exposed is not None and storage.is_exposed():
            raise RuntimeError("Trying to resize storage that is not resizable")
        _grow(input, layout)
    input._view, input._cached = _shown(input, layout), None
    return input


def _grow(input: Tensor, layout: View) -> None:
    """Gives a tensor memory of its own that is large enough for a layout."""
    segment = recorder.segment
    if layout.offset == 0 and not input._storage.type.numel:
        empty = b.full(layout.size, 0, input.dtype, input.device)
        input._storage = new_tensor(empty, segment)._storage
        return
    everything = _grown(_storage_of(input).detach(), _span(layout))
    input._storage = everything._storage


def resize_as_(
    input: Tensor, the_template: Tensor, *, memory_format: memory_format | None = None
) -> Tensor:
    """Gives a tensor the size of another one."""
    return resize_(input, tuple(the_template.shape))


# -- copies --------------------------------------------------------------------------------------


def clone(input: Tensor, *, memory_format: memory_format | None = None) -> Tensor:
    """A copy that autograd follows."""
    if innermost_channels(memory_format, input.ndim):
        return _channels_innermost(input)
    copy: Tensor = pointwise.clone(input)
    return copy


def _channels_innermost(input: Tensor) -> Tensor:
    """A copy of [n, c, *space] whose channels lie innermost."""
    rank = input.ndim
    moved: Tensor = pointwise.clone(movement.permute(input, (0, *range(2, rank), 1)))
    return movement.permute(moved, (0, rank - 1, *range(1, rank - 1)))


def contiguous(input: Tensor, memory_format: memory_format | None = None) -> Tensor:
    """The tensor itself if its elements lie in the format's order, else a copy that does."""
    innermost = innermost_channels(memory_format, input.ndim)
    if input.is_contiguous(memory_format) if innermost else input.is_contiguous():
        return input
    return clone(input, memory_format=memory_format)


# -- views whose base was written through --------------------------------------------------------


def _node_of_view(view: Tensor, base: Tensor) -> Any:
    """The node of a view whose base was written through: as one strided view of the base."""
    if not base._requires_grad:
        return None
    with_grad = recorder.grad_enabled
    recorder.grad_enabled = True
    try:
        return _strided(base, view._layout)._grad_fn
    finally:
        recorder.grad_enabled = with_grad


set_view_node(_node_of_view)
