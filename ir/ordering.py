"""Order of elements of any dtype, made of the sort of integers: sorted values, positions, ranks.

NaN is greater than all, zeros are equal. Sorting n elements of up to 32 bits with their positions
sorts n 64-bit words, in O(n log n); elements of 64 bits are sorted twice, by half of them each.
"""

from __future__ import annotations

from collections.abc import Callable

from treadle.ir import build as b
from treadle.ir.ops.scan import CUMMAX, CUMMIN
from treadle.ir.types import (
    NARROW_FLOATS,
    DType,
    bool_,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint32,
)
from treadle.ir.value import Value

_WORD = 32
_MASK = (1 << _WORD) - 1
# Rows of so many elements are sorted in one kernel, and of so many in registers.
_BLOCK = 2048
_SHORT = 16
_NARROW_BITS = {bool_: 2, int8: 8, uint8: 9, int16: 16}  # of a signed number that holds them


def key(x: Value, zeros_equal: bool = True) -> Value:
    """Integers (i32 or i64) in the order of x; without ``zeros_equal`` -0.0 is below 0.0."""
    if x.dtype in _NARROW_BITS:
        return b.cast(x, int32)
    if x.dtype is uint32:
        return b.logical_xor(b.bitcast(x, int32), -(1 << 31))
    if not x.dtype.is_floating_point:
        return x
    if x.dtype in NARROW_FLOATS:
        x = b.cast(x, float32)
    kept = b.select(b.eq(x, 0.0), 0.0, x) if zeros_equal else x
    bits = b.bitcast(kept, int64 if x.dtype is float64 else int32)
    return b.select(b.ne(x, x), _greatest(bits.dtype), _negative_reversed(bits))


def _greatest(dtype: DType) -> int:
    return (1 << (8 * dtype.itemsize - 1)) - 1


def _negative_reversed(bits: Value) -> Value:
    """Of a float's bits, whose sign comes with a magnitude, a number in two's complement."""
    greatest = _greatest(bits.dtype)
    return b.select(b.lt(bits, 0), b.logical_xor(bits, greatest), bits)


def _of_key(keys: Value, dtype: DType) -> Value:
    """The elements that keys without equal zeros were made of."""
    if dtype is uint32:
        return b.bitcast(b.logical_xor(keys, -(1 << 31)), dtype)
    if not dtype.is_floating_point:
        return b.cast(keys, dtype)
    bits = _negative_reversed(keys)
    return b.cast(b.bitcast(bits, float64 if bits.dtype is int64 else float32), dtype)


def _along_last(x: Value, axis: int, do: Callable[[Value], Value]) -> Value:
    """What a function makes of rows, for rows along any axis."""
    order = [at for at in range(x.ndim) if at != axis] + [axis]
    back = sorted(range(x.ndim), key=order.__getitem__)
    return b.permute(do(b.permute(x, order)), back)


def sorted_values(x: Value, axis: int, descending: bool = False) -> Value:
    """The elements in order along an axis, without their positions: half the work of those."""

    def rows(moved: Value) -> Value:
        keys = key(moved, zeros_equal=False)
        ordered = b.logical_not(b.sort(b.logical_not(keys))) if descending else b.sort(keys)
        return _of_key(ordered, x.dtype)

    return x if x.ndim == 0 else _along_last(x, axis % x.ndim, rows)


def argsort(x: Value, axis: int, descending: bool = False) -> Value:
    """Positions (i64) of the elements in order along an axis; equal ones keep their order."""

    def rows(moved: Value) -> Value:
        keys = key(moved)
        return _argsort(b.logical_not(keys) if descending else keys, _bits(x.dtype))

    if x.ndim == 0:
        return b.constant(0, int64, x.type.device)
    return _along_last(x, axis % x.ndim, rows)


def first_positions(x: Value, axis: int, count: int, descending: bool = False) -> Value:
    """The first ``count`` entries of ``argsort``; of long rows only few elements are sorted twice.

    The first of every block are the only ones that can be among the first of all.
    """

    def rows(moved: Value) -> Value:
        keys = key(moved)
        bits = _bits(x.dtype)
        keys = b.logical_not(keys) if descending else keys
        if bits > _WORD or 2 * count > _BLOCK:
            return _leading(_argsort(keys, bits), count)
        words, mask = _words(keys, bits)
        # Short blocks cost least, but leave more.
        short = max(_SHORT, 1 << (4 * count - 1).bit_length())
        if words.shape[-1] > 4 * short and short < _BLOCK:
            words = _first_of_blocks(words, count, short)
        while words.shape[-1] > _BLOCK:
            words = _first_of_blocks(words, count, _BLOCK)
        return b.cast(b.logical_and(_leading(b.sort(words), count), mask), int64)

    return _along_last(x, axis % x.ndim, rows)


def _leading(x: Value, count: int) -> Value:
    return b.slice(x, [0] * x.ndim, (*x.shape[:-1], count))


def _first_of_blocks(words: Value, count: int, size: int) -> Value:
    *outer, length = words.shape
    blocks = -(-length // size)
    high = [0] * len(outer) + [blocks * size - length]
    padded = b.pad(words, [0] * words.ndim, high, value=_greatest(words.dtype))
    ordered = b.sort(b.reshape(padded, (*outer, blocks, size)))
    return b.reshape(_leading(ordered, count), (*outer, blocks * count))


def _bits(dtype: DType) -> int:
    return _NARROW_BITS.get(dtype, max(8 * dtype.itemsize, _WORD))


def _argsort(keys: Value, bits: int) -> Value:
    """Positions of keys of so many bits in order along the last axis."""
    if bits <= _WORD:
        return _sorted_positions(keys, bits)
    # As a radix sort by two digits: by the low half, then by the high one, which is stable.
    low = b.sub(b.logical_and(keys, _MASK), 1 << (_WORD - 1))
    first = _sorted_positions(low, _WORD)
    high = b.gather(b.shift_right(keys, _WORD), first, -1)
    return b.gather(first, _sorted_positions(high, _WORD), -1)


def _sorted_positions(keys: Value, bits: int) -> Value:
    words, mask = _words(keys, bits)
    return b.cast(b.logical_and(b.sort(words), mask), int64)


def _words(keys: Value, bits: int) -> tuple[Value, int]:
    """Numbers that hold a key of so many bits and, below it, its position; the position's mask."""
    below = max((keys.shape[-1] - 1).bit_length(), 1)
    word, shift = (int32, below) if bits + below <= _WORD else (int64, _WORD)
    places = b.iota(keys.shape, keys.ndim - 1, word, keys.type.device)
    words = b.logical_or(b.shift_left(b.cast(keys, word), shift), places)
    return words, (1 << shift) - 1


def extreme_positions(running: Value) -> Value:
    """Where each element of a ``cummax`` or ``cummin`` comes from: the last of equal ones."""
    assert running.op in (CUMMAX, CUMMIN)
    x = running.inputs[0]
    axis, reverse = running.attrs
    here = b.eq(x, running)
    if x.dtype.is_floating_point:
        here = b.logical_or(here, b.ne(x, x))
    places = b.iota(x.shape, axis, int64, x.type.device)
    if reverse:
        return b.cummin(b.select(here, places, max(x.shape[axis] - 1, 0)), axis, True)
    return b.cummax(b.select(here, places, 0), axis)
