"""Reductions in which masked-out elements do not count."""

from __future__ import annotations

import builtins
import math
from typing import Any

from treadle.functions import extrema, norms, pointwise, reduction, sorting
from treadle.functions.axes import Dim
from treadle.ir.types import DType, float32, int64
from treadle.masked.masks import (
    canonical_axes,
    converted,
    expanded_mask,
    filled,
    greatest,
    least,
)
from treadle.tensor import Tensor


def sum(
    input: Tensor, dim: Dim = None, *, keepdim: bool = False, dtype: DType | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Sum over axes; masked-out elements count as 0."""
    found: Tensor = reduction.sum(
        filled(input, mask, 0), canonical_axes(dim, input.ndim), keepdim, dtype=dtype
    )
    return found


def prod(
    input: Tensor, dim: Dim = None, *, keepdim: bool = False, dtype: DType | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Product over axes; masked-out elements count as 1."""
    result = filled(input, mask, 1)
    if dtype is None:
        dtype = input.dtype if input.dtype.kind in "fc" else int64
    result = converted(result, dtype)
    for axis in reversed(canonical_axes(dim, input.ndim)):
        result = reduction.prod(result, axis, keepdim)
    return result


def amax(
    input: Tensor, dim: Dim = None, *, keepdim: bool = False, dtype: DType | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The greatest element over axes among those that count."""
    number = None if mask is None else least(input.dtype, "amax")
    axes = canonical_axes(dim, input.ndim)
    return converted(extrema.amax(filled(input, mask, number), axes, keepdim), dtype)


def amin(
    input: Tensor, dim: Dim = None, *, keepdim: bool = False, dtype: DType | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The least element over axes among those that count."""
    number = None if mask is None else greatest(input.dtype, "amin")
    axes = canonical_axes(dim, input.ndim)
    return converted(extrema.amin(filled(input, mask, number), axes, keepdim), dtype)


def argmax(
    input: Tensor, dim: int | None = None, *, keepdim: bool = False, dtype: DType | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The position of the greatest element among those that count, in the input's dtype."""
    number = None if mask is None else least(input.dtype, "argmax")
    found = extrema.argmax(filled(input, mask, number), dim, keepdim)
    return converted(found, dtype or input.dtype)


def argmin(
    input: Tensor, dim: int | None = None, *, keepdim: bool = False, dtype: DType | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The position of the least element among those that count, in the input's dtype."""
    number = None if mask is None else greatest(input.dtype, "argmin")
    found = extrema.argmin(filled(input, mask, number), dim, keepdim)
    return converted(found, dtype or input.dtype)


def _count(input: Tensor, mask: Tensor | None, axes: tuple[int, ...], keepdim: bool) -> Any:
    """How many elements count for each result: a number without a mask."""
    if mask is None:
        return math.prod(input.shape[axis] for axis in axes) if input.ndim else 1
    return reduction.sum(expanded_mask(input, mask), axes, keepdim)


def mean(
    input: Tensor, dim: Dim = None, *, keepdim: bool = False, dtype: DType | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Mean over axes of the elements that count."""
    kind = dtype or input.dtype
    if kind.kind not in "fc":
        source = "Input" if dtype is None else "Optional"
        raise ValueError(
            f"mean(): Could not infer output dtype. {source} dtype must be either a floating point "
            f"or complex dtype. Got: {kind}"
        )
    count = _count(input, mask, canonical_axes(dim, input.ndim), keepdim)
    total = sum(input, dim, keepdim=keepdim, dtype=kind, mask=mask)
    return total / count if isinstance(count, Tensor) or count else total * math.nan


def median(
    input: Tensor, dim: int = -1, *, keepdim: bool = False, dtype: DType | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The lower median along an axis of the elements that count."""
    (axis,) = canonical_axes(dim, input.ndim)
    floating = input.dtype.is_floating_point
    work = input if floating else input.to(float32)
    found: Tensor = sorting.nanmedian(filled(work, mask, math.nan), axis, keepdim).values
    if floating:
        return found
    if bool(pointwise.isnan(found).any()):
        raise ValueError(
            "masked median expects no fully masked out rows if dtype is not floating point"
        )
    return converted(found, dtype or input.dtype)


def logsumexp(
    input: Tensor, dim: Dim = None, *, keepdim: bool = False, dtype: DType | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """log(sum(exp(x))) over axes of the elements that count, in the input's dtype."""
    number = None if mask is None else least(input.dtype, "logsumexp")
    axes = canonical_axes(dim, input.ndim)
    found = reduction.logsumexp(filled(input, mask, number), axes, keepdim)
    return converted(found, dtype or input.dtype)


def logaddexp(
    input: Tensor, other: Tensor, *, dtype: DType | None = None, input_mask: Tensor | None = None,
    other_mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """log(exp(x) + exp(y)), of one where the other is masked out."""
    first, second = (
        filled(item, mask, None if mask is None else least(item.dtype, "logaddexp"))
        for item, mask in ((input, input_mask), (other, other_mask))
    )
    return converted(pointwise.logaddexp(first, second), dtype or input.dtype)


def norm(
    input: Tensor, ord: float | None = 2.0, dim: Dim = None, *, keepdim: bool = False,
    dtype: DType | None = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The vector norm over axes of the elements that count."""
    order = 2.0 if ord is None else float(ord)
    number = math.inf if order == -math.inf else 0
    axes = canonical_axes(dim, input.ndim)
    found: Tensor = norms.vector_norm(filled(input, mask, number), order, axes, keepdim, dtype)
    return found


def _variance(
    input: Tensor, dim: Dim, unbiased: bool | None, correction: float | None, keepdim: bool,
    dtype: DType | None, mask: Tensor | None,
) -> Tensor:  # fmt: skip
    if unbiased is not None and correction is not None:
        raise AssertionError("Only one of unbiased and correction may be given")
    taken = 1.0 if unbiased is None else float(unbiased)
    taken = taken if correction is None else float(correction)
    kind = dtype or (input.dtype if input.dtype.kind in "fc" else float32)
    work = kind if kind.kind in "fc" else float32
    axes = canonical_axes(dim, input.ndim)
    total = sum(input, dim, keepdim=True, dtype=kind, mask=mask)
    left = input - total / _count(input, mask, axes, True)
    square = left * (left.conj() if left.dtype.is_complex else left)
    spread = sum(square, dim, keepdim=keepdim, dtype=work, mask=mask)
    count = _count(input, mask, axes, keepdim)
    if isinstance(count, Tensor):
        freedom: Any = pointwise.clamp(count.to(work.to_real()) - taken, min=0.0)
    else:
        freedom = builtins.max(count - taken, 0.0)
    result = spread / freedom if isinstance(freedom, Tensor) or freedom else spread / 0.0
    return converted(result, kind)


def var(
    input: Tensor, dim: Dim = None, unbiased: bool | None = None, *,
    correction: float | None = None, keepdim: bool = False, dtype: DType | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Variance over axes of the elements that count."""
    return _variance(input, dim, unbiased, correction, keepdim, dtype, mask)


def std(
    input: Tensor, dim: Dim = None, unbiased: bool | None = None, *,
    correction: float | None = None, keepdim: bool = False, dtype: DType | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Standard deviation over axes of the elements that count."""
    variance = _variance(input, dim, unbiased, correction, keepdim, dtype, mask)
    found: Tensor = pointwise.sqrt(variance)
    return found
