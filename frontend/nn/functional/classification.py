"""Losses over classes: negative log likelihood and cross entropy.

Class numbers or class probabilities as targets; class axis 1, or 0 for input without a batch.
"""

from __future__ import annotations

import math

from treadle.ir import build as b
from treadle.ir.types import int64
from treadle.ir.value import Value
from treadle.nn.functional.precision import operation
from treadle.nn.functional.reduction import check_reduction, chosen_reduction, reduced
from treadle.nn.functional.softmax import log_softmax, log_softmax_value
from treadle.tensor import Tensor
from treadle.utils.typename import scalar_type


def _check_indices(input: Value, target: Value, weight: Value | None) -> None:
    """PyTorch's errors for shapes and dtypes of class-number targets."""
    if input.ndim == 0:
        raise ValueError(f"Expected 1 or more dimensions (got {input.ndim})")
    batched = input.ndim > 1
    if batched and (target.ndim == 0 or input.shape[0] != target.shape[0]):
        size = target.shape[0] if target.ndim else 0
        raise ValueError(
            f"Expected input batch_size ({input.shape[0]}) to match target batch_size ({size})."
        )
    wanted = (input.shape[0], *input.shape[2:]) if batched else ()
    if target.shape != wanted and not (not batched and target.shape == (1,)):
        if input.ndim <= 2:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        raise RuntimeError(f"Expected target size {list(wanted)}, got {list(target.shape)}")
    name = scalar_type(target.dtype)
    if name not in ("Long", "Byte"):
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {name}")
    _check_weight(input, weight)


def _check_range(input: Tensor, target: Tensor, ignore_index: int) -> None:
    """IndexError for class numbers in memory that no class has.

    Only what is in memory can be checked before anything changes, and it is what data loaders
    give; numbers still to be computed are clamped by the kernel.
    """
    if target._storage.buffer is None or target.dtype.is_floating_point or not input.ndim:
        return
    checked = (target._storage.writes, input.shape, ignore_index)
    if getattr(target, "_checked_classes", None) == checked:
        return
    numbers = target._concrete()
    classes = input.shape[1 if input.ndim > 1 else 0]
    wrong = (numbers < 0) | (numbers >= classes)
    if wrong.any():
        wrong &= numbers != ignore_index
        if wrong.any():
            raise IndexError(f"Target {numbers[wrong].flat[0]} is out of bounds.")
    target._checked_classes = checked  # type: ignore[attr-defined]


def _check_weight(input: Value, weight: Value | None) -> None:
    if weight is None:
        return
    classes = input.shape[1 if input.ndim > 1 else 0]
    if weight.shape != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but "
            f"got weight tensor of shape: {list(weight.shape)}"
        )
    if weight.dtype != input.dtype:
        raise RuntimeError(
            f"expected scalar type {scalar_type(input.dtype)} but found {scalar_type(weight.dtype)}"
        )


def _class_weights(weight: Value, like: Value, axis: int) -> Value:
    """[C] laid along the class axis of ``like`` and broadcast."""
    shape = [1] * like.ndim
    shape[axis] = weight.shape[0]
    return b.broadcast_to(b.reshape(weight, tuple(shape)), like.shape)


def _picked(values: Value, target: Value, axis: int) -> Value:
    """``values`` at each target along the class axis, without that axis."""
    shape = list(values.shape)
    shape[axis] = 1
    found = b.gather(values, b.reshape(target, tuple(shape)), axis)
    return b.reshape(found, (*values.shape[:axis], *values.shape[axis + 1 :]))


def _index_losses(
    log_probabilities: Value, target: Value, weight: Value | None, ignore_index: int
) -> tuple[Value, Value, Value]:
    """(losses, weight of each target, targets that do not point at an ignored class).

    Losses and weights are 0 at ignored targets.
    """
    axis = 1 if log_probabilities.ndim > 1 else 0
    target = target if target.dtype == int64 else b.cast(target, int64)
    kept = b.ne(target, ignore_index)
    # An ignored number need not be a class, so that it must not be used as an index.
    safe = b.select(kept, target, 0)
    picked = -_picked(log_probabilities, safe, axis)
    kept = b.reshape(kept, picked.shape)
    if weight is None:
        counted = b.cast(kept, picked.dtype)
    else:
        per_class = _class_weights(weight, log_probabilities, axis)
        chosen = _picked(per_class, safe, axis)
        picked = picked * chosen
        counted = b.select(kept, chosen, 0.0)
    return b.select(kept, picked, 0.0), counted, kept


def _total(values: Value) -> Value:
    return b.sum(values, tuple(range(values.ndim)))


def _nll(
    input: Value, target: Value, weight: Value | None, ignore_index: int, reduction: str
) -> Value:
    _check_indices(input, target, weight)
    losses, counted, _ = _index_losses(input, target, weight, ignore_index)
    if reduction == "mean":
        return _total(losses) / _total(counted)
    return reduced(losses, reduction)


_nll_loss = operation("NllLossBackward0")(_nll)
_nll_loss2d = operation("NllLoss2DBackward0")(_nll)
# PyTorch reshapes other ranks to two axes of places, and back.
_nll_loss_view = operation("ViewBackward0")(_nll)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Minus ``input`` at each target class; the mean is weighted by the classes' weights.

    Args:
        input: log-probabilities [N, C], [N, C, *S] or [C].
        target: class numbers [N], [N, *S] or a single one; int64 or uint8.
        weight: a weight for each class, [C].
        ignore_index: targets with this number count for nothing.

    Raises:
        IndexError: a target in memory is no class.
        ValueError: the batch sizes differ, or ``reduction`` is unknown.
        RuntimeError: other shapes or dtypes do not match.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    _check_range(input, target, ignore_index)
    run = _nll_loss2d if input.ndim > 2 else _nll_loss
    if input.ndim not in (1, 2, 4) and reduction == "none":
        run = _nll_loss_view
    result: Tensor = run(input, target, weight, ignore_index, reduction)
    return result


@operation("AddBackward0")
def _smoothed_index_loss(
    input: Value,
    target: Value,
    weight: Value | None,
    ignore_index: int,
    reduction: str,
    smoothing: float,
) -> Value:
    """Cross entropy against (1 - s) of the target class plus s / C of every class."""
    _check_indices(input, target, weight)
    axis = 1 if input.ndim > 1 else 0
    losses, counted, kept = _index_losses(input, target, weight, ignore_index)
    every = input if weight is None else input * _class_weights(weight, input, axis)
    smooth = -b.sum(every, (axis,))
    smooth = b.select(kept, smooth, 0.0)
    share = smoothing / input.shape[axis]
    mixed = losses * (1.0 - smoothing) + smooth * share
    if reduction == "mean":
        return _total(mixed) / _total(counted)
    return reduced(mixed, reduction)


def _probability_loss(
    input: Value, target: Value, weight: Value | None, reduction: str, smoothing: float
) -> Value:
    """Cross entropy of logits against class probabilities."""
    if not target.dtype.is_floating_point:
        raise RuntimeError(
            "Expected floating point type for target with class probabilities, got "
            f"{scalar_type(target.dtype)}"
        )
    _check_weight(input, weight)
    if target.dtype != input.dtype:
        raise RuntimeError(
            f"expected scalar type {scalar_type(input.dtype)} but found {scalar_type(target.dtype)}"
        )
    axis = 1 if input.ndim > 1 else 0
    if smoothing > 0.0:
        target = target * (1.0 - smoothing) + smoothing / input.shape[axis]
    terms = log_softmax_value(input, axis) * target
    if weight is not None:
        terms = terms * _class_weights(weight, terms, axis)
    if reduction == "none":
        return -b.sum(terms, (axis,))
    total = -_total(terms)
    # The mean is over the targets, not over the classes.
    count = math.prod(input.shape) / max(input.shape[axis], 1)
    return total / count if reduction == "mean" else total


_mean_probability_loss = operation("DivBackward1")(_probability_loss)
_other_probability_loss = operation("NegBackward0")(_probability_loss)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """``nll_loss`` of the log-softmax of ``input``.

    Args:
        input: logits [N, C], [N, C, *S] or [C].
        target: class numbers as in ``nll_loss``, or probabilities as large as ``input``.
        weight: a weight for each class, [C].
        ignore_index: class numbers that count for nothing.
        label_smoothing: share of the target spread evenly over the classes, from 0 to 1.

    Raises:
        ValueError: the batch sizes differ, or ``reduction`` is unknown.
        RuntimeError: other shapes or dtypes do not match.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if input.shape == target.shape:
        if ignore_index >= 0:
            raise RuntimeError("ignore_index is not supported for floating point target")
        run = _mean_probability_loss if reduction == "mean" else _other_probability_loss
        result: Tensor = run(input, target, weight, reduction, float(label_smoothing))
        return result
    scores = log_softmax(input, 1 if input.ndim > 1 else 0)
    if label_smoothing > 0.0:
        _check_range(scores, target, ignore_index)
        result = _smoothed_index_loss(
            scores, target, weight, ignore_index, reduction, float(label_smoothing)
        )
        return result
    return nll_loss(scores, target, weight, None, ignore_index, None, reduction)
