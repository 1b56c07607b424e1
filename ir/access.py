"""Where the elements of a movement op's result come from, as index arithmetic.

Shared by fusion, which asks what a group would read, and by lowering, which reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from treadle.ir.index import Bound, Index, constant, delinearize, linearize
from treadle.ir.types import Scalar, contiguous_strides
from treadle.ir.value import Value

Position: TypeAlias = tuple[Index, ...]


@dataclass(frozen=True)
class Access:
    """One operand element that a result element may be.

    Attributes:
        operand: which operand.
        position: index of the element along every axis of the operand.
        guard: where this access applies; outside, a later access or ``default`` does.
        default: the number where no guard holds.
    """

    operand: int
    position: Position
    guard: tuple[Bound, ...] = ()
    default: Scalar = 0


def same_elements(shape: Sequence[int], position: Position, other: Sequence[int]) -> Position:
    """The position in another shape of the same row-major element, axis by axis where possible."""
    if tuple(shape) == tuple(other):
        return position
    strides = contiguous_strides(tuple(shape))
    return delinearize(linearize(position, strides), other)


def _reshape(value: Value, position: Position) -> list[Access]:
    source = value.inputs[0].shape
    return [Access(0, same_elements(value.shape, position, source))]


def _permute(value: Value, position: Position) -> list[Access]:
    (dims,) = value.attrs
    moved: list[Index] = [constant(0)] * len(dims)
    for axis, source in enumerate(dims):
        moved[source] = position[axis]
    return [Access(0, tuple(moved))]


def _expand(value: Value, position: Position) -> list[Access]:
    source = value.inputs[0].shape
    kept = (constant(0) if extent == 1 else at for extent, at in zip(source, position, strict=True))
    return [Access(0, tuple(kept))]


def _slice(value: Value, position: Position) -> list[Access]:
    starts, _stops, steps = value.attrs
    moved = (at * step + start for at, start, step in zip(position, starts, steps, strict=True))
    return [Access(0, tuple(moved))]


def _pad(value: Value, position: Position) -> list[Access]:
    low, _high, interior, fill = value.attrs
    moved: list[Index] = []
    guard: list[Bound] = []
    source = value.inputs[0].shape
    for at, before, between, extent in zip(position, low, interior, source, strict=True):
        step = between + 1
        shifted = at - before
        moved.append(shifted // step)
        # Bounds on the operand's own position, so that they follow it through simplification.
        bounds = (Bound(moved[-1], 0, extent), Bound(shifted % step, 0, 1))
        guard += [bound for bound in bounds if not bound.always()]
    return [Access(0, tuple(moved), tuple(guard), fill)]


def _flip(value: Value, position: Position) -> list[Access]:
    (dims,) = value.attrs
    moved = (
        constant(value.shape[axis] - 1) - at if axis in dims else at
        for axis, at in enumerate(position)
    )
    return [Access(0, tuple(moved))]


def _concat(value: Value, position: Position) -> list[Access]:
    (axis,) = value.attrs
    accesses, start = [], 0
    for operand, part in enumerate(value.inputs):
        extent = part.shape[axis]
        shifted = position[axis] - start
        bound = Bound(shifted, 0, extent)
        moved = (*position[:axis], shifted, *position[axis + 1 :])
        if extent:
            accesses.append(Access(operand, moved, () if bound.always() else (bound,)))
        start += extent
    return accesses


def _windows(value: Value, position: Position) -> list[Access]:
    axes, _sizes, strides, dilations = value.attrs
    rank = value.inputs[0].ndim
    moved = list(position[:rank])
    for nth, (axis, stride, dilation) in enumerate(zip(axes, strides, dilations, strict=True)):
        moved[axis] = moved[axis] * stride + position[rank + nth] * dilation
    return [Access(0, tuple(moved))]


def _as_strided(value: Value, position: Position) -> list[Access]:
    _size, stride, offset = value.attrs
    flat = linearize(position, stride, offset)
    return [Access(0, delinearize(flat, value.inputs[0].shape))]


MOVEMENTS: dict[str, Callable[[Value, Position], list[Access]]] = {
    "reshape": _reshape,
    "permute": _permute,
    "expand": _expand,
    "slice": _slice,
    "pad": _pad,
    "flip": _flip,
    "concat": _concat,
    "windows": _windows,
    "as_strided": _as_strided,
}


def accesses(value: Value, position: Position) -> list[Access]:
    """Operand elements of a movement op's result at a position, the first guard that holds wins.

    A position may lie outside the operand only where its guard does not hold.
    """
    return MOVEMENTS[value.op.name](value, position)
