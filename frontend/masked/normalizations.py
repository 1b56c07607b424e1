"""Functions along an axis that keep the shape and do not see masked-out elements."""

from __future__ import annotations

from treadle.functions import cumulative, pointwise
from treadle.ir.types import DType
from treadle.masked import reductions
from treadle.masked.masks import canonical_axes, converted, filled, greatest, least
from treadle.nn import functional
from treadle.tensor import Tensor


def cumsum(
    input: Tensor, dim: int, *, dtype: DType | None = None, mask: Tensor | None = None
) -> Tensor:
    """Sums of the elements so far that count, in the input's dtype."""
    (axis,) = canonical_axes(dim, input.ndim)
    kind = dtype or input.dtype
    return converted(cumulative.cumsum(filled(input, mask, 0), axis, dtype=kind), kind)


def cumprod(
    input: Tensor, dim: int, *, dtype: DType | None = None, mask: Tensor | None = None
) -> Tensor:
    """Products of the elements so far that count, in the input's dtype."""
    (axis,) = canonical_axes(dim, input.ndim)
    kind = dtype or input.dtype
    return converted(cumulative.cumprod(filled(input, mask, 1), axis, dtype=kind), kind)


def softmax(
    input: Tensor, dim: int, *, dtype: DType | None = None, mask: Tensor | None = None
) -> Tensor:
    """Softmax along an axis of the elements that count, zeros elsewhere."""
    (axis,) = canonical_axes(dim, input.ndim)
    shown = filled(input, mask, None if mask is None else least(input.dtype, "amax"))
    found: Tensor = functional.softmax(shown, axis, dtype=dtype or input.dtype)
    return found


def log_softmax(
    input: Tensor, dim: int, *, dtype: DType | None = None, mask: Tensor | None = None
) -> Tensor:
    """Logarithm of ``softmax``."""
    (axis,) = canonical_axes(dim, input.ndim)
    shown = filled(input, mask, None if mask is None else least(input.dtype, "amax"))
    found: Tensor = functional.log_softmax(shown, axis, dtype=dtype or input.dtype)
    return found


def softmin(
    input: Tensor, dim: int, *, dtype: DType | None = None, mask: Tensor | None = None
) -> Tensor:
    """Softmax of the negated elements that count, zeros elsewhere."""
    (axis,) = canonical_axes(dim, input.ndim)
    shown = filled(input, mask, None if mask is None else greatest(input.dtype, "amin"))
    found: Tensor = functional.softmin(shown, axis, dtype=dtype or input.dtype)
    return found


def normalize(
    input: Tensor, ord: float, dim: int, *, eps: float = 1e-12, dtype: DType | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Elements that count divided by their norm along an axis, zeros elsewhere."""
    size = reductions.norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    found: Tensor = filled(input, mask, 0) / pointwise.maximum(size, size.new_full((), eps))
    return found
