"""Arithmetic, comparison and selection of complex values, composed of real ops on their parts."""

from __future__ import annotations

import math

from treadle.ir import build as b
from treadle.ir.complex_values.parts import complex, each_part, parts
from treadle.ir.constants import number_of
from treadle.ir.types import float32, int32, int64
from treadle.ir.value import Value


def neg(z: Value) -> Value:
    """-z."""
    return each_part(b.neg, z)


def add(x: Value, y: Value) -> Value:
    """x + y."""
    (a, bi), (c, d) = parts(x), parts(y)
    return complex(a + c, bi + d)


def sub(x: Value, y: Value) -> Value:
    """x - y."""
    (a, bi), (c, d) = parts(x), parts(y)
    return complex(a - c, bi - d)


def _scale(x: Value, y: Value) -> Value:
    """A power of two near the greater of two magnitudes, neither 0 nor infinite.

    It is made of the bits of the exponent, so that it is exact and no gradient goes through it.
    """
    wide = x.dtype is not float32
    whole, places, greatest = (int64, 52, 2045) if wide else (int32, 23, 253)
    bits = b.maximum(*(b.bitcast(b.abs(part), whole) for part in (x, y)))
    exponent = b.minimum(b.maximum(b.shift_right(bits, places), 1), greatest)
    return b.bitcast(b.shift_left(exponent, places), x.dtype)


def abs(z: Value) -> Value:
    """The magnitude, real; without overflow or underflow on the way, its slope at 0 is 0."""
    real, imag = parts(z)
    scale = _scale(real, imag)
    inverse = b.reciprocal(scale)
    square = _sum_of_squares(real * inverse, imag * inverse)
    zero = b.eq(square, 0.0)
    size = b.select(zero, 0.0, b.sqrt(b.select(zero, 1.0, square)) * scale)
    infinite = b.logical_or(*(b.eq(b.abs(part), math.inf) for part in (real, imag)))
    return b.select(infinite, math.inf, size)


def _sum_of_squares(x: Value, y: Value) -> Value:
    return x * x + y * y


def sign(z: Value) -> Value:
    """z / |z|, 0 at 0."""
    real, imag = parts(z)
    size = abs(z)
    zero = b.eq(size, 0.0)
    size = b.select(zero, 1.0, size)
    return complex(b.select(zero, 0.0, real / size), b.select(zero, 0.0, imag / size))


def mul(x: Value, y: Value) -> Value:
    """(a + ib)(c + id); a real factor scales both parts."""
    if x.dtype.kind != "c":
        x, y = y, x
    if y.dtype.kind != "c":
        return complex(*(part * y for part in parts(x)))
    (a, bi), (c, d) = parts(x), parts(y)
    return complex(a * c - bi * d, a * d + bi * c)


def div(x: Value, y: Value) -> Value:
    """(a + ib) / (c + id), scaled by a power of two so that no square overflows."""
    (real, imag), (c, d) = parts(x), parts(y)
    if number_of(d) == 0:
        return complex(real / c, imag / c)
    inverse = b.reciprocal(_scale(c, d))
    real, imag, c, d = (part * inverse for part in (real, imag, c, d))
    square = _sum_of_squares(c, d)
    return complex((real * c + imag * d) / square, (imag * c - real * d) / square)


def eq(x: Value, y: Value) -> Value:
    """Both parts are equal."""
    (a, bi), (c, d) = parts(x), parts(y)
    return b.logical_and(b.eq(a, c), b.eq(bi, d))


def ne(x: Value, y: Value) -> Value:
    """A part differs."""
    (a, bi), (c, d) = parts(x), parts(y)
    return b.logical_or(b.ne(a, c), b.ne(bi, d))


def select(condition: Value, yes: Value, no: Value) -> Value:
    """``yes`` where the condition holds, else ``no``."""
    (a, bi), (c, d) = parts(yes), parts(no)
    return complex(b.select(condition, a, c), b.select(condition, bi, d))
