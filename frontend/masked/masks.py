"""Masks as tensors of bool in the input's shape, and what stands for masked-out elements."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from treadle.functions import movement, pointwise
from treadle.functions.axes import Dim
from treadle.ir.types import DType, bool_
from treadle.tensor import Tensor


def expanded_mask(input: Tensor, mask: Tensor) -> Tensor:
    """A mask as bool in the input's shape."""
    if mask.shape != input.shape:
        if mask.ndim > input.ndim:
            raise IndexError(
                "_input_mask expected broadcastable mask (got mask dimensionality higher than of "
                "the input)"
            )
        mask = movement.expand(mask, tuple(input.shape))
    return mask if mask.dtype is bool_ else mask.to(bool_)


def filled(input: Tensor, mask: Tensor | None, number: Any) -> Tensor:
    """The input with a number where the mask is False."""
    if mask is None:
        return input
    found: Tensor = pointwise.where(expanded_mask(input, mask), input, input.new_full((), number))
    return found


def least(dtype: DType, name: str) -> Any:
    """What no element of a dtype is less than."""
    return -math.inf if dtype.is_floating_point else _limits(dtype, name).min


def greatest(dtype: DType, name: str) -> Any:
    """What no element of a dtype is greater than."""
    return math.inf if dtype.is_floating_point else _limits(dtype, name).max


def _limits(dtype: DType, name: str) -> Any:
    if dtype.kind not in "iu":
        raise NotImplementedError(f"identity of {name} on {dtype} input")
    return np.iinfo(dtype.numpy)


def canonical_axes(dim: Dim, rank: int) -> tuple[int, ...]:
    """Axes in ascending order, counted from 0; all of them for None and none named."""
    if dim is None or (not isinstance(dim, int) and not len(dim)):
        return tuple(range(rank))
    limit = max(rank, 1)
    axes: list[int] = []
    for axis in (dim,) if isinstance(dim, int) else dim:
        if axis in axes:
            raise RuntimeError(f"dim={axis} appears multiple times in the list of dims")
        if not -limit <= axis < limit:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but "
                f"got {axis})"
            )
        axes.append(axis % limit)
    return tuple(sorted(axes))


def converted(result: Tensor, dtype: DType | None) -> Tensor:
    """A result in another dtype where one is asked for."""
    return result if dtype is None or result.dtype is dtype else result.to(dtype)
