"""Vector norms, distances, and scaling to a norm; norms of matrices are ``treadle.linalg``'s."""

from __future__ import annotations

import importlib
import math
from typing import Any

from treadle.functions import pointwise
from treadle.functions.axes import Dim, axes_of, axis_of
from treadle.functions.reduction import narrowed, spread, widened
from treadle.ir import build as b
from treadle.ir.types import DType
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.out_argument import accepts_out
from treadle.promotion import scalar_name
from treadle.tensor import Tensor

__all__ = ["dist", "frobenius_norm", "norm", "norm_except_dim", "nuclear_norm", "renorm"]
METHODS = "dist norm renorm"
INPLACE = "renorm"


def _norm_gradient(
    inputs: Any, outputs: Any, upstreams: Any, *, p: float, dim: Dim = None, keepdim: bool = False,
    dtype: DType | None = None,
) -> tuple[Value | None]:  # fmt: skip
    """PyTorch's subgradients: nothing where the norm is 0, extrema share evenly."""
    if p == 0.0:
        return (None,)
    y, g = widened(outputs[0]), widened(upstreams[0])
    x = b.cast(inputs[0], y.dtype.to_complex() if inputs[0].dtype.is_complex else y.dtype)
    axes = axes_of(x, dim)
    slope = _norm_slope(x, spread(y, x.shape, axes), spread(g, x.shape, axes), p, axes)
    return (b.cast(slope, inputs[0].dtype),)


def _norm_slope(x: Value, y: Value, g: Value, p: float, axes: tuple[int, ...]) -> Value:
    """The gradient of a norm y of order p, spread as its upstream gradient g over x."""
    size, sign = b.abs(x), b.sign(x)
    if p == 1.0:
        return g * sign
    if math.isinf(p):
        chosen = b.cast(b.eq(size, y), x.dtype)
        return g * sign * chosen / spread(b.sum(chosen, axes), x.shape, axes)
    nothing = b.eq(y, 0)
    scale = g / b.select(nothing, 1.0, y if p == 2.0 else b.pow(y, p - 1.0))
    if p == 2.0:
        return b.select(nothing, 0.0, x * scale)
    zero = b.eq(size, 0)
    power = b.select(zero, 0.0, b.pow(b.select(zero, 1.0, size), p - 1.0))
    return b.select(nothing, 0.0, sign * power * scale)


@operation("LinalgVectorNormBackward0", vjp=_norm_gradient)
def vector_norm(
    input: Value, p: float, dim: Dim = None, keepdim: bool = False, dtype: DType | None = None
) -> Value:
    """The norm of order p over axes."""
    if input.dtype.kind not in "fc":
        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got "
            f"{scalar_name(input.dtype)}"
        )
    x = b.cast(input, dtype) if dtype is not None else input
    axes = axes_of(x, dim)
    if (math.isinf(p) or p < 0) and 0 in [x.shape[axis] for axis in axes]:
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {p:g} norm on an empty tensor because the "
            "operation does not have an identity"
        )
    return narrowed(_norm(b.abs(widened(x)), p, axes, keepdim), x)


def _norm(size: Value, p: float, axes: tuple[int, ...], keepdim: bool) -> Value:
    if p == math.inf:
        return b.max(size, axes, keepdim)
    if p == -math.inf:
        return b.min(size, axes, keepdim)
    if p == 0.0:
        return b.sum(b.cast(b.ne(size, 0), size.dtype), axes, keepdim)
    if p == 1.0:
        return b.sum(size, axes, keepdim)
    if p == 2.0:
        return b.sqrt(b.sum(size * size, axes, keepdim))
    return b.pow(b.sum(b.pow(size, p), axes, keepdim), 1.0 / p)


@accepts_out
def norm(
    input: Tensor,
    p: Any = "fro",
    dim: Dim = None,
    keepdim: bool = False,
    dtype: DType | None = None,
) -> Tensor:
    """The vector norm of order p (2 by default) over axes, or a matrix norm that p names."""
    axes = dim if dim is None or not isinstance(dim, int) else (dim,)
    if isinstance(p, str) and (p != "fro" or (axes is not None and len(axes) > 2)):
        matrix_norm = importlib.import_module("treadle.linalg").matrix_norm
        pair = tuple(range(input.ndim)) if axes is None else tuple(axes)
        found: Tensor = matrix_norm(input, p, pair, keepdim, dtype=dtype)
        return found
    order = 2.0 if p is None or p == "fro" else float(p)
    found = vector_norm(input, order, axes, keepdim, dtype)
    return found


@accepts_out
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The norm of order p of the difference."""
    difference = pointwise.sub(input, other)
    if difference.dtype.kind not in "fc":
        raise RuntimeError(
            "norm(): input dtype should be either floating point or complex. Got "
            f"{scalar_name(difference.dtype)} instead."
        )
    found: Tensor = vector_norm(difference, float(p))
    return found


@operation("RenormBackward0")
def renorm(input: Value, p: float, dim: int, maxnorm: float) -> Value:
    """Slices of an axis scaled down to a norm of order p where theirs is greater."""
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm:g}")
    if input.ndim < 2:
        raise RuntimeError(
            f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions"
        )
    axis = axis_of(dim, input.ndim)
    others = tuple(at for at in range(input.ndim) if at != axis)
    size = _renormed_size(input, float(p), others)
    factor = b.select(b.gt(size, maxnorm), maxnorm / (size + 1e-7), b.constant_like(size, 1))
    return input * b.broadcast_to(factor, input.shape)


def _renormed_size(x: Value, p: float, axes: tuple[int, ...]) -> Value:
    """The norm over axes, whose derivative exists also where a slice is zero."""
    if math.isinf(p):
        return b.max(b.abs(x), axes, keepdim=True)
    powers = b.abs(x) if p == 1.0 else x * x if p == 2.0 else b.pow(b.abs(x), p)
    total = b.sum(powers, axes, keepdim=True)
    zero = b.eq(total, 0)
    safe = b.select(zero, 1.0, total)
    root = safe if p == 1.0 else b.sqrt(safe) if p == 2.0 else b.pow(safe, 1.0 / p)
    return b.select(zero, 0.0, root)


@accepts_out
def frobenius_norm(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The root of the sum of squares over one or two axes, or over all."""
    axes = (dim,) if isinstance(dim, int) else tuple(dim)
    if len(axes) > 2:
        raise RuntimeError(
            f"Expected at most 2 dimensions, but got {len(axes)} dimensions instead."
        )
    return norm(input, "fro", axes or None, keepdim)


@accepts_out
def nuclear_norm(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The sum of the singular values of matrices, whose two axes may be named."""
    return norm(input, "nuc", tuple(dim) or None, keepdim)


@accepts_out
def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The norm of each slice of an axis, shaped to divide by; -1 takes the norm of all."""
    if dim == -1:
        return norm(v, float(pow))
    axis = axis_of(dim, v.ndim)
    others = tuple(at for at in range(v.ndim) if at != axis)
    return norm(v, float(pow), others, True)
