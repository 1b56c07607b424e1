"""Distinct elements and how often each occurs: unique, counts, histograms.

How many results there are is a question to the data: what is pending is computed to answer it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from treadle.functions import creation
from treadle.functions.axes import axis_of
from treadle.functions.searching import count_before, not_above
from treadle.ir import build as b
from treadle.ir.ordering import argsort, sorted_values
from treadle.ir.types import DType, bool_, float32, float64, int64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.out_argument import accepts_out
from treadle.promotion import scalar_name
from treadle.return_types import return_type
from treadle.tensor import Tensor

__all__ = [
    "bincount", "histc", "histogram", "histogramdd", "unique", "unique_consecutive",
]  # fmt: skip
METHODS = "bincount histc histogram unique unique_consecutive"


# --- distinct elements ----------------------------------------------------------------------------


@operation()
def _run_numbers(slices: Value) -> Value:
    """For the first axis of a matrix, how many runs of equal rows begin up to each."""
    count, width = slices.shape
    before = b.slice(slices, (0, 0), (count - 1, width))
    after = b.slice(slices, (1, 0), (count, width))
    differs = b.max(b.ne(after, before), (1,))
    begins = b.concat([b.full((1,), True, bool_, slices.type.device), differs], 0)
    return b.cumsum(b.cast(begins, int64), 0)


@operation()
def _first_places(runs: Value, count: int) -> Value:
    """Where each of ``count`` runs begins."""
    last = runs.shape[0] - 1
    places = b.flip(b.iota(runs.shape, 0, int64, runs.type.device), (0,))
    nothing = b.full((count,), 0, int64, runs.type.device)
    # The last one written is the first of the run.
    return b.scatter(nothing, b.flip(runs, (0,)) - 1, places, 0, "set") if last >= 0 else nothing


@operation()
def _occurrences(numbers: Value, count: int) -> Value:
    nothing = b.full((count,), 0, int64, numbers.type.device)
    return b.scatter_add(nothing, numbers, b.constant_like(numbers, 1), 0)


@operation()
def _placed(numbers: Value, order: Value) -> Value:
    """Numbers of sorted elements where the elements stood before."""
    return b.scatter(b.constant_like(numbers, 0), order, numbers, 0, "set")


@operation()
def _sorted_order(flat: Value) -> Value:
    return argsort(flat, 0)


@operation()
def _in_order(flat: Value) -> Value:
    return sorted_values(flat, 0)


def _of_runs(
    ordered: Tensor, dim: int, inverse: bool, counts: bool, order: Tensor | None = None
) -> tuple[Tensor, ...]:
    """The first of every run of equal slices, then what is asked for.

    Args:
        order: where the slices stood before they were sorted.
    """
    count = ordered.shape[dim]
    runs = _run_numbers(ordered.movedim(dim, 0).reshape(count, -1))
    distinct = int(runs[-1].item())
    results = [ordered.index_select(dim, _first_places(runs, distinct))]
    numbers = runs - 1
    if inverse:
        results.append(numbers if order is None else _placed(numbers, order))
    if counts:
        results.append(_occurrences(numbers, distinct))
    return tuple(results)


def _empty(input: Tensor, dim: int | None, inverse: bool, counts: bool) -> tuple[Tensor, ...]:
    """Results for a tensor without elements, which has none or one kind of slice at most."""
    if dim is None:
        values, extent = input.new_empty((0,)), tuple(input.shape)
    else:
        others = [extent for axis, extent in enumerate(input.shape) if axis != dim]
        if input.shape[dim] or 0 in others:
            raise RuntimeError(
                "There are 0 sized dimensions, and they aren't selected, so unique cannot be "
                "applied"
            )
        values, extent = input.detach().clone(), (0,)
    none = creation.zeros(extent, dtype=int64, device=input.device)
    return (values, *([none] * inverse), *([none.reshape(-1)] * counts))


def _one_or_all(results: tuple[Tensor, ...]) -> Any:
    return results[0] if len(results) == 1 else results


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct elements in order (slices with ``dim``), on request with the number of each
    element's among them, and how often each occurs. Always sorted."""
    axis = None if dim is None else axis_of(dim, input.ndim)
    source = input.detach()
    if not source.shape.numel():
        return _one_or_all(_empty(source, axis, return_inverse, return_counts))
    if axis is None or source.ndim <= 1:
        flat = source.reshape(-1)
        order = _sorted_order(flat) if return_inverse else None
        ordered = _in_order(flat) if order is None else flat[order]
        found = _of_runs(ordered, 0, return_inverse, return_counts, order)
    else:
        slices = source.movedim(axis, 0).reshape(source.shape[axis], -1)
        order = creation.as_tensor(np.lexsort(slices._concrete().T[::-1]).astype(np.int64))
        ordered = source.index_select(axis, order)
        found = _of_runs(ordered, axis, return_inverse, return_counts, order)
    return _one_or_all(_shaped(found, source, axis, return_inverse))


def _shaped(
    found: tuple[Tensor, ...], source: Tensor, axis: int | None, inverse: bool
) -> tuple[Tensor, ...]:
    """The number of every element in the shape of the elements."""
    if not inverse or axis is not None:
        return found
    return (found[0], found[1].reshape(source.shape), *found[2:])


def unique_consecutive(
    input: Tensor,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The first of every run of equal elements (slices with ``dim``); see ``unique``."""
    axis = None if dim is None else axis_of(dim, input.ndim)
    source = input.detach()
    if not source.shape.numel():
        return _one_or_all(_empty(source, axis, return_inverse, return_counts))
    ordered = source.reshape(-1) if axis is None or not source.ndim else source
    found = _of_runs(ordered, axis or 0, return_inverse, return_counts)
    return _one_or_all(_shaped(found, source, axis, return_inverse))


# --- counts ---------------------------------------------------------------------------------------


@operation()
def _weighted(numbers: Value, weights: Value, count: int) -> Value:
    """Sums of the weights of each number; numbers out of range are left out."""
    nothing = b.full((count,), 0, weights.dtype, weights.type.device)
    return b.scatter_add(nothing, b.cast(numbers, int64), weights, 0)


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each number from 0 on occurs, or the sum of the weights of its occurrences."""
    if input.dtype.kind not in "ui":
        raise NotImplementedError(
            f"\"bincount_cpu\" not implemented for '{scalar_name(input.dtype)}'"
        )
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    none = input.ndim == 1 and not input.shape[0]
    if input.ndim != 1 or (not none and input.min().item() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is not None and (weights.ndim != 1 or weights.shape != input.shape):
        raise RuntimeError("weights should be 1-d and have the same length as input")
    if none:
        return creation.zeros(minlength, dtype=int64, device=input.device)
    count = max(int(input.max().item()) + 1, minlength)
    if weights is None:
        weights = creation.ones(input.shape, dtype=int64, device=input.device)
    elif weights.dtype is not float32:
        weights = weights.to(float64)
    result: Tensor = _weighted(input, weights.detach(), count)
    return result


# --- histograms -----------------------------------------------------------------------------------


def _range_of(input: Tensor, low: float, high: float, name: str) -> tuple[float, float]:
    """The limits of a histogram, from the data where they are equal."""
    if low == high and input.shape.numel():
        low, high = (float(limit.item()) for limit in (input.min(), input.max()))
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"{name}: range of [{low:g}, {high:g}] is not finite")
    if low > high:
        raise RuntimeError(f"{name}: max must be larger than min")
    return (low - 1, high + 1) if low == high else (low, high)


@operation()
def _bin_numbers(input: Value, bins: int, low: float, high: float) -> Value:
    """The bin of each element by division; -1 outside the limits."""
    scaled = (input - low) * float(bins) / (high - low)
    numbers = b.minimum(b.cast(b.trunc(scaled), int64), bins - 1)
    inside = b.logical_and(b.ge(input, low), b.le(input, high))
    return b.reshape(b.select(inside, numbers, -1), (input.type.numel,))


@accepts_out
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements lie in each of equal bins from ``min`` to ``max``; those of the data
    where they are equal."""
    if not input.dtype.is_floating_point:
        raise NotImplementedError(
            f"\"histogram_cpu\" not implemented for '{scalar_name(input.dtype)}'"
        )
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    low, high = _range_of(input, float(min), float(max), "torch.histc")
    source = input.detach()
    numbers = _bin_numbers(source, bins, low, high)
    ones = creation.ones(numbers.shape, dtype=input.dtype, device=input.device)
    result: Tensor = _weighted(numbers, ones, bins)
    return result


@operation()
def _bin_of_edges(input: Value, edges: Value) -> Value:
    """The bin of each element between edges, of which the last belongs to the last bin; or -1."""
    flat = b.reshape(input, (input.type.numel,))
    bins = edges.shape[0] - 1
    number = b.minimum(count_before(edges, flat, not_above) - 1, bins - 1)
    last = b.broadcast_to(b.slice(edges, (bins,), (bins + 1,)), flat.shape)
    return b.select(b.le(flat, last), number, -1)


@operation()
def _joined_numbers(numbers: Sequence[Value], counts: tuple[int, ...]) -> Value:
    """The number of the cell for bins along every axis; -1 where an axis has none."""
    result = numbers[0]
    for number, count in zip(numbers[1:], counts[1:], strict=True):
        cell = result * count + number
        outside = b.logical_or(b.lt(result, 0), b.lt(number, 0))
        result = b.select(outside, -1, cell)
    return result


def _edges(input: Tensor, bins: Sequence[Any], limits: Sequence[float] | None) -> list[Tensor]:
    """The edges of the bins of each column of a matrix."""
    found = []
    for axis, given in enumerate(bins):
        if isinstance(given, Tensor):
            _check_edges(input, given, axis)
            found.append(given.detach())
            continue
        if given <= 0:
            raise RuntimeError(
                f"torch.histogramdd(): bins must be > 0, but got {given} for dimension {axis}"
            )
        low, high = _limits(input, axis, limits)
        found.append(
            creation.as_tensor(_evenly(low, high, given, input.dtype), device=input.device)
        )
    return found


def _evenly(low: float, high: float, bins: int, dtype: DType) -> Any:
    """The edges of equal bins; from both ends, as ``linspace`` does it, so that both are exact."""
    first, last = dtype.numpy.type(low), dtype.numpy.type(high)
    step = (last - first) / dtype.numpy.type(bins)
    numbers = np.arange(bins + 1, dtype=dtype.numpy)
    ahead, back = first + step * numbers, last - step * (bins - numbers)
    return np.where(numbers < (bins + 1) // 2, ahead, back).astype(dtype.numpy)


def _check_edges(input: Tensor, given: Tensor, axis: int) -> None:
    name = "torch.histogramdd"
    if given.ndim != 1:
        raise RuntimeError(
            f"{name}: bins tensor should have one dimension, but got {given.ndim} dimensions in "
            f"the bins tensor for dimension {axis}"
        )
    if given.dtype is not input.dtype:
        kinds = {float32: "float", float64: "double"}
        raise RuntimeError(
            f"{name}: input tensor and bins tensors should have the same dtype, but got input "
            f"with dtype {kinds.get(input.dtype, input.dtype.name)} and bins for dimension {axis} "
            f"with dtype {kinds.get(given.dtype, given.dtype.name)}"
        )
    if not given.shape[0]:
        raise RuntimeError(
            f"{name}: bins tensor should have at least 1 element, but got 0 elements in the bins "
            f"tensor for dimension {axis}"
        )


def _limits(input: Tensor, axis: int, limits: Sequence[float] | None) -> tuple[float, float]:
    name = "torch.histogramdd"
    if limits is not None:
        low, high = float(limits[2 * axis]), float(limits[2 * axis + 1])
    elif input.shape[0]:
        column = input.select(1, axis)
        low, high = float(column.min().item()), float(column.max().item())
    else:
        low, high = 0.0, 1.0
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"{name}: dimension {axis}'s range [{low:g}, {high:g}] is not finite")
    if low > high:
        raise RuntimeError(
            f"{name}: min should not exceed max, but got min {low:g} max {high:g} for dimension "
            f"{axis}"
        )
    return (low - 0.5, high + 0.5) if low == high else (low, high)


def _histogram(
    input: Tensor,
    bins: Sequence[Any],
    limits: Sequence[float] | None,
    weight: Tensor | None,
    density: bool,
) -> tuple[Tensor, list[Tensor]]:
    """The histogram of the rows of a matrix, and the edges of its bins along each axis."""
    if not input.dtype.is_floating_point:
        raise NotImplementedError(
            f"\"histogramdd\" not implemented for '{scalar_name(input.dtype)}'"
        )
    count = input.shape[0]
    if weight is not None and tuple(weight.shape) != (count,):
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided it should have the same shape as the "
            "input tensor excluding its innermost dimension, but got input with shape "
            f"{list(input.shape)} and weight with shape {list(weight.shape)}"
        )
    edges = _edges(input, bins, limits)
    counts = tuple(each.shape[0] - 1 for each in edges)
    numbers = [_bin_of_edges(input.select(1, axis), each) for axis, each in enumerate(edges)]
    weights = weight
    if weights is None:
        weights = creation.ones(count, dtype=input.dtype, device=input.device)
    found = _weighted(_joined_numbers(numbers, counts), weights, math.prod(counts))
    hist: Tensor = found.reshape(counts)
    if density:
        hist = hist / hist.sum()
        for axis, each in enumerate(edges):
            widths = each[1:] - each[:-1]
            hist = hist / widths.reshape([-1 if at == axis else 1 for at in range(len(edges))])
    return hist, edges


@accepts_out
def histogram(
    input: Tensor,
    bins: Any = 100,
    *,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Any:
    """How many elements lie between edges, which are returned too.

    ``bins`` is the number of equal bins over ``range`` (by default that of the data), or a tensor
    of edges. With ``density`` the histogram integrates to 1.
    """
    if not isinstance(bins, Tensor) and bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    weights = None if weight is None else weight.detach()
    if weights is not None and weights.shape == input.shape:
        weights = weights.reshape(-1)
    rows = input.detach().reshape(-1, 1)
    hist, edges = _histogram(rows, [bins], range, weights, density)
    return return_type("histogram", "hist bin_edges")(hist, edges[0])


def histogramdd(
    input: Tensor,
    bins: Any,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Any:
    """How many points (the last axis holds their coordinates) lie in each cell of a grid.

    ``bins`` is a number, one for each coordinate, or a tensor of edges for each; see ``histogram``.
    """
    if input.ndim < 2:
        raise RuntimeError(
            "torch.histogramdd: input tensor should have at least 2 dimensions, but got "
            f"{input.ndim}"
        )
    axes = input.shape[-1]
    every = [bins] * axes if isinstance(bins, int) else list(bins)
    if len(every) != axes:
        raise RuntimeError(
            "torch.histogramdd(): The size of bins must be equal to the innermost dimension of "
            "the input."
        )
    weights = None if weight is None else weight.detach().reshape(-1)
    rows = input.detach().reshape(-1, axes)
    hist, edges = _histogram(rows, every, range, weights, density)
    return return_type("histogramdd", "hist bin_edges")(hist, tuple(edges))
