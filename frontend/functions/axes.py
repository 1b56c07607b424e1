"""Arguments that name axes and extents, and PyTorch's errors for wrong ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import index
from typing import Any

from treadle.ir.types import Shape, element_count

Dim = int | Sequence[int] | None


def axis_of(dim: int, rank: int) -> int:
    """An axis counted from 0; IndexError in PyTorch's words. Numbers count as one axis."""
    limit = rank or 1
    if not -limit <= dim < limit:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got "
            f"{dim})"
        )
    return index(dim) % limit


def axes_of(input: Any, dim: Dim) -> tuple[int, ...]:
    """Axes of a value or tensor counted from 0, all for None and none named.

    IndexError for an axis that is not there, RuntimeError for a repeated one.
    """
    if dim is None:
        return tuple(range(input.ndim))
    axes = distinct_axes(dim, input.ndim)
    if not axes:
        return tuple(range(input.ndim))
    return axes if input.ndim else ()


def distinct_axes(dim: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """The axes named, counted from 0; RuntimeError for a repeated one."""
    axes: list[int] = []
    for given in dim if isinstance(dim, (tuple, list)) else (dim,):
        axis = axis_of(given, rank)
        if axis in axes:
            raise RuntimeError(f"dim {axis} appears multiple times in the list of dims")
        axes.append(axis)
    return tuple(axes)


def extents(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes given as several integers or one sequence; TypeError for other numbers."""
    given: Sequence[Any] = sizes
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        given = sizes[0]
    return tuple(map(index, given))


def named_extents(sizes: tuple[Any, ...], named: Any) -> tuple[int, ...]:
    """As ``extents``, for functions that take one sequence by name too."""
    return extents(sizes if named is None else (named,))


def inferred_shape(shape: tuple[int, ...], count: int) -> Shape:
    """A shape with its -1 replaced; RuntimeError in PyTorch's words where it does not fit."""
    unknown = [axis for axis, extent in enumerate(shape) if extent == -1]
    if len(unknown) > 1:
        raise RuntimeError("only one dimension can be inferred")
    if shape and min(shape) < -1:
        raise RuntimeError(f"invalid shape dimension {min(shape)}")
    if not unknown:
        if element_count(shape) != count:
            raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {count}")
        return shape
    known = math.prod(extent for extent in shape if extent != -1)
    if known == 0 and count == 0:
        raise RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified "
            "dimension size -1 can be any value and is ambiguous"
        )
    if known == 0 or count % known:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {count}")
    return (*shape[: unknown[0]], count // known, *shape[unknown[0] + 1 :])


def check_extents(shape: Sequence[int]) -> None:
    """RuntimeError where an extent of a new tensor is negative."""
    for extent in shape:
        if extent < 0:
            raise RuntimeError(
                f"Trying to create tensor with negative dimension {extent}: {list(shape)}"
            )
