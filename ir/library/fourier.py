"""Discrete Fourier transforms along several axes, none of them scaled.

Padding, scaling and the choice of axes belong to who calls: they fuse with other work.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from treadle.ir.library.function import Array, LibraryFunction, Options
from treadle.ir.types import TensorType


def _whole_types(types: Sequence[TensorType], _options: Options) -> Sequence[TensorType]:
    if not types[0].dtype.is_complex:
        raise ValueError(f"fft needs complex numbers, found {types[0]}")
    return types


def _whole(arrays: Sequence[Array], options: Options) -> Sequence[Array]:
    """Options: axes, whether exponents are positive."""
    axes, inverse = options
    if inverse:
        return [np.fft.ifftn(arrays[0], axes=axes, norm="forward")]
    return [np.fft.fftn(arrays[0], axes=axes)]


def _half_types(types: Sequence[TensorType], options: Options) -> Sequence[TensorType]:
    (axes,) = options
    shape = list(types[0].shape)
    shape[axes[-1]] = shape[axes[-1]] // 2 + 1
    return [types[0]._replace(dtype=types[0].dtype.to_complex(), shape=tuple(shape))]


def _half(arrays: Sequence[Array], options: Options) -> Sequence[Array]:
    """Options: axes; of the last one the half that determines the rest is computed."""
    (axes,) = options
    return [np.fft.rfftn(arrays[0], axes=axes)]


def _real_types(types: Sequence[TensorType], options: Options) -> Sequence[TensorType]:
    axes, extent = options
    shape = list(types[0].shape)
    if not types[0].dtype.is_complex or shape[axes[-1]] != extent // 2 + 1:
        raise ValueError(f"irfft to an extent of {extent} cannot take {types[0]}")
    shape[axes[-1]] = extent
    return [types[0]._replace(dtype=types[0].dtype.to_real(), shape=tuple(shape))]


def _real(arrays: Sequence[Array], options: Options) -> Sequence[Array]:
    """Options: axes, and the extent of the last one of the result."""
    axes, extent = options
    sizes = [arrays[0].shape[axis] for axis in axes[:-1]]
    return [np.fft.irfftn(arrays[0], (*sizes, extent), axes=axes, norm="forward")]


ROWS = (
    LibraryFunction("fft", _whole_types, _whole),
    LibraryFunction("rfft", _half_types, _half),
    LibraryFunction("irfft", _real_types, _real),
)
