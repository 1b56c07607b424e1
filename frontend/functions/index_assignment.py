"""Writing parts of tensors: ``tensor[...] = value``, and writes at positions and masks.

What an index means is decided in ``indexing``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from treadle.functions import movement, pointwise
from treadle.functions.filling import copied, copy_into
from treadle.functions.indexing import (
    apply_basic,
    check_flat,
    check_mask,
    index_tensors,
    key_items,
    table_of,
    type_name,
)
from treadle.inplace import Plan, assign, planned, run_in_place
from treadle.ir import build as b
from treadle.ir.types import CPU, bool_, int64, uint8
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import cpp_name, number_for, scalar_name
from treadle.tensor import Tensor

__all__ = ["index_put", "index_put_", "masked_scatter", "put"]
METHODS = "index_put index_put_ masked_fill_ masked_scatter masked_scatter_ put put_"

_BOOL_COMBINES = {"add": "max", "mul": "min"}


def scatter_value(data: Value, index: Value, source: Value, axis: int, combine: str) -> Value:
    """``build.scatter``, where bool elements are added by or and multiplied by and."""
    if not index.type.numel:
        return data
    if data.dtype is bool_ and combine != "set":
        parts = b.cast(data, uint8), index, b.cast(source, uint8)
        return b.cast(b.scatter(*parts, axis, _BOOL_COMBINES.get(combine, combine)), bool_)
    return b.scatter(data, index, source, axis, combine)


# -- tensor[...] = value -------------------------------------------------------------------------


@operation("IndexPutBackward0", overwrites=True)
def _put_indexed(
    input: Value,
    indices: tuple[Value, ...],
    axes: tuple[int, ...],
    source: Any,
    accumulate: bool = False,
) -> Value:
    """The input with elements at index tensors replaced (the last of equal indices wins), or
    added to."""
    table = table_of(input, indices, axes)
    places = table.places()
    if isinstance(source, Value):
        part = b.broadcast_to(_without_lead(source, len(table.shape)), table.shape)
    else:
        part = b.full(table.shape, source, input.dtype, input.type.device)
    if not places.type.numel:
        # Nothing is written, but every operand has a gradient.
        flat = b.reshape(input, (input.type.numel,))
        return b.reshape(b.concat((flat, b.reshape(part, (0,))), 0), input.shape)
    combine = "add" if accumulate else "set"
    made = scatter_value(table.data, places, b.reshape(part, places.shape), 1, combine)
    made = b.reshape(made, [input.shape[axis] for axis in table.order])
    return b.permute(made, sorted(range(input.ndim), key=table.order.__getitem__))


def _without_lead(source: Value, rank: int) -> Value:
    """A value without leading extents of 1 beyond a rank."""
    lead = source.ndim - rank
    return b.reshape(source, source.shape[lead:]) if lead > 0 else source


def setitem(self: Tensor, key: Any, value: Any) -> None:
    """``tensor[key] = value``, in place."""
    if key is False:
        return
    if not isinstance(value, Tensor):
        if not isinstance(value, (bool, int, float, complex)):
            raise TypeError(
                f"can't assign a {type_name(value)} to a torch.{scalar_name(self.dtype)}Tensor"
            )
        value = number_for(value, self.dtype)
    view, left = apply_basic(self, key_items(key))
    if all(index is None for index in left):
        if isinstance(value, Tensor):
            _check_expansion(value, view.shape)
        copy_into(view, value)
    else:
        run_in_place(_plan_indexed(view, left, value, False))


def delitem(self: Tensor, key: Any) -> None:
    """``del tensor[key]``, which always is a TypeError."""
    raise TypeError("Tensor does not support deleting items")


def _check_expansion(value: Tensor, shape: Any) -> None:
    """PyTorch's errors where a value does not expand to a part, but for leading extents of 1."""
    size = value.shape
    while len(size) > len(shape) and size[0] == 1:
        size = size[1:]
    movement.expansion(size, shape, value)


def _plan_indexed(
    view: Tensor, left: Sequence[Tensor | None], value: Any, accumulate: bool
) -> Plan:
    masks = [(at, index) for at, index in enumerate(left) if index is not None]
    single = not isinstance(value, Tensor) or (value.shape.numel() == 1 and value.device == CPU)
    if len(masks) == 1 and masks[0][1].dtype in (bool_, uint8) and single and not accumulate:
        # One number: shapes stay known, so that it is an elementwise select.
        axis, mask = masks[0]
        check_mask(view, mask, axis)
        return _plan_masked(view, mask, axis, value)
    if isinstance(value, Tensor) and value.dtype is not view.dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{scalar_name(view.dtype)} for the destination and {scalar_name(value.dtype)} for the "
            "source."
        )
    indices, axes = index_tensors(view, left)
    if isinstance(value, Tensor):
        _check_value(view, indices, axes, value)
    return _put_indexed, (view, indices, axes, value, accumulate)


def _check_value(
    view: Tensor, indices: Sequence[Tensor], axes: Sequence[int], value: Tensor
) -> None:
    """RuntimeError unless a value expands to the elements at index tensors."""
    shape = b.broadcast_shapes(*(tuple(index.shape) for index in indices))
    adjacent = list(axes) == list(range(axes[0], axes[0] + len(axes)))
    others = [extent for axis, extent in enumerate(view.shape) if axis not in axes]
    lead = axes[0] if adjacent else 0
    target = (*others[:lead], *shape, *others[lead:])
    size = tuple(value.shape)
    while len(size) > len(target) and size[0] == 1:
        size = size[1:]
    try:
        fits = b.broadcast_shapes(size, target) == target
    except RuntimeError:
        fits = False
    if not fits:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(size)} cannot be broadcast to indexing "
            f"result of shape {list(target)}"
        )


def _plan_masked(view: Tensor, mask: Tensor, axis: int, value: Any) -> Plan:
    """A number where a mask over axes from ``axis`` on holds."""
    if mask.dtype is uint8:
        mask = pointwise.ne(mask, 0)
    trailing = view.ndim - axis - mask.ndim
    aligned = movement.reshape(mask, *mask.shape, *(1,) * trailing) if trailing else mask
    if isinstance(value, Tensor):
        value = _apart(movement.reshape(value, ()), view)
    return pointwise.masked_fill, (view, aligned, value)


def _apart(value: Any, target: Tensor) -> Any:
    """A number that a write to ``target`` cannot change while it reads it."""
    shared = isinstance(value, Tensor) and value._storage is target._storage
    return pointwise.clone(value) if shared else value


def masked_fill_(self: Tensor, mask: Tensor, value: Any) -> Tensor:
    """Writes a number where a mask holds, in place."""
    arguments = (self, mask, _apart(value, self))
    return assign(self, pointwise.masked_fill.operation, arguments, {})


# -- functions -----------------------------------------------------------------------------------


def _index_items(input: Tensor, indices: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Index tensors by axis; a mask stands at the first of its axes."""
    left: list[Tensor | None] = []
    for index in indices:
        left.append(index)
        if index is not None and index.dtype in (bool_, uint8):
            left += [None] * (index.ndim - 1)
    if len(left) > input.ndim:
        raise IndexError(f"too many indices for tensor of dimension {input.ndim} (got {len(left)})")
    return left


@planned
def index_put(
    input: Tensor,
    indices: Sequence[Tensor | None],
    values: Tensor,
    accumulate: bool = False,
) -> Plan:
    """A copy with values at index tensors, one for each leading axis.

    The last of equal indices wins; with ``accumulate`` all are added.
    """
    left = _index_items(input, indices)
    if all(index is None for index in left):
        return copied, (input, values)
    return _plan_indexed(input, left, values, accumulate)


index_put_ = index_put.in_place


@operation("PutBackward0", overwrites=True)
def _put(input: Value, index: Value, source: Value, accumulate: bool) -> Value:
    count = index.type.numel
    flat = b.reshape(input, (input.type.numel,))
    if not count:
        return b.reshape(b.concat((flat, b.reshape(source, (0,))), 0), input.shape)
    wide = b.cast(b.reshape(index, (count,)), int64)
    places = b.select(b.lt(wide, 0), wide + input.type.numel, wide)
    part = b.reshape(source, (count,))
    made = scatter_value(flat, places, part, 0, "add" if accumulate else "set")
    return b.reshape(made, input.shape)


@planned
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Plan:
    """A copy with ``source`` at positions among the row-major elements, or added there."""
    if index.dtype is not int64:
        raise RuntimeError(
            f"put_(): Expected a long tensor for index, but got {scalar_name(index.dtype)}"
        )
    if source.dtype is not input.dtype:
        raise RuntimeError(
            "put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{scalar_name(input.dtype)} and source.dtype = {scalar_name(source.dtype)}"
        )
    if index.shape.numel() != source.shape.numel():
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source.shape.numel()}, index.numel() = {index.shape.numel()}"
        )
    if index.shape.numel() and not input.shape.numel():
        raise IndexError("put_(): tried to put elements into an empty tensor")
    check_flat(index, input.shape.numel())
    return _put, (input, index, source, accumulate)


put_ = put.in_place


@operation("MaskedScatterBackward0", overwrites=True)
def _masked_scattered(input: Value, mask: Value, source: Value) -> Value:
    shape = b.broadcast_shapes(input.shape, mask.shape)
    kept = b.broadcast_to(input, shape)
    count = kept.type.numel
    if not count or not source.type.numel:
        return kept
    chosen = b.reshape(b.broadcast_to(mask, shape), (count,))
    # The n-th place where the mask holds takes the n-th element.
    nth = b.sub(b.cumsum(b.cast(chosen, int64), 0), 1)
    part = b.gather(b.reshape(source, (source.type.numel,)), nth, 0)
    return b.select(b.reshape(chosen, shape), b.reshape(part, shape), kept)


@planned
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Plan:
    """A copy with the elements of ``source``, in order, where a mask holds."""
    if mask.dtype is not bool_:
        raise RuntimeError(
            "masked_scatter_ only supports boolean masks, but got mask with dtype "
            f"{cpp_name(mask.dtype)}"
        )
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"masked_scatter: expected self and source to have same dtypes but got "
            f"{scalar_name(input.dtype)} and {scalar_name(source.dtype)}"
        )
    shape = b.broadcast_shapes(tuple(input.shape), tuple(mask.shape))
    if source.shape.numel() < np.prod(shape, dtype=int):
        held = np.count_nonzero(np.broadcast_to(mask._concrete(), shape))
        if held > source.shape.numel():
            raise RuntimeError("Number of elements of source < number of ones in mask")
    return _masked_scattered, (input, mask, source)


masked_scatter_ = masked_scatter.in_place
