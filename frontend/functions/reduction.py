"""Sums, products, means and logic over axes. Extrema are ``extrema``'s, spread ``moments``'s.

``dim`` is an axis, several, or None for all; ``keepdim`` leaves extents of 1.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

from treadle.functions import movement
from treadle.functions.axes import Dim, axes_of as axes_of, named_extents
from treadle.ir import build as b
from treadle.ir.types import NARROW_FLOATS, DType, bool_, float32, int64, uint8
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.out_argument import accepts_out, takes_tensor, write_out
from treadle.promotion import as_float, scalar_name
from treadle.tensor import Tensor

__all__ = [
    "all", "any", "count_nonzero", "logsumexp", "mean", "nanmean", "nansum", "prod", "sum",
]  # fmt: skip
METHODS = "all any count_nonzero logsumexp mean nanmean nansum prod sum sum_to_size"


def kept_shape(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """A shape with extents of 1 in place of axes."""
    return tuple(1 if at in axes else extent for at, extent in enumerate(shape))


def spread(reduced: Value, shape: tuple[int, ...], axes: tuple[int, ...]) -> Value:
    """The result of a reduction repeated along the axes that it lacks."""
    return b.broadcast_to(b.reshape(reduced, kept_shape(shape, axes)), shape)


def count_along(shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
    """How many elements go into each result."""
    return math.prod(shape[axis] for axis in axes)


def widened(x: Value) -> Value:
    """Floats of two bytes as float32, in which sums and what follows them are rounded once."""
    return b.cast(x, float32) if x.dtype in NARROW_FLOATS else x


def narrowed(result: Value, x: Value) -> Value:
    """A result of ``widened`` elements in the dtype that they had."""
    return b.cast(result, x.dtype) if x.dtype in NARROW_FLOATS else result


def _truth_sum(input: Value, axes: tuple[int, ...], keepdim: bool, dtype: DType | None) -> Value:
    """A sum whose results are bool: whether any element is not zero."""
    x = _summand(input, dtype)
    if x.dtype is not bool_:
        return b.sum(x, axes, keepdim)
    return b.cast(b.sum(b.cast(x, int64), axes, keepdim), bool_)


def _summand(input: Value, dtype: DType | None) -> Value:
    if dtype is not None:
        return b.cast(input, dtype)
    return input if input.dtype.kind in "fc" else b.cast(input, int64)


@operation("SumBackward1")
def _sum_dims(input: Value, dim: Dim, keepdim: bool, dtype: DType | None) -> Value:
    return _truth_sum(input, axes_of(input, dim), keepdim, dtype)


@operation("SumBackward0")
def _sum_all(input: Value, dtype: DType | None) -> Value:
    return _truth_sum(input, tuple(range(input.ndim)), False, dtype)


@takes_tensor
def sum(
    input: Any, dim: Dim = None, keepdim: bool = False, *, dtype: DType | None = None,
    out: Tensor | None = None,
) -> Any:  # fmt: skip
    """Sum over axes; integers and bool add up as int64, everything as the dtype of ``out``."""
    if out is not None:
        return write_out(_sum_dims(input, dim, keepdim, dtype or out.dtype), out, (input,))
    if dim is None and not keepdim:
        return _sum_all(input, dtype)
    return _sum_dims(input, dim, keepdim, dtype)


@operation("NansumBackward0")
def nansum(
    input: Value, dim: Dim = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Value:
    """Sum over axes in which NaN counts as 0."""
    if input.dtype.is_complex:
        raise RuntimeError("nansum does not support complex inputs")
    x = input
    if x.dtype.is_floating_point:
        x = b.select(b.ne(x, x), 0, x)
    return b.sum(_summand(x, dtype), axes_of(x, dim), keepdim)


def _mean(input: Value, dim: Dim, keepdim: bool, dtype: DType | None) -> Value:
    x = input if dtype is None else b.cast(input, dtype)
    if x.dtype.kind not in "fc":
        which = "Input" if dtype is None else "Optional"
        raise RuntimeError(
            f"mean(): could not infer output dtype. {which} dtype must be either a floating point "
            f"or complex dtype. Got: {scalar_name(x.dtype)}"
        )
    axes = axes_of(x, dim)
    count = count_along(x.shape, axes)
    total = b.sum(widened(x), axes, keepdim)
    return b.cast(total / float(count) if count else b.mul(total, math.nan), x.dtype)


_mean_dims = operation("MeanBackward1")(_mean)
_mean_all = operation("MeanBackward0")(_mean)


@accepts_out
def mean(input: Any, dim: Dim = None, keepdim: bool = False, *, dtype: DType | None = None) -> Any:
    """Mean over axes; RuntimeError for integers."""
    if dim is None and not keepdim:
        return _mean_all(input, None, False, dtype)
    return _mean_dims(input, dim, keepdim, dtype)


@operation("NanmeanBackward0")
def nanmean(
    input: Value, dim: Dim = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Value:
    """Mean over axes of the elements that are not NaN."""
    if input.dtype.kind not in "fc":
        raise RuntimeError(
            "nanmean(): expected input to have floating point or complex dtype but got "
            f"{scalar_name(input.dtype)}"
        )
    x = input if dtype is None else b.cast(input, dtype)
    axes = axes_of(x, dim)
    wide = widened(x)
    missing = b.ne(wide, wide)
    count = b.sum(b.select(missing, 0, b.constant_like(wide, 1)), axes, keepdim)
    return b.cast(b.sum(b.select(missing, 0, wide), axes, keepdim) / count, x.dtype)


@operation("ProdBackward0")
def _prod(input: Value, dim: Dim, keepdim: bool, dtype: DType | None) -> Value:
    x = _summand(input, dtype)
    axes = axes_of(input, dim)
    if x.dtype is bool_:
        return b.cast(b.prod(b.cast(x, int64), axes, keepdim), bool_)
    return b.cast(b.prod(widened(x), axes, keepdim), x.dtype)


@takes_tensor
def prod(
    input: Any, dim: int | None = None, keepdim: bool = False, *, dtype: DType | None = None,
    out: Tensor | None = None,
) -> Any:  # fmt: skip
    """Product over an axis or all, by the rules of ``sum``."""
    if dim is not None and not isinstance(dim, int):
        raise TypeError(
            "prod() received an invalid combination of arguments - got (Tensor, "
            f"{type(dim).__name__}), but expected one of:\n"
            " * (Tensor input, *, torch.dtype dtype = None)\n"
            " * (Tensor input, int dim, bool keepdim = False, *, torch.dtype dtype = None, Tensor "
            "out = None)\n"
        )
    if out is not None:
        return write_out(_prod(input, dim, keepdim, dtype or out.dtype), out, (input,))
    return _prod(input, dim, keepdim, dtype)


@operation()
def count_nonzero(input: Value, dim: Dim = None) -> Value:
    """How many elements over axes are not zero."""
    return b.sum(b.cast(b.cast(input, bool_), int64), axes_of(input, dim))


def _logical(build: Any, name: str, empty: bool) -> Any:
    def body(input: Value, dim: Dim = None, keepdim: bool = False) -> Value:
        none = isinstance(dim, (tuple, list)) and not dim
        axes = () if none else axes_of(input, dim)
        truth = b.cast(input, bool_)
        if not input.type.numel:
            shape = b.sum(b.cast(truth, int64), axes, keepdim).shape
            result = b.full(shape, empty, bool_, input.type.device)
        else:
            result = build(truth, axes, keepdim)
        return b.cast(result, uint8) if input.dtype is uint8 else result

    body.__name__ = body.__qualname__ = name
    body.__doc__ = "Whether elements over axes are nonzero."
    return operation()(body)


any = _logical(b.max, "any", empty=False)
all = _logical(b.min, "all", empty=True)


def _logsumexp_gradient(
    inputs: Any, outputs: Any, upstreams: Any, *, dim: Dim, keepdim: bool = False
) -> tuple[Value]:
    x, y, g = inputs[0], outputs[0], upstreams[0]
    axes = axes_of(x, dim)
    wide = [widened(b.cast(value, y.dtype)) for value in (x, y, g)]
    share = b.exp(wide[0] - spread(wide[1], x.shape, axes))
    return (narrowed(spread(wide[2], x.shape, axes) * share, y),)


@operation("LogsumexpBackward0", vjp=_logsumexp_gradient)
def logsumexp(input: Value, dim: Dim, keepdim: bool = False) -> Value:
    """log(sum(exp(x))) over axes, without overflow."""
    floats = as_float(input)
    x = widened(floats)
    axes = axes_of(x, dim)
    if not x.type.numel:
        return narrowed(b.log(b.sum(b.exp(x), axes, keepdim)), floats)
    top = b.max(x, axes, keepdim=True)
    shift = b.select(b.eq(b.abs(top), math.inf), 0.0, top)
    total = b.sum(b.exp(b.sub(x, b.broadcast_to(shift, x.shape))), axes, keepdim=True)
    result = narrowed(b.add(b.log(total), shift), floats)
    kept = [extent for at, extent in enumerate(x.shape) if at not in axes]
    return result if keepdim else b.reshape(result, kept)


def sum_to_size(input: Tensor, *sizes: Any, size: Any = None) -> Tensor:
    """Summed over the axes that broadcasting a shape to this tensor's would repeat."""
    shape = named_extents(sizes, size)
    if not shape:
        whole: Tensor = sum(input)
        return whole
    lead = input.ndim - len(shape)
    fits = lead >= 0 and builtins.all(
        want in (1, have) for have, want in zip(input.shape[max(lead, 0) :], shape, strict=False)
    )
    if not fits:
        raise RuntimeError(
            f"size {{{list(shape)}}} is not expandable to size {{{list(input.shape)}}}."
        )
    axes = [at for at in range(input.ndim) if at < lead or input.shape[at] != shape[at - lead]]
    if not axes:
        return input
    total: Tensor = sum(input, axes, True)
    return movement.view(total, shape) if lead else total
