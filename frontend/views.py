"""Views: how a tensor lies in its storage, and reading it from there.

Strides and offsets count elements of the storage's row-major contents, as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from treadle.ir import build
from treadle.ir.bits import reinterpret
from treadle.ir.types import DType, Shape, contiguous_strides, element_count, int64
from treadle.ir.value import Value


class View(NamedTuple):
    """Size, stride and offset of a tensor within its storage."""

    size: Shape
    stride: tuple[int, ...]
    offset: int

    def is_contiguous(self) -> bool:
        """Whether the elements lie one after the other in row-major order."""
        if element_count(self.size) == 0:
            return True
        expected = 1
        for extent, stride in zip(reversed(self.size), reversed(self.stride), strict=True):
            if extent != 1:
                if stride != expected:
                    return False
                expected *= extent
        return True

    def overlaps(self) -> bool:
        """Whether elements share memory because an extent was expanded."""
        return any(s == 0 and e > 1 for e, s in zip(self.size, self.stride, strict=True))

    def is_dense(self) -> bool:
        """Whether the elements fill a run of memory, each place once, in any order of axes."""
        axes = [(s, e) for e, s in zip(self.size, self.stride, strict=True) if e != 1]
        expected = 1
        for stride, extent in sorted(axes):
            if stride != expected:
                return False
            expected *= extent
        return True


class TypedView(View):
    """A view under another element type than its storage's, in numbers of such elements.

    Parts of complex elements, pairs of real ones as complex elements, or the same bits.
    """

    dtype: DType

    def __new__(cls, layout: View, dtype: DType) -> TypedView:
        """A layout seen under an element type."""
        made = super().__new__(cls, *layout)
        made.dtype = dtype
        return made

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, TypedView) and other.dtype is self.dtype
        return same and tuple(self) == tuple(other)  # type: ignore[arg-type]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((*self, self.dtype))

    def __reduce__(self) -> tuple[Any, ...]:
        return TypedView, (View(*self), self.dtype)


def pairs(layout: View) -> View:
    """The parts of complex elements along a new last axis, where they lie."""
    size, stride, offset = layout
    return View((*size, 2), (*(2 * step for step in stride), 1), 2 * offset)


def under(layout: View, dtype: DType, stored: DType) -> View:
    """The layout of elements of a type over a storage of another one."""
    return View(*layout) if dtype is stored else TypedView(layout, dtype)


def whole(shape: Shape) -> View:
    """The view of a tensor that is its storage."""
    return View(shape, contiguous_strides(shape), 0)


def read(base: Value, view: View) -> Value:
    """The elements of a view as a value over the contents of its storage."""
    if isinstance(view, TypedView):
        if view.dtype.is_complex:
            parts = under(pairs(view), view.dtype.to_real(), base.dtype)
            return build.view_as_complex(read(base, parts))
        return read(_seen_as(_reals(base), view.dtype), View(*view))
    if view.size == base.shape and view == whole(base.shape):
        return base
    count = element_count(view.size)
    if count == base.type.numel and view.offset == 0 and view.is_contiguous():
        return build.reshape(base, view.size)
    permuted = _as_permutation(view)
    if permuted is not None and count == base.type.numel and view.offset == 0:
        order, sorted_shape = permuted
        inverse = tuple(order.index(axis) for axis in range(len(order)))
        return build.permute(build.reshape(base, sorted_shape), inverse)
    return build.as_strided(base, view.size, view.stride, view.offset)


def _reals(base: Value) -> Value:
    """The contents of a storage with the parts of complex elements as elements."""
    return build.view_as_real(base) if base.dtype.is_complex else base


def _seen_as(base: Value, dtype: DType) -> Value:
    """The contents of a storage as elements of another type, as many as there are whole ones."""
    if base.dtype is dtype:
        return base
    count, ratio = base.type.numel, max(dtype.itemsize // base.dtype.itemsize, 1)
    flat = build.reshape(base, (count,))
    return reinterpret(build.slice(flat, (0,), (count - count % ratio,)), dtype)


def _seen_as_before(changed: Value, base: Value) -> Value:
    """Contents that were seen as another type, again as the storage has them."""
    if changed.dtype is base.dtype:
        return changed
    count = base.type.numel
    flat = reinterpret(changed, base.dtype)
    rest = build.slice(build.reshape(base, (count,)), (flat.type.numel,), (count,))
    whole_again = build.concat([flat, rest], 0) if rest.type.numel else flat
    return build.reshape(whole_again, base.shape)


def _as_permutation(view: View) -> tuple[tuple[int, ...], Shape] | None:
    """Axes in memory order and the shape in that order, where a view only reorders axes."""
    order = tuple(sorted(range(len(view.size)), key=lambda axis: -view.stride[axis]))
    shape = tuple(view.size[axis] for axis in order)
    strides = tuple(view.stride[axis] for axis in order)
    return (order, shape) if strides == contiguous_strides(shape) else None


def write(base: Value, part: Value, view: View) -> Value:
    """The contents of a storage with the elements of a view replaced."""
    if isinstance(view, TypedView):
        if view.dtype.is_complex:
            parts = under(pairs(view), view.dtype.to_real(), base.dtype)
            return write(base, build.view_as_real(part), parts)
        reals = _reals(base)
        changed = write(_seen_as(reals, view.dtype), part, View(*view))
        restored = _seen_as_before(changed, reals)
        return build.view_as_complex(restored) if base.dtype.is_complex else restored
    if element_count(view.size) == base.type.numel and view.offset == 0 and view.is_contiguous():
        return build.reshape(part, base.shape)
    return build.view_update(base, part, view.size, view.stride, view.offset)


def write_from(base: Value, part: Value, view: View, start: Callable[[int], Value]) -> Value:
    """As ``write``, where the view's offset is no constant: ``start(number)`` is an i64 value."""
    count, total = element_count(view.size), base.type.numel
    if view.is_contiguous() and total % count == view.offset % count == 0:
        rows, row = (total // count, count), build.reshape(start(view.offset // count), (1, 1))
        index, source = build.broadcast_to(row, (1, count)), build.reshape(part, (1, count))
        changed = build.scatter(build.reshape(base, rows), index, source, 0, "set")
    else:
        index = build.broadcast_to(start(view.offset), view.size)
        for axis, stride in enumerate(view.stride):
            index = index + build.iota(view.size, axis, int64, base.type.device) * stride
        flat = build.reshape(index, (count,)), build.reshape(part, (count,))
        changed = build.scatter(build.reshape(base, (total,)), *flat, 0, "set")
    return build.reshape(changed, base.shape)


def reshaped_strides(view: View, shape: Sequence[int]) -> tuple[int, ...] | None:
    """Strides under which the same memory has another shape; None where a copy is needed.

    PyTorch's rule (``computeStride`` in ATen/TensorUtils.cpp): every run of axes that lie
    contiguously in each other may be split and joined freely.
    """
    if element_count(view.size) == 0:
        return contiguous_strides(tuple(shape))
    strides = [0] * len(shape)
    at = len(shape) - 1
    chunk_stride = view.stride[-1] if view.stride else 1
    elements = covered = 1
    for axis in range(len(view.size) - 1, -1, -1):
        elements *= view.size[axis]
        ends = axis == 0 or (
            view.size[axis - 1] != 1 and view.stride[axis - 1] != elements * chunk_stride
        )
        if not ends:
            continue
        while at >= 0 and (covered < elements or shape[at] == 1):
            strides[at] = covered * chunk_stride
            covered *= shape[at]
            at -= 1
        if covered != elements:
            return None
        if axis > 0:
            chunk_stride = view.stride[axis - 1]
            elements = covered = 1
    while at >= 0:  # a 0-d tensor viewed as one of extents 1
        strides[at] = 1
        at -= 1
    return tuple(strides)
