"""Sorted tensors, the greatest elements, and what stands in the middle.

Sorting n elements costs O(n log n) and is stable: equal elements keep their order, NaN is greater
than all. ``topk``, ``kthvalue``, medians and modes sort, too.
"""

from __future__ import annotations

import math
from typing import Any

from treadle.functions.axes import axis_of
from treadle.functions.pointwise.arguments import not_implemented
from treadle.ir import build as b
from treadle.ir.ordering import argsort as positions_in_order, first_positions
from treadle.ir.types import bool_, int64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.out_argument import write_out
from treadle.return_types import return_type
from treadle.tensor import Tensor

__all__ = ["argsort", "kthvalue", "median", "mode", "msort", "nanmedian", "sort", "topk"]
METHODS = "argsort kthvalue median mode msort nanmedian sort topk"


def _order(input: Value, dim: int, descending: bool) -> Value:
    if input.dtype.is_complex:
        raise RuntimeError(" Sort does not support complex dtypes on CPU")
    return positions_in_order(input, axis_of(dim, input.ndim), descending)


def _taken(input: Value, index: Value, axis: int) -> Value:
    return b.gather(input, index, axis) if input.ndim else b.reshape(input, index.shape)


@operation("SortBackward0")
def _sort(input: Value, dim: int, descending: bool) -> Any:
    index = _order(input, dim, descending)
    values = _taken(input, index, axis_of(dim, input.ndim))
    return return_type("sort", "values indices")(values, index)


def sort(
    input: Tensor,
    dim: int = -1,
    descending: bool = False,
    *,
    stable: bool | None = None,
    out: Any = None,
) -> Any:
    """The elements in order along an axis, and where each was; always stable."""
    return _sort(input, dim, bool(descending), **({} if out is None else {"out": out}))


@operation()
def _argsort(input: Value, dim: int, descending: bool) -> Value:
    return _order(input, dim, descending)


def argsort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Any:
    """Where the elements are that stand in order along an axis; always stable."""
    return _argsort(input, dim, bool(descending))


def msort(input: Tensor, *, out: Any = None) -> Any:
    """The elements in order along the first axis."""
    found = _sort(input, 0, False)
    return found.values if out is None else write_out(found.values, out, (input,))


@operation("TopkBackward0")
def topk(input: Value, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The k greatest (or least) elements along an axis in order, and where they are."""
    axis = axis_of(dim, input.ndim)
    if not 0 <= k <= (input.shape[axis] if input.ndim else 1):
        raise RuntimeError("selected index k out of range")
    if input.dtype is bool_:
        raise RuntimeError("topk does not support bool dtypes on CPU")
    index = _first(input, axis, k, largest)
    return return_type("topk", "values indices")(_taken(input, index, axis), index)


def _first(input: Value, axis: int, count: int, descending: bool = False) -> Value:
    """Where the first elements in order are along an axis."""
    if not input.ndim:
        return b.full((), 0, int64, input.type.device)
    return first_positions(input, axis, count, descending)


# --- one element of each row ----------------------------------------------------------------------


def _check_extent(name: str, input: Value, axis: int) -> None:
    if input.ndim and not input.shape[axis]:
        raise IndexError(f"{name}(): Expected reduction dim {axis} to have non-zero size.")


def _chosen(name: str, input: Value, index: Value, axis: int, keepdim: bool) -> Any:
    """The elements at positions that have an extent of 1 along the axis."""
    values = _taken(input, index, axis)
    if input.ndim and not keepdim:
        shape = [extent for at, extent in enumerate(input.shape) if at != axis]
        values, index = b.reshape(values, shape), b.reshape(index, shape)
    return return_type(name, "values indices")(values, index)


def _nth(order: Value, axis: int, place: int | Value) -> Value:
    """The entries of an order at a place along the axis, the same or one for each row."""
    if isinstance(place, Value):
        return b.gather(order, place, axis)
    shape = _kept(order.shape, axis)
    starts = [place if at == axis else 0 for at in range(order.ndim)]
    return b.slice(order, starts, [start + n for start, n in zip(starts, shape, strict=True)])


@operation("KthvalueBackward0")
def _kthvalue(input: Value, k: int, dim: int, keepdim: bool) -> Any:
    axis = axis_of(dim, input.ndim)
    _check_extent("kthvalue", input, axis)
    if not 1 <= k <= (input.shape[axis] if input.ndim else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {axis}")
    if input.dtype is bool_:
        raise not_implemented(input, "kthvalue_cpu")
    order = _first(input, axis, k)
    index = _nth(order, axis, k - 1) if input.ndim else order
    return _chosen("kthvalue", input, index, axis, keepdim)


def kthvalue(
    input: Tensor, k: int, dim: int = -1, keepdim: bool = False, *, out: Any = None
) -> Any:
    """The k-th least element along an axis, counted from 1, and where it is."""
    if out is None:
        return _kthvalue(input, k, dim, keepdim)
    if any(target._storage is input._storage for target in out):
        raise RuntimeError(
            "unsupported operation: some elements of the input tensor and the written-to tensor "
            "refer to a single memory location. Please clone() the tensor before performing the "
            "operation."
        )
    return _kthvalue(input, k, dim, keepdim, out=out)


def _nan_count(x: Value, axis: int) -> Value:
    return b.sum(b.cast(b.ne(x, x), int64), (axis,), keepdim=True)


def _median_position(x: Value, axis: int, ignore_nan: bool) -> Value:
    """Where the lower of the middle elements is along an axis, or the first NaN."""
    order = positions_in_order(x, axis)
    middle = (x.shape[axis] - 1) // 2
    if not x.dtype.is_floating_point:
        return _nth(order, axis, middle)
    missing = _nan_count(x, axis)
    if ignore_nan:
        # NaN come last; where there is nothing else, the first of them.
        place = b.shift_right(b.sub(x.shape[axis] - 1, missing), 1)
        return b.gather(order, b.maximum(place, 0), axis)
    first_missing = b.maximum(b.minimum(b.sub(x.shape[axis], missing), x.shape[axis] - 1), 0)
    place = b.select(b.eq(missing, 0), middle, first_missing)
    return b.gather(order, place, axis)


def _median_along(name: str, input: Value, dim: int, keepdim: bool) -> Any:
    axis = axis_of(dim, input.ndim)
    if input.dtype is bool_:
        raise not_implemented(input, "median_cpu")
    _check_extent("median", input, axis)
    if not input.ndim:
        return _chosen(name, input, b.constant(0, int64, input.type.device), 0, keepdim)
    index = _median_position(input, axis, name == "nanmedian")
    return _chosen(name, input, index, axis, keepdim)


@operation("MedianBackward1")
def _median_dim(input: Value, dim: int, keepdim: bool) -> Any:
    return _median_along("median", input, dim, keepdim)


@operation("NanmedianBackward1")
def _nanmedian_dim(input: Value, dim: int, keepdim: bool) -> Any:
    return _median_along("nanmedian", input, dim, keepdim)


def _evenly(inputs: Any, outputs: Any, upstreams: Any) -> tuple[Value]:
    """As PyTorch's: elements that equal the median share its gradient."""
    (x,), (median_of,), (g,) = inputs, outputs, upstreams
    here = b.eq(x, median_of)
    here = b.logical_or(here, b.logical_and(b.ne(x, x), b.ne(median_of, median_of)))
    chosen = b.cast(here, x.dtype)
    return (chosen * (g / b.sum(chosen)),)


def _median_of_all(input: Value, ignore_nan: bool) -> Value:
    if input.dtype is bool_:
        raise not_implemented(input, "median_cpu")
    if not input.type.numel:
        nothing = math.nan if input.dtype.is_floating_point else -(1 << 63)
        return b.constant(nothing, input.dtype, input.type.device)
    flat = b.reshape(input, (input.type.numel,))
    return b.reshape(b.gather(flat, _median_position(flat, 0, ignore_nan), 0), ())


@operation("MedianBackward0", vjp=_evenly)
def _median_all(input: Value) -> Value:
    return _median_of_all(input, False)


@operation("NanmedianBackward0", vjp=_evenly)
def _nanmedian_all(input: Value) -> Value:
    return _median_of_all(input, True)


def median(input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Any = None) -> Any:
    """The lower of the middle elements: of all, or along an axis with its position; NaN wins."""
    if dim is None:
        return _median_all(input)
    return _median_dim(input, dim, keepdim, **({} if out is None else {"out": out}))


def nanmedian(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Any = None
) -> Any:
    """``median`` of the elements that are not NaN."""
    if dim is None:
        return _nanmedian_all(input)
    return _nanmedian_dim(input, dim, keepdim, **({} if out is None else {"out": out}))


@operation("ModeBackward0")
def mode(input: Value, dim: int = -1, keepdim: bool = False) -> Any:
    """The most frequent element along an axis, the least of several, and its last position."""
    axis = axis_of(dim, input.ndim)
    _check_extent("mode", input, axis)
    if not input.ndim or not input.type.numel:
        nothing = b.full(_kept(input.shape, axis), 0, int64, input.type.device)
        return _chosen("mode", input, nothing, axis, keepdim)
    order = positions_in_order(input, axis)
    ordered = b.gather(input, order, axis)
    places = b.iota(input.shape, axis, int64, input.type.device)
    low, high = [0] * input.ndim, [0] * input.ndim
    low[axis], high[axis] = 1, -1
    begins = b.logical_or(b.eq(places, 0), b.ne(ordered, b.pad(ordered, low, high)))
    length = places - b.cummax(b.select(begins, places, 0), axis)
    # Lengths grow along a run: the first of the greatest is the end of the first longest run.
    best = b.reshape(b.argmax(length, axis), _kept(input.shape, axis))
    return _chosen("mode", input, b.gather(order, best, axis), axis, keepdim)


def _kept(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return tuple(1 if at == axis else extent for at, extent in enumerate(shape))
