"""Views: tensors that alias the memory of their argument under another layout.

Layouts and errors are PyTorch's; what a view records is ``aliasing``'s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from treadle.functions.aliasing import view_operation, views_operation
from treadle.ir import build as b
from treadle.ir.types import Shape, element_count
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.tensor import Tensor, set_view_node
from treadle.tracer.segment import recorder
from treadle.views import View, reshaped_strides

__all__ = [
    "as_strided", "chunk", "flatten", "movedim", "narrow", "permute", "reshape", "select", "split",
    "squeeze", "t", "transpose", "unbind", "unflatten", "unsqueeze",
]  # fmt: skip
METHODS = (
    "view reshape flatten unflatten permute transpose t movedim expand expand_as squeeze "
    "unsqueeze select narrow split chunk unbind as_strided"
)


def axis_of(dim: int, rank: int) -> int:
    limit = max(rank, 1)
    if not -limit <= dim < limit:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got "
            f"{dim})"
        )
    return dim % limit


def extents(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes given as several integers or one sequence."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = tuple(sizes[0])
    return tuple(int(size) for size in sizes)


def _inferred(shape: tuple[int, ...], count: int) -> Shape:
    """A shape with its -1 replaced; RuntimeError in PyTorch's words where it does not fit."""
    unknown = [axis for axis, extent in enumerate(shape) if extent == -1]
    if len(unknown) > 1:
        raise RuntimeError("only one dimension can be inferred")
    if any(extent < -1 for extent in shape):
        raise RuntimeError(f"invalid shape dimension {min(shape)}")
    if unknown:
        known = math.prod(extent for extent in shape if extent != -1)
        if known == 0 or count % known:
            raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {count}")
        shape = (*shape[: unknown[0]], count // known, *shape[unknown[0] + 1 :])
    if element_count(shape) != count:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {count}")
    return shape


@view_operation("ViewBackward0")
def _reshaped(input: Value, shape: Shape) -> Value:
    return b.reshape(input, shape)


@view_operation("AliasBackward0")
def _same(input: Value) -> Value:
    return input


def alias_of(input: Tensor) -> Tensor:
    """The same memory, dtype and shape as another tensor object."""
    return _same(input, input._layout)


@operation("UnsafeViewBackward0")
def _reshaped_copy(input: Value, shape: Shape) -> Value:
    return b.reshape(input, shape)


def view(input: Tensor, *shape: Any) -> Tensor:
    """The same memory under another shape; RuntimeError where strides do not allow it."""
    target = _inferred(extents(shape), input.shape.numel())
    strides = reshaped_strides(input._layout, target)
    if strides is None:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return _reshaped(input, View(target, strides, input.storage_offset()), target)


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The elements under another shape: a view where strides allow it, else a copy."""
    target = _inferred(extents(shape), input.shape.numel())
    strides = reshaped_strides(input._layout, target)
    if strides is None:
        return _reshaped_copy(input, target)
    return _reshaped(input, View(target, strides, input.storage_offset()), target)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Axes from ``start_dim`` to ``end_dim`` joined into one."""
    start, end = axis_of(start_dim, input.ndim), axis_of(end_dim, input.ndim)
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if not input.ndim:
        return reshape(input, 1)
    shape = input.shape
    joined = element_count(shape[start : end + 1])
    return reshape(input, *shape[:start], joined, *shape[end + 1 :])


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """An axis split into several."""
    axis = axis_of(dim, input.ndim)
    inner = _inferred(tuple(sizes), input.shape[axis])
    return view(input, *input.shape[:axis], *inner, *input.shape[axis + 1 :])


@view_operation("PermuteBackward0")
def _permuted(input: Value, dims: tuple[int, ...]) -> Value:
    return b.permute(input, dims)


@view_operation("TransposeBackward0")
def _transposed(input: Value, dims: tuple[int, ...]) -> Value:
    return b.permute(input, dims)


@view_operation("TBackward0")
def _t(input: Value, dims: tuple[int, ...]) -> Value:
    return b.permute(input, dims)


def _reordered(input: Tensor, dims: tuple[int, ...], run: Callable[..., Tensor]) -> Tensor:
    size, stride, offset = input._layout
    layout = View(tuple(size[axis] for axis in dims), tuple(stride[axis] for axis in dims), offset)
    return run(input, layout, dims)


def permute(input: Tensor, *dims: Any) -> Tensor:
    """Axes reordered."""
    given = extents(dims)
    if len(given) != input.ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the "
            f"length of the desired ordering of dimensions i.e. input.dim() = {input.ndim} is not "
            f"equal to len(dims) = {len(given)}"
        )
    order = tuple(axis_of(axis, input.ndim) for axis in given)
    if len(set(order)) != len(order):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return _reordered(input, order, _permuted)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two axes swapped."""
    first, second = axis_of(dim0, input.ndim), axis_of(dim1, input.ndim)
    order = list(range(input.ndim))
    if order:
        order[first], order[second] = order[second], order[first]
    return _reordered(input, tuple(order), _transposed)


def t(input: Tensor) -> Tensor:
    """A matrix transposed; vectors and numbers as they are."""
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return _reordered(input, tuple(reversed(range(input.ndim))), _t)


def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Axes moved to other places, the rest kept in order."""
    sources = (source,) if isinstance(source, int) else tuple(source)
    targets = (destination,) if isinstance(destination, int) else tuple(destination)
    taken = [axis_of(axis, input.ndim) for axis in sources]
    order = [axis for axis in range(input.ndim) if axis not in taken]
    for place, axis in sorted(zip((axis_of(d, input.ndim) for d in targets), taken, strict=True)):
        order.insert(place, axis)
    return permute(input, *order)


@view_operation("ExpandBackward0")
def _expanded(input: Value, shape: Shape) -> Value:
    return b.broadcast_to(input, shape)


def expansion(size: Sequence[int], sizes: Sequence[int], input: Tensor) -> Shape:
    """The shape that ``size`` expands to; RuntimeError in PyTorch's words where it does not."""
    lead = len(sizes) - len(size)
    if lead < 0:
        raise RuntimeError(
            f"expand({input._type_name()}{{{list(size)}}}, size={list(sizes)}): the number of "
            f"sizes provided ({len(sizes)}) must be greater or equal to the number of dimensions "
            f"in the tensor ({len(size)})"
        )
    shape = []
    for axis, extent in enumerate(sizes):
        have = size[axis - lead] if axis >= lead else 1
        wanted = have if extent == -1 and axis >= lead else extent
        if have not in (1, wanted):
            raise RuntimeError(
                f"The expanded size of the tensor ({wanted}) must match the existing size "
                f"({have}) at non-singleton dimension {axis}.  Target sizes: {list(sizes)}.  "
                f"Tensor sizes: {list(size)}"
            )
        if wanted < 0:
            raise RuntimeError(
                f"The expanded size of the tensor ({extent}) isn't allowed in a leading, "
                f"non-existing dimension {axis}"
            )
        shape.append(wanted)
    return tuple(shape)


def expand(input: Tensor, *sizes: Any) -> Tensor:
    """Extents of 1 repeated without copying; -1 keeps an extent."""
    size, stride, offset = input._layout
    shape = expansion(size, extents(sizes), input)
    lead = len(shape) - len(size)
    steps = tuple(
        stride[axis - lead] if axis >= lead and size[axis - lead] == extent else 0
        for axis, extent in enumerate(shape)
    )
    return _expanded(input, View(shape, steps, offset), shape)


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """Expanded to another tensor's shape."""
    return expand(input, *other.shape)


_squeezed = view_operation("SqueezeBackward0")(b.reshape)
_squeezed_axis = view_operation("SqueezeBackward1")(b.reshape)
_squeezed_axes = view_operation("SqueezeBackward2")(b.reshape)


@view_operation("UnsqueezeBackward0")
def _unsqueezed(input: Value, shape: Shape) -> Value:
    return b.reshape(input, shape)


def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without axes of extent 1: all of them, or those named."""
    size, stride, offset = input._layout
    dims = range(len(size)) if dim is None else (dim,) if isinstance(dim, int) else dim
    gone = {axis_of(axis, len(size)) for axis in dims}
    kept = [axis for axis in range(len(size)) if axis not in gone or size[axis] != 1]
    shape = tuple(size[axis] for axis in kept)
    run = _squeezed if dim is None else _squeezed_axis if isinstance(dim, int) else _squeezed_axes
    return run(input, View(shape, tuple(stride[axis] for axis in kept), offset), shape)


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A new axis of extent 1 before ``dim``."""
    size, stride, offset = input._layout
    axis = axis_of(dim, len(size) + 1)
    step = size[axis] * stride[axis] if axis < len(size) else 1
    shape = (*size[:axis], 1, *size[axis:])
    return _unsqueezed(input, View(shape, (*stride[:axis], step, *stride[axis:]), offset), shape)


def _selected_value(input: Value, axis: int, index: int) -> Value:
    kept = [extent for at, extent in enumerate(input.shape) if at != axis]
    return b.reshape(_sliced_value(input, axis, index, index + 1), kept)


def _select_layout(layout: View, axis: int, index: int) -> View:
    size, stride, offset = layout
    rest = (size[:axis] + size[axis + 1 :], stride[:axis] + stride[axis + 1 :])
    return View(*rest, offset + index * stride[axis])


_selected = view_operation("SelectBackward0")(_selected_value)


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at one index of an axis, without that axis."""
    if not input.ndim:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    axis = axis_of(dim, input.ndim)
    extent = input.shape[axis]
    if not -extent <= index < extent:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input.shape)} at "
            f"dimension {axis}"
        )
    position = index % extent
    return _selected(input, _select_layout(input._layout, axis, position), axis, position)


def _sliced_value(input: Value, axis: int, start: int, stop: int, step: int = 1) -> Value:
    starts = tuple(start if at == axis else 0 for at in range(input.ndim))
    stops = tuple(stop if at == axis else e for at, e in enumerate(input.shape))
    return b.slice(input, starts, stops, [step if at == axis else 1 for at in range(input.ndim)])


_sliced = view_operation("SliceBackward0")(_sliced_value)


def slice_axis(input: Tensor, dim: int, start: int | None, stop: int | None, step: int) -> Tensor:
    """The elements start, start + step, ... of an axis; bounds are clipped as in Python."""
    axis = axis_of(dim, input.ndim)
    size, stride, offset = input._layout
    first, last, _ = slice(start, stop).indices(size[axis])
    last = max(first, last)
    shape = (*size[:axis], -(-(last - first) // step), *size[axis + 1 :])
    steps = (*stride[:axis], stride[axis] * step, *stride[axis + 1 :])
    layout = View(shape, steps, offset + first * stride[axis])
    return _sliced(input, layout, axis, first, last, step)


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """``length`` elements of an axis from ``start``."""
    axis = axis_of(dim, input.ndim)
    extent = input.shape[axis]
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -extent <= start <= extent:
        raise IndexError(
            f"start out of range (expected to be in range of [{-extent}, {extent}], but got "
            f"{start})"
        )
    first = start % extent if start < 0 else start
    if first + length > extent:
        raise RuntimeError(
            f"start ({first}) + length ({length}) exceeds dimension size ({extent})."
        )
    return slice_axis(input, axis, first, first + length, 1)


def _split_layouts(layout: View, axis: int, sizes: Sequence[int]) -> list[View]:
    size, stride, offset = layout
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    return [
        View((*size[:axis], n, *size[axis + 1 :]), stride, offset + at * stride[axis])
        for at, n in zip(starts, sizes, strict=True)
    ]


def _pieces(input: Value, axis: int, sizes: Sequence[int]) -> tuple[Value, ...]:
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    return tuple(
        _sliced_value(input, axis, at, at + n) for at, n in zip(starts, sizes, strict=True)
    )


_split = views_operation("SplitBackward0")(_pieces)
_split_with_sizes = views_operation("SplitWithSizesBackward0")(_pieces)


def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Consecutive pieces of an axis: of one size (the last may be smaller), or of given sizes."""
    axis = axis_of(dim, tensor.ndim)
    extent = tensor.shape[axis]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size < 0 or (size == 0 and extent):
            raise RuntimeError(f"split expects split_size be non-negative, but got {size}")
        sizes = tuple(min(size, extent - at) for at in range(0, extent, size)) if extent else (0,)
        run = _split
    else:
        sizes = tuple(split_size_or_sections)
        if sum(sizes) != extent:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {extent} (input "
                f"tensor's size at dimension {axis}), but got split_sizes={list(sizes)}"
            )
        run = _split_with_sizes
    return run(tensor, _split_layouts(tensor._layout, axis, sizes), axis, sizes)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` pieces of equal size."""
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    extent = input.shape[axis_of(dim, input.ndim)]
    return split(input, max(-(-extent // chunks), 1), dim)


@views_operation("UnbindBackward0")
def _unbound(input: Value, axis: int) -> tuple[Value, ...]:
    return tuple(_selected_value(input, axis, index) for index in range(input.shape[axis]))


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Every slice along an axis."""
    if not input.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    axis = axis_of(dim, input.ndim)
    layouts = [_select_layout(input._layout, axis, at) for at in range(input.shape[axis])]
    return _unbound(input, layouts, axis)


@view_operation("AsStridedBackward0")
def _as_strided(input: Value, size: Shape, stride: tuple[int, ...], offset: int) -> Value:
    return b.as_strided(input, size, stride, offset)


def as_strided(
    input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """A view of the storage with any size, stride and offset."""
    offset = input.storage_offset() if storage_offset is None else storage_offset
    if input._view is not None and input._base is not None:
        input = input._base  # only the whole storage has all elements a view of it may need
    if not input.is_contiguous() or input.storage_offset():
        raise RuntimeError("as_strided() needs a contiguous tensor at the start of its storage")
    layout = View(tuple(size), tuple(stride), offset)
    return _as_strided(input, layout, *layout)


def _node_of_view(view: Tensor, base: Tensor) -> Any:
    """The node of a view whose base was written through: as one strided view of the base."""
    if not base._requires_grad:
        return None
    layout = view._layout
    return _as_strided_again(base, layout, *layout)._grad_fn


def _as_strided_again(base: Tensor, layout: View, *arguments: Any) -> Tensor:
    with_grad = recorder.grad_enabled
    recorder.grad_enabled = True
    try:
        return _as_strided(base, layout, *arguments)
    finally:
        recorder.grad_enabled = with_grad


set_view_node(_node_of_view)
