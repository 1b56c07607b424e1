"""Discrete Fourier transforms: ``treadle.fft``.

A transform is a library call among kernels; padding, scaling and conjugation around it fuse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from treadle.device import device_of
from treadle.functions.rearranging import roll
from treadle.ir import build as b
from treadle.ir.types import DType
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.out_argument import accepts_out
from treadle.promotion import as_float, default_dtype, scalar_name
from treadle.tensor import Tensor, from_array

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "hfft2", "hfftn", "ifft", "ifft2",
    "ifftn", "ifftshift", "ihfft", "ihfft2", "ihfftn", "irfft", "irfft2", "irfftn", "rfft",
    "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip

Sizes = Sequence[int] | None
Dims = Sequence[int] | None


# --- arguments ------------------------------------------------------------------------------------


def _floats(x: Value) -> Value:
    if x.dtype.kind == "f" and x.dtype.itemsize < 4:
        raise RuntimeError(f"Unsupported dtype {scalar_name(x.dtype)}")
    return as_float(x)


def _complex(x: Value) -> Value:
    x = _floats(x)
    return b.cast(x, x.dtype.to_complex())


def _real(x: Value, name: str) -> Value:
    if x.dtype.is_complex:
        raise RuntimeError(f"{name} expects a real input tensor, but got {scalar_name(x.dtype)}")
    return _floats(x)


def _axis(dim: int, rank: int) -> int:
    if not rank:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    if not -rank <= dim < rank:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but got "
            f"{dim})"
        )
    return dim % rank


def _layout(x: Value, s: Sizes, dim: Dims) -> tuple[tuple[int, ...], list[int]]:
    """The axes to transform and the extents they are given; -1 keeps an axis as it is."""
    if dim is not None:
        axes = [_axis(axis, x.ndim) for axis in dim]
        if len(set(axes)) < len(axes):
            raise RuntimeError("FFT dims must be unique")
        if s is not None and len(s) != len(axes):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
    elif s is not None:
        if len(s) > x.ndim:
            raise RuntimeError(
                f"Got shape with {len(s)} values but input tensor only has {x.ndim} dimensions."
            )
        axes = list(range(x.ndim - len(s), x.ndim))
    else:
        axes = list(range(x.ndim))
    given = [-1] * len(axes) if s is None else list(s)
    sizes = [x.shape[axis] if size == -1 else size for axis, size in zip(axes, given, strict=True)]
    return tuple(axes), sizes


def _refuse_empty(sizes: Sequence[int]) -> None:
    for size in sizes:
        if size < 1:
            raise RuntimeError(f"Invalid number of data points ({size}) specified")


def _resized(x: Value, axes: Sequence[int], sizes: Sequence[int]) -> Value:
    """Axes cut, or continued with zeros."""
    high = [0] * x.ndim
    for axis, size in zip(axes, sizes, strict=True):
        high[axis] = size - x.shape[axis]
    return b.pad(x, [0] * x.ndim, high)


def _scaled(x: Value, norm: str | None, count: int, inverse: bool) -> Value:
    """By the number of data points, where the norm puts it."""
    if norm not in (None, "backward", "ortho", "forward"):
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    if norm == "ortho":
        return x * (1.0 / math.sqrt(count))
    return x * (1.0 / count) if (norm == "forward") != inverse else x


# --- the three kinds ------------------------------------------------------------------------------


@operation("FftC2CBackward0")
def _whole(x: Value, s: Sizes, dim: Dims, norm: str | None, inverse: bool) -> Value:
    x = _complex(x)
    axes, sizes = _layout(x, s, dim)
    _refuse_empty(sizes)
    count = math.prod(sizes)
    if not axes:
        return x
    found = b.library("fft", [_resized(x, axes, sizes)], axes, inverse)[0]
    return _scaled(found, norm, count, inverse)


@operation("FftR2CBackward0")
def _half(x: Value, s: Sizes, dim: Dims, norm: str | None, inverse: bool, name: str) -> Value:
    """Of real numbers: the half of the last axis that determines the rest."""
    x = _real(x, name)
    axes, sizes = _layout(x, s, dim)
    if not axes:
        raise RuntimeError(f"{name} must transform at least one axis")
    _refuse_empty(sizes)
    found = b.library("rfft", [_resized(x, axes, sizes)], axes)[0]
    return _scaled(b.conj(found) if inverse else found, norm, math.prod(sizes), inverse)


@operation("FftC2RBackward0")
def _back(x: Value, s: Sizes, dim: Dims, norm: str | None, inverse: bool, name: str) -> Value:
    """To real numbers, of the half that determines the rest."""
    x = _complex(x)
    axes, sizes = _layout(x, s, dim)
    if not axes:
        raise RuntimeError(f"{name} must transform at least one axis")
    if s is None or s[-1] == -1:
        sizes[-1] = 2 * (x.shape[axes[-1]] - 1)
    _refuse_empty(sizes)
    half = _resized(x, axes, [*sizes[:-1], sizes[-1] // 2 + 1])
    found = b.library("irfft", [half if inverse else b.conj(half)], axes, sizes[-1])[0]
    return _scaled(found, norm, math.prod(sizes), inverse)


def _one(n: int | None) -> Sizes:
    return None if n is None else (n,)


def _tuple(items: Any) -> Any:
    return (items,) if isinstance(items, int) else None if items is None else tuple(items)


# --- one axis -------------------------------------------------------------------------------------


@accepts_out
def fft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """Transform along an axis of ``n`` points."""
    return _whole(input, _one(n), (dim,), norm, False)


@accepts_out
def ifft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """Inverse transform along an axis."""
    return _whole(input, _one(n), (dim,), norm, True)


@accepts_out
def rfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """Transform of real numbers along an axis: the n // 2 + 1 first frequencies."""
    return _half(input, _one(n), (dim,), norm, False, "rfft")


@accepts_out
def irfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """Inverse of ``rfft``; the result has ``n`` elements, an even number by default."""
    return _back(input, _one(n), (dim,), norm, True, "irfft")


@accepts_out
def hfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """Transform, to real numbers, of a signal given by one half of it."""
    return _back(input, _one(n), (dim,), norm, False, "hfft")


@accepts_out
def ihfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """Inverse of ``hfft``."""
    return _half(input, _one(n), (dim,), norm, True, "ihfft")


# --- several axes ---------------------------------------------------------------------------------


@accepts_out
def fftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """Transform along several axes, by default all."""
    return _whole(input, _tuple(s), _tuple(dim), norm, False)


@accepts_out
def ifftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """Inverse transform along several axes, by default all."""
    return _whole(input, _tuple(s), _tuple(dim), norm, True)


@accepts_out
def rfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """Transform of real numbers along several axes, the last of them by half."""
    return _half(input, _tuple(s), _tuple(dim), norm, False, "rfftn")


@accepts_out
def irfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """Inverse of ``rfftn``."""
    return _back(input, _tuple(s), _tuple(dim), norm, True, "irfftn")


@accepts_out
def hfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """``hfft`` along several axes, the last of them given by half."""
    return _back(input, _tuple(s), _tuple(dim), norm, False, "hfftn")


@accepts_out
def ihfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """Inverse of ``hfftn``."""
    return _half(input, _tuple(s), _tuple(dim), norm, True, "ihfftn")


@accepts_out
def fft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Any:
    """Transform along two axes."""
    return fftn(input, s, dim, norm)


@accepts_out
def ifft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Any:
    """Inverse transform along two axes."""
    return ifftn(input, s, dim, norm)


@accepts_out
def rfft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Any:
    """Transform of real numbers along two axes, the last of them by half."""
    return rfftn(input, s, dim, norm)


@accepts_out
def irfft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Any:
    """Inverse of ``rfft2``."""
    return irfftn(input, s, dim, norm)


@accepts_out
def hfft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Any:
    """``hfft`` along two axes, the last of them given by half."""
    return hfftn(input, s, dim, norm)


@accepts_out
def ihfft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Any:
    """Inverse of ``hfft2``."""
    return ihfftn(input, s, dim, norm)


# --- frequencies and their order ------------------------------------------------------------------


def fftfreq(
    n: int, d: float = 1.0, *, out: Any = None, dtype: DType | None = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """The frequencies of ``fft`` for samples ``d`` apart: 0, 1, ..., then the negative ones."""
    return _frequencies(np.fft.fftfreq, "fftfreq", n, d, out, dtype, device, requires_grad)


def rfftfreq(
    n: int, d: float = 1.0, *, out: Any = None, dtype: DType | None = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """The frequencies of ``rfft`` for samples ``d`` apart."""
    return _frequencies(np.fft.rfftfreq, "rfftfreq", n, d, out, dtype, device, requires_grad)


def _frequencies(
    compute: Any, name: str, n: int, d: float, out: Any, dtype: DType | None, device: Any,
    requires_grad: bool,
) -> Any:  # fmt: skip
    dtype = dtype or (default_dtype() if out is None else out.dtype)
    if dtype.kind not in "fc":
        raise RuntimeError(f"{name} requires a floating point or complex dtype")
    count = n if name == "fftfreq" else n // 2 + 1
    numbers = compute(n, d) if n else np.zeros(count)
    found = from_array(numbers.astype(dtype.numpy), device_of(device))
    if out is not None:
        out.resize_(found.shape)
        return out.copy_(found)
    return found.requires_grad_(requires_grad)


def _rolled(input: Tensor, dim: Any, sign: int) -> Any:
    axes = tuple(range(input.ndim)) if dim is None else _tuple(dim)
    for axis in axes:
        _axis(axis, input.ndim)
    # The inverse moves an odd extent by one more.
    shifts = tuple((input.shape[axis] + (sign < 0)) // 2 for axis in axes)
    return roll(input, shifts, axes)


def fftshift(input: Any, dim: Any = None) -> Any:
    """The frequencies in ascending order, 0 in the middle."""
    return _rolled(input, dim, 1)


def ifftshift(input: Any, dim: Any = None) -> Any:
    """Undoes ``fftshift``."""
    return _rolled(input, dim, -1)
