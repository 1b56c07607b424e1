"""Iteration axes: as few as keep every access linear, and which of them the lanes run along.

Axes are the extents of a row-major iteration; a schedule turns each into one loop variable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TypeAlias

from treadle.codegen.loops import Expression, Holds, Load, Position
from treadle.codegen.schedules.expressions import cost, indices, postorder
from treadle.ir.index import (
    Dynamic,
    Index,
    Quotient,
    Remainder,
    Var,
    delinearize,
    linearize,
    variable,
    variables,
)
from treadle.ir.types import Shape, contiguous_strides, element_count

# Expressions of a whole iteration at a position given by variables, for looking at.
Probe: TypeAlias = Callable[[Sequence[Var]], "list[Expression]"]

_STEP = 3.0  # loop and addresses of one vector step, in additions
_NEAR = 8  # elements between lanes that still share cache lines
_SPLITS = 8  # rounds of splitting; each finds at least one divisor that a reshape left


def axis_variables(extents: Sequence[int]) -> list[Var]:
    """One variable an axis."""
    return [Var(f"a{nth}", extent) for nth, extent in enumerate(extents)]


def position_in(shape: Shape, extents: Sequence[int], at: Sequence[Index]) -> tuple[Index, ...]:
    """The position in a shape of an iteration over axes of the same number of elements."""
    if tuple(extents) == shape:
        return tuple(at)
    return delinearize(linearize(at, contiguous_strides(tuple(extents))), shape)


def refined(shapes: Iterable[Shape]) -> list[int]:
    """Axes that every one of the shapes (of equal counts) merges into, without extents of 1."""
    every = list(shapes)
    boundaries = {1, element_count(every[0])}
    for shape in every:
        boundaries.update(contiguous_strides(shape))
    order = sorted(boundaries)
    if any(high % low for low, high in pairwise(order)):
        return [extent for extent in every[0] if extent > 1]
    return [high // low for low, high in pairwise(order)][::-1]


def chosen_axes(extents: Sequence[int], probe: Probe, lanes: int, fixed: set[int]) -> list[int]:
    """Axes merged and split so that the estimated cost is least.

    Args:
        fixed: boundaries (element counts below an axis) that must stay.
    """
    best = merged_axes(extents, probe, fixed)
    least = _estimate(best, probe, lanes)
    current = list(extents)
    for _ in range(_SPLITS):
        found = _split_once(current, probe)
        if found is None:
            break
        current = found
        candidate = merged_axes(current, probe, fixed)
        price = _estimate(candidate, probe, lanes)
        if price < least:
            best, least = candidate, price
    return best


def _estimate(extents: Sequence[int], probe: Probe, lanes: int) -> float:
    axes = axis_variables(extents)
    nodes = postorder(probe(axes))
    return min((lane_cost(nodes, axes, lane, lanes) for lane in axes), default=0.0)


def merged_axes(extents: Sequence[int], probe: Probe, fixed: set[int]) -> list[int]:
    """Neighbouring axes joined where every access steps through both as through one."""
    axes = axis_variables(extents)
    found = {index for node in postorder(probe(axes)) for index in indices(node)}
    result: list[tuple[int, Var | None]] = []
    below = element_count(tuple(extents))
    for axis in axes:
        below //= axis.extent
        above = result[-1][1] if result else None
        boundary = below * axis.extent
        # Only the last original variable of a merged axis meets its right neighbour.
        if (
            above is not None
            and boundary not in fixed
            and all(_passes_through(index, above, axis) for index in found)
        ):
            result[-1] = (result[-1][0] * axis.extent, axis)
        else:
            result.append((axis.extent, axis))
    return [extent for extent, _ in result]


def _passes_through(index: Index, outer: Var, inner: Var) -> bool:
    """Whether the index depends on two variables only through ``outer * extent + inner``."""
    high = low = 0
    for atom, coefficient in index.terms:
        if atom == outer:
            high = coefficient
        elif atom == inner:
            low = coefficient
        elif isinstance(atom, (Quotient, Remainder)) and not _passes_through(
            atom.operand, outer, inner
        ):
            return False
    return high == low * inner.extent


def _split_once(extents: Sequence[int], probe: Probe) -> list[int] | None:
    """The axes with one of them split where a load or guard divides it."""
    axes = axis_variables(extents)
    for node in postorder(probe(axes)):
        if isinstance(node, (Load, Holds)):
            for index in indices(node):
                for nth, divisor in _divisors(index, axes):
                    extent = extents[nth]
                    if extent % divisor == 0 and 1 < divisor < extent:
                        return [*extents[:nth], extent // divisor, divisor, *extents[nth + 1 :]]
    return None


def _divisors(index: Index, axes: Sequence[Var]) -> Iterable[tuple[int, int]]:
    for atom, _ in index.terms:
        if isinstance(atom, (Quotient, Remainder)):
            inner = atom.operand
            if len(inner.terms) == 1 and not inner.constant and inner.terms[0][1] == 1:
                variable_ = inner.terms[0][0]
                if isinstance(variable_, Var) and variable_ in axes:
                    yield axes.index(variable_), atom.divisor
            yield from _divisors(inner, axes)


def lane_cost(nodes: Sequence[Expression], axes: Sequence[Var], lane: Var, lanes: int) -> float:
    """Estimated cost of the iteration with the lanes along an axis, in vector additions."""
    steps = -(-lane.extent // lanes)
    for axis in axes:
        if axis is not lane:
            steps *= axis.extent
    return steps * vector_cost(nodes, lane, lanes)


def vector_cost(nodes: Sequence[Expression], lane: Var, lanes: int) -> float:
    """Estimated cost of one vector step."""
    total = _STEP + cost(node for node in nodes if lane in node.variables())
    for node in nodes:
        if isinstance(node, Load):
            total += _access_cost(node.index, lane, lanes)
        if not isinstance(node, Position):
            # Lanes that divide positions do so with several instructions.
            total += sum(6.0 for index in indices(node) if _divides(index, lane))
    return total


def store_cost(index: Index, lane: Var, lanes: int) -> float:
    """Estimated cost of one vector store, with the same units as loads."""
    return 1.0 + 1.25 * _access_cost(index, lane, lanes)


def _access_cost(index: Index, lane: Var, lanes: int) -> float:
    stride = index.coefficient(lane)
    if stride in (0, 1):
        return 0.0
    if stride == -1:
        return 2.0
    # One element at a time; each in a cache line of its own where the stride is long.
    near = stride is not None and abs(stride) <= _NEAR
    return (1.0 if near else 2.0) * lanes


def _divides(index: Index, lane: Var) -> bool:
    return any(
        not isinstance(atom, (Var, Dynamic)) and lane in variables(atom) for atom, _ in index.terms
    )


def at_variables(axes: Sequence[Var]) -> list[Index]:
    """The position that axis variables name."""
    return [variable(axis) for axis in axes]
