"""Reductions: sums, means, extrema, statistics and norms over axes.

``dim`` is an axis, several, or None for all; ``keepdim`` leaves extents of 1.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

from treadle.functions import pointwise
from treadle.ir import build as b
from treadle.ir.types import DType, bool_, int64, uint8
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import as_float, scalar_name
from treadle.return_types import return_type
from treadle.tensor import Tensor

__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "logsumexp", "max", "mean", "min", "norm",
    "prod", "std", "sum", "var",
]  # fmt: skip
METHODS = "sum mean prod max min amax amin argmax argmin any all var std logsumexp norm"

Dim = int | Sequence[int] | None


def axes_of(input: Value, dim: Dim) -> tuple[int, ...]:
    """Axes counted from 0; IndexError in PyTorch's words, RuntimeError for a repeated one."""
    rank = input.ndim or 1
    if dim is None or (not isinstance(dim, int) and not len(dim)):
        return tuple(range(input.ndim))
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    axes = []
    for axis in dims:
        if not -rank <= axis < rank:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but "
                f"got {axis})"
            )
        if axis % rank in axes:
            raise RuntimeError(f"dim {axis % rank} appears multiple times in the list of dims")
        axes.append(axis % rank)
    return tuple(axes) if input.ndim else ()


def _summand(input: Value, dtype: DType | None) -> Value:
    if dtype is not None:
        return b.cast(input, dtype)
    return input if input.dtype.is_floating_point else b.cast(input, int64)


@operation("SumBackward1")
def _sum_dims(input: Value, dim: Dim, keepdim: bool, dtype: DType | None) -> Value:
    return b.sum(_summand(input, dtype), axes_of(input, dim), keepdim)


@operation("SumBackward0")
def _sum_all(input: Value, dtype: DType | None) -> Value:
    return b.sum(_summand(input, dtype))


def sum(input: Any, dim: Dim = None, keepdim: bool = False, *, dtype: DType | None = None) -> Any:
    """Sum over axes; integers and bool add up as int64."""
    if dim is None and not keepdim:
        return _sum_all(input, dtype)
    return _sum_dims(input, dim, keepdim, dtype)


def _mean(input: Value, dim: Dim, keepdim: bool, dtype: DType | None) -> Value:
    x = input if dtype is None else b.cast(input, dtype)
    if not x.dtype.is_floating_point:
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point "
            f"or complex dtype. Got: {scalar_name(x.dtype)}"
        )
    axes = axes_of(x, dim)
    count = math.prod(x.shape[axis] for axis in axes)
    total = b.sum(x, axes, keepdim)
    return total / float(count) if count else b.mul(total, math.nan)


_mean_dims = operation("MeanBackward1")(_mean)
_mean_all = operation("MeanBackward0")(_mean)


def mean(input: Any, dim: Dim = None, keepdim: bool = False, *, dtype: DType | None = None) -> Any:
    """Mean over axes; RuntimeError for integers."""
    if dim is None and not keepdim:
        return _mean_all(input, None, False, dtype)
    return _mean_dims(input, dim, keepdim, dtype)


@operation("ProdBackward0")
def prod(
    input: Value, dim: int | None = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Value:
    """Product over an axis or all; integers and bool multiply as int64."""
    return b.prod(_summand(input, dtype), axes_of(input, dim), keepdim)


def _along(input: Value, dim: int, keepdim: bool, extremum: Any, position: Any) -> Any:
    (axis,) = axes_of(input, dim) or (None,)
    if axis is None:
        return input, b.constant(0, int64, input.type.device)
    if not input.shape[axis]:
        name = "max" if extremum is b.max else "min"
        raise IndexError(f"{name}(): Expected reduction dim {axis} to have non-zero size.")
    index = position(input, axis)
    kept = tuple(1 if at == axis else extent for at, extent in enumerate(input.shape))
    values = extremum(input, (axis,))
    if keepdim:
        return b.reshape(values, kept), b.reshape(index, kept)
    return values, index


def _along_gradient(position: Any) -> Any:
    """The gradient goes to the first extremum along the axis, as PyTorch's does."""

    def gradient(
        inputs: Any, _outputs: Any, upstreams: Any, *, dim: int, keepdim: bool = False
    ) -> tuple[Value]:
        x, g = inputs[0], upstreams[0]
        if not x.ndim:
            return (g,)
        axis = dim % x.ndim
        kept = tuple(1 if at == axis else extent for at, extent in enumerate(x.shape))
        chosen = b.reshape(position(x, axis), kept)
        here = b.eq(b.iota(x.shape, axis, int64, x.type.device), chosen)
        return (b.select(here, b.reshape(g, kept), 0),)

    return gradient


@operation("MaxBackward0", vjp=_along_gradient(b.argmax))
def _max_along(input: Value, dim: int, keepdim: bool) -> Any:
    return return_type("max", "values indices")(*_along(input, dim, keepdim, b.max, b.argmax))


@operation("MinBackward0", vjp=_along_gradient(b.argmin))
def _min_along(input: Value, dim: int, keepdim: bool) -> Any:
    return return_type("min", "values indices")(*_along(input, dim, keepdim, b.min, b.argmin))


def _whole(name: str, build: Any) -> Any:
    def body(input: Value) -> Value:
        if not input.type.numel:
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
                "Specify the reduction dim with the 'dim' argument."
            )
        return build(input)

    return body


_max_all = operation("MaxBackward1")(_whole("max", b.max))
_min_all = operation("MinBackward1")(_whole("min", b.min))


def max(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The greatest element, (values, indices) along an axis, or the elementwise maximum."""
    if isinstance(dim, Tensor):
        return pointwise.maximum(input, dim)
    return _max_all(input) if dim is None else _max_along(input, dim=dim, keepdim=keepdim)


def min(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The least element, (values, indices) along an axis, or the elementwise minimum."""
    if isinstance(dim, Tensor):
        return pointwise.minimum(input, dim)
    return _min_all(input) if dim is None else _min_along(input, dim=dim, keepdim=keepdim)


def _refuse_empty(name: str, input: Value, dim: Dim) -> None:
    """PyTorch's errors of an extremum of nothing."""
    if input.type.numel:
        return
    dims = () if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    if not dims:
        raise RuntimeError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
            "Specify the reduction dim with the 'dim' argument."
        )
    for given, axis in zip(dims, axes_of(input, dims), strict=True):
        if not input.shape[axis]:
            raise IndexError(f"{name}(): Expected reduction dim {given} to have non-zero size.")


@operation("AmaxBackward0")
def amax(input: Value, dim: Dim = (), keepdim: bool = False) -> Value:
    """The greatest element over axes; the gradient is shared among equals."""
    _refuse_empty("amax", input, dim)
    return b.max(input, axes_of(input, dim), keepdim)


@operation("AminBackward0")
def amin(input: Value, dim: Dim = (), keepdim: bool = False) -> Value:
    """The least element over axes; the gradient is shared among equals."""
    _refuse_empty("amin", input, dim)
    return b.min(input, axes_of(input, dim), keepdim)


def _arg(name: str, build: Any) -> Any:
    def body(input: Value, dim: int | None = None, keepdim: bool = False) -> Value:
        if input.dtype is bool_:
            raise RuntimeError(f"{name}(): does not support bool input")
        if dim is None:
            if not input.type.numel:
                raise IndexError(
                    f"{name}(): Expected reduction dim to be specified for input.numel() == 0."
                )
            index = build(b.reshape(input, (input.type.numel,)), 0)
            return b.reshape(index, (1,) * input.ndim) if keepdim else index
        axes = axes_of(input, dim)
        if not axes:
            return b.constant(0, int64, input.type.device)
        if not input.shape[axes[0]]:
            raise IndexError(f"{name}(): Expected reduction dim {axes[0]} to have non-zero size.")
        index = build(input, axes[0])
        kept = [1 if at == axes[0] else extent for at, extent in enumerate(input.shape)]
        return b.reshape(index, kept) if keepdim else index

    body.__name__ = name
    body.__doc__ = "Position of the first extremum along an axis, or in the flat tensor."
    return operation()(body)


argmax = _arg("argmax", b.argmax)
argmin = _arg("argmin", b.argmin)


def _logical(build: Any, name: str, empty: bool) -> Any:
    def body(input: Value, dim: Dim = None, keepdim: bool = False) -> Value:
        axes = axes_of(input, dim)
        truth = b.cast(input, bool_)
        if not input.type.numel:
            shape = b.sum(b.cast(truth, int64), axes, keepdim).shape
            return b.full(shape, empty, bool_, input.type.device)
        result = build(truth, axes, keepdim)
        return b.cast(result, uint8) if input.dtype is uint8 else result

    body.__name__ = name
    body.__doc__ = "Whether elements over axes are nonzero."
    return operation()(body)


any = _logical(b.max, "any", empty=False)
all = _logical(b.min, "all", empty=True)


def _variance(input: Value, dim: Dim, correction: float, keepdim: bool) -> Value:
    if not input.dtype.is_floating_point:
        raise RuntimeError("std and var only support floating point and complex dtypes")
    axes = axes_of(input, dim)
    count = math.prod(input.shape[axis] for axis in axes)
    centre = b.sum(input, axes, keepdim=True) / float(builtins.max(count, 1))
    spread = b.sub(input, b.broadcast_to(centre, input.shape))
    total = b.sum(spread * spread, axes, keepdim)
    freedom = builtins.max(count - correction, 0)
    return total / float(freedom) if freedom else b.div(total, 0.0)


@operation("VarBackward0")
def _var(input: Value, dim: Dim, correction: float, keepdim: bool) -> Value:
    return _variance(input, dim, correction, keepdim)


@operation("StdBackward0")
def _std(input: Value, dim: Dim, correction: float, keepdim: bool) -> Value:
    return b.sqrt(_variance(input, dim, correction, keepdim))


def var(
    input: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False,
    *, correction: float | None = None,
) -> Any:  # fmt: skip
    """Variance over axes; divides by count - correction (1 by default)."""
    if isinstance(dim, bool):  # var(unbiased)
        dim, unbiased = None, dim
    return _var(input, dim, float(unbiased) if correction is None else correction, keepdim)


def std(
    input: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False,
    *, correction: float | None = None,
) -> Any:  # fmt: skip
    """Standard deviation over axes; divides by count - correction (1 by default)."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return _std(input, dim, float(unbiased) if correction is None else correction, keepdim)


@operation("LogsumexpBackward0")
def logsumexp(input: Value, dim: Dim, keepdim: bool = False) -> Value:
    """log(sum(exp(x))) over axes, without overflow."""
    x = as_float(input)
    axes = axes_of(x, dim)
    if not x.type.numel:
        return b.log(b.sum(b.exp(x), axes, keepdim))
    top = b.max(x, axes, keepdim=True)
    shift = b.select(b.eq(b.abs(top), math.inf), 0.0, top)
    total = b.sum(b.exp(b.sub(x, b.broadcast_to(shift, x.shape))), axes, keepdim=True)
    result = b.add(b.log(total), shift)
    kept = [extent for at, extent in enumerate(x.shape) if at not in axes]
    return result if keepdim else b.reshape(result, kept)


@operation("LinalgVectorNormBackward0")
def norm(
    input: Value, p: Any = "fro", dim: Dim = None, keepdim: bool = False, dtype: DType | None = None
) -> Value:
    """Vector norm of order p (2 by default) over axes."""
    x = b.cast(input, dtype) if dtype is not None else input
    if not x.dtype.is_floating_point:
        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got "
            f"{scalar_name(x.dtype)}"
        )
    axes = axes_of(x, dim)
    order = 2.0 if p in (None, "fro") else float(p)
    size = b.abs(x)
    if math.isinf(order) and 0 in [x.shape[axis] for axis in axes]:
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {order} norm on an empty tensor because the "
            "operation does not have an identity"
        )
    if order == math.inf:
        return b.max(size, axes, keepdim)
    if order == -math.inf:
        return b.min(size, axes, keepdim)
    if order == 0.0:
        return b.sum(b.cast(b.ne(x, 0), x.dtype), axes, keepdim)
    if order == 1.0:
        return b.sum(size, axes, keepdim)
    if order == 2.0:
        total = b.sum(x * x, axes, keepdim)
        # The root's slope at 0 is infinite; PyTorch's gradient there is 0, and so is this one's.
        zero = b.eq(total, 0)
        return b.select(zero, 0.0, b.sqrt(b.select(zero, 1.0, total)))
    return b.pow(b.sum(b.pow(size, order), axes, keepdim), 1.0 / order)
