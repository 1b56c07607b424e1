"""Matrices as values, the last two axes: parts of them and arrangements, built from primitives.

Leading axes are a batch. Complex matrices work as real ones do.
"""

from __future__ import annotations

from collections.abc import Sequence

from treadle.ir import build as b
from treadle.ir.types import Shape, contiguous_strides, int64
from treadle.ir.value import Value


def adjoint(x: Value) -> Value:
    """Transposed and conjugated."""
    return b.transpose(b.conj(x))


def offsets(x: Value) -> Value:
    """Column minus row, for every element of a matrix."""
    shape, device = x.shape[-2:], x.type.device
    return b.sub(b.iota(shape, 1, int64, device), b.iota(shape, 0, int64, device))


def lower(x: Value, diagonal: int = 0) -> Value:
    """Elements on and below a diagonal, zeros above it."""
    return b.select(b.le(offsets(x), diagonal), x, b.constant_like(x, 0))


def upper(x: Value, diagonal: int = 0) -> Value:
    """Elements on and above a diagonal, zeros below it."""
    return b.select(b.ge(offsets(x), diagonal), x, b.constant_like(x, 0))


def unit_like(x: Value) -> Value:
    """Ones on the diagonal of a batch of matrices like x, zeros elsewhere."""
    unit = b.cast(b.eq(offsets(x), 0), x.dtype)
    return b.broadcast_to(unit, x.shape)


def diagonal(x: Value) -> Value:
    """The diagonal, along the last axis."""
    stride = contiguous_strides(x.shape)
    size = (*x.shape[:-2], min(x.shape[-2:]))
    if x.dtype.is_complex:
        parts = b.view_as_real(x)
        strides = contiguous_strides(parts.shape)
        both = b.as_strided(parts, (*size, 2), (*strides[:-3], strides[-3] + 2, 1), 0)
        return b.view_as_complex(both)
    return b.as_strided(x, size, (*stride[:-2], stride[-2] + 1), 0)


def with_diagonal(x: Value) -> Value:
    """Square matrices with the last axis as diagonal, zeros elsewhere."""
    shape = (*x.shape, x.shape[-1])
    wide = b.broadcast_to(b.reshape(x, (*x.shape, 1)), shape)
    return b.select(b.eq(offsets(wide), 0), wide, b.constant_like(wide, 0))


def part_of(z: Value, number: int) -> Value:
    """The real (0) or imaginary (1) part of complex elements."""
    pairs = b.view_as_real(z)
    starts = [0] * z.ndim + [number]
    return b.reshape(b.slice(pairs, starts, (*z.shape, number + 1)), z.shape)


def columns(x: Value) -> Value:
    """Numbers along the last axis, one for each column of a matrix."""
    return b.reshape(x, (*x.shape[:-1], 1, x.shape[-1]))


def rows(x: Value) -> Value:
    """Numbers along the last axis, one for each row of a matrix."""
    return b.reshape(x, (*x.shape, 1))


def part(x: Value, row: slice, column: slice) -> Value:
    """A block of every matrix."""
    bounds = [row.indices(x.shape[-2]), column.indices(x.shape[-1])]
    batch = x.shape[:-2]
    starts = [0] * len(batch) + [bound[0] for bound in bounds]
    return b.slice(x, starts, (*batch, *(bound[1] for bound in bounds)))


def blocks(table: Sequence[Sequence[Value]]) -> Value:
    """Matrices put together from rows of blocks."""
    return b.concat([b.concat(row, row[0].ndim - 1) for row in table], table[0][0].ndim - 2)


def dot(x: Value, *others: Value) -> Value:
    """Product of matrices from left to right; batches broadcast."""
    found = x
    for other in others:
        batch = b.broadcast_shapes(found.shape[:-2], other.shape[:-2])
        found = b.dot(
            b.broadcast_to(found, (*batch, *found.shape[-2:])),
            b.broadcast_to(other, (*batch, *other.shape[-2:])),
        )
    return found


def like(x: Value, shape: Shape, value: float = 0) -> Value:
    """A constant with the dtype and device of x."""
    return b.full(shape, value, x.dtype, x.type.device)


def summed(g: Value, shape: Shape) -> Value:
    """A gradient summed over the axes that were broadcast."""
    batch = g.ndim - len(shape)
    g = b.sum(g, tuple(range(batch))) if batch else g
    repeated = [axis for axis, extent in enumerate(shape) if g.shape[axis] != extent]
    return b.sum(g, repeated, keepdim=True) if repeated else g


def solve_triangular(
    a: Value, right: Value, upper: bool, left: bool = True, unit: bool = False
) -> Value:
    """X with a X = right, or X a = right unless ``left``."""
    if not left:
        turned = solve_triangular(b.transpose(a), b.transpose(right), not upper, True, unit)
        return b.transpose(turned)
    return b.library("solve_triangular", [a, right], upper, unit)[0]


def squares(x: Value) -> Value:
    """|x|^2 of every element."""
    if not x.dtype.is_complex:
        return x * x
    real, imag = part_of(x, 0), part_of(x, 1)
    return b.add(real * real, imag * imag)
