"""Functions of vectors along an axis: cross and inner products, distances between all pairs."""

from __future__ import annotations

import math
from typing import Any

from treadle.ir import build as b, matrices as m
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import promoted, scalar_name

__all__ = ["cartesian_prod", "cdist", "cross"]
METHODS = "cross"

_COMPUTE_MODES = (
    "use_mm_for_euclid_dist_if_necessary",
    "use_mm_for_euclid_dist",
    "donot_use_mm_for_euclid_dist",
)
# Sets of at most so many rows are differentiated difference by difference.
_FEW_ROWS = 25


@operation("LinalgCrossBackward0")
def linalg_cross(input: Value, other: Value, *, dim: int = -1) -> Value:
    """Cross products of vectors of three along an axis."""
    rank = input.ndim
    if rank != other.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    if not -max(rank, 1) <= dim < max(rank, 1):
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-max(rank, 1)}, "
            f"{max(rank, 1) - 1}], but got {dim})"
        )
    axis = dim % max(rank, 1)
    if not rank or input.shape[axis] != 3 or other.shape[axis] != 3:
        sizes = [x.shape[axis] if rank else 1 for x in (input, other)]
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {sizes[0]} and "
            f"{sizes[1]}"
        )
    x, y = promoted(input, other)
    shape = b.broadcast_shapes(x.shape, y.shape)
    x, y = b.broadcast_to(x, shape), b.broadcast_to(y, shape)

    def rolled(value: Value, by: int) -> Value:
        starts, stops = [0] * rank, list(shape)
        stops[axis] = by
        head = b.slice(value, starts, stops)
        starts[axis], stops[axis] = by, 3
        return b.concat([b.slice(value, starts, stops), head], axis)

    return b.sub(rolled(x, 1) * rolled(y, 2), rolled(x, 2) * rolled(y, 1))


def cross(input: Any, other: Any, dim: int | None = None, *, out: Any = None) -> Any:
    """Cross products along an axis, by default the first one of extent 3."""
    if dim is None:
        if 3 not in input.shape:
            raise RuntimeError("no dimension of size 3 in input")
        dim = list(input.shape).index(3)
    return linalg_cross(input, other, dim=dim, **({} if out is None else {"out": out}))


# --- distances ------------------------------------------------------------------------------------


def _no_gradient(inputs: Any, _outputs: Any, _upstreams: Any, **_static: Any) -> Any:
    return tuple(b.constant_like(value, 0) for value in inputs)


def _differences(x1: Value, x2: Value) -> Value:
    batch = b.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    rows, columns, size = x1.shape[-2], x2.shape[-2], x1.shape[-1]
    first = b.reshape(x1, (*x1.shape[:-1], 1, size))
    second = b.reshape(x2, (*x2.shape[:-2], 1, columns, size))
    shape = (*batch, rows, columns, size)
    return b.sub(b.broadcast_to(first, shape), b.broadcast_to(second, shape))


def _check_sets(x1: Value, x2: Value) -> None:
    for name, value in (("X1", x1), ("X2", x2)):
        if value.ndim < 2:
            raise RuntimeError(
                f"cdist only supports at least 2D tensors, {name} got: {value.ndim}D"
            )
        if not value.dtype.is_floating_point:
            raise RuntimeError(
                f"cdist only supports floating-point dtypes, {name} got: {scalar_name(value.dtype)}"
            )
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}"
        )
    if x1.dtype is not x2.dtype:
        raise RuntimeError(
            f"expected scalar type {scalar_name(x1.dtype)} but found {scalar_name(x2.dtype)}"
        )


@operation("CdistBackward0", vjp=_no_gradient)
def _count_differences(x1: Value, x2: Value) -> Value:
    _check_sets(x1, x2)
    apart = _differences(x1, x2)
    return b.sum(b.cast(b.ne(apart, 0), x1.dtype), (-1,))


def _along_greatest(inputs: Any, outputs: Any, upstreams: Any) -> Any:
    """As PyTorch's: every coordinate that is the greatest gets the whole gradient."""
    x1, x2 = inputs
    apart = _differences(x1, x2)
    greatest = b.eq(b.abs(apart), b.broadcast_to(m.rows(outputs[0]), apart.shape))
    slope = b.sign(apart) * b.broadcast_to(m.rows(upstreams[0]), apart.shape)
    slope = b.select(greatest, slope, b.constant_like(slope, 0))
    first, second = b.sum(slope, (-2,)), b.neg(b.sum(slope, (-3,)))
    return m.summed(first, x1.shape), m.summed(second, x2.shape)


@operation("CdistBackward0", vjp=_along_greatest)
def _greatest_differences(x1: Value, x2: Value) -> Value:
    _check_sets(x1, x2)
    return b.max(b.abs(_differences(x1, x2)), (-1,))


def _by_products(inputs: Any, outputs: Any, upstreams: Any) -> Any:
    """As PyTorch's for larger sets: by products of matrices, so that no differences are stored."""
    x1, x2 = inputs
    same = b.eq(outputs[0], 0)
    ratio = b.select(same, 0.0, b.div(upstreams[0], b.select(same, 1.0, outputs[0])))
    found = []
    for weights, here, there in ((ratio, x1, x2), (m.adjoint(ratio), x2, x1)):
        product = m.dot(weights, there)
        own, totals = (
            b.broadcast_to(value, product.shape) for value in (here, m.rows(b.sum(weights, (-1,))))
        )
        found.append(m.summed(b.sub(own * totals, product), here.shape))
    return tuple(found)


@operation("CdistBackward0", vjp=_by_products)
def _euclidean_distances(x1: Value, x2: Value) -> Value:
    _check_sets(x1, x2)
    apart = _differences(x1, x2)
    return b.sqrt(b.sum(apart * apart, (-1,)))


@operation("CdistBackward0")
def _distances(x1: Value, x2: Value, p: float) -> Value:
    _check_sets(x1, x2)
    apart = b.abs(_differences(x1, x2))
    if p == 1.0:
        return b.sum(apart, (-1,))
    total = b.sum(apart * apart if p == 2.0 else _power(apart, p), (-1,))
    return _power(total, 1.0 / p)


def _power(x: Value, exponent: float) -> Value:
    """x ** exponent for x >= 0, with the slope 0 at 0, where it may be infinite."""
    zero = b.eq(x, 0)
    safe = b.select(zero, 1.0, x)
    return b.select(zero, 0.0, b.sqrt(safe) if exponent == 0.5 else b.pow(safe, exponent))


def cdist(
    x1: Any, x2: Any, p: float = 2.0, compute_mode: Any = "use_mm_for_euclid_dist_if_necessary"
) -> Any:
    """Distances of order ``p`` between every row of one set and every row of the other.

    All modes compute the differences, which are summed as they are made, never stored; the mode
    decides, as in PyTorch, how Euclidean distances are differentiated.
    """
    if compute_mode is not None and compute_mode not in (*_COMPUTE_MODES, 0, 1, 2):
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    # Distances of nothing are zeros, and so are the gradients.
    if p == 0 or not x1.numel() or not x2.numel():
        return _count_differences(x1, x2)
    if p == math.inf:
        return _greatest_differences(x1, x2)
    products = compute_mode in (_COMPUTE_MODES[1], 1)
    if not products and compute_mode not in (_COMPUTE_MODES[2], 2):
        products = any(x.ndim > 1 and x.shape[-2] > _FEW_ROWS for x in (x1, x2))
    if p == 2 and products:
        return _euclidean_distances(x1, x2)
    return _distances(x1, x2, float(p))


# --- all combinations -----------------------------------------------------------------------------


@operation("StackBackward0")
def _cartesian(tensors: tuple[Value, ...]) -> Value:
    for value in tensors:
        if value.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(value.shape)}")
        if value.dtype is not tensors[0].dtype:
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    shape = tuple(value.shape[0] for value in tensors)
    columns = []
    for axis, value in enumerate(tensors):
        aligned = b.reshape(value, [n if at == axis else 1 for at, n in enumerate(shape)])
        columns.append(b.reshape(b.broadcast_to(aligned, shape), (math.prod(shape), 1)))
    return b.concat(columns, 1)


def cartesian_prod(*tensors: Any) -> Any:
    """Every combination of one element from each vector, as rows; a single vector is itself."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if not tensors:
        raise RuntimeError("Require a non-empty TensorList")
    if len(tensors) > 1:
        return _cartesian(tuple(tensors))
    if tensors[0].ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(tensors[0].shape)}")
    return tensors[0]
