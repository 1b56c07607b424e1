"""The bits of elements read as another type, wider or narrower, in little-endian order.

Builders over existing ops: casts between integers keep the low bits, shifts place the bytes.
"""

from __future__ import annotations

from treadle.ir import build as b
from treadle.ir.types import DType, bool_, int8, int16, int32, int64
from treadle.ir.value import Value

_INTEGERS = {1: int8, 2: int16, 4: int32, 8: int64}


def reinterpret(x: Value, dtype: DType) -> Value:
    """The bits of real elements as ``dtype``; the last axis grows or shrinks with its size.

    The last extent must be divisible where elements get wider. bool holds 0 or 1.
    """
    bits = _integer_bits(x)
    have, want = x.dtype.itemsize, dtype.itemsize
    if have > want:
        shape = (*x.shape[:-1], x.shape[-1] * (have // want))
        return _from_bits(b.reshape(_split(bits, want), shape), dtype)
    return _from_bits(bits if have == want else _join(bits, dtype), dtype)


def _integer_bits(x: Value) -> Value:
    """The elements as signed integers of their size."""
    if x.dtype is bool_:
        return b.cast(x, int8)
    wanted = _INTEGERS[x.dtype.itemsize]
    return x if x.dtype is wanted else b.bitcast(x, wanted)


def _from_bits(x: Value, dtype: DType) -> Value:
    if dtype is bool_:
        return b.ne(x, 0)
    return x if x.dtype is dtype else b.bitcast(x, dtype)


def _split(x: Value, size: int) -> Value:
    """Each integer as several of ``size`` bytes, the low ones first, along a new last axis."""
    narrow = _INTEGERS[size]
    count = x.dtype.itemsize // size
    # Casts between integers keep the low bits.
    parts = [b.cast(_low_bits(b.shift_right(x, 8 * size * n), size), narrow) for n in range(count)]
    return b.concat([b.reshape(part, (*x.shape, 1)) for part in parts], x.ndim)


def _low_bits(x: Value, size: int) -> Value:
    """The low ``size`` bytes as a signed number, so that converting it loses nothing."""
    unused = 8 * (x.dtype.itemsize - size)
    return b.shift_right(b.shift_left(x, unused), unused)


def _join(x: Value, dtype: DType) -> Value:
    """Groups of integers along the last axis as one wider integer, the low ones first."""
    count = dtype.itemsize // x.dtype.itemsize
    wide = _INTEGERS[dtype.itemsize]
    grouped = b.reshape(x, (*x.shape[:-1], x.shape[-1] // count, count))
    bits = 8 * x.dtype.itemsize
    total: Value | None = None
    for n in range(count):
        starts = (*(0,) * (grouped.ndim - 1), n)
        part = b.reshape(b.slice(grouped, starts, (*grouped.shape[:-1], n + 1)), grouped.shape[:-1])
        word = b.cast(part, wide)
        if n < count - 1:
            word = b.logical_and(word, (1 << bits) - 1)
        word = b.shift_left(word, bits * n)
        total = word if total is None else b.logical_or(total, word)
    assert total is not None
    return total
