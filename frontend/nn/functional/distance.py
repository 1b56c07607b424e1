"""Distances and similarities of vectors."""

from __future__ import annotations

import math
from typing import Any

from treadle.ir import build as b
from treadle.ir.gradients import vjp
from treadle.ir.types import float64, int64
from treadle.ir.value import Value
from treadle.nn.functional.arguments import axis_of, check_floating
from treadle.nn.functional.precision import operation
from treadle.promotion import as_float, promoted
from treadle.tensor import Tensor
from treadle.utils.typename import scalar_type

Values = tuple[Value, ...]


def length(x: Value, p: float, axes: tuple[int, ...], keepdim: bool = False) -> Value:
    """The p-norm over axes, whose slope is 0 where it is 0."""
    size = b.abs(x)
    if p == math.inf:
        return b.max(size, axes, keepdim)
    if p == -math.inf:
        return b.min(size, axes, keepdim)
    if p == 0.0:
        return b.sum(b.cast(b.ne(x, 0.0), x.dtype), axes, keepdim)
    if p == 1.0:
        return b.sum(size, axes, keepdim)
    # Powers and roots have no slope at 0, so that nothing is differentiated there.
    if p == 2.0:
        total = b.sum(x * x, axes, keepdim)
    else:
        nothing = b.eq(size, 0.0)
        powers = b.pow(b.select(nothing, 1.0, size), p)
        total = b.sum(b.select(nothing, math.inf if p < 0.0 else 0.0, powers), axes, keepdim)
    zero = b.eq(total, 0.0)
    positive = b.select(zero, 1.0, total)
    return b.select(zero, 0.0, b.sqrt(positive) if p == 2.0 else b.pow(positive, 1.0 / p))


def _similarity(x1: Value, x2: Value, dim: int, eps: float) -> Value:
    x, y = promoted(x1, x2)
    if x.dtype.kind not in "fc":
        raise RuntimeError(
            "expected common dtype to be floating point, yet common dtype is "
            f"{scalar_type(x.dtype)}"
        )
    shape = b.broadcast_shapes(x.shape, y.shape)
    x, y = b.broadcast_to(x, shape), b.broadcast_to(y, shape)
    axis = axis_of(dim, len(shape))

    def unit(z: Value) -> Value:
        size = length(z, 2.0, (axis,), keepdim=True) if shape else b.abs(z)
        return z / b.select(b.ge(size, eps), size, eps)

    return b.sum(unit(x) * unit(y), (axis,) if shape else ())


_cosine_similarity = operation("SumBackward1")(_similarity)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The inner product along ``dim`` over both lengths, which are at least ``eps``."""
    return _cosine_similarity(x1, x2, dim, float(eps))


def pairwise_value(x1: Value, x2: Value, p: float, eps: float, keepdim: bool = False) -> Value:
    """The p-norm of x1 - x2 + eps along the last axis."""
    x, y = promoted(x1, x2)
    difference = as_float(x - y) + eps
    if not difference.ndim:
        return b.abs(difference)
    return length(difference, p, (difference.ndim - 1,), keepdim)


_pairwise_distance = operation("NormBackward1")(pairwise_value)


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of x1 - x2 along the last axis; ``eps`` is added to every difference."""
    return _pairwise_distance(x1, x2, float(p), float(eps), keepdim)


def _pairs(count: int, device: Any) -> tuple[Value, Value]:
    """Row numbers i < j of every pair, in the order of rows of the upper triangle.

    PyTorch's inversion of k = i * n - i * (i + 1) / 2 + j - i - 1 (ATen/native/cpu/DistanceOps).
    """
    total = count * (count - 1) // 2
    k = b.iota((total,), 0, int64, device)
    half = count - 0.5
    root = b.sqrt(half * half - b.cast(k, float64) * 2.0 - 1.0)
    i = b.cast(b.sub(half, root), int64)
    before = i * count - b.div(i * (i + 1), 2)
    return i, k - before + i + 1


def _pdist_vjp(
    inputs: Values, outputs: Values, upstreams: Values, *, p: float
) -> tuple[Value | None]:
    (found,) = vjp([_pdist_value(inputs[0], p)], inputs, upstreams)
    # No pairs, or numbers of different elements, are flat.
    return (b.constant_like(inputs[0], 0.0) if found is None else found,)


def _pdist_value(input: Value, p: float) -> Value:
    check_floating("pdist", input)
    rows, columns = input.shape
    total = rows * (rows - 1) // 2
    if not total or not columns:
        return b.full((total,), 0.0, input.dtype, input.type.device)
    first, second = _pairs(rows, input.type.device)

    def taken(index: Value) -> Value:
        return b.gather(input, b.broadcast_to(b.reshape(index, (total, 1)), (total, columns)), 0)

    difference = taken(first) - taken(second)
    return length(difference, p, (1,))


_pdist = operation("PdistBackward0", vjp=_pdist_vjp)(_pdist_value)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """p-norms of the differences of every two rows of [N, M] -> [N * (N - 1) / 2]."""
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    return _pdist(input, float(p))
