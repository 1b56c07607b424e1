"""Indexing: reading and assigning parts of tensors with integers, slices, masks and index tensors.

Basic indices give views; integer tensors gather copies; masks select where shapes stay known.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from treadle.functions import movement, pointwise
from treadle.inplace import assign
from treadle.ir import build as b
from treadle.ir.types import CPU, bool_, int64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import default_dtype
from treadle.tensor import Tensor, from_array


def _is_advanced(item: Any) -> bool:
    return isinstance(item, (Tensor, list, np.ndarray))


def _as_index(item: Any) -> Tensor:
    """An index as a tensor of integers or bool; IndexError for other dtypes."""
    if not isinstance(item, Tensor):
        array = np.asarray(item)
        if array.size == 0:
            array = array.astype(np.int64)
        if array.dtype.kind not in "iub":
            raise IndexError(
                "tensors used as indices must be long, int, byte or bool tensors, found "
                f"{array.dtype}"
            )
        kind = np.bool_ if array.dtype.kind == "b" else np.int64
        return from_array(array.astype(kind), CPU)
    if item.dtype.is_floating_point:
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    return item


def _expand_ellipsis(key: tuple[Any, ...], rank: int) -> list[Any]:
    """The key with one entry an axis (and None for new axes)."""
    used = 0
    for item in key:
        if isinstance(item, Tensor) and item.dtype is bool_ and item.ndim != 1:
            used += item.ndim
        elif item is not None and item is not Ellipsis:
            used += 1
    if used > rank:
        raise IndexError(f"too many indices for tensor of dimension {rank}")
    places = [number for number, item in enumerate(key) if item is Ellipsis]
    if len(places) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    whole = [slice(None)] * (rank - used)
    if not places:
        return [*key, *whole]
    return [*key[: places[0]], *whole, *key[places[0] + 1 :]]


def _basic(input: Tensor, items: list[Any]) -> tuple[Tensor, list[Tensor | None]]:
    """Integers, slices and new axes applied as views; the index tensor left for each axis."""
    result = input
    axis = 0
    left: list[Tensor | None] = []
    for item in items:
        if item is None:
            result = movement.unsqueeze(result, axis)
        elif isinstance(item, slice):
            step = 1 if item.step is None else int(item.step)
            if step <= 0:
                raise ValueError("step must be greater than zero")
            if item != slice(None):
                bounds = [None if at is None else int(at) for at in (item.start, item.stop)]
                result = movement.slice_axis(result, axis, bounds[0], bounds[1], step)
        elif isinstance(item, Tensor) and (item.ndim or item.dtype is bool_):
            left.append(item)
            axis += 1
            continue
        elif isinstance(item, (int, np.integer, Tensor)) and not isinstance(item, bool):
            result = movement.select(result, axis, int(item))
            continue
        else:
            raise TypeError(
                "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables "
                f"are valid indices (got {type(item).__name__})"
            )
        left.append(None)
        axis += 1
    return result, left


@operation("IndexBackward0")
def _take(input: Value, indices: tuple[Value, ...], axes: tuple[int, ...]) -> Value:
    """Elements at index tensors along axes; the indexed axes become those of the indices.

    Indices that stand side by side put the new axes in their place, others in front (NumPy's
    rule, which PyTorch follows).
    """
    shape = b.broadcast_shapes(*(index.shape for index in indices))
    order = [*axes, *(axis for axis in range(input.ndim) if axis not in axes)]
    moved = b.permute(input, order)
    extents = moved.shape[: len(axes)]
    rest = moved.shape[len(axes) :]
    flat_index = b.constant(0, int64, input.type.device)
    for index, extent in zip(indices, extents, strict=True):
        wide = b.cast(index, int64)
        positive = b.select(b.lt(wide, 0), wide + extent, wide)
        flat_index = flat_index * extent + b.broadcast_to(positive, shape)
    rows = 1
    for extent in extents:
        rows *= extent
    count = flat_index.type.numel
    columns = moved.type.numel // rows if rows else 0
    table = b.reshape(moved, (rows, columns))
    wanted = b.broadcast_to(b.reshape(flat_index, (count, 1)), (count, columns))
    taken = b.reshape(b.gather(table, wanted, 0), (*shape, *rest))
    adjacent = list(axes) == list(range(axes[0], axes[0] + len(axes)))
    if not adjacent or not axes[0]:
        return taken
    front = len(shape)
    before = list(range(front, front + axes[0]))
    after = list(range(front + axes[0], taken.ndim))
    return b.permute(taken, [*before, *range(front), *after])


def _check_bounds(index: Tensor, extent: int, axis: int) -> None:
    """IndexError for indices in memory that are out of range (pending ones are clamped)."""
    if index._storage.buffer is None:
        return
    array = index._concrete()
    if array.size and (array.min() < -extent or array.max() >= extent):
        wrong = int(array.max() if array.max() >= extent else array.min())
        raise IndexError(f"index {wrong} is out of bounds for dimension {axis} with size {extent}")


def getitem(self: Tensor, key: Any) -> Tensor:
    """``tensor[key]``: a view for basic indices, a copy for index tensors and masks."""
    if type(key) is slice and key == slice(None) and self.ndim:
        return movement.slice_axis(self, 0, None, None, 1)
    items = _expand_ellipsis(_normalized(key), self.ndim)
    items = _masks_as_integers(self, items)
    view, left = _basic(self, items)
    if all(index is None for index in left):
        return movement.alias_of(self) if view is self else view
    axes = tuple(axis for axis, index in enumerate(left) if index is not None)
    indices = tuple(index for index in left if index is not None)
    for axis, index in zip(axes, indices, strict=True):
        _check_bounds(index, view.shape[axis], axis)
    taken: Tensor = _take(view, indices, axes)
    return taken


def _normalized(key: Any) -> tuple[Any, ...]:
    items = key if isinstance(key, tuple) else (key,)
    return tuple(_as_index(item) if _is_advanced(item) else item for item in items)


def _masks_as_integers(self: Tensor, items: list[Any]) -> list[Any]:
    """Masks replaced by the positions where they hold: their number needs their contents."""
    result: list[Any] = []
    axis = 0
    for item in items:
        if isinstance(item, Tensor) and item.dtype is bool_:
            wanted = tuple(self.shape[axis : axis + item.ndim])
            if tuple(item.shape) != wanted:
                at = next((n for n, (a, w) in enumerate(zip(item.shape, wanted)) if a != w), 0)
                raise IndexError(
                    f"The shape of the mask {list(item.shape)} at index {at} does not match the "
                    f"shape of the indexed tensor {list(self.shape)} at index {axis + at}"
                )
            positions = np.nonzero(item._concrete())
            result += [from_array(position, item.device) for position in positions]
            axis += item.ndim
        else:
            result.append(item)
            axis += item is not None
    return result


# -- assignment ----------------------------------------------------------------------------------


@operation("CopyBackwards")
def _copied(_target: Value, source: Value) -> Value:
    """The source in the target's shape and dtype."""
    target = _target
    lead = source.ndim - target.ndim
    if lead > 0 and set(source.shape[:lead]) <= {1}:
        source = b.reshape(source, source.shape[lead:])
    if b.broadcast_shapes(source.shape, target.shape) != target.shape:
        raise RuntimeError(
            f"The expanded size of the tensor {list(target.shape)} must match the existing size "
            f"{list(source.shape)}"
        )
    return b.broadcast_to(b.cast(source, target.dtype), target.shape)


@operation("FillBackward0")
def _filled(_target: Value, value: Any) -> Value:
    """The target's shape filled with a number."""
    target = _target
    return b.full(target.shape, value, target.dtype, target.type.device)


@operation("IndexPutBackward0")
def _put(input: Value, indices: tuple[Value, ...], axes: tuple[int, ...], source: Any) -> Value:
    """The input with elements at index tensors replaced; the last of equal indices wins."""
    base = b.reshape(input, (input.type.numel,))
    flat = b.iota((input.type.numel,), 0, int64, input.type.device)
    places = _take.operation.body(b.reshape(flat, input.shape), indices, axes)
    fill = source if isinstance(source, Value) else b.constant(source, input.dtype)
    part = b.reshape(b.broadcast_to(b.cast(fill, input.dtype), places.shape), (places.type.numel,))
    index = b.reshape(places, (places.type.numel,))
    return b.reshape(_scatter_last(base, index, part), input.shape)


def _scatter_last(base: Value, index: Value, part: Value) -> Value:
    """``base`` with ``part`` at ``index``; where indices repeat, the last one counts.

    The winner of each position is the greatest source number; the rest is a gather.
    """
    count = index.type.numel
    device = base.type.device
    order = b.iota((count,), 0, int64, device)
    grid = (base.type.numel, count)
    here = b.eq(b.iota(grid, 0, int64, device), b.broadcast_to(index, grid))
    winner = b.max(b.select(here, b.broadcast_to(order, grid), -1), (1,))
    chosen = b.gather(part, b.maximum(winner, 0), 0) if count <= base.type.numel else None
    if chosen is None:
        chosen = b.reshape(
            b.gather(
                b.broadcast_to(b.reshape(part, (1, count)), (base.type.numel, count)),
                b.reshape(b.maximum(winner, 0), (base.type.numel, 1)),
                1,
            ),
            (base.type.numel,),
        )
    return b.select(b.ge(winner, 0), chosen, base)


def setitem(self: Tensor, key: Any, value: Any) -> None:
    """``tensor[key] = value``, in place."""
    raw = key if isinstance(key, tuple) else (key,)
    if len(raw) == 1 and isinstance(raw[0], Tensor) and raw[0].dtype is bool_:
        mask = raw[0]
        if tuple(mask.shape) == tuple(self.shape[: mask.ndim]) and (
            not isinstance(value, Tensor) or not value.ndim
        ):
            _assign_masked(self, mask, value)
            return
    items = _masks_as_integers(self, _expand_ellipsis(_normalized(key), self.ndim))
    view, left = _basic(self, items)
    if all(index is None for index in left):
        copy_into(view, value)
        return
    axes = tuple(axis for axis, index in enumerate(left) if index is not None)
    indices = tuple(index for index in left if index is not None)
    for axis, index in zip(axes, indices, strict=True):
        _check_bounds(index, view.shape[axis], axis)
    assign(view, _put.operation, (view, indices, axes, value), {})  # type: ignore[attr-defined]


def _assign_masked(self: Tensor, mask: Tensor, value: Any) -> None:
    """A number where a mask holds: shapes stay known, so that it is one elementwise select."""
    shape = (*mask.shape, *(1,) * (self.ndim - mask.ndim))
    aligned = movement.view(mask, *shape) if len(shape) != mask.ndim else mask
    assign(self, pointwise.masked_fill.operation, (self, aligned, value), {})


def copy_into(target: Tensor, source: Any) -> Tensor:
    """Makes a number, array or tensor the contents of a tensor, in place."""
    if isinstance(source, Tensor):
        return assign(target, _copied.operation, (target, source), {})  # type: ignore[attr-defined]
    if isinstance(source, (int, float, np.generic)):
        number = source.item() if isinstance(source, np.generic) else source
        if isinstance(number, float) and target.dtype.kind in "biu":
            number = target.dtype.numpy.type(number).item()
        return assign(target, _filled.operation, (target, number), {}, overlap=True)  # type: ignore[attr-defined]
    array = np.asarray(source)
    if array.dtype == np.float64:
        array = array.astype(default_dtype().numpy)
    return copy_into(target, from_array(array, target.device))


# -- along an axis -------------------------------------------------------------------------------


@operation("GatherBackward0")
def gather(input: Value, dim: int, index: Value) -> Value:
    """input[index[i][j]][j] for dim 0, and likewise for other axes."""
    if index.dtype is not int64:
        raise RuntimeError("gather(): Expected dtype int64 for index")
    if index.ndim != input.ndim:
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
    axis = movement.axis_of(dim, input.ndim)
    for at, (have, want) in enumerate(zip(input.shape, index.shape, strict=True)):
        if at != axis and want > have:
            raise RuntimeError(
                f"Size does not match at dimension {at} expected index {list(index.shape)} to be "
                f"no larger than self {list(input.shape)} apart from dimension {axis}"
            )
    return b.gather(input, index, axis)


@operation("IndexSelectBackward0")
def index_select(input: Value, dim: int, index: Value) -> Value:
    """Slices of an axis at the positions of a vector."""
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    axis = movement.axis_of(dim, input.ndim)
    flat = b.reshape(index, (index.type.numel,))
    body: Value = _take.operation.body(input, (flat,), (axis,))  # type: ignore[attr-defined]
    return body


@operation("ScatterAddBackward0")
def scatter_add(input: Value, dim: int, index: Value, src: Value) -> Value:
    """input with src added at the positions that index gives along an axis."""
    axis = movement.axis_of(dim, input.ndim)
    part = b.slice(src, (0,) * src.ndim, index.shape)
    return b.scatter_add(input, index, part, axis)
