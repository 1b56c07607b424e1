"""How losses end: no reduction, sum or mean, and the older spelling of that choice.

Not the tensors' own reductions; those are methods.
"""

from __future__ import annotations

import math
import warnings

from treadle.ir import build as b
from treadle.ir.value import Value

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
