"""Covariances and correlations of variables observed together."""

from __future__ import annotations

from typing import Any

from treadle.functions import movement, pointwise
from treadle.out_argument import takes_tensor
from treadle.promotion import scalar_name
from treadle.tensor import Tensor

__all__ = ["corrcoef", "cov"]
METHODS = "cov corrcoef"


def _check_weights(name: str, weights: Tensor, count: int, integral: bool) -> None:
    if weights.ndim > 1:
        raise RuntimeError(
            f"cov(): expected {name} to have one or fewer dimensions but got {name} with "
            f"{weights.ndim} dimensions"
        )
    if integral != (weights.dtype.kind in "iu"):
        kind = "integral" if integral else "floating point"
        raise RuntimeError(
            f"cov(): expected {name} to have {kind} dtype but got {name} with "
            f"{scalar_name(weights.dtype)} dtype"
        )
    if weights.numel() != count:
        raise RuntimeError(
            f"cov(): expected {name} to have the same numel as there are observations in the "
            f"input but got {weights.numel()} != {count}"
        )
    if count and bool((weights.detach() < 0).any()):
        raise RuntimeError(f"cov(): {name} cannot be negative")


@takes_tensor
def cov(
    input: Tensor,
    *,
    correction: int = 1,
    fweights: Tensor | None = None,
    aweights: Tensor | None = None,
) -> Tensor:
    """Covariances of variables in rows, observed in columns.

    ``fweights`` counts each observation so often, ``aweights`` weighs it.
    """
    if input.ndim > 2:
        raise RuntimeError(
            "cov(): expected input to have two or fewer dimensions but got an input with "
            f"{input.ndim} dimensions"
        )
    if input.dtype.kind == "b":
        raise RuntimeError("cov(): bool dtype is not supported for input")
    rows = movement.view(input, 1, -1) if input.ndim < 2 and input.numel() else input
    if rows.ndim < 2:
        rows = movement.reshape(input, 1, 0)
    count = rows.shape[1]
    weights = _weights(fweights, aweights, count)
    total: Any = count if weights is None else weights.sum()
    if weights is not None and count and not bool((total != 0).item()):
        raise RuntimeError("cov(): weights sum to zero, can't be normalized")
    if weights is None:
        mean = rows.sum(1) / total if count else rows.sum(1) / 0.0
    else:
        mean = (rows * weights).sum(1) / total
    if weights is None:
        freedom: Any = max(count - correction, 0)
    elif correction and aweights is not None:
        scaled = (weights * aweights).sum() / total
        freedom = pointwise.clamp(total - correction * scaled, min=0)
    else:
        freedom = pointwise.clamp(total - correction, min=0)
    spread = rows - movement.unsqueeze(mean, 1)
    weighted = spread if weights is None else spread * weights
    conjugate = weighted.conj() if weighted.dtype.is_complex else weighted
    made: Tensor = (spread @ movement.t(conjugate)) / freedom
    return movement.squeeze(made)


def _weights(fweights: Tensor | None, aweights: Tensor | None, count: int) -> Tensor | None:
    if fweights is not None:
        _check_weights("fweights", fweights, count, integral=True)
    if aweights is not None:
        _check_weights("aweights", aweights, count, integral=False)
    if fweights is None or aweights is None:
        return aweights if fweights is None else fweights
    weights: Tensor = fweights * aweights
    return weights


@takes_tensor
def corrcoef(input: Tensor) -> Tensor:
    """Correlations of variables in rows, observed in columns: between -1 and 1."""
    if input.ndim > 2:
        raise RuntimeError(
            "corrcoef(): expected input to have two or fewer dimensions but got an input with "
            f"{input.ndim} dimensions"
        )
    covariance = cov(input)
    if not covariance.ndim:
        alone: Tensor = covariance / covariance
        return alone
    deviation = pointwise.sqrt(covariance.diagonal())
    if covariance.dtype.is_complex:
        deviation = pointwise.sqrt(covariance.diagonal().real)
    scaled = covariance / movement.unsqueeze(deviation, 1) / movement.unsqueeze(deviation, 0)
    made: Tensor = scaled if scaled.dtype.is_complex else pointwise.clamp(scaled, -1, 1)
    return made
