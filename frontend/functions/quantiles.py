"""Quantiles: elements at given fractions of the way through sorted rows."""

from __future__ import annotations

from typing import Any

from treadle.functions.axes import axis_of
from treadle.ir import build as b
from treadle.ir.ordering import argsort
from treadle.ir.types import float32, float64, int64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.out_argument import accepts_out
from treadle.tensor import Tensor

__all__ = ["nanquantile", "quantile"]
METHODS = "nanquantile quantile"

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _check(name: str, input: Tensor, q: Any, interpolation: str) -> None:
    if not input.shape.numel():
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if input.dtype not in (float32, float64):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if isinstance(q, Tensor):
        if q.ndim > 1:
            raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
        if q.dtype is not input.dtype:
            raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
        inside = ((q >= 0) & (q <= 1)).all().item()
        if not inside:
            raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    elif not 0 <= q <= 1:
        raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q:g}")
    if interpolation not in _INTERPOLATIONS:
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, "
            f"but got {interpolation}"
        )


def _ranks(ordered: Value, q: Value, ignore_nan: bool) -> Value:
    """[.., q] positions, with fractions, in rows whose NaN come last."""
    last = ordered.shape[-1] - 1
    valid = b.sum(b.cast(b.eq(ordered, ordered), ordered.dtype), (ordered.ndim - 1,), keepdim=True)
    if ignore_nan:
        return b.maximum(q * (valid - 1.0), 0.0)
    # One NaN makes the whole row NaN.
    return b.select(b.eq(valid, last + 1), q * float(last), float(last))


@operation("QuantileBackward0")
def _quantile(
    input: Value, q: Any, dim: int | None, keepdim: bool, interpolation: str, ignore_nan: bool
) -> Value:
    axis = None if dim is None else axis_of(dim, input.ndim)
    rows = b.reshape(input, (input.type.numel,)) if axis is None or not input.ndim else input
    at = 0 if rows is not input else axis or 0
    order = [*(n for n in range(rows.ndim) if n != at), at]
    rows = b.permute(rows, order)
    ordered = b.gather(rows, argsort(rows, -1), -1)
    fractions = q if isinstance(q, Value) else b.constant(q, input.dtype, input.type.device)
    several = fractions.ndim == 1
    ranks = _ranks(ordered, b.reshape(fractions, (fractions.type.numel,)), ignore_nan)
    values = _interpolated(ordered, ranks, interpolation)
    shape = rows.shape[:-1]
    if keepdim:
        kept = [1] * input.ndim
        if axis is not None and input.ndim:
            kept = [1 if n == axis else extent for n, extent in enumerate(input.shape)]
        shape = tuple(kept)
    if not several:
        return b.reshape(values, shape)
    front = b.permute(values, (values.ndim - 1, *range(values.ndim - 1)))
    return b.reshape(front, (fractions.type.numel, *shape))


def _interpolated(ordered: Value, ranks: Value, interpolation: str) -> Value:
    rounding = {"lower": b.floor, "higher": b.ceil, "nearest": b.round}.get(interpolation)
    if rounding is not None:
        return b.gather(ordered, b.cast(rounding(ranks), int64), -1)
    floor = b.floor(ranks)
    below = b.gather(ordered, b.cast(floor, int64), -1)
    above = b.gather(ordered, b.cast(b.ceil(ranks), int64), -1)
    weight = b.constant_like(ranks, 0.5) if interpolation == "midpoint" else ranks - floor
    # As PyTorch's lerp, from the nearer end.
    step = above - below
    return b.select(b.lt(weight, 0.5), below + weight * step, above - step * (1.0 - weight))


@accepts_out
def quantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """The elements at fractions ``q`` of sorted rows; those of several come along a first axis."""
    _check("quantile", input, q, interpolation)
    result: Tensor = _quantile(input, q, dim, keepdim, interpolation, False)
    return result


@accepts_out
def nanquantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """``quantile`` of the elements that are not NaN."""
    _check("nanquantile", input, q, interpolation)
    result: Tensor = _quantile(input, q, dim, keepdim, interpolation, True)
    return result
