"""Views and other movements: tensors that alias the memory of their argument where PyTorch's do.

A view shares the storage; its value is a movement op, so that no kernel copies anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from treadle import views
from treadle.functions.reduction import axes_of
from treadle.ir import build as b
from treadle.ir.types import Shape, element_count
from treadle.ir.value import Value
from treadle.operation import Call, Operation, finish, operation
from treadle.promotion import promote_types
from treadle.tensor import Tensor, set_view_node
from treadle.tracer.segment import recorder
from treadle.views import View, reshaped_strides


def _view(name: str) -> Callable[[Callable[..., Value]], Callable[..., Tensor]]:
    """Makes a movement of values a function (tensor, layout, arguments) that gives an alias."""

    def decorate(body: Callable[..., Value]) -> Callable[..., Tensor]:
        row = Operation(body, name, None, None)

        def call(input: Tensor, layout: View, *arguments: Any) -> Tensor:
            return alias(Call(row, (input, *arguments), {}), layout)

        return call

    return decorate


def alias(call: Call, layout: View) -> Tensor:
    """The result of a recorded movement as a tensor over its argument's storage."""
    source = call.tensors[0]
    storage = source._storage
    result = source._alias(None if layout == views.whole(storage.type.shape) else layout)
    result._untracked = source._untracked
    result._cached = (call.segment, storage.writes, call.result)
    if call.needs_grad():
        result._requires_grad = True
        result._grad_fn = call.node((result,))
    base = source if source._base is None else source._base
    result._base = base
    result._base_changes = base._changes
    finish()
    return result


def _axis(dim: int, rank: int) -> int:
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


@_view("ViewBackward0")
def _reshaped(input: Value, shape: Shape) -> Value:
    return b.reshape(input, shape)


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
    start, end = _axis(start_dim, input.ndim), _axis(end_dim, input.ndim)
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if not input.ndim:
        return reshape(input, 1)
    shape = input.shape
    joined = element_count(shape[start : end + 1])
    return reshape(input, *shape[:start], joined, *shape[end + 1 :])


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """An axis split into several."""
    axis = _axis(dim, input.ndim)
    inner = _inferred(tuple(sizes), input.shape[axis])
    return view(input, *input.shape[:axis], *inner, *input.shape[axis + 1 :])


@_view("PermuteBackward0")
def _permuted(input: Value, dims: tuple[int, ...]) -> Value:
    return b.permute(input, dims)


@_view("TransposeBackward0")
def _transposed(input: Value, dims: tuple[int, ...]) -> Value:
    return b.permute(input, dims)


@_view("TBackward0")
def _t(input: Value, dims: tuple[int, ...]) -> Value:
    return b.permute(input, dims)


def _reordered(input: Tensor, dims: tuple[int, ...], run: Callable[..., Tensor]) -> Tensor:
    size, stride, offset = input._layout
    layout = View(
        tuple(size[axis] for axis in dims), tuple(stride[axis] for axis in dims), offset
    )
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
    order = tuple(_axis(axis, input.ndim) for axis in given)
    if len(set(order)) != len(order):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return _reordered(input, order, _permuted)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two axes swapped."""
    first, second = _axis(dim0, input.ndim), _axis(dim1, input.ndim)
    order = list(range(input.ndim))
    if order:
        order[first], order[second] = order[second], order[first]
    return _reordered(input, tuple(order), _transposed)


def t(input: Tensor) -> Tensor:
    """A matrix transposed; vectors and numbers as they are."""
    if input.ndim > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D"
        )
    return _reordered(input, tuple(reversed(range(input.ndim))), _t)


def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Axes moved to other places, the rest kept in order."""
    sources = (source,) if isinstance(source, int) else tuple(source)
    targets = (destination,) if isinstance(destination, int) else tuple(destination)
    taken = [_axis(axis, input.ndim) for axis in sources]
    order = [axis for axis in range(input.ndim) if axis not in taken]
    for place, axis in sorted(zip((_axis(d, input.ndim) for d in targets), taken, strict=True)):
        order.insert(place, axis)
    return permute(input, *order)


@_view("ExpandBackward0")
def _expanded(input: Value, shape: Shape) -> Value:
    return b.broadcast_to(input, shape)


def expand(input: Tensor, *sizes: Any) -> Tensor:
    """Extents of 1 repeated without copying; -1 keeps an extent."""
    given = extents(sizes)
    size, stride, offset = input._layout
    lead = len(given) - len(size)
    if lead < 0:
        raise RuntimeError(
            f"expand({input._type_name()}{{{list(size)}}}, size={list(given)}): the number of "
            f"sizes provided ({len(given)}) must be greater or equal to the number of dimensions "
            f"in the tensor ({len(size)})"
        )
    shape, steps = [], []
    for axis, extent in enumerate(given):
        have = size[axis - lead] if axis >= lead else 1
        wanted = have if extent == -1 and axis >= lead else extent
        if have not in (1, wanted):
            raise RuntimeError(
                f"The expanded size of the tensor ({wanted}) must match the existing size "
                f"({have}) at non-singleton dimension {axis}.  Target sizes: {list(given)}.  "
                f"Tensor sizes: {list(size)}"
            )
        if wanted < 0:
            raise RuntimeError(
                f"The expanded size of the tensor ({extent}) isn't allowed in a leading, "
                f"non-existing dimension {axis}"
            )
        shape.append(wanted)
        steps.append(stride[axis - lead] if axis >= lead and have == wanted else 0)
    return _expanded(input, View(tuple(shape), tuple(steps), offset), tuple(shape))


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """Expanded to another tensor's shape."""
    return expand(input, *other.shape)


@_view("SqueezeBackward0")
def _squeezed(input: Value, shape: Shape) -> Value:
    return b.reshape(input, shape)


@_view("UnsqueezeBackward0")
def _unsqueezed(input: Value, shape: Shape) -> Value:
    return b.reshape(input, shape)


def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without axes of extent 1: all of them, or those named."""
    size, stride, offset = input._layout
    dims = range(len(size)) if dim is None else (dim,) if isinstance(dim, int) else dim
    gone = {_axis(axis, len(size)) for axis in dims}
    kept = [axis for axis in range(len(size)) if axis not in gone or size[axis] != 1]
    shape = tuple(size[axis] for axis in kept)
    return _squeezed(input, View(shape, tuple(stride[axis] for axis in kept), offset), shape)


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A new axis of extent 1 before ``dim``."""
    size, stride, offset = input._layout
    axis = _axis(dim, len(size) + 1)
    step = size[axis] * stride[axis] if axis < len(size) else 1
    shape = (*size[:axis], 1, *size[axis:])
    return _unsqueezed(input, View(shape, (*stride[:axis], step, *stride[axis:]), offset), shape)


@_view("SelectBackward0")
def _selected(input: Value, axis: int, index: int) -> Value:
    starts = tuple(index if at == axis else 0 for at in range(input.ndim))
    stops = tuple(index + 1 if at == axis else e for at, e in enumerate(input.shape))
    return b.reshape(
        b.slice(input, starts, stops), [e for at, e in enumerate(input.shape) if at != axis]
    )


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at one index of an axis, without that axis."""
    if not input.ndim:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    axis = _axis(dim, input.ndim)
    size, stride, offset = input._layout
    extent = size[axis]
    if not -extent <= index < extent:
        raise IndexError(
            f"index {index} is out of bounds for dimension {axis} with size {extent}"
        )
    position = index % extent
    layout = View(
        size[:axis] + size[axis + 1 :],
        stride[:axis] + stride[axis + 1 :],
        offset + position * stride[axis],
    )
    return _selected(input, layout, axis, position)


@_view("SliceBackward0")
def _sliced(input: Value, axis: int, start: int, stop: int, step: int) -> Value:
    starts = tuple(start if at == axis else 0 for at in range(input.ndim))
    stops = tuple(stop if at == axis else e for at, e in enumerate(input.shape))
    return b.slice(input, starts, stops, [step if at == axis else 1 for at in range(input.ndim)])


def slice_axis(input: Tensor, dim: int, start: int | None, stop: int | None, step: int) -> Tensor:
    """The elements start, start + step, ... of an axis; bounds are clipped as in Python."""
    axis = _axis(dim, input.ndim)
    size, stride, offset = input._layout
    first, last, _ = slice(start, stop).indices(size[axis])
    last = max(first, last)
    shape = (*size[:axis], -(-(last - first) // step), *size[axis + 1 :])
    steps = (*stride[:axis], stride[axis] * step, *stride[axis + 1 :])
    layout = View(shape, steps, offset + first * stride[axis])
    return _sliced(input, layout, axis, first, last, step)


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """``length`` elements of an axis from ``start``."""
    axis = _axis(dim, input.ndim)
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


def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Consecutive pieces of an axis: of one size (the last may be smaller), or of given sizes."""
    axis = _axis(dim, tensor.ndim)
    extent = tensor.shape[axis]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size < 0 or (size == 0 and extent):
            raise RuntimeError(f"split expects split_size be non-negative, but got {size}")
        sizes = [min(size, extent - at) for at in range(0, extent, size)] if extent else [0]
    else:
        sizes = list(split_size_or_sections)
        if sum(sizes) != extent:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {extent} (input "
                f"tensor's size at dimension {axis}), but got split_sizes={sizes}"
            )
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    return tuple(
        slice_axis(tensor, axis, at, at + size, 1) for at, size in zip(starts, sizes, strict=True)
    )


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` pieces of equal size."""
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    extent = input.shape[_axis(dim, input.ndim)]
    return split(input, max(-(-extent // chunks), 1), dim)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Every slice along an axis."""
    if not input.ndim:
        raise RuntimeError("Dimension specified as 0 but tensor has no dimensions")
    axis = _axis(dim, input.ndim)
    return tuple(select(input, axis, index) for index in range(input.shape[axis]))


@_view("AsStridedBackward0")
def _as_strided(input: Value, size: Shape, stride: tuple[int, ...], offset: int) -> Value:
    return b.as_strided(input, size, stride, offset)


def as_strided(
    input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """A view of the storage with any size, stride and offset."""
    if not input.is_contiguous() or input.storage_offset():
        raise RuntimeError("as_strided() needs a contiguous tensor at the start of its storage")
    offset = input.storage_offset() if storage_offset is None else storage_offset
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


# -- copies --------------------------------------------------------------------------------------


@operation("FlipBackward0")
def flip(input: Value, *dims: Any) -> Value:
    """A copy reversed along axes."""
    return b.flip(input, axes_of(input, extents(dims)) if extents(dims) else ())


@operation("RepeatBackward0")
def repeat(input: Value, *sizes: Any) -> Value:
    """A copy repeated along every axis."""
    times = extents(sizes)
    if len(times) < input.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            "tensor"
        )
    shape = (1,) * (len(times) - input.ndim) + input.shape
    paired = [extent for pair in zip((1,) * len(shape), shape, strict=True) for extent in pair]
    grown = [extent for pair in zip(times, shape, strict=True) for extent in pair]
    repeated = b.broadcast_to(b.reshape(input, paired), grown)
    return b.reshape(repeated, [n * extent for n, extent in zip(times, shape, strict=True)])


def _joinable(tensors: Sequence[Value], dim: int) -> int:
    axis = _axis(dim, tensors[0].ndim)
    first = tensors[0].shape
    for number, other in enumerate(tensors[1:], 1):
        if len(other.shape) != len(first):
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {len(first)} and "
                f"{len(other.shape)}"
            )
        for at, (have, want) in enumerate(zip(other.shape, first, strict=True)):
            if at != axis and have != want:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {axis}. Expected size "
                    f"{want} but got size {have} for tensor number {number} in the list."
                )
    return axis


@operation("CatBackward0")
def cat(tensors: Sequence[Value], dim: int = 0) -> Value:
    """Tensors joined along an axis."""
    if not tensors:
        raise RuntimeError("torch.cat(): expected a non-empty list of Tensors")
    parts = [part for part in tensors if part.shape != (0,)] or [tensors[0]]
    dtype = tensors[0].dtype
    for part in tensors[1:]:
        dtype = promote_types(dtype, part.dtype)
    axis = _joinable(parts, dim)
    return b.concat([b.cast(part, dtype) for part in parts], axis)


@operation("StackBackward0")
def stack(tensors: Sequence[Value], dim: int = 0) -> Value:
    """Tensors of one shape joined along a new axis."""
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    first = tensors[0].shape
    for number, other in enumerate(tensors[1:], 1):
        if other.shape != first:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 "
                f"and {list(other.shape)} at entry {number}"
            )
    axis = _axis(dim, len(first) + 1)
    shape = (*first[:axis], 1, *first[axis:])
    return b.concat([b.reshape(part, shape) for part in tensors], axis)
