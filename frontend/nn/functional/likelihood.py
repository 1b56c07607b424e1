"""Losses of regression beyond squares, and negative log likelihoods of distributions."""

from __future__ import annotations

import math
import warnings
from typing import Any

from treadle.ir import build as b
from treadle.ir.value import Value
from treadle.nn.functional.loss import l1_loss, promoted_pair, warn_broadcast
from treadle.nn.functional.precision import operation
from treadle.nn.functional.reduction import (
    check_reduction,
    chosen_reduction,
    composite_loss,
    reduced,
)
from treadle.promotion import as_float, promoted
from treadle.tensor import Tensor


@operation("SmoothL1LossBackward0")
def _smooth_l1(input: Value, target: Value, reduction: str, beta: float) -> Value:
    x, y = promoted_pair(input, target)
    size = b.abs(x - y)
    near = size * size * (0.5 / beta)
    return reduced(b.select(b.lt(size, beta), near, size - 0.5 * beta), reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Half the squared difference over ``beta`` where less than ``beta``, else the difference."""
    warn_broadcast(input, target)
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    if beta == 0.0:
        return l1_loss(input, target, reduction=reduction)
    if beta < 0.0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    return _smooth_l1(input, target, reduction, float(beta))


@operation("HuberLossBackward0")
def _huber(input: Value, target: Value, reduction: str, delta: float) -> Value:
    x, y = promoted_pair(input, target)
    size = b.abs(x - y)
    far = (size - 0.5 * delta) * delta
    return reduced(b.select(b.lt(size, delta), size * size * 0.5, far), reduction)


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """Half the squared difference where less than ``delta``, else a line of slope ``delta``."""
    warn_broadcast(input, target)
    check_reduction(reduction)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    if weight is None:
        return _huber(input, target, reduction, float(delta))
    if weight.shape != input.shape:
        raise ValueError("Weights and input must have the same size.")
    losses = _huber(input, target, "none", float(delta)) * weight
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.mean()


# -- divergence and likelihoods --------------------------------------------------------------


@composite_loss("MulBackward0")
def _kl_div_of_logarithms(input: Value, target: Value) -> Value:
    x, y = promoted_pair(input, target)
    return b.exp(y) * (y - x)


@composite_loss("SubBackward0")
def _kl_div_of_numbers(input: Value, target: Value) -> Value:
    x, y = promoted_pair(input, target)
    zero = b.eq(y, 0.0)
    entropy = b.select(zero, 0.0, y * b.log(b.select(zero, 1.0, y)))
    return entropy - y * x


def kl_div_of(reduction: str, input: Tensor, target: Tensor, log_target: bool) -> Tensor:
    """``kl_div`` with one of the usual reductions."""
    run = _kl_div_of_logarithms if log_target else _kl_div_of_numbers
    return run(reduction, input, target)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """target * (log(target) - input): Kullback and Leibler's divergence, of log-probabilities.

    ``reduction="batchmean"`` divides the sum by the batch size, as the definition has it.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    if reduction == "mean" and size_average is None and reduce is None:
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL div math "
            "definition.'mean' will be changed to behave the same as 'batchmean' in the next major "
            "release.",
            stacklevel=2,
        )
    if reduction == "batchmean":
        total = kl_div_of("sum", input, target, log_target)
        return total / input.shape[0] if input.ndim else total
    return kl_div_of(reduction, input, target, log_target)


@operation("CloneBackward0", vjp=lambda inputs, outputs, upstreams, **_: upstreams)
def _at_least(var: Value, eps: float) -> Value:
    """The variance, at least eps; the bound is taken not to change the gradient."""
    return b.maximum(var, eps)


@composite_loss("MulBackward0")
def _gaussian(input: Value, target: Value, var: Value) -> Value:
    x, y, spread = promoted(input, target, var)
    return (b.log(spread) + (x - y) * (x - y) / spread) * 0.5


@composite_loss("AddBackward0")
def _full_gaussian(input: Value, target: Value, var: Value) -> Value:
    x, y, spread = promoted(input, target, var)
    losses = (b.log(spread) + (x - y) * (x - y) / spread) * 0.5
    return losses + 0.5 * math.log(2.0 * math.pi)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Any,
    full: bool = False,
    eps: float = 1e-06,
    reduction: str = "mean",
) -> Tensor:
    """Half of log(var) + (input - target) ** 2 / var; ``full`` adds the constant.

    Args:
        var: variances as large as ``input``, or with a last axis of 1 or none; or one number.
        eps: the least variance, without effect on the gradient.

    Raises:
        ValueError: a variance in memory is negative, or their size does not fit.
    """
    if isinstance(var, float):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = input.new_full(tuple(input.shape), var)
    elif var._storage.buffer is not None and (var.detach()._concrete() < 0).any():
        raise ValueError("var has negative entry/entries")
    size, wanted = tuple(var.shape), tuple(input.shape)
    if size != wanted:
        if wanted[:-1] == size:
            var = var.unsqueeze(-1)
        elif len(size) != len(wanted) or (
            sum(s for w, s in zip(wanted, size, strict=True) if w != s) != 1
        ):
            raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    run = _full_gaussian if full else _gaussian
    return run(reduction, input, target, _at_least(var, float(eps)))


@composite_loss("SubBackward0")
def _poisson(input: Value, target: Value, log_input: bool, full: bool, eps: float) -> Value:
    x, y = promoted(input, target)
    y = as_float(y)
    if log_input:
        losses = b.exp(as_float(x)) - y * as_float(x)
    else:
        losses = as_float(x) - y * b.log(as_float(x) + eps)
    if not full:
        return losses
    # Stirling's estimate of log(target!), which is for targets above 1.
    stirling = y * b.log(y) - y + b.log(y * (2.0 * math.pi)) * 0.5
    return losses + b.select(b.le(y, 1.0), 0.0, stirling)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-08,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """exp(input) - target * input, or of the rate itself without ``log_input``.

    ``full`` adds Stirling's estimate of the logarithm of target factorial.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    return _poisson(reduction, input, target, log_input, full, float(eps))
