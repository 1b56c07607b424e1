"""Copies in another arrangement: joined, repeated, reversed.

What can be a view of the same memory is ``movement``'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from treadle.functions.movement import axis_of, extents
from treadle.functions.reduction import axes_of
from treadle.ir import build as b
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import promote_types

__all__ = ["cat", "flip", "stack"]
METHODS = "flip repeat"


@operation("FlipBackward0")
def flip(input: Value, *dims: Any) -> Value:
    """A copy reversed along axes."""
    return b.flip(input, axes_of(input, extents(dims)) if extents(dims) else ())


@operation("RepeatBackward0")
def repeat(input: Value, *sizes: Any) -> Value:
    """A copy repeated along every axis."""
    times = extents(sizes)
    if len(times) < input.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            "tensor"
        )
    shape = (1,) * (len(times) - input.ndim) + input.shape
    paired = [extent for pair in zip((1,) * len(shape), shape, strict=True) for extent in pair]
    grown = [extent for pair in zip(times, shape, strict=True) for extent in pair]
    repeated = b.broadcast_to(b.reshape(input, paired), grown)
    return b.reshape(repeated, [n * extent for n, extent in zip(times, shape, strict=True)])


def _joinable(tensors: Sequence[Value], dim: int) -> int:
    axis = axis_of(dim, tensors[0].ndim)
    first = tensors[0].shape
    for number, other in enumerate(tensors[1:], 1):
        if len(other.shape) != len(first):
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {len(first)} and "
                f"{len(other.shape)}"
            )
        for at, (have, want) in enumerate(zip(other.shape, first, strict=True)):
            if at != axis and have != want:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {axis}. Expected size "
                    f"{want} but got size {have} for tensor number {number} in the list."
                )
    return axis


@operation("CatBackward0")
def cat(tensors: Sequence[Value], dim: int = 0) -> Value:
    """Tensors joined along an axis."""
    if not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    parts = [part for part in tensors if part.shape != (0,)] or [tensors[0]]
    dtype = tensors[0].dtype
    for part in tensors[1:]:
        dtype = promote_types(dtype, part.dtype)
    axis = _joinable(parts, dim)
    return b.concat([b.cast(part, dtype) for part in parts], axis)


@operation("StackBackward0")
def stack(tensors: Sequence[Value], dim: int = 0) -> Value:
    """Tensors of one shape joined along a new axis."""
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    first = tensors[0].shape
    for number, other in enumerate(tensors[1:], 1):
        if other.shape != first:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 "
                f"and {list(other.shape)} at entry {number}"
            )
    axis = axis_of(dim, len(first) + 1)
    shape = (*first[:axis], 1, *first[axis:])
    return b.concat([b.reshape(part, shape) for part in tensors], axis)
