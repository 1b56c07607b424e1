"""Indexing: reading and assigning parts of tensors with integers, slices, masks and index tensors.

Basic indices give views; integer tensors gather copies; masks select where shapes stay known.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from treadle.functions import movement, pointwise
from treadle.inplace import assign
from treadle.ir import build as b
from treadle.ir.gradients import vjp
from treadle.ir.types import CPU, bool_, int32, int64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import default_dtype
from treadle.tensor import Tensor, from_array

__all__ = ["gather", "index_select", "scatter_add"]
METHODS = "gather index_select scatter_add zero_"


def _is_advanced(item: Any) -> bool:
    if isinstance(item, str):
        raise TypeError("new(): invalid data type 'str'")
    return isinstance(item, (Tensor, list, np.ndarray))


def _as_index(item: Any) -> Tensor | bool:
    """An index as a tensor of integers or bool (a bool itself, where it has no dimensions)."""
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
    if item.dtype is bool_ and not item.ndim:
        return bool(item)
    if item.dtype.is_floating_point:
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    return item


def _expand_ellipsis(key: tuple[Any, ...], rank: int) -> list[Any]:
    """The key with one entry an axis (and None for new axes)."""
    used = 0
    for item in key:
        if isinstance(item, Tensor) and item.dtype is bool_ and item.ndim != 1:
            used += item.ndim
        elif item is not None and item is not Ellipsis and not isinstance(item, bool):
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
    dimension = 0  # of the input
    left: list[Tensor | None] = []  # one for each axis of the result
    for item in items:
        axis = len(left)
        if item is None:
            result = movement.unsqueeze(result, axis)
            left.append(None)
            continue
        if isinstance(item, bool):
            # A new axis of extent 1, of which all or nothing is taken.
            result = movement.unsqueeze(result, axis)
            left.append(from_array(np.zeros(int(item), np.int64), CPU))
            continue
        if isinstance(item, slice):
            result = _sliced(result, axis, item)
            left.append(None)
        elif isinstance(item, Tensor) and item.ndim:
            left.append(item)
        elif isinstance(item, (int, np.integer, Tensor)):
            result = movement.select(result, axis, _position(item, input, dimension))
        else:
            raise IndexError(
                "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables "
                f"are valid indices (got {type(item).__name__})"
            )
        dimension += 1
    return result, left


def _sliced(input: Tensor, axis: int, item: slice) -> Tensor:
    if item == slice(None):
        return input
    step = 1 if item.step is None else operator.index(item.step)
    if step <= 0:
        raise ValueError("step must be greater than zero" if step else "slice step cannot be zero")
    start, stop = (None if at is None else operator.index(at) for at in (item.start, item.stop))
    return movement.slice_axis(input, axis, start, stop, step)


def _position(item: Any, input: Tensor, dimension: int) -> int:
    position, extent = int(item), input.shape[dimension]
    if not -extent <= position < extent:
        raise IndexError(
            f"index {position} is out of bounds for dimension {dimension} with size {extent}"
        )
    return position


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


def out_of_bounds(index: Tensor, extent: int, lowest: int) -> int | None:
    """An index in memory that is out of range, None if there is none (or it is pending)."""
    if index._storage.buffer is None:
        return None
    array = index._concrete()
    if not array.size or (array.min() >= lowest and array.max() < extent):
        return None
    return int(array.max() if array.max() >= extent else array.min())


def check_bounds(index: Tensor, extent: int, axis: int) -> None:
    """IndexError for indices in memory that are out of range."""
    wrong = out_of_bounds(index, extent, lowest=-extent)
    if wrong is not None:
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
    taken: Tensor = _take(view, *_index_tensors(view, left))
    return taken


def _normalized(key: Any) -> tuple[Any, ...]:
    items = key if isinstance(key, tuple) else (key,)
    return tuple(_as_index(item) if _is_advanced(item) else item for item in items)


def _index_tensors(view: Tensor, left: list[Tensor | None]) -> tuple[Any, tuple[int, ...]]:
    """The index tensors and their axes; IndexError where they do not fit."""
    axes = tuple(axis for axis, index in enumerate(left) if index is not None)
    indices = tuple(index for index in left if index is not None)
    try:
        b.broadcast_shapes(*(tuple(index.shape) for index in indices))
    except RuntimeError:
        shapes = ", ".join(str(list(index.shape)) for index in indices)
        raise IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}"
        ) from None
    for axis, index in zip(axes, indices, strict=True):
        check_bounds(index, view.shape[axis], axis)
    return indices, axes


def _masks_as_integers(self: Tensor, items: list[Any]) -> list[Any]:
    """Masks replaced by the positions where they hold: their number needs their contents."""
    result: list[Any] = []
    axis = 0
    for item in items:
        if isinstance(item, Tensor) and item.dtype is bool_:
            wanted = tuple(self.shape[axis : axis + item.ndim])
            if tuple(item.shape) != wanted:
                at = next(
                    (n for n, (a, w) in enumerate(zip(item.shape, wanted, strict=False)) if a != w),
                    0,
                )
                raise IndexError(
                    f"The shape of the mask {list(item.shape)} at index {at} does not match the "
                    f"shape of the indexed tensor {list(self.shape)} at index {axis + at}"
                )
            positions = np.nonzero(item._concrete())
            result += [from_array(position, item.device) for position in positions]
            axis += item.ndim
        else:
            result.append(item)
            axis += item is not None and not isinstance(item, bool)
    return result


# -- assignment ----------------------------------------------------------------------------------


@operation("CopyBackwards", overwrites=True)
def _copied(target: Value, source: Value) -> Value:
    """The source in the target's shape and dtype."""
    lead = source.ndim - target.ndim
    if lead > 0 and set(source.shape[:lead]) <= {1}:
        source = b.reshape(source, source.shape[lead:])
    shape = b.broadcast_shapes(target.shape, source.shape)
    if shape != target.shape:
        raise RuntimeError(
            f"output with shape {list(target.shape)} doesn't match the broadcast shape "
            f"{list(shape)}"
        )
    return b.broadcast_to(b.cast(source, target.dtype), target.shape)


def _filled(target: Value, value: Any) -> Value:
    """The target's shape filled with a number."""
    if isinstance(value, Value):
        return b.broadcast_to(b.cast(value, target.dtype), target.shape)
    return b.full(target.shape, value, target.dtype, target.type.device)


_fill = operation("FillBackward2", overwrites=True, numbers=True)(_filled)
_zero = operation("ZeroBackward0", overwrites=True)(_filled)


def _put_gradient(
    inputs: Any, _outputs: Any, upstreams: Any, *, axes: tuple[int, ...], source: Any = None
) -> tuple[Value | None, ...]:
    """Nothing is left of what was replaced; every source gets its place's gradient, as PyTorch's
    do also where places repeat."""
    (g,) = upstreams
    indices = inputs[1:] if source is not None else inputs[1:-1]
    left = _put.operation.body(g, indices, axes, 0.0)
    none = (None,) * len(indices)
    if source is not None:
        return (left, *none)
    taken = _take.operation.body(g, indices, axes)
    spread = b.broadcast_to(b.cast(inputs[-1], g.dtype), taken.shape)
    return (left, *none, *vjp([spread], [inputs[-1]], [taken]))


@operation("IndexPutBackward0", vjp=_put_gradient)
def _put(input: Value, indices: tuple[Value, ...], axes: tuple[int, ...], source: Any) -> Value:
    """The input with elements at index tensors replaced; the last of equal indices wins."""
    base = b.reshape(input, (input.type.numel,))
    flat = b.iota((input.type.numel,), 0, int64, input.type.device)
    places = _take.operation.body(b.reshape(flat, input.shape), indices, axes)
    if not places.type.numel:
        return input
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
        if isinstance(value, Tensor):
            _check_expansion(value, view.shape)
        copy_into(view, value)
        return
    indices, axes = _index_tensors(view, left)
    assign(view, _put.operation, (view, indices, axes, value), {})


def _check_expansion(value: Tensor, shape: Any) -> None:
    """PyTorch's errors where a value does not expand to a part, but for leading extents of 1."""
    size = value.shape
    while len(size) > len(shape) and size[0] == 1:
        size = size[1:]
    movement.expansion(size, shape, value)


def _assign_masked(self: Tensor, mask: Tensor, value: Any) -> None:
    """A number where a mask holds: shapes stay known, so that it is one elementwise select."""
    shape = (*mask.shape, *(1,) * (self.ndim - mask.ndim))
    aligned = movement.view(mask, *shape) if len(shape) != mask.ndim else mask
    assign(self, pointwise.masked_fill.operation, (self, aligned, value), {})


def copy_into(target: Tensor, source: Any) -> Tensor:
    """Makes a number, array or tensor the contents of a tensor, in place."""
    if isinstance(source, Tensor):
        return assign(target, _copied.operation, (target, source), {})
    if isinstance(source, (int, float, np.generic)):
        number = source.item() if isinstance(source, np.generic) else source
        if isinstance(number, float) and target.dtype.kind in "biu":
            number = target.dtype.numpy.type(number).item()
        return assign(target, _fill.operation, (target, number), {}, overlap=True)
    array = np.asarray(source)
    if array.dtype == np.float64:
        array = array.astype(default_dtype().numpy)
    return copy_into(target, from_array(array, target.device))


def zero_(self: Tensor) -> Tensor:
    """Fills with zeros."""
    return assign(self, _zero.operation, (self, 0), {}, overlap=True)


# -- along an axis -------------------------------------------------------------------------------


@operation("GatherBackward0")
def _gathered(input: Value, dim: int, index: Value) -> Value:
    if index.dtype not in (int32, int64):
        raise RuntimeError("gather(): Expected dtype int32/int64 for index")
    if index.ndim != input.ndim:
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
    axis = movement.axis_of(dim, input.ndim)
    for at, (have, want) in enumerate(zip(input.shape, index.shape, strict=True)):
        if at != axis and want > have:
            raise RuntimeError(
                f"Size does not match at dimension {at} expected index {list(index.shape)} to be "
                f"no larger than self {list(input.shape)} apart from dimension {axis}"
            )
    return b.gather(input, b.cast(index, int64), axis)


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """input[index[i][j]][j] for dim 0, and likewise for other axes."""
    _check_along(input, dim, index, RuntimeError)
    found: Tensor = _gathered(input, dim, index)
    return found


def _check_along(input: Tensor, dim: int, index: Tensor, error: type[Exception]) -> None:
    """An error for indices in memory that are out of range along an axis."""
    if index.dtype.is_floating_point or not input.ndim:
        return  # refused or trivial where it is recorded
    axis = movement.axis_of(dim, input.ndim)
    wrong = out_of_bounds(index, input.shape[axis], lowest=0)
    if wrong is not None:
        raise error(
            f"index {wrong} is out of bounds for dimension {axis} with size {input.shape[axis]}"
        )


@operation("IndexSelectBackward0")
def _index_selected(input: Value, dim: int, index: Value) -> Value:
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    axis = movement.axis_of(dim, input.ndim)
    flat = b.reshape(index, (index.type.numel,))
    body: Value = _take.operation.body(input, (flat,), (axis,))
    return body


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Slices of an axis at the positions of a vector."""
    if index.ndim <= 1:
        _check_along(input, dim, index, IndexError)
    found: Tensor = _index_selected(input, dim, index)
    return found


@operation("ScatterAddBackward0")
def _scatter_added(input: Value, dim: int, index: Value, src: Value) -> Value:
    axis = movement.axis_of(dim, input.ndim)
    part = b.slice(src, (0,) * src.ndim, index.shape)
    return b.scatter_add(input, index, part, axis)


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """input with src added at the positions that index gives along an axis."""
    _check_along(input, dim, index, RuntimeError)
    found: Tensor = _scatter_added(input, dim, index, src)
    return found
