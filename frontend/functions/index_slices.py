"""Slices of an axis read, written and reduced at a vector of positions: ``index_select`` to
``index_reduce``.
"""

from __future__ import annotations

from typing import Any

from treadle.functions.axes import axis_of
from treadle.functions.gathering import OUT_OF_BOUNDS, check_along, lifted, reduced, sizes_of
from treadle.functions.index_assignment import scatter_value
from treadle.functions.indexing import empty_of
from treadle.inplace import Plan, accepts_separate_out, planned
from treadle.ir import build as b
from treadle.ir.types import int32, int64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import number_for, scalar_name
from treadle.tensor import Tensor

__all__ = ["index_add", "index_copy", "index_fill", "index_reduce", "index_select"]
METHODS = (
    "index_add index_add_ index_copy index_copy_ index_fill index_fill_ index_reduce "
    "index_reduce_ index_select"
)

_OUT_OF_RANGE = "index out of range in self"


@operation("IndexSelectBackward0")
def _index_selected(input: Value, axis: int, index: Value) -> Value:
    data = lifted(input)
    shape = [*data.shape[:axis], index.type.numel, *data.shape[axis + 1 :]]
    if 0 in shape:
        return empty_of(input, shape)
    found = b.gather(data, _spread(index, shape, axis), axis)
    return found if input.ndim else b.reshape(found, ())


def _spread(index: Value, shape: list[int], axis: int) -> Value:
    """A vector of indices of an axis at every element of a shape."""
    aligned = [index.type.numel if at == axis else 1 for at in range(len(shape))]
    return b.broadcast_to(b.reshape(b.cast(index, int64), aligned), shape)


@accepts_separate_out
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Slices of an axis at the positions of a vector."""
    axis = axis_of(dim, input.ndim)
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if index.dtype not in (int32, int64):
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    if not input.ndim and index.shape.numel() != 1:
        raise RuntimeError(
            "index_select(): Index to scalar can have only 1 value, got "
            f"{index.shape.numel()} value(s)"
        )
    check_along(index, input, axis, IndexError, _OUT_OF_RANGE)
    found: Tensor = _index_selected(input, axis, index)
    return found


def _along(input: Value, axis: int, index: Value, source: Value, combine: str) -> Value:
    """Slices of an axis combined with those of ``source`` at a vector of positions."""
    data = lifted(input)
    shape = [*data.shape[:axis], index.type.numel, *data.shape[axis + 1 :]]
    if 0 in shape:
        return input
    part = (
        b.reshape(source, shape)
        if source.type.numel > 1
        else b.broadcast_to(b.reshape(source, (1,) * len(shape)), shape)
    )
    made = scatter_value(data, _spread(index, shape, axis), part, axis, combine)
    return b.reshape(made, input.shape)


@operation("IndexAddBackward0", overwrites=True)
def _index_added(input: Value, axis: int, index: Value, source: Value, alpha: Any) -> Value:
    scaled = source if alpha == 1 else b.mul(source, b.constant_like(source, alpha))
    return _along(input, axis, index, scaled, "add")


@operation("IndexCopyBackward0", overwrites=True)
def _index_copied(input: Value, axis: int, index: Value, source: Value) -> Value:
    return _along(input, axis, index, source, "set")


def _index_filled_gradient(
    inputs: Any, _outputs: Any, upstreams: Any, *, axis: int, value: Any = None
) -> tuple[Value | None, ...]:
    """A number written to a place twice gets that place's gradient once."""
    (g,) = upstreams
    left = _along(g, axis, inputs[1], b.constant(0, g.dtype), "set")
    if len(inputs) == 2:
        return left, None
    return left, None, b.cast(b.sum(b.sub(g, left)), inputs[2].dtype)


def _index_filled(input: Value, axis: int, index: Value, value: Any) -> Value:
    number = value if isinstance(value, Value) else b.constant(value, input.dtype)
    return _along(input, axis, index, b.cast(number, input.dtype), "set")


_index_filled_number = operation(
    "IndexFillBackward0", vjp=_index_filled_gradient, overwrites=True, numbers=True
)(_index_filled)
_index_filled_tensor = operation("IndexFillBackward1", vjp=_index_filled_gradient, overwrites=True)(
    _index_filled
)


@operation("IndexReduceBackward0", overwrites=True)
def _index_reduced(
    input: Value, axis: int, index: Value, source: Value, reduce: str, include_self: bool
) -> Value:
    def run(base: Value, part: Value, combine: str) -> Value:
        return _along(base, axis, index, part, combine)

    return reduced(input, source, reduce, include_self, run)


def _check_slices(name: str, input: Tensor, dim: int, index: Tensor, source: Tensor) -> int:
    """The axis of ``index_add`` and its like; errors in PyTorch's words."""
    axis = axis_of(dim, input.ndim)
    if index.ndim > 1:
        raise IndexError(
            f"{name}(): Index is supposed to be a vector, but got dim: {index.ndim} with type: "
            f"{scalar_name(index.dtype)} and size: {list(index.shape)}"
        )
    if index.dtype not in (int32, int64):
        raise RuntimeError(
            f"{name}(): Expected dtype int32/int64 for index but got: {scalar_name(index.dtype)}"
        )
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"{name}(): self ({scalar_name(input.dtype)}) and source "
            f"({scalar_name(source.dtype)}) must have the same scalar type"
        )
    if source.ndim and axis >= source.ndim:
        raise RuntimeError(
            f"{name}(): Indexing dim {axis} is out of bounds of the source tensor with dim "
            f"{source.ndim}"
        )
    count = index.shape.numel()
    if count != (source.shape[axis] if source.ndim else 1):
        raise RuntimeError(
            f"{name}(): Number of indices ({count}) should be equal to source.size(dim): "
            f"({source.shape[axis] if source.ndim else 1}), for dim: {axis}"
        )
    mine, other = list(input.shape), list(source.shape)
    if input.ndim and source.ndim:
        mine[axis : axis + 1], other[axis : axis + 1] = [], []
    if input.ndim and source.ndim and mine != other:
        raise RuntimeError(
            f"source tensor shape must match self tensor shape, excluding the specified dimension. "
            f"Got self.shape = {list(input.shape)} source.shape = {list(source.shape)}"
        )
    return axis


@planned
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Plan:
    """A copy with ``alpha`` times the slices of ``source`` added at positions of an axis."""
    axis = _check_slices("index_add_", input, dim, index, source)
    if input.dtype.kind not in "fc" and isinstance(alpha, float):
        raise RuntimeError(
            "For integral input tensors, argument alpha must not be a floating point number."
        )
    if input.ndim > 1:
        check_along(index, input, axis, RuntimeError, OUT_OF_BOUNDS)
    check_along(index, input, axis, IndexError, _OUT_OF_RANGE)
    return _index_added, (input, axis, index, source, alpha)


def _check_copied(input: Tensor, dim: int, index: Tensor, source: Tensor) -> int:
    """The axis of ``index_copy``; errors in PyTorch's words."""
    name = "index_copy_()"
    axis = axis_of(dim, input.ndim)
    if index.ndim > 1:
        raise IndexError(f"{name}: Index should have dimension 1 or 0 (got {index.ndim})")
    if input.ndim and source.ndim and input.ndim != source.ndim:
        raise IndexError(
            f"{name}: When source and destination are not scalars, their dimensionality must "
            f"match. Source dimensionality ({source.ndim}), destination dimensionality "
            f"({input.ndim})"
        )
    if index.dtype is not int64:
        raise RuntimeError(
            f"{name}: Expected a long tensor for index, but got {scalar_name(index.dtype)}"
        )
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"{name}: self and source expected to have the same dtype, but got (self) "
            f"{scalar_name(input.dtype)} and (source) {scalar_name(source.dtype)}"
        )
    mine, other = (
        [extent for at, extent in enumerate(tensor.shape) if at != axis]
        for tensor in (input, source)
    )
    if mine != other:
        raise RuntimeError(
            f"{name}: Source/destination tensor must have same slice shapes. Destination slice "
            f"shape: {' '.join(map(str, mine))} at dimension {axis} and source slice shape: "
            f"{' '.join(map(str, other))} at dimension 0."
        )
    count, given = index.shape.numel(), sizes_of(source)[axis]
    if count != given:
        raise IndexError(
            f"{name}: Number of indices ({count}) should be equal to source.size(dim) ({given})"
        )
    return axis


@planned
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Plan:
    """A copy with the slices of ``source`` at positions of an axis."""
    axis = _check_copied(input, dim, index, source)
    text = "index_copy_(): " + OUT_OF_BOUNDS
    check_along(index, input, axis, IndexError, text)
    return _index_copied, (input, axis, index, source)


@planned
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Plan:
    """A copy with a number in the slices at positions of an axis."""
    axis = axis_of(dim, input.ndim)
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                f"{value.ndim} dimension(s)."
            )
    else:
        value = number_for(value, input.dtype)
    if index.dtype is not int64:
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    if index.ndim > 1:
        raise RuntimeError("Index has to be a vector/scalar")
    extent = sizes_of(input)[axis]
    check_along(index, input, axis, IndexError, OUT_OF_BOUNDS, -extent)
    filled = _index_filled_tensor if isinstance(value, Tensor) else _index_filled_number
    return filled, (input, axis, index, value)


@planned
def index_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    source: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> Plan:
    """A copy with the slices of ``source`` reduced by prod, mean, amax or amin into an axis.

    Without ``include_self`` the slices that were at those positions do not count.
    """
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(
            "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got "
            f"{reduce}."
        )
    axis = _check_slices("index_reduce_", input, dim, index, source)
    check_along(index, input, axis, IndexError, _OUT_OF_RANGE)
    return _index_reduced, (input, axis, index, source, reduce, include_self)


index_add_, index_copy_ = index_add.in_place, index_copy.in_place
index_fill_, index_reduce_ = index_fill.in_place, index_reduce.in_place
