"""Loss functions of regression and of binary classification.

Losses over classes are in ``classification``.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from treadle.ir import build as b
from treadle.ir.types import float32
from treadle.ir.value import Value
from treadle.nn.functional.activation import logistic, softplus_value
from treadle.nn.functional.arguments import check_floating
from treadle.nn.functional.precision import operation, widened
from treadle.nn.functional.reduction import check_reduction, chosen_reduction, reduced
from treadle.operation import operation as promoting_operation
from treadle.promotion import promoted
from treadle.tensor import Tensor
from treadle.utils.typename import scalar_type

Values = tuple[Value, ...]
# Keeps a quotient finite where a probability is 0 or 1; PyTorch's float32 constant 1e-12.
_SMALLEST_SPREAD = 9.999999960041972e-13


# -- shapes and dtypes -----------------------------------------------------------------------


def promoted_pair(first: Value, second: Value) -> tuple[Value, Value]:
    """Both in the dtype and shape that they have together."""
    left, right = promoted(first, second)
    return left, right


def warn_broadcast(input: Tensor, target: Tensor) -> None:
    """PyTorch's warning of a target that is broadcast over the input."""
    if input.shape != target.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}). This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
            stacklevel=3,
        )


# -- squared and absolute error --------------------------------------------------------------


@promoting_operation("MseLossBackward0")
def _mse_loss(input: Value, target: Value, reduction: str) -> Value:
    input, target = promoted_pair(input, target)
    check_floating("mse_cpu", input)
    difference = widened(input) - widened(target)
    return b.cast(reduced(difference * difference, reduction), input.dtype)


def _absolute_error(input: Value, target: Value, reduction: str) -> Value:
    input, target = promoted_pair(input, target)
    difference = b.abs(widened(input) - widened(target))
    made = reduced(difference, reduction)
    return b.cast(made, input.dtype) if made.dtype is float32 else made


# PyTorch composes this loss, so that its last node is the reduction's.
_l1_losses = {
    "none": promoting_operation("AbsBackward0")(_absolute_error),
    "mean": promoting_operation("MeanBackward0")(_absolute_error),
    "sum": promoting_operation("SumBackward0")(_absolute_error),
}


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """The squared difference, weighted by ``weight`` and reduced.

    A weighted mean divides by the sum of the weights.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    warn_broadcast(input, target)
    if weight is None:
        return _mse_loss(input, target, reduction)
    return _weighted(_mse_loss(input, target, "none"), weight, reduction)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """The absolute difference, weighted by ``weight`` and reduced."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    warn_broadcast(input, target)
    if weight is None:
        return _l1_losses[reduction](input, target, reduction)
    return _weighted(_l1_losses["none"](input, target, "none"), weight, reduction)


def _weighted(losses: Tensor, weight: Tensor, reduction: str) -> Tensor:
    if weight.shape != losses.shape:
        raise ValueError("Inputs and weight must have the same size.")
    product: Tensor = losses * weight
    if reduction == "none":
        return product
    return product.sum() if reduction == "sum" else product.sum() / weight.sum()


# -- binary cross entropy --------------------------------------------------------------------


def _bce_vjp(
    inputs: Values, outputs: Values, upstreams: Values, *, reduction: str, **_: Any
) -> tuple[Value | None, ...]:
    x, t, *weights = inputs
    g = upstreams[0]
    if reduction == "mean":
        g = g / float(math.prod(x.shape))
    if weights:
        g = g * weights[0]
    spread = b.maximum((1.0 - x) * x, _SMALLEST_SPREAD)
    # Unbounded at 0 and 1, where the loss itself is bounded: so is PyTorch's.
    logit = b.log(x) - b.log(1.0 - x)
    return (g * (x - t) / spread, -g * logit, *(None for _ in weights))


def _clamped_log(x: Value) -> Value:
    """log(x), at least -100, as PyTorch bounds it."""
    return b.maximum(b.log(x), -100.0)


@operation("BinaryCrossEntropyBackward0", vjp=_bce_vjp)
def _bce(input: Value, target: Value, weight: Value | None, reduction: str) -> Value:
    for other in (target, weight):
        if other is not None and other.dtype != input.dtype:
            raise RuntimeError(
                f"Found dtype {scalar_type(other.dtype)} but expected {scalar_type(input.dtype)}"
            )
    losses = (target - 1.0) * _clamped_log(1.0 - input) - target * _clamped_log(input)
    return reduced(losses if weight is None else losses * weight, reduction)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-(target log(input) + (1 - target) log(1 - input)); logarithms are at least -100.

    Args:
        input: probabilities, between 0 and 1.
        target: as large as ``input``.
        weight: broadcast over ``target``.

    Raises:
        ValueError: the sizes differ.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    if target.shape != input.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}) is deprecated. Please ensure they have the same size."
        )
    if weight is not None and weight.shape != target.shape:
        weight = weight.expand(target.shape)
    return _bce(input, target, weight, reduction)


def _bce_logits_vjp(
    inputs: Values,
    outputs: Values,
    upstreams: Values,
    *,
    reduction: str,
    weighted: bool,
    positive: bool,
    **_: Any,  # the weights, where they are None
) -> tuple[Value | None, ...]:
    x, t = inputs[:2]
    rest = list(inputs[2:])
    weight = rest.pop(0) if weighted else None
    pos_weight = rest.pop(0) if positive else None
    g = upstreams[0]
    if reduction == "mean":
        g = g / float(math.prod(x.shape))
    if weight is not None:
        g = g * weight
    below = logistic(-x)
    if pos_weight is None:
        gradient, to_target = g * ((1.0 - t) - below), -(g * x)
    else:
        scale = (pos_weight - 1.0) * t + 1.0
        gradient = g * ((1.0 - t) - scale * below)
        to_target = g * ((pos_weight - 1.0) * softplus_value(-x) - x)
    return (gradient, to_target, *(None for _ in inputs[2:]))


@operation("BinaryCrossEntropyWithLogitsBackward0", vjp=_bce_logits_vjp)
def _bce_with_logits(
    input: Value,
    target: Value,
    weight: Value | None,
    pos_weight: Value | None,
    reduction: str,
    weighted: bool,
    positive: bool,
) -> Value:
    for other in (target, weight, pos_weight):
        if other is not None and other.dtype != input.dtype:
            raise RuntimeError(
                f"result type {scalar_type(input.dtype)} can't be cast to the desired output "
                f"type {scalar_type(other.dtype)}"
            )
    losses = softplus_value(-input)
    if pos_weight is not None:
        losses = losses * ((pos_weight - 1.0) * target + 1.0)
    losses = (1.0 - target) * input + losses
    return reduced(losses if weight is None else losses * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """``binary_cross_entropy`` of sigmoid(input), computed without overflow.

    ``pos_weight`` multiplies the term of positive targets and is broadcast over them.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    if target.shape != input.shape:
        raise ValueError(
            f"Target size ({target.shape}) must be the same as input size ({input.shape})"
        )
    weighted, positive = weight is not None, pos_weight is not None
    return _bce_with_logits(input, target, weight, pos_weight, reduction, weighted, positive)
