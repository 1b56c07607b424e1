"""Positions of elements: where a tensor is not zero, triangles of a matrix, flat to coordinates.

How many there are needs the tensor's contents, so that these evaluate what is pending.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from treadle.device import device_of
from treadle.functions import movement, slicing
from treadle.ir import build as b
from treadle.ir.types import DType, bool_, contiguous_strides, int64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.out_argument import accepts_out
from treadle.tensor import Tensor, from_array

__all__ = ["argwhere", "nonzero", "nonzero_static", "tril_indices", "triu_indices", "unravel_index"]
METHODS = "argwhere nonzero nonzero_static"


def _coordinates(input: Tensor) -> Any:
    """[count, rank] positions of what is not zero, in row-major order."""
    array = input._concrete()
    if not array.ndim:
        return np.zeros((int(bool(array)), 0), np.int64)
    return np.stack(np.nonzero(array), axis=1).astype(np.int64)


@accepts_out
def _nonzero(input: Tensor) -> Tensor:
    return from_array(_coordinates(input), input.device)


def nonzero(input: Tensor, *, out: Tensor | None = None, as_tuple: bool = False) -> Any:
    """The positions of what is not zero: [count, rank], or a vector for each axis."""
    if not as_tuple:
        return _nonzero(input, out=out)  # type: ignore[call-arg]
    if not input.ndim:
        input = movement.unsqueeze(input, 0)
    return slicing.unbind(from_array(_coordinates(input), input.device), 1)


def argwhere(input: Tensor) -> Tensor:
    """The positions of what is not zero: [count, rank]."""
    return _nonzero(input)


@accepts_out
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """The first ``size`` positions of what is not zero, filled up with ``fill_value``."""
    if size < 0:
        raise RuntimeError(f"nonzero_static: 'size' must be an non-negative integer, got {size}")
    found = _coordinates(input)[:size]
    padded = np.full((size, input.ndim), fill_value, np.int64)
    padded[: len(found)] = found
    return from_array(padded, input.device)


@operation()
def _coordinate(indices: Value, stride: int, extent: int) -> Value:
    wide = b.cast(indices, int64)
    inside = b.remainder(wide, stride)
    return b.remainder(b.div(wide - inside, stride), extent)


def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """The coordinates of positions among the row-major elements of a shape."""
    if indices.dtype.is_floating_point or indices.dtype is bool_:
        raise ValueError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    if isinstance(shape, Tensor):
        shape = shape.tolist()
    if not isinstance(shape, (int, tuple, list)):
        raise TypeError(f"expected 'shape' to be int or sequence of ints, but got {type(shape)}")
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if any(not isinstance(size, int) for size in sizes):
        raise TypeError(f"expected 'shape' to be int or sequence of ints, but got {sizes}")
    if any(size < 0 for size in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {sizes}")
    strides = contiguous_strides(sizes)
    return tuple(
        _coordinate(indices, stride, size) for stride, size in zip(strides, sizes, strict=True)
    )


def _triangle(name: str, row: int, col: int, positions: Any, options: dict[str, Any]) -> Tensor:
    for what, extent in (("row", row), ("col", col)):
        if extent < 0:
            raise RuntimeError(f"{what} must be non-negative, got {what[:3]}: {extent}")
    dtype: DType = options.pop("dtype", None) or int64
    device = device_of(options.pop("device", None) or "cpu")
    requires_grad = options.pop("requires_grad", False)
    options.pop("layout", None), options.pop("pin_memory", None)
    if options:
        raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(options))}'")
    made = from_array(np.stack(positions(np.ones((row, col), bool))).astype(dtype.numpy), device)
    if requires_grad:
        made.requires_grad = True
    return made


def tril_indices(row: int, col: int, offset: int = 0, **options: Any) -> Tensor:
    """[2, count] rows and columns of the lower triangle of a matrix, row by row."""
    return _triangle(
        "tril_indices", row, col, lambda ones: np.nonzero(np.tril(ones, offset)), options
    )


def triu_indices(row: int, col: int, offset: int = 0, **options: Any) -> Tensor:
    """[2, count] rows and columns of the upper triangle of a matrix, row by row."""
    return _triangle(
        "triu_indices", row, col, lambda ones: np.nonzero(np.triu(ones, offset)), options
    )
