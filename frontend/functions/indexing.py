"""Reading parts of tensors: ``tensor[...]``, and picking elements by mask or by position.

Basic indices give views, index tensors and masks copies. Writing is ``index_assignment``'s.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from treadle.functions import movement, slicing
from treadle.inplace import accepts_separate_out
from treadle.ir import build as b
from treadle.ir.types import CPU, Shape, bool_, element_count, int32, int64, uint8
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import scalar_name
from treadle.tensor import Tensor, from_array

__all__ = ["masked_select", "take"]
METHODS = "masked_select take"

# Sequences of at least so many items are index arrays, whatever they hold (PyTorch's rule).
_LONG_SEQUENCE = 32


# -- the key -------------------------------------------------------------------------------------


def key_items(key: Any) -> tuple[Any, ...]:
    """The items of a key; a short sequence that holds more than numbers is read as a tuple."""
    if type(key) is tuple:
        return key
    if not _is_sequence(key) or isinstance(key, np.ndarray) or len(key) >= _LONG_SEQUENCE:
        return tuple(key) if isinstance(key, tuple) else (key,)
    parts = (Tensor, slice, type(Ellipsis), type(None))
    if not any(isinstance(item, parts) or _is_sequence(item) for item in key):
        return tuple(key) if isinstance(key, tuple) else (key,)
    if not isinstance(key, (tuple, str)):
        warnings.warn(
            "Using a non-tuple sequence for multidimensional indexing is deprecated and will be "
            "changed in pytorch 2.9; use x[tuple(seq)] instead of x[seq]. In pytorch 2.9 this will "
            "be interpreted as tensor index, x[torch.tensor(seq)], which will result either in an "
            "error or a different result",
            UserWarning,
            stacklevel=3,
        )
    return tuple(key)


def _is_sequence(item: Any) -> bool:
    return isinstance(item, (Sequence, np.ndarray))


def _index_tensor(item: Any) -> Tensor:
    """A sequence of numbers as a tensor of integers or bool."""
    if isinstance(item, str):
        raise TypeError("new(): invalid data type 'str'")
    array = item if isinstance(item, np.ndarray) else np.asarray(_numbers(item))
    kind = np.bool_ if array.dtype.kind == "b" else np.int64
    return from_array(array.astype(kind), CPU)


def _numbers(item: Any) -> Any:
    if isinstance(item, Tensor):
        return item.tolist()
    if isinstance(item, str):
        raise TypeError("new(): invalid data type 'str'")
    return [_numbers(part) for part in item] if _is_sequence(item) else item


def _axes_used(item: Any) -> int:
    """How many axes of the tensor an item of a key stands for."""
    if isinstance(item, Tensor) and item.dtype in (bool_, uint8):
        return item.ndim
    return 0 if item is None or item is Ellipsis or isinstance(item, bool) else 1


def apply_basic(self: Tensor, items: tuple[Any, ...]) -> tuple[Tensor, list[Tensor | None]]:
    """Integers, slices and new axes applied as views; the index tensor left for each axis.

    A mask stands at the first of its axes.
    """
    used = sum(map(_axes_used, items))
    if used > self.ndim:
        if len(items) == 1 and not self.ndim:
            _refuse_scalar(items[0])
        raise IndexError(f"too many indices for tensor of dimension {self.ndim}")
    result = self
    left: list[Tensor | None] = []  # one for each axis of the result
    for number, item in enumerate(items):
        axis = len(left)
        if _is_sequence(item):
            item = _index_tensor(item)
        if item is None:
            result = movement.unsqueeze(result, axis)
            left.append(None)
        elif item is Ellipsis:
            left += [None] * (self.ndim - used)
        elif _is_truth(item):
            # A new axis of extent 1, of which all or nothing is taken.
            result = movement.unsqueeze(result, axis)
            left.append(from_array(np.zeros(int(bool(item)), np.int64), CPU))
        elif isinstance(item, slice):
            result = _sliced(result, axis, item)
            left.append(None)
        elif isinstance(item, Tensor) and (item.ndim or item.dtype.kind not in "iu"):
            left.append(item)
            left += [None] * (_axes_used(item) - 1)
        else:
            position = _position(item, number, result.shape[axis])
            result = slicing.select(result, axis, position)
    return result, left


def _is_truth(item: Any) -> bool:
    if isinstance(item, Tensor):
        return not item.ndim and item.dtype in (bool_, uint8)
    return isinstance(item, bool)


def _refuse_scalar(item: Any) -> None:
    """The errors for a 0-d tensor indexed by one integer or slice."""
    if isinstance(item, slice):
        raise IndexError("slice() cannot be applied to a 0-dim tensor.")
    if not _is_sequence(item) and (not isinstance(item, Tensor) or not item.ndim):
        raise IndexError(
            "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` "
            "in C++ to convert a 0-dim tensor to a number"
        )


def _sliced(input: Tensor, axis: int, item: slice) -> Tensor:
    if item == slice(None):
        return input
    start, stop, step = map(_bound, (item.start, item.stop, item.step))
    if step is not None and step <= 0:
        raise ValueError("step must be greater than zero" if step else "slice step cannot be zero")
    return slicing.slice_axis(input, axis, start, stop, 1 if step is None else step)


def _bound(item: Any) -> int | None:
    if item is None:
        return None
    try:
        return operator.index(item)
    except TypeError:
        if isinstance(item, Tensor):
            raise
        raise TypeError(
            "slice indices must be integers or None or have an __index__ method"
        ) from None


def _position(item: Any, number: int, extent: int) -> int:
    """An item of a key, the one of that number, as an integer in range."""
    try:
        position = operator.index(item)
    except TypeError:
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are "
            f"valid indices (got {type_name(item)})"
        ) from None
    if not -extent <= position < extent:
        raise IndexError(
            f"index {position} is out of bounds for dimension {number} with size {extent}"
        )
    return position


def type_name(item: Any) -> str:
    """A Python object's type as PyTorch's messages show it."""
    kind = type(item)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def index_tensors(
    view: Tensor, left: Sequence[Tensor | None]
) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """Integer tensors and the axes that they index; IndexError where they do not fit.

    Masks become the positions where they hold: how many there are needs their contents.
    """
    found: list[tuple[int, Tensor]] = []
    for axis, index in enumerate(left):
        if index is None:
            continue
        if index.dtype not in (int64, int32, bool_, uint8):
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        if index.dtype in (bool_, uint8):
            check_mask(view, index, axis)
            positions = np.nonzero(index._concrete())
            found += [(axis + n, from_array(p, index.device)) for n, p in enumerate(positions)]
        else:
            found.append((axis, index))
    indices = tuple(index for _, index in found)
    axes = tuple(axis for axis, _ in found)
    try:
        shape = b.broadcast_shapes(*(tuple(index.shape) for index in indices))
    except RuntimeError:
        shapes = ", ".join(str(list(index.shape)) for index in indices)
        raise IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}"
        ) from None
    if element_count(shape):
        _check_indices(view, found)
    return indices, axes


def _check_indices(view: Tensor, found: Sequence[tuple[int, Tensor]]) -> None:
    """IndexError for indices in memory that are out of range, where any element is reached."""
    axes = [axis for axis, _ in found]
    if any(not view.shape[axis] for axis in axes):
        raise IndexError("index is out of bounds for dimension with size 0")
    if not view.shape.numel():
        return
    if all(out_of_bounds(i, view.shape[a], -view.shape[a]) is None for a, i in found):
        return
    # The first element that reaches outside, and the first index that makes it do so.
    known = [(n, a, i._concrete()) for n, (a, i) in enumerate(found) if is_known(i)]
    wrong = [(i < -view.shape[a]) | (i >= view.shape[a]) for _, a, i in known]
    everywhere = np.broadcast_arrays(*wrong)
    place = int(np.flatnonzero(np.any(everywhere, axis=0))[0])
    first = next(n for n, flags in enumerate(everywhere) if flags.flat[place])
    number, axis, array = known[first]
    index = np.broadcast_to(array, everywhere[0].shape).flat[place]
    raise IndexError(
        f"index {index} is out of bounds for dimension {number} with size {view.shape[axis]}"
    )


def check_mask(view: Tensor, mask: Tensor, axis: int) -> None:
    """IndexError unless a mask has the extents of the axes that it indexes."""
    if mask.dtype is uint8:
        warnings.warn(
            "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool "
            "instead.",
            UserWarning,
            stacklevel=5,
        )
    for at, extent in enumerate(mask.shape):
        if extent != view.shape[axis + at]:
            raise IndexError(
                f"The shape of the mask {list(mask.shape)} at index {at} does not match the shape "
                f"of the indexed tensor {list(view.shape)} at index {axis + at}"
            )


def out_of_bounds(index: Tensor, extent: int, lowest: int) -> int | None:
    """An index in memory that is out of range, None if there is none (or it is pending)."""
    if not is_known(index):
        return None
    array = index._concrete()
    if not array.size or (array.min() >= lowest and array.max() < extent):
        return None
    return int(array[(array < lowest) | (array >= extent)].flat[0])


def is_known(index: Tensor) -> bool:
    """Whether the elements are in memory: looking at them costs no evaluation."""
    return index._storage.buffer is not None


# -- reading -------------------------------------------------------------------------------------


class Table(NamedTuple):
    """Indexed axes joined into one.

    Attributes:
        data: the elements as [before, rows, after].
        rows: a row (i64) for each element of the broadcast index tensors.
        shape: of what is taken: the axes before, those of the indices, those after.
        order: the axes of the tensor in the order of ``data``.
    """

    data: Value
    rows: Value
    shape: Shape
    order: tuple[int, ...]

    def places(self) -> Value:
        """The rows at every element of [before, indices, after]."""
        before, _, after = self.data.shape
        count = self.rows.type.numel
        wide = b.reshape(self.rows, (1, count, 1))
        return b.broadcast_to(wide, (before, count, after))


def table_of(input: Value, indices: Sequence[Value], axes: Sequence[int]) -> Table:
    """The table that index tensors along axes read.

    Indices that stand side by side put the new axes in their place, others in front (NumPy's
    rule, which PyTorch follows).
    """
    adjacent = list(axes) == list(range(axes[0], axes[0] + len(axes)))
    lead = axes[0] if adjacent else 0
    others = [axis for axis in range(input.ndim) if axis not in axes]
    order = (*others[:lead], *axes, *others[lead:])
    moved = b.permute(input, order)
    before = moved.shape[:lead]
    extents = moved.shape[lead : lead + len(axes)]
    after = moved.shape[lead + len(axes) :]
    shape = b.broadcast_shapes(*(index.shape for index in indices))
    flat: Value | None = None
    for index, extent in zip(indices, extents, strict=True):
        wide = b.cast(index, int64)
        row = b.broadcast_to(b.select(b.lt(wide, 0), wide + extent, wide), shape)
        flat = row if flat is None else flat * extent + row
    assert flat is not None
    joined = tuple(map(element_count, (before, extents, after)))
    index = b.reshape(flat, (flat.type.numel,))
    return Table(b.reshape(moved, joined), index, (*before, *shape, *after), order)


def empty_of(input: Value, shape: Sequence[int]) -> Value:
    """None of the elements of a value, whose gradient therefore is zeros."""
    flat = b.reshape(input, (input.type.numel,))
    return b.reshape(b.slice(flat, (0,), (0,)), shape)


@operation("IndexBackward0")
def _indexed(input: Value, indices: tuple[Value, ...], axes: tuple[int, ...]) -> Value:
    """Elements at index tensors along axes; the indexed axes become those of the indices."""
    table = table_of(input, indices, axes)
    if not element_count(table.shape):
        return empty_of(input, table.shape)
    return b.reshape(b.gather(table.data, table.places(), 1), table.shape)


def getitem(self: Tensor, key: Any) -> Tensor:
    """``tensor[key]``: a view for basic indices, a copy for index tensors and masks."""
    view, left = apply_basic(self, key_items(key))
    if all(index is None for index in left):
        if view is not self:
            return view
        whole = isinstance(key, slice) and self.ndim
        return slicing.slice_axis(self, 0, None, None, 1) if whole else movement.alias_of(self)
    taken: Tensor = _indexed(view, *index_tensors(view, left))
    return taken


# -- by mask and by position ---------------------------------------------------------------------


@operation("MaskedSelectBackward0")
def _masked_selected(input: Value, positions: Value, shape: Shape) -> Value:
    flat = b.reshape(b.broadcast_to(input, shape), (element_count(shape),))
    if not positions.type.numel:
        return empty_of(input, (0,))
    return b.gather(flat, positions, 0)


@accepts_separate_out
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where a mask holds, as a vector; both are broadcast to one shape."""
    if mask.dtype is not bool_:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    shape = b.broadcast_shapes(tuple(input.shape), tuple(mask.shape))
    positions = np.flatnonzero(np.broadcast_to(mask._concrete(), shape))
    found: Tensor = _masked_selected(input, from_array(positions, input.device), shape)
    return found


@operation("TakeBackward0")
def _taken(input: Value, index: Value) -> Value:
    if not index.type.numel:
        return empty_of(input, index.shape)
    flat = b.reshape(input, (input.type.numel,))
    return _indexed.operation.body(flat, (index,), (0,))


@accepts_separate_out
def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at positions among the row-major elements, in the shape of ``index``."""
    if index.dtype is not int64:
        raise RuntimeError(
            f"take(): Expected a long tensor for index, but got {scalar_name(index.dtype)}"
        )
    if index.shape.numel() and not input.shape.numel():
        raise IndexError("take(): tried to take from an empty tensor")
    check_flat(index, input.shape.numel())
    found: Tensor = _taken(input, index)
    return found


def check_flat(index: Tensor, count: int) -> None:
    """IndexError for positions in memory that are outside ``count`` elements."""
    wrong = out_of_bounds(index, count, lowest=-count)
    if wrong is not None:
        raise IndexError(
            f"out of range: tried to access index {wrong} on a tensor of {count} elements."
        )
