"""Look-up tables: rows by number, bags of rows, and one-hot vectors."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from treadle.functions.indexing import out_of_bounds
from treadle.ir import build as b
from treadle.ir.types import int32, int64
from treadle.ir.value import Value
from treadle.nn.functional.arguments import shown
from treadle.nn.functional.distance import length
from treadle.operation import operation, update
from treadle.tensor import Tensor
from treadle.utils.typename import scalar_type

Values = tuple[Value, ...]


# -- rows ------------------------------------------------------------------------------------


def _rows(weight: Value, index: Value) -> Value:
    """weight[index] for index [P]: [P, *row]."""
    wide = b.reshape(index, (*index.shape, *(1 for _ in weight.shape[1:])))
    return b.gather(weight, b.broadcast_to(wide, (*index.shape, *weight.shape[1:])), 0)


def _flat(indices: Value, name: str) -> Value:
    if indices.dtype not in (int32, int64):
        raise RuntimeError(
            f"Expected tensor for argument #1 'indices' to have one of the following scalar types: "
            f"Long, Int; but got {_type_name(indices)} instead (while checking arguments for "
            f"{name})"
        )
    return b.reshape(b.cast(indices, int64), (indices.type.numel,))


def _type_name(value: Value) -> str:
    return f"torch.{scalar_type(value.dtype)}Tensor"


def _added_rows(g: Value, index: Value, weight: Value) -> Value:
    """Zeros like the table with the rows of g added at index."""
    wide = b.reshape(index, (*index.shape, *(1 for _ in weight.shape[1:])))
    zeros = b.constant_like(weight, 0.0)
    return b.scatter_add(zeros, b.broadcast_to(wide, g.shape), g, 0)


def _times_used(index: Value, weight: Value, like: Value) -> Value:
    """For each index how often its row is used, laid along the rows of ``like``."""
    count = b.full((weight.shape[0],), 0.0, like.dtype, like.type.device)
    ones = b.full(index.shape, 1.0, like.dtype, like.type.device)
    uses = b.gather(b.scatter_add(count, index, ones, 0), index, 0)
    return b.reshape(uses, (*index.shape, *(1 for _ in like.shape[1:])))


def _embedding_vjp(
    inputs: Values, outputs: Values, upstreams: Values, *, padding_idx: int, by_frequency: bool
) -> Sequence[Value | None]:
    (weight, indices), (g,) = inputs, upstreams
    index = b.reshape(b.cast(indices, int64), (indices.type.numel,))
    rows = b.reshape(g, (*index.shape, *weight.shape[1:]))
    if by_frequency:
        rows = rows / _times_used(index, weight, rows)
    if padding_idx >= 0:
        padding = b.eq(index, padding_idx)
        aligned = b.reshape(padding, (*index.shape, *(1 for _ in rows.shape[1:])))
        rows = b.select(aligned, 0.0, rows)
    return (_added_rows(rows, index, weight), None)


@operation("EmbeddingBackward0", vjp=_embedding_vjp)
def _embedding(weight: Value, indices: Value, padding_idx: int, by_frequency: bool) -> Value:
    if weight.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    found = _rows(weight, _flat(indices, "embedding"))
    return b.reshape(found, (*indices.shape, *weight.shape[1:]))


@update(mutates=1)
def renormalize_rows(weight: Value, indices: Value, max_norm: float, norm_type: float) -> Value:
    """The rows that are used scaled down to a norm of at most ``max_norm``."""
    index = _flat(indices, "embedding_renorm_")
    rows = _rows(weight, index)
    size = length(rows, norm_type, tuple(range(1, rows.ndim)), keepdim=True)
    scale = b.select(b.gt(size, max_norm), b.div(max_norm, size + 1e-7), 1.0)
    wide = b.reshape(index, (*index.shape, *(1 for _ in weight.shape[1:])))
    places = b.broadcast_to(wide, rows.shape)
    return b.scatter(weight, places, rows * scale, 0, "set")


def _check_range(indices: Tensor, weight: Tensor) -> None:
    """IndexError for indices in memory that are no row."""
    if indices.dtype not in (int32, int64) or not weight.ndim:
        return  # refused where it is recorded
    if out_of_bounds(indices, weight.shape[0], lowest=0) is not None:
        raise IndexError("index out of range in self")


def _row_number(padding_idx: int | None, weight: Tensor, error: type[Exception], text: str) -> int:
    """``padding_idx`` counted from the front, -1 for none."""
    if padding_idx is None:
        return -1
    rows = weight.shape[0]
    if not -rows <= padding_idx < rows:
        raise error(text)
    return padding_idx % rows


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of ``weight`` [V, D] at indices of any shape.

    Args:
        padding_idx: a row that gets no gradient.
        max_norm: rows that are used are first scaled down to this norm, in place.
        scale_grad_by_freq: a row's gradient is divided by how often it was used.
        sparse: accepted; gradients are dense all the same.

    Raises:
        IndexError: an index in memory is no row.
    """
    text = "Padding_idx must be within num_embeddings"
    padding = _row_number(padding_idx, weight, AssertionError, text)
    _check_range(input, weight)
    if max_norm is not None:
        renormalize_rows(weight.detach(), input, float(max_norm), float(norm_type))
    return _embedding(weight, input, padding, bool(scale_grad_by_freq))


# -- bags ------------------------------------------------------------------------------------


def _bag_numbers(offsets: Value, count: int, bags: int) -> Value:
    """For each of ``count`` indices the number of its bag, of which ``offsets`` are the starts.

    A start adds one to the bag's number from there on; starts at the end begin empty bags.
    """
    starts = b.full((count + 1,), 0, int64, offsets.type.device)
    ones = b.full(offsets.shape, 1, int64, offsets.type.device)
    marks = b.scatter_add(starts, offsets, ones, 0)
    numbers = b.cumsum(marks, 0) - 1
    return b.minimum(b.slice(numbers, (0,), (count,)), bags - 1)


def _bagged(rows: Value, bag: Value, bags: int, combine: str, empty: float) -> Value:
    wide = b.broadcast_to(b.reshape(bag, (*bag.shape, 1)), rows.shape)
    start = b.full((bags, rows.shape[1]), empty, rows.dtype, rows.type.device)
    return b.scatter(start, wide, rows, 0, combine)


def _bag_vjp(
    inputs: Values, outputs: Values, upstreams: Values, **options: Any
) -> Sequence[Value | None]:
    weight, indices, offsets = inputs[:3]
    sample_weights = inputs[3] if len(inputs) > 3 else None
    mode, g = options["mode"], upstreams[0]
    index = b.reshape(b.cast(indices, int64), (indices.type.numel,))
    count, bags = index.shape[0], g.shape[0]
    bag = _bag_numbers(b.cast(offsets, int64), count, bags)
    spread = _rows(g, bag)
    rows = _rows(weight, index)
    kept = _kept(index, options["padding_idx"], rows)
    to_samples = None
    if mode == "max":
        # An element goes to the first of the bag's rows that has the maximum.
        here = b.logical_and(kept, b.eq(rows, _rows(outputs[0], bag)))
        order = b.iota(rows.shape, 0, int64, rows.type.device)
        claims = b.select(here, order, count)
        first = _bagged(claims, bag, bags, "min", count)
        spread = b.select(b.eq(order, _rows(first, bag)), spread, 0.0)
    elif mode == "mean":
        spread = spread / _rows(_bag_sizes(kept, bag, bags, rows), bag)
    if sample_weights is not None:
        to_samples = b.sum(b.select(kept, spread * rows, 0.0), (1,))
        spread = spread * b.reshape(sample_weights, (count, 1))
    spread = b.select(kept, spread, 0.0)
    if options["by_frequency"]:
        spread = spread / _times_used(index, weight, spread)
    to_weight = _added_rows(spread, index, weight)
    return (to_weight, None, None, *(() if sample_weights is None else (to_samples,)))


def _kept(index: Value, padding_idx: int, rows: Value) -> Value:
    """Which rows count, as large as they are."""
    return b.broadcast_to(b.reshape(b.ne(index, padding_idx), (*index.shape, 1)), rows.shape)


def _bag_sizes(kept: Value, bag: Value, bags: int, like: Value) -> Value:
    """How many rows each bag has, at least 1, as large as the bags' results."""
    return b.maximum(_bagged(b.cast(kept, like.dtype), bag, bags, "add", 0.0), 1.0)


@operation("EmbeddingBagBackward0", vjp=_bag_vjp)
def _embedding_bag(
    weight: Value,
    indices: Value,
    offsets: Value,
    sample_weights: Value | None,
    mode: str,
    bags: int,
    padding_idx: int,
    by_frequency: bool,
) -> Value:
    index = _flat(indices, "embedding_bag")
    bag = _bag_numbers(b.cast(offsets, int64), index.shape[0], bags)
    rows = _rows(weight, index)
    kept = _kept(index, padding_idx, rows)
    if mode == "max":
        lowest = b.select(kept, rows, -math.inf)
        found = _bagged(lowest, bag, bags, "max", -math.inf)
        size = _bagged(b.cast(kept, rows.dtype), bag, bags, "add", 0.0)
        return b.select(b.eq(size, 0.0), 0.0, found)
    if sample_weights is not None:
        if sample_weights.dtype is not weight.dtype:
            raise RuntimeError(
                "expected weight and per_sample_weights to have same dtype, found "
                f"{weight.dtype.name} and {sample_weights.dtype.name}"
            )
        rows = rows * b.reshape(sample_weights, (*index.shape, 1))
    total = _bagged(b.select(kept, rows, 0.0), bag, bags, "add", 0.0)
    return total / _bag_sizes(kept, bag, bags, rows) if mode == "mean" else total


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sums, means or maxima of bags of rows of ``weight`` [V, D] -> [B, D].

    Args:
        input: indices [B, N], a bag a row; or [P] with the bags' starts in ``offsets``.
        per_sample_weights: factors of the rows, for ``mode="sum"``.
        include_last_offset: ``offsets`` ends with the end of the last bag.
        padding_idx: a row that counts for nothing and gets no gradient.
        max_norm, norm_type, scale_grad_by_freq, sparse: as of ``embedding``.
    """
    if weight.dtype is int64 and input.dtype.is_floating_point:
        warnings.warn(
            "Argument order of nn.functional.embedding_bag was changed. Usage "
            "`embedding_bag(weight, input, ...)` is deprecated, and should now be "
            "`embedding_bag(input, weight, ...)`.",
            stacklevel=2,
        )
        weight, input = input, weight
    _check_bags(input, weight, offsets, per_sample_weights)
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if mode == "max" and sparse:
        raise ValueError("max mode does not support sparse weights")
    starts = offsets if offsets is not None else _row_starts(input)
    ends_given = include_last_offset and input.ndim == 1
    _check_range(input, weight)
    if max_norm is not None:
        renormalize_rows(weight.detach(), input, float(max_norm), float(norm_type))
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported "
            f"for mode='sum' (got mode='{mode}'). Please open a feature request on GitHub."
        )
    text = f"padding_idx must be within the number of embeddings, {-weight.shape[0]}"
    text += f" through {weight.shape[0] - 1}, but got {padding_idx}"
    padding = _row_number(padding_idx, weight, RuntimeError, text)
    bags = starts.shape[0] - int(ends_given)
    if ends_given:
        starts = starts[:-1]
    factors = None if per_sample_weights is None else per_sample_weights.reshape(-1)
    return _embedding_bag(
        weight, input, starts, factors, mode, bags, padding, bool(scale_grad_by_freq)
    )


@operation()
def _row_starts(input: Value) -> Value:
    """The starts of bags that are rows."""
    number = b.iota((input.shape[0],), 0, int64, input.type.device)
    return number * input.shape[1]


def _check_bags(
    input: Tensor, weight: Tensor, offsets: Tensor | None, factors: Tensor | None
) -> None:
    if factors is not None and input.shape != factors.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({factors.shape}) is not None, then it must "
            f"have the same shape as the input ({input.shape})"
        )
    if weight.ndim != 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.ndim}")
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch "
                f"of fixed length sequences. However, found offsets of type {type(offsets)}"
            )
        return
    if input.ndim != 1:
        raise ValueError(
            f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}"
        )
    if offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    if offsets.ndim != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    if offsets._storage.buffer is not None and offsets.numel():
        starts = offsets._concrete()
        if starts[0]:
            raise RuntimeError(
                "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start "
                f"from position 0. However, got {starts[0]}"
            )
        if starts[-1] > input.shape[0]:
            raise RuntimeError(
                f"offsets[-1] can not be greater than input's length {shown(input.shape)} but got "
                f"offsets[-1] of {starts[-1]}"
            )


# -- one-hot ---------------------------------------------------------------------------------


@operation()
def _one_hot(tensor: Value, num_classes: int) -> Value:
    if tensor.dtype is not int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    shape = (*tensor.shape, num_classes)
    number = b.iota(shape, tensor.ndim, int64, tensor.type.device)
    return b.cast(b.eq(number, b.reshape(tensor, (*tensor.shape, 1))), int64)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Class numbers of any shape -> [*shape, num_classes] with 1 at each number and 0 elsewhere.

    Without ``num_classes`` it is one more than the greatest number, which is then computed.
    """
    if not tensor.numel():
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return _one_hot(tensor, num_classes)
    if num_classes != -1 and num_classes <= 0 and tensor.dtype is int64:
        raise RuntimeError("num_classes should be positive")
    if tensor.dtype is int64 and (num_classes == -1 or tensor._storage.buffer is not None):
        numbers = tensor.detach()._concrete()
        if numbers.min() < 0:
            raise RuntimeError("Class values must be non-negative.")
        if num_classes == -1:
            num_classes = int(numbers.max()) + 1
        elif numbers.max() >= num_classes:
            raise RuntimeError("Class values must be smaller than num_classes.")
    return _one_hot(tensor, num_classes)
