"""Accumulators: how each reduction starts, takes an element, joins its lanes and yields a result.

The order of additions is fixed by the loops; results of max and argmax depend on no order.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from treadle.codegen.loops import (
    AcrossLanes,
    Apply,
    Assign,
    Const,
    Expression,
    Position,
    Read,
    Register,
    Statement,
)
from treadle.codegen.schedules.tiling import Names, Statements, read, slot_of
from treadle.ir.index import Index, constant
from treadle.ir.types import NARROW_FLOATS, DType, Scalar, bool_, float32, int32, int64
from treadle.ir.value import Value

_WIDE = 1 << 31  # rows of more elements need 64-bit positions


class Accumulator(ABC):
    """The running state of one reduction, one copy a slot and lane."""

    blocked = False  # whether long runs are summed in blocks

    @abstractmethod
    def start(self, slot: Index) -> list[Statement]:
        """The state before any element."""

    @abstractmethod
    def step(self, slot: Index, element: Expression, place: Index) -> list[Statement]:
        """Takes an element, and its position along the reduced axis."""

    @abstractmethod
    def merge(self, slots: int) -> list[Statement]:
        """Joins the slots in slot 0 of every lane."""

    @abstractmethod
    def across(self, names: Names) -> tuple[Statements, Expression]:
        """Joins the lanes of slot 0: statements, then the result."""

    @abstractmethod
    def lane_result(self, slot: Index) -> Expression:
        """The result of each lane for itself."""

    def fold(self, slot: Index) -> list[Statement]:
        """Ends a block of elements."""
        return []

    def close(self, slot: Index) -> list[Statement]:
        """Ends the last block."""
        return []


def accumulator(
    names: Names, value: Value, slots: int, lanes: int, extent: int, blocked: bool
) -> Accumulator:
    """The accumulator of a reduction.

    Args:
        slots: independent copies.
        extent: reduced elements.
        blocked: sums fold their blocks now and then.
    """
    if value.op.name in ("argmax", "argmin"):
        return _Best(names, value, slots, lanes, extent)
    return _Fold(names, value, slots, lanes, blocked)


def _least(dtype: DType) -> Scalar:
    if dtype.is_floating_point:
        return -math.inf
    return False if dtype is bool_ else int(np.iinfo(dtype.numpy).min)


def _greatest(dtype: DType) -> Scalar:
    if dtype.is_floating_point:
        return math.inf
    return True if dtype is bool_ else int(np.iinfo(dtype.numpy).max)


class _Fold(Accumulator):
    """sum, prod, max, min: one operation."""

    def __init__(self, names: Names, value: Value, slots: int, lanes: int, blocked: bool) -> None:
        self.result = value.dtype
        name = value.op.name
        adds = name in ("sum", "fold")
        # Narrow floats add up in float32: a sum of 4096 ones would stop at 2048 otherwise.
        wide = value.dtype in NARROW_FLOATS and (adds or name == "prod")
        self.dtype = float32 if wide else value.dtype
        logical = value.dtype is bool_
        self.op, start = {
            "sum": ("add", 0),
            "fold": ("add", 0),
            "prod": ("mul", 1),
            "max": ("or" if logical else "maximum", _least(value.dtype)),
            "min": ("and" if logical else "minimum", _greatest(value.dtype)),
        }[name]
        number = float(start) if self.dtype.is_floating_point else start
        self.identity = Const(number, self.dtype)
        self.state = names.register(name, self.dtype, lanes, slots)
        self.blocked = blocked and adds and self.dtype.is_floating_point
        self.total = names.register("total", self.dtype, lanes, slots) if self.blocked else None

    def _assign(self, register: Register, slot: Index, value: Expression) -> Statement:
        return Assign(register, value, slot_of(register, slot))

    def _joined(self, x: Expression, y: Expression) -> Expression:
        return Apply(self.op, (x, y), self.dtype)

    def start(self, slot: Index) -> list[Statement]:
        registers = [self.state] if self.total is None else [self.state, self.total]
        return [self._assign(register, slot, self.identity) for register in registers]

    def step(self, slot: Index, element: Expression, place: Index) -> list[Statement]:
        if element.dtype is not self.dtype:
            element = Apply("cast", (element,), self.dtype)
        return [self._assign(self.state, slot, self._joined(read(self.state, slot), element))]

    def fold(self, slot: Index) -> list[Statement]:
        if self.total is None:
            return []
        both = self._joined(read(self.total, slot), read(self.state, slot))
        return [
            self._assign(self.total, slot, both),
            self._assign(self.state, slot, self.identity),
        ]

    def close(self, slot: Index) -> list[Statement]:
        if self.total is None:
            return []
        both = self._joined(read(self.total, slot), read(self.state, slot))
        return [self._assign(self.state, slot, both)]

    def merge(self, slots: int) -> list[Statement]:
        parts: list[Expression] = [read(self.state, constant(slot)) for slot in range(slots)]
        while len(parts) > 1:
            pairs = zip(parts[::2], parts[1::2], strict=False)
            odd = parts[-1:] if len(parts) % 2 else []
            parts = [self._joined(x, y) for x, y in pairs] + odd
        return [self._assign(self.state, constant(0), parts[0])] if slots > 1 else []

    def across(self, names: Names) -> tuple[Statements, Expression]:
        made = AcrossLanes(self.op, self.state, slot_of(self.state, constant(0)))
        return (), self._result(made)

    def lane_result(self, slot: Index) -> Expression:
        return self._result(read(self.state, slot))

    def _result(self, made: Expression) -> Expression:
        return made if self.result is self.dtype else Apply("cast", (made,), self.result)


class _Best(Accumulator):
    """argmax, argmin: the best element so far and the first position that had it.

    A lane that saw nothing holds the worst value at position 0, which is right if all are worst.
    """

    def __init__(self, names: Names, value: Value, slots: int, lanes: int, extent: int) -> None:
        self.dtype = value.inputs[0].dtype
        greatest = value.op.name == "argmax"
        self.worse, self.combine = ("le", "maximum") if greatest else ("ge", "minimum")
        if self.dtype is bool_:
            self.combine = "or" if greatest else "and"
        self.worst = Const(_least(self.dtype) if greatest else _greatest(self.dtype), self.dtype)
        self.places = int64 if extent >= _WIDE else int32
        self.best = names.register("best", self.dtype, lanes, slots)
        self.place = names.register("place", self.places, lanes, slots)
        self.names = names

    def start(self, slot: Index) -> list[Statement]:
        return [
            Assign(self.best, self.worst, slot_of(self.best, slot)),
            Assign(self.place, Const(0, self.places), slot_of(self.place, slot)),
        ]

    def _better(self, x: Expression, y: Expression) -> Expression:
        """Whether x goes before y; NaN before all, but not before NaN."""
        better: Expression = Apply("not", (Apply(self.worse, (x, y), bool_),), bool_)
        if self.dtype.is_floating_point:
            better = Apply("and", (better, Apply("eq", (y, y), bool_)), bool_)
        return better

    def _same(self, x: Expression, y: Expression) -> Expression:
        same: Expression = Apply("eq", (x, y), bool_)
        if self.dtype.is_floating_point:
            neither = [Apply("ne", (z, z), bool_) for z in (x, y)]
            same = Apply("or", (same, Apply("and", tuple(neither), bool_)), bool_)
        return same

    def _take(
        self, slot: Index, better: Expression, element: Expression, place: Expression
    ) -> list[Statement]:
        best, old = read(self.best, slot), read(self.place, slot)
        named = self.names.let(better, 0)
        chosen = Read(named.register)
        return [
            named,
            Assign(
                self.best,
                Apply("select", (chosen, element, best), self.dtype),
                slot_of(self.best, slot),
            ),
            Assign(
                self.place,
                Apply("select", (chosen, place, old), self.places),
                slot_of(self.place, slot),
            ),
        ]

    def step(self, slot: Index, element: Expression, place: Index) -> list[Statement]:
        better = self._better(element, read(self.best, slot))
        number = Position(place, self.places)
        return self._take(slot, better, element, number)

    def merge(self, slots: int) -> list[Statement]:
        made: list[Statement] = []
        first = constant(0)
        for slot in map(constant, range(1, slots)):
            element, place = read(self.best, slot), read(self.place, slot)
            best, old = read(self.best, first), read(self.place, first)
            earlier = Apply("lt", (place, old), bool_)
            tie = Apply("and", (self._same(element, best), earlier), bool_)
            better = Apply("or", (self._better(element, best), tie), bool_)
            made += self._take(first, better, element, place)
        return made

    def across(self, names: Names) -> tuple[Statements, Expression]:
        first = constant(0)
        named = names.let(AcrossLanes(self.combine, self.best, slot_of(self.best, first)), 0)
        same = self._same(read(self.best, first), Read(named.register))
        none = Const(int(np.iinfo(self.places.numpy).max), self.places)
        place = Apply("select", (same, read(self.place, first), none), self.places)
        marked = names.all_lanes([Assign(self.place, place, slot_of(self.place, first))])
        across = AcrossLanes("minimum", self.place, slot_of(self.place, first))
        return (named, *marked), Apply("cast", (across,), int64)

    def lane_result(self, slot: Index) -> Expression:
        return Apply("cast", (read(self.place, slot),), int64)


def fold_slots(accumulators: Sequence[Accumulator], slot: Index) -> Statements:
    """Ends a block in every accumulator."""
    return tuple(one for each in accumulators for one in each.fold(slot))
