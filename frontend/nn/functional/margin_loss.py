"""Losses that ask for a margin between scores or distances."""

from __future__ import annotations

import math
from collections.abc import Callable

from treadle.autograd.grad_mode import is_grad_enabled
from treadle.functions import pointwise
from treadle.functions.indexing import out_of_bounds
from treadle.ir import build as b
from treadle.ir.types import bool_, int64
from treadle.ir.value import Value
from treadle.nn.functional.activation import softplus_value
from treadle.nn.functional.arguments import check_floating, shown
from treadle.nn.functional.distance import pairwise_distance, pairwise_value
from treadle.nn.functional.precision import operation
from treadle.nn.functional.reduction import (
    above_zero,
    check_reduction,
    chosen_reduction,
    composite_loss,
    reduced,
)
from treadle.promotion import as_float, promoted
from treadle.tensor import Tensor
from treadle.utils.typename import scalar_type

# -- of pairs --------------------------------------------------------------------------------


@composite_loss("AddBackward0")
def _hinge_embedding(input: Value, target: Value, margin: float) -> Value:
    other = above_zero(b.sub(margin, as_float(input)))
    apart = b.select(b.ne(target, 1), other, 0.0)
    return apart + b.select(b.ne(target, -1), as_float(input), 0.0)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """input where the target is 1, max(0, margin - input) where it is -1."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    return _hinge_embedding(reduction, input, target, float(margin))


@composite_loss("ClampMinBackward0")
def _margin_ranking(input1: Value, input2: Value, target: Value, margin: float) -> Value:
    x, y, sign = promoted(input1, input2, target)
    return above_zero(b.add(*promoted(-sign * (x - y), margin)))


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin - target * (input1 - input2)): which of two should rank higher."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    return _margin_ranking(reduction, input1, input2, target, margin)


@composite_loss("AddBackward0")
def _cosine_embedding(input1: Value, input2: Value, target: Value, margin: float) -> Value:
    x, y = (b.cast(z, int64) if z.dtype is bool_ else z for z in promoted(input1, input2))
    axis = (target.ndim,)
    least = 9.999999960041972e-13  # PyTorch's float32 constant 1e-12
    squares = [b.sum(z * z, axis) for z in (x, y)]
    lengths = (as_float(squares[0]) + least) * (as_float(squares[1]) + least)
    cosine = as_float(b.sum(x * y, axis)) / b.sqrt(lengths)
    alike = b.select(b.eq(target, 1), 1.0 - cosine, 0.0)
    return alike + b.select(b.eq(target, -1), above_zero(cosine - margin), 0.0)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cosine where the target is 1, max(0, cosine - margin) where it is -1."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    if target.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if input1.ndim != target.ndim + 1 or input2.ndim != target.ndim + 1:
        raise RuntimeError(
            f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found "
            f"inputs with sizes {shown(input1.shape)} and {shown(input2.shape)}."
        )
    return _cosine_embedding(reduction, input1, input2, target, float(margin))


# -- of triplets -----------------------------------------------------------------------------


@composite_loss("ClampMinBackward0")
def _triplet(
    anchor: Value, positive: Value, negative: Value, margin: float, p: float, eps: float, swap: bool
) -> Value:
    near = pairwise_value(anchor, positive, p, eps)
    far = pairwise_value(anchor, negative, p, eps)
    if swap:
        far = b.minimum(far, pairwise_value(positive, negative, p, eps))
    return above_zero(near - far + margin)


def _check_triplet(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {anchor.ndim}D, positive {positive.ndim}D, and negative "
            f"{negative.ndim}D inputs"
        )


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-06,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin + |anchor - positive| - |anchor - negative|) in the p-norm.

    ``swap`` measures the negative from the positive where that is nearer (Balntas et al., 2016).
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    _check_triplet(anchor, positive, negative, margin)
    options = (float(margin), float(p), float(eps), bool(swap))
    return _triplet(reduction, anchor, positive, negative, *options)


_hinge = operation("ClampMinBackward0")(above_zero)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """``triplet_margin_loss`` with any distance, by default ``pairwise_distance``."""
    check_reduction(reduction)
    _check_triplet(anchor, positive, negative, margin)
    distance = pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = pointwise.minimum(far, distance(positive, negative))
    losses: Tensor = _hinge(margin + near - far)
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.mean()


# -- of classes ------------------------------------------------------------------------------


@operation("SoftMarginLossBackward0")
def _soft_margin(input: Value, target: Value, reduction: str) -> Value:
    x, y = promoted(input, target)
    check_floating("soft_margin_loss", x)
    return reduced(softplus_value(-(y * x)), reduction)


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + exp(-target * input)) for targets 1 and -1."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    if target.requires_grad and is_grad_enabled():
        raise RuntimeError(
            "The function 'soft_margin_loss' is not differentiable with respect to argument "
            "'target'. This input cannot have requires_grad True."
        )
    return _soft_margin(input, target, reduction)


@composite_loss("DivBackward0")
def _multilabel_soft_margin(input: Value, target: Value, weight: Value | None) -> Value:
    losses = target * softplus_value(-input) + (1.0 - target) * softplus_value(input)
    if weight is not None:
        losses = losses * weight
    axis = input.ndim - 1
    return b.sum(losses, (axis,)) / float(input.shape[axis])


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Binary cross entropy of logits, averaged over the classes on the last axis."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    return _multilabel_soft_margin(reduction, input, target, weight)


def _as_batch(input: Value) -> Value:
    return b.reshape(input, (1, *input.shape)) if input.ndim < 2 else input


def _picked(values: Value, index: Value) -> Value:
    """values [N, C] at index [N, K]."""
    return b.gather(values, index, 1)


@operation("MultiMarginLossBackward0")
def _multi_margin(
    input: Value, target: Value, weight: Value | None, p: int, margin: float, reduction: str
) -> Value:
    check_floating("multi_margin_loss", input)
    x = _as_batch(b.reshape(input, (1,)) if not input.ndim else input)
    batch, classes = x.shape
    label = b.reshape(target, (batch, 1))
    missed = margin - _picked(x, label) + x
    losses = b.select(b.gt(missed, 0.0), missed if p == 1 else missed * missed, 0.0)
    if weight is not None:
        per_class = b.broadcast_to(b.reshape(weight, (1, classes)), (batch, classes))
        losses = losses * _picked(per_class, label)
    others = b.ne(b.iota((batch, classes), 1, int64, x.type.device), label)
    by_sample = b.sum(b.select(others, losses, 0.0), (1,)) / float(classes)
    if target.ndim:
        return reduced(by_sample, reduction)
    return b.reshape(by_sample, ())


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over classes of max(0, margin - input[target] + input) to the power p (1 or 2)."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    if input.ndim > 2 or not input.numel():
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{shown(input.shape)}"
        )
    batch = input.shape[0] if input.ndim == 2 else 1
    classes = input.shape[-1] if input.ndim else 1
    if target.ndim > 1 or target.numel() != batch:
        raise RuntimeError(f"inconsistent target size, expected {batch} but got {target.shape}")
    if target.dtype is not int64:
        raise RuntimeError(f"expected scalar type Long but found {scalar_type(target.dtype)}")
    if weight is not None and weight.numel() != classes:
        raise RuntimeError(f"inconsistent weight size, expected {classes} but got {weight.shape}")
    if out_of_bounds(target, classes, lowest=0) is not None:
        raise RuntimeError("target out of range")
    return _multi_margin(input, target, weight, int(p), float(margin), reduction)


@operation("MultilabelMarginLossBackward0")
def _multilabel_margin(input: Value, target: Value, reduction: str) -> Value:
    check_floating("multilabel_margin_loss_forward_out_frame", input)
    x, labels = (_as_batch(b.reshape(v, (1,)) if not v.ndim else v) for v in (input, target))
    batch, classes = x.shape
    # Labels count up to the first that is negative.
    ended = b.cumsum(b.cast(b.lt(labels, 0), int64), 1)
    counts = b.eq(ended, 0)
    safe = b.maximum(labels, 0)
    hits = b.full((batch, classes), 0, int64, x.type.device)
    hits = b.scatter_add(hits, safe, b.cast(counts, int64), 1)
    others = b.reshape(b.eq(hits, 0), (batch, 1, classes))
    missed = 1.0 - b.reshape(_picked(x, safe), (batch, classes, 1))
    missed = missed + b.reshape(x, (batch, 1, classes))
    asked = b.logical_and(b.reshape(counts, (batch, classes, 1)), others)
    losses = b.select(b.logical_and(asked, b.gt(missed, 0.0)), missed, 0.0)
    by_sample = b.sum(losses, (1, 2)) / float(classes)
    return reduced(by_sample, reduction) if input.ndim == 2 else b.reshape(by_sample, ())


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, 1 - input[label] + input[other]) over labels and others, over the classes' number.

    ``target`` [N, C] lists labels up to the first negative number.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    if input.ndim > 2 or (input.ndim and not math.prod(input.shape[-1:])):
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{shown(input.shape)}"
        )
    if target.shape != input.shape:
        raise RuntimeError(
            f"inconsistent target size: {shown(target.shape)} for input of size: "
            f"{shown(input.shape)}"
        )
    if target.dtype is not int64:
        raise RuntimeError(f"expected scalar type Long but found {scalar_type(target.dtype)}")
    if out_of_bounds(target, input.shape[-1] if input.ndim else 1, lowest=-1) is not None:
        raise RuntimeError("argument #2 'target' is out of range")
    return _multilabel_margin(input, target, reduction)
