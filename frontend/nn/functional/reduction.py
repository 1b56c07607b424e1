"""How losses end: no reduction, sum or mean, and the older spelling of that choice.

Not the tensors' own reductions; those are methods.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from treadle.ir import build as b
from treadle.ir.value import Value
from treadle.nn.functional.precision import operation
from treadle.tensor import Tensor
from treadle.utils.typename import scalar_type

REDUCTIONS = ("none", "mean", "sum")


def check_reduction(reduction: str) -> None:
    """ValueError in PyTorch's words for anything but "none", "mean" and "sum"."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction} is not a valid value for reduction")


def chosen_reduction(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """``reduction``, unless the older pair of flags is given, which wins with a warning."""
    if size_average is None and reduce is None:
        return reduction
    found = "sum" if size_average is False else "mean"
    if reduce is False:
        found = "none"
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{found}' instead.",
        stacklevel=3,
    )
    return found


def reduced(losses: Value, reduction: str) -> Value:
    """The losses, their sum or their mean. The mean of nothing is NaN."""
    if reduction == "none":
        return losses
    total = b.sum(losses, tuple(range(losses.ndim)))
    if reduction == "sum":
        return total
    return total / float(math.prod(losses.shape))


def composite_loss(name: str) -> Callable[[Callable[..., Value]], Callable[..., Tensor]]:
    """Makes losses of values a function (reduction, *tensors and options) of tensors.

    For losses that PyTorch composes: autograd shows the reduction's node, or ``name`` without one.
    """

    def decorate(body: Callable[..., Value]) -> Callable[..., Tensor]:
        def run(reduction: str, *arguments: Any) -> Value:
            losses = body(*arguments)
            if reduction == "mean" and losses.dtype.kind not in "fc":
                raise RuntimeError(
                    "mean(): could not infer output dtype. Input dtype must be either a floating "
                    f"point or complex dtype. Got: {scalar_type(losses.dtype)}"
                )
            return reduced(losses, reduction)

        run.__name__ = body.__name__
        rows = {
            "none": operation(name)(run),
            "mean": operation("MeanBackward0")(run),
            "sum": operation("SumBackward0")(run),
        }

        def call(reduction: str, *arguments: Any) -> Tensor:
            check_reduction(reduction)
            result: Tensor = rows[reduction](reduction, *arguments)
            return result

        return call

    return decorate


def above_zero(x: Value) -> Value:
    """max(x, 0) with PyTorch's slope of 1 at 0 (of ``clamp_min``)."""
    return b.select(b.ge(x, 0), x, 0)
