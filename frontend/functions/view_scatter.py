"""Copies in which one view's elements are replaced: the functional twins of writes to views."""

from __future__ import annotations

from collections.abc import Sequence

from treadle import views
from treadle.functions import pointwise, slicing
from treadle.functions.axes import axis_of
from treadle.ir import build as b
from treadle.ir.types import Shape
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.out_argument import accepts_out
from treadle.tensor import Tensor
from treadle.views import View

__all__ = [
    "as_strided_scatter", "diagonal_scatter", "narrow_copy", "select_scatter", "slice_scatter",
]  # fmt: skip
METHODS = "as_strided_scatter diagonal_scatter narrow_copy select_scatter slice_scatter"


def _replaced(input: Value, src: Value, size: Shape, stride: tuple[int, ...], offset: int) -> Value:
    return views.write(input, b.cast(src, input.dtype), View(size, stride, offset))


_select_scattered = operation("SelectScatterBackward0", overwrites=True)(_replaced)
_slice_scattered = operation("SliceScatterBackward0", overwrites=True)(_replaced)
_diagonal_scattered = operation("DiagonalScatterBackward0", overwrites=True)(_replaced)
_as_strided_scattered = operation("AsStridedScatterBackward0", overwrites=True)(_replaced)


def _check_size(src: Tensor, size: Shape) -> None:
    if tuple(src.shape) != size:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = "
            f"{list(src.shape)}, slice size = {list(size)}"
        )


def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy with the slice at one index of an axis replaced."""
    if not input.ndim:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    axis = axis_of(dim, input.ndim)
    extent = input.shape[axis]
    if not -extent <= index < extent:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input.shape)} at "
            f"dimension {axis}"
        )
    size, stride, _ = views.whole(tuple(input.shape))
    part = View(
        size[:axis] + size[axis + 1 :],
        stride[:axis] + stride[axis + 1 :],
        index % extent * stride[axis],
    )
    _check_size(src, part.size)
    made: Tensor = _select_scattered(input, src, *part)
    return made


def slice_scatter(
    input: Tensor,
    src: Tensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Tensor:
    """A copy with the elements start, start + step, ... of an axis replaced."""
    axis = axis_of(dim, input.ndim)
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    size, stride, _ = views.whole(tuple(input.shape))
    first, last, _ = slice(start, end).indices(size[axis])
    count = max(-(-(last - first) // step), 0)
    part = View(
        (*size[:axis], count, *size[axis + 1 :]),
        (*stride[:axis], stride[axis] * step, *stride[axis + 1 :]),
        first * stride[axis],
    )
    _check_size(src, part.size)
    made: Tensor = _slice_scattered(input, src, *part)
    return made


def diagonal_scatter(
    input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor:
    """A copy with a diagonal of two axes replaced; the diagonal is the last axis of ``src``."""
    first, second = axis_of(dim1, input.ndim), axis_of(dim2, input.ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    size, stride, _ = views.whole(tuple(input.shape))
    rows, columns = size[first] + min(offset, 0), size[second] - max(offset, 0)
    length = max(min(rows, columns), 0)
    others = [axis for axis in range(input.ndim) if axis not in (first, second)]
    start = -offset * stride[first] if offset < 0 else offset * stride[second]
    part = View(
        (*(size[axis] for axis in others), length),
        (*(stride[axis] for axis in others), stride[first] + stride[second]),
        start if length else 0,
    )
    _check_size(src, part.size)
    made: Tensor = _diagonal_scattered(input, src, *part)
    return made


def as_strided_scatter(
    input: Tensor,
    src: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    storage_offset: int | None = None,
) -> Tensor:
    """A copy with the elements of any strided view of the memory replaced.

    The gradient of ``input`` is zero at that view and the upstream one elsewhere; PyTorch 2.13
    has it the other way round.
    """
    part = View(tuple(size), tuple(stride), storage_offset or 0)
    steps = zip(part.size, part.stride, strict=True)
    needed = part.offset + 1 + sum((extent - 1) * step for extent, step in steps)
    itemsize = input.dtype.itemsize
    if 0 not in part.size and needed > input.shape.numel():
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset "
            f"{part.offset}, and itemsize {itemsize} requiring a storage size of "
            f"{needed * itemsize} are out of bounds for storage of size "
            f"{input.shape.numel() * itemsize}"
        )
    _check_size(src, part.size)
    made: Tensor = _as_strided_scattered(input, src, *part)
    return made


@accepts_out
def narrow_copy(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """A copy of ``length`` elements of an axis from ``start``."""
    made: Tensor = pointwise.clone(slicing.narrow(input, dim, start, length))
    return made
