"""Movement of complex values, and what is summed, contracted or addressed by part."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence

from treadle.ir import build as b
from treadle.ir.complex_values.arithmetic import mul
from treadle.ir.complex_values.parts import complex, each_part, known_parts, parts
from treadle.ir.errors import UnsupportedDTypeError
from treadle.ir.types import ComplexScalar
from treadle.ir.value import Value

# -- movement ------------------------------------------------------------------------------------


def _moved(z: Value, move: Callable[[Value], Value], move_pair: Callable[[Value], Value]) -> Value:
    """Parts moved each for itself where they are known, else as a pair, in one op."""
    known = known_parts(z)
    if known is not None:
        return complex(*map(move, known))
    return b.view_as_complex(move_pair(b.view_as_real(z)))


def reshape(z: Value, shape: Sequence[int]) -> Value:
    """The same elements under another shape."""
    return _moved(z, lambda x: b.reshape(x, shape), lambda x: b.reshape(x, (*shape, 2)))


def permute(z: Value, dims: Sequence[int]) -> Value:
    """Axes reordered."""
    return _moved(z, lambda x: b.permute(x, dims), lambda x: b.permute(x, (*dims, len(dims))))


def broadcast_to(z: Value, shape: Sequence[int]) -> Value:
    """Expanded to a shape."""
    return _moved(z, lambda x: b.broadcast_to(x, shape), lambda x: b.broadcast_to(x, (*shape, 2)))


def slice(
    z: Value, starts: Sequence[int], stops: Sequence[int], steps: Sequence[int] | None = None
) -> Value:
    """The elements start, start + step, ... below stop along every axis."""
    steps = steps or (1,) * z.ndim
    return _moved(
        z,
        lambda x: b.slice(x, starts, stops, steps),
        lambda x: b.slice(x, (*starts, 0), (*stops, 2), (*steps, 1)),
    )


def flip(z: Value, dims: Sequence[int]) -> Value:
    """Reversed along axes."""
    return _moved(z, lambda x: b.flip(x, dims), lambda x: b.flip(x, dims))


def as_strided(z: Value, size: Sequence[int], stride: Sequence[int], offset: int) -> Value:
    """A strided view of the row-major elements."""
    return _moved(
        z,
        lambda x: b.as_strided(x, size, stride, offset),
        lambda x: b.as_strided(x, (*size, 2), (*(2 * s for s in stride), 1), 2 * offset),
    )


def view_update(
    base: Value, part: Value, size: Sequence[int], stride: Sequence[int], offset: int
) -> Value:
    """``base`` with a strided view replaced; the pairs are, so that it is done in place."""
    pairs = b.view_update(
        b.view_as_real(base),
        b.view_as_real(part),
        (*size, 2),
        (*(2 * step for step in stride), 1),
        2 * offset,
    )
    return b.view_as_complex(pairs)


def pad(
    z: Value,
    low: Sequence[int],
    high: Sequence[int],
    interior: Sequence[int] | None = None,
    value: ComplexScalar = 0,
) -> Value:
    """Surrounded and interspersed by a number."""
    number = builtins.complex(value)
    real, imag = parts(z)
    return complex(
        b.pad(real, low, high, interior, number.real), b.pad(imag, low, high, interior, number.imag)
    )


def concat(values: Sequence[Value], axis: int) -> Value:
    """Joined along an axis."""
    if all(known_parts(z) is not None for z in values):
        real, imag = zip(*map(parts, values), strict=True)
        return complex(b.concat(real, axis), b.concat(imag, axis))
    return b.view_as_complex(b.concat([b.view_as_real(z) for z in values], axis))


def windows(z: Value, *options: object) -> Value:
    """Sliding windows along axes."""
    return each_part(b.windows, z, *options)


def fold(z: Value, *options: object) -> Value:
    """Window elements added back."""
    return each_part(b.fold, z, *options)


# -- reductions, contractions, indexing ----------------------------------------------------------


def sum(z: Value, dims: Sequence[int] | None = None, keepdim: bool = False) -> Value:
    """The sum over axes."""
    return each_part(b.sum, z, dims, keepdim)


def cumsum(z: Value, axis: int, reverse: bool = False) -> Value:
    """The sums of all elements up to each."""
    return each_part(b.cumsum, z, axis, reverse)


def prod(z: Value, dims: Sequence[int] | None = None, keepdim: bool = False) -> Value:
    """The product over axes, halves multiplied until one element is left."""
    axes = sorted(range(z.ndim) if dims is None else {axis % z.ndim for axis in dims})
    if not axes:
        return z
    kept = [axis for axis in range(z.ndim) if axis not in axes]
    shape = tuple(z.shape[axis] for axis in kept)
    rows = b.reshape(b.permute(z, (*kept, *axes)), (*shape, math.prod(z.shape[a] for a in axes)))
    while rows.shape[-1] != 1:
        count = rows.shape[-1]
        half = (count + 1) // 2
        if count == 0 or count % 2:
            grown = [0] * len(shape) + [1]
            rows, half = pad(rows, [0] * rows.ndim, grown, value=1), builtins.max(half, 1)
        if count == 0:
            break
        zeros = [0] * len(shape)
        first = b.slice(rows, (*zeros, 0), (*shape, half))
        second = b.slice(rows, (*zeros, half), (*shape, 2 * half))
        rows = mul(first, second)
    extents = [1 if axis in axes else extent for axis, extent in enumerate(z.shape)]
    return b.reshape(rows, extents if keepdim else shape)


def cumprod(z: Value, axis: int, reverse: bool = False) -> Value:
    """The products of all elements up to each, in doubling steps (Hillis and Steele, 1986)."""
    axis %= z.ndim
    reach = 1
    while reach < z.shape[axis]:
        low = [(-reach if reverse else reach) if a == axis else 0 for a in range(z.ndim)]
        z = mul(z, pad(z, low, [-n for n in low], value=1))
        reach *= 2
    return z


def _product(build: Callable[..., Value], x: Value, y: Value, *args: object) -> Value:
    """A contraction: four of the parts."""
    (a, bi), (c, d) = parts(x), parts(y)
    real = build(a, c, *args) - build(bi, d, *args)
    return complex(real, build(a, d, *args) + build(bi, c, *args))


def dot(x: Value, y: Value) -> Value:
    """[..., m, k] times [..., k, n]."""
    return _product(b.dot, x, y)


def conv(x: Value, w: Value, *options: object) -> Value:
    """Cross-correlation; no operand is conjugated."""
    return _product(b.conv, x, w, *options)


def gather(data: Value, index: Value, axis: int) -> Value:
    """The element of ``data`` at ``index`` along an axis."""
    return each_part(b.gather, data, index, axis)


def scatter(data: Value, index: Value, source: Value, axis: int, combine: str) -> Value:
    """Parts scattered each for itself; only ``set`` and ``add`` allow it."""
    if combine not in ("set", "add"):
        raise UnsupportedDTypeError(f"scatter by {combine}", data.dtype)
    (real, imag), (first, second) = parts(data), parts(source)
    return complex(
        b.scatter(real, index, first, axis, combine), b.scatter(imag, index, second, axis, combine)
    )
