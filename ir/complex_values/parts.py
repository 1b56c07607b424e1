"""The parts of complex values: taken apart, put together, and whole functions of each part."""

from __future__ import annotations

import builtins
from collections.abc import Callable

from treadle.ir import build as b
from treadle.ir.ops.movement import CONCAT, RESHAPE, VIEW_AS_COMPLEX
from treadle.ir.types import CPU, ComplexScalar, Device, DType, bool_
from treadle.ir.value import Value

Pair = tuple[Value, Value]


def complex(real: Value, imag: Value) -> Value:
    """The complex value of two parts of one type."""
    shape = (*real.shape, 1)
    pair = b.concat([b.reshape(real, shape), b.reshape(imag, shape)], real.ndim)
    return b.view_as_complex(pair)


def known_parts(z: Value) -> Pair | None:
    """The parts that a value was made of, None where it was read from memory."""
    if z.op is not VIEW_AS_COMPLEX or z.inputs[0].op is not CONCAT:
        return None
    (axis,) = z.inputs[0].attrs
    parts = z.inputs[0].inputs
    if axis != z.ndim or len(parts) != 2 or parts[0].shape[-1] != 1:
        return None
    real, imag = (_without_last(part, z.shape) for part in parts)
    return real, imag


def _without_last(x: Value, shape: tuple[int, ...]) -> Value:
    return x.inputs[0] if x.op is RESHAPE and x.inputs[0].shape == shape else b.reshape(x, shape)


def parts(z: Value) -> Pair:
    """Real and imaginary part; the latter is zero where the value is real."""
    if z.dtype.kind != "c":
        return z, b.constant_like(z, 0.0)
    known = known_parts(z)
    if known is not None:
        return known
    pair = b.view_as_real(z)
    zeros = (0,) * z.ndim
    real, imag = (b.slice(pair, (*zeros, n), (*z.shape, n + 1)) for n in (0, 1))
    return b.reshape(real, z.shape), b.reshape(imag, z.shape)


def constant(value: ComplexScalar, dtype: DType, device: Device = CPU) -> Value:
    """A 0-d constant."""
    number = builtins.complex(value)
    real = dtype.to_real()
    return complex(b.constant(number.real, real, device), b.constant(number.imag, real, device))


def cast(x: Value, dtype: DType) -> Value:
    """From, to or between complex dtypes; the imaginary part is dropped or zero."""
    if x.dtype.kind != "c":
        real = b.cast(x, dtype.to_real())
        return complex(real, b.constant_like(real, 0.0))
    if dtype is bool_:
        return b.logical_or(*(b.cast(part, bool_) for part in parts(x)))
    real, imag = parts(x)
    if dtype.kind != "c":
        return b.cast(real, dtype)
    return complex(b.cast(real, dtype.to_real()), b.cast(imag, dtype.to_real()))


def each_part(build: Callable[..., Value], z: Value, *args: object) -> Value:
    """A builder applied to both parts alike."""
    real, imag = parts(z)
    return complex(build(real, *args), build(imag, *args))
