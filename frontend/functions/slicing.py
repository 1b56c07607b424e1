"""Views of parts: slices, pieces of an axis, diagonals, windows; all alias their argument.

``tensor[...]`` is ``indexing``'s; layouts and errors are PyTorch's.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from itertools import pairwise
from operator import index as as_index
from typing import Any

from treadle.functions.aliasing import view_operation, views_operation
from treadle.functions.axes import axis_of
from treadle.ir import build as b
from treadle.ir.types import bool_
from treadle.ir.value import Value
from treadle.out_argument import accepts_out, takes_tensor
from treadle.tensor import Tensor
from treadle.views import View

__all__ = [
    "chunk", "diagonal", "dsplit", "hsplit", "narrow", "select", "split", "split_with_sizes",
    "tensor_split", "unbind", "unsafe_chunk", "unsafe_split", "unsafe_split_with_sizes", "vsplit",
]  # fmt: skip
METHODS = (
    "select narrow split split_with_sizes chunk tensor_split hsplit vsplit dsplit unbind diagonal "
    "unfold unsafe_chunk unsafe_split unsafe_split_with_sizes"
)


# -- one part ------------------------------------------------------------------------------------


def _selected_value(input: Value, axis: int, index: int) -> Value:
    kept = [extent for at, extent in enumerate(input.shape) if at != axis]
    return b.reshape(_sliced_value(input, axis, index, index + 1), kept)


def _select_layout(layout: View, axis: int, index: int) -> View:
    size, stride, offset = layout
    rest = (size[:axis] + size[axis + 1 :], stride[:axis] + stride[axis + 1 :])
    return View(*rest, offset + index * stride[axis])


_selected = view_operation("SelectBackward0")(_selected_value)


@takes_tensor
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
    position = as_index(index) % extent
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


@takes_tensor
def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """``length`` elements of an axis from ``start``."""
    if isinstance(start, Tensor):
        if start.ndim or start.dtype.is_floating_point or start.dtype is bool_:
            raise RuntimeError("start must be an 0-dim integral Tensor.")
        start = int(start)
    if not input.ndim:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    axis = axis_of(dim, input.ndim)
    extent = input.shape[axis]
    if not -extent <= start <= extent:
        raise IndexError(
            f"start out of range (expected to be in range of [{-extent}, {extent}], but got "
            f"{start})"
        )
    first = start + extent if start < 0 else start
    if first + length > extent:
        raise RuntimeError(
            f"start ({first}) + length ({length}) exceeds dimension size ({extent})."
        )
    return slice_axis(input, axis, first, first + length, 1)


@view_operation("DiagonalBackward0")
def _diagonal(input: Value, first: int, second: int, row: int, column: int, count: int) -> Value:
    """Elements [row + i, column + i] of two axes along a new last axis."""
    others = [axis for axis in range(input.ndim) if axis not in (first, second)]
    moved = b.permute(input, [*others, first, second])
    rest, (rows, columns) = moved.shape[:-2], moved.shape[-2:]
    if not count:
        return b.slice(
            b.reshape(moved, (*rest, rows * columns)), (0,) * (len(rest) + 1), (*rest, 0)
        )
    flat = b.reshape(moved, (*rest, rows * columns))
    start = row * columns + column
    stop = start + (count - 1) * (columns + 1) + 1
    zeros, ones = (0,) * len(rest), (1,) * len(rest)
    return b.slice(flat, (*zeros, start), (*rest, stop), (*ones, columns + 1))


@takes_tensor
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of two axes as the last axis; ``offset`` above the main one."""
    first, second = axis_of(dim1, input.ndim), axis_of(dim2, input.ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    size, stride, start = input._layout
    row, column = max(-offset, 0), max(offset, 0)
    count = max(min(size[first] - row, size[second] - column), 0)
    if count:
        start += row * stride[first] + column * stride[second]
    others = [axis for axis in range(input.ndim) if axis not in (first, second)]
    layout = View(
        (*(size[axis] for axis in others), count),
        (*(stride[axis] for axis in others), stride[first] + stride[second]),
        start,
    )
    return _diagonal(input, layout, first, second, row, column, count)


@view_operation("UnfoldBackward0")
def _unfolded(input: Value, axis: int, size: int, step: int) -> Value:
    if not input.ndim:
        return b.reshape(input, (size,)) if size else b.slice(b.reshape(input, (1,)), (0,), (0,))
    return b.windows(input, (axis,), (size,), (step,), (1,))


@takes_tensor
def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of ``size`` elements along an axis, ``step`` apart; the window is the last axis."""
    axis = axis_of(dimension, input.ndim)
    extents, stride, offset = input._layout
    extent = extents[axis] if input.ndim else 1
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > extent:
        raise RuntimeError(
            f"maximum size for tensor at dimension {axis} is {extent} but size is {size}"
        )
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if not input.ndim:
        return _unfolded(input, View((size,), (1,), offset), 0, size, step)
    layout = View(
        (*extents[:axis], (extent - size) // step + 1, *extents[axis + 1 :], size),
        (*stride[:axis], stride[axis] * step, *stride[axis + 1 :], stride[axis]),
        offset,
    )
    return _unfolded(input, layout, axis, size, step)


# -- all parts -----------------------------------------------------------------------------------


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


@takes_tensor
def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Consecutive pieces of an axis: of one size (the last may be smaller), or of given sizes."""
    if not isinstance(split_size_or_sections, int):
        return split_with_sizes(tensor, split_size_or_sections, dim)
    if not tensor.ndim:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    axis = axis_of(dim, tensor.ndim)
    extent = tensor.shape[axis]
    size = split_size_or_sections
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    if size == 0 and extent:
        raise RuntimeError(
            f"split_size can only be 0 if dimension size is 0, but got dimension size of {extent}"
        )
    sizes = tuple(min(size, extent - at) for at in range(0, extent, size)) if extent else (0,)
    return _split(tensor, _split_layouts(tensor._layout, axis, sizes), axis, sizes)


def split_method(input: Tensor, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """``split`` as the method, whose argument has another name."""
    return split(input, split_size, dim)


@takes_tensor
def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Consecutive pieces of an axis of given sizes."""
    if not input.ndim:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    axis = axis_of(dim, input.ndim)
    extent = input.shape[axis]
    sizes = tuple(as_index(size) for size in split_sizes)
    if min(sizes, default=0) < 0:
        raise RuntimeError(
            "split_with_sizes expects split_sizes have only non-negative entries, but got "
            f"split_sizes={list(sizes)}"
        )
    if sum(sizes) != extent:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {extent} (input tensor's size "
            f"at dimension {axis}), but got split_sizes={list(sizes)}"
        )
    return _split_with_sizes(input, _split_layouts(input._layout, axis, sizes), axis, sizes)


@takes_tensor
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` pieces of equal size."""
    if not input.ndim:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    extent = input.shape[axis_of(dim, input.ndim)]
    if not extent:
        return split_with_sizes(input, (0,) * chunks, dim)
    return split(input, -(-extent // chunks), dim)


def _apart(parts: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Pieces that autograd lets be changed in place, as it does for the unsafe functions."""
    for part in parts:
        part._one_of_several = False
    return parts


@takes_tensor
def unsafe_split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """``split`` whose results may be changed in place."""
    return _apart(split(tensor, split_size_or_sections, dim))


@takes_tensor
def unsafe_split_with_sizes(
    input: Tensor, split_sizes: Sequence[int], dim: int = 0
) -> tuple[Tensor, ...]:
    """``split_with_sizes`` whose results may be changed in place."""
    return _apart(split_with_sizes(input, split_sizes, dim))


@takes_tensor
def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """``chunk`` whose results may be changed in place."""
    return _apart(chunk(input, chunks, dim))


@takes_tensor
def tensor_split(
    input: Tensor, indices_or_sections: Any = None, dim: int = 0, *, indices: Any = None,
    sections: int | None = None, tensor_indices_or_sections: Tensor | None = None,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Pieces of an axis: so many of nearly equal size, or those between indices."""
    given = indices if indices is not None else sections
    given = tensor_indices_or_sections if given is None else given
    given = indices_or_sections if given is None else given
    if not input.ndim:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    axis = axis_of(dim, input.ndim)
    if isinstance(given, Tensor):
        if given.ndim > 1:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or "
                f"one-dimensional tensor, but got a tensor with {given.ndim} dims"
            )
        given = given.tolist()
    extent = input.shape[axis]
    if isinstance(given, int):
        if given <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {given}")
        small, larger = divmod(extent, given)
        sizes = [small + (n < larger) for n in range(given)]
        return split_with_sizes(input, sizes, axis)
    bounds = [None, *(as_index(at) for at in given), None]
    return tuple(slice_axis(input, axis, start, stop, 1) for start, stop in pairwise(bounds))


def _axis_split(name: str, least: int, axis_when: tuple[int, int], what: str) -> Any:
    def body(
        input: Tensor, indices_or_sections: Any = None, *, indices: Any = None,
        sections: int | None = None,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        given = indices if indices is not None else sections
        given = indices_or_sections if given is None else given
        if isinstance(given, str) or given is None:
            raise TypeError(
                f"{name}() received an invalid combination of arguments - got (Tensor, "
                f"{type(given).__name__})"
            )
        if input.ndim < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor "
                f"with {input.ndim} dimensions!"
            )
        axis = axis_when[0] if input.ndim == 1 else axis_when[1]
        extent = input.shape[axis]
        if isinstance(given, int) and (given == 0 or extent % given):
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {axis}, but the size of the "
                f"dimension {extent} is not divisible by the split_size {given}!"
            )
        return tensor_split(input, given, axis)

    body.__name__ = body.__qualname__ = name
    body.__doc__ = f"Pieces along the {what} axis: so many equal ones, or those between indices."
    return accepts_out(body)


hsplit = _axis_split("hsplit", 1, (0, 1), "second (of vectors the only)")
vsplit = _axis_split("vsplit", 2, (0, 0), "first")
dsplit = _axis_split("dsplit", 3, (2, 2), "third")


@views_operation("UnbindBackward0")
def _unbound(input: Value, axis: int) -> tuple[Value, ...]:
    return tuple(_selected_value(input, axis, index) for index in range(input.shape[axis]))


@takes_tensor
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Every slice along an axis."""
    if not input.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    axis = axis_of(dim, input.ndim)
    layouts = [_select_layout(input._layout, axis, at) for at in builtins.range(input.shape[axis])]
    return _unbound(input, layouts, axis)
