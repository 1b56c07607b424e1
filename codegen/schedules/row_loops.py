"""Loops along a row, or down a strip of columns, around steps that take one vector each.

Long sums are cut into blocks here, so that the additions of each accumulator stay few.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from treadle.codegen.loops import Expression, LoopKind, Statement
from treadle.codegen.schedules.expressions import Rewriter
from treadle.codegen.schedules.reductions import Accumulator
from treadle.codegen.schedules.row_body import RowBody
from treadle.codegen.schedules.tiling import (
    UNROLL,
    Names,
    Statements,
    Step,
    Strip,
    loop,
    strip_loop,
    strips,
)
from treadle.ir.index import Index, Var, constant, variable

BLOCK = 512  # additions in a row before an accumulator is emptied into another
FEW = 16  # steps of a column's reduction that are written out
_WRITTEN_OUT = 64  # additions in the steps that are written out
SLOT = Var("slot", 1 << 20)  # stands for the vector's number in its strip
LANE = Var("lane", 1 << 20)  # stands for the lane
_STRIP = "strip"

# (rewriter to the step's position, slot) -> statements of one vector
RowStep: TypeAlias = Callable[[Rewriter, Index], Statements]


@dataclass(frozen=True)
class RowPlan:
    """Choices for a row kernel.

    Attributes:
        axes: the iteration, row-major.
        reduced: those of ``axes`` that are reduced.
        lane: the axis that lanes run along, None where there is only one element a row.
    """

    body: RowBody
    axes: tuple[Var, ...]
    reduced: frozenset[Var]
    lane: Var | None
    lanes: int

    @property
    def along(self) -> bool:
        """Whether lanes run along the row, so that results join lanes."""
        return self.lane is not None and self.lane in self.reduced

    @property
    def row(self) -> tuple[Var, ...]:
        """Reduced axes."""
        return tuple(axis for axis in self.axes if axis in self.reduced)

    @property
    def steps(self) -> int:
        """Elements of a row."""
        return math.prod(axis.extent for axis in self.row)


class RowLoops:
    """Loops over the elements of one row or strip of columns.

    Args:
        outer: positions along the axes that are neither reduced nor the lanes'.
        start, strip: the columns, where lanes run across rows.
    """

    def __init__(
        self,
        names: Names,
        plan: RowPlan,
        outer: Mapping[Var, Index],
        start: Index,
        strip: Strip,
    ) -> None:
        self.names = names
        self.plan = plan
        self.outer = dict(outer)
        self.start = start
        self.count, self.strip = 0, strip
        self.main = Strip(UNROLL if names.target.kind == "cpu" else 1)
        if plan.along and plan.lane is not None:
            self.count, self.strip = strips(plan.lane.extent, plan.lanes, self.main.full)
        self.slots = max(self.main.full if self.count else 1, self.strip.slots)

    def each_slot(self, make: Callable[[Index], Statements]) -> Statements:
        """Statements for every slot, in all lanes that have one."""
        if self.plan.lane is None:
            return make(constant(0))
        strip = Strip(self.slots) if self.plan.along else self.strip
        return strip_loop(self.names, strip, constant(0), lambda _at, _lane, slot: make(slot))

    def vectors(
        self,
        at: Mapping[Var, Index],
        step: RowStep,
        replaced: Mapping[int, Expression] | None = None,
    ) -> Statements:
        """One step for every vector of the strip of columns, or for the only element."""
        lane = self.plan.lane

        def body(place: Index, number: Index, slot: Index) -> Statements:
            moved = {**self.outer, **at, SLOT: slot, LANE: number}
            if lane is not None:
                moved[lane] = place
            nodes = {key: Rewriter({SLOT: slot})(node) for key, node in (replaced or {}).items()}
            return step(Rewriter(moved, nodes), slot)

        if lane is None:
            return body(constant(0), constant(0), constant(0))
        return strip_loop(self.names, self.strip, self.start, body)

    def sweep(
        self,
        step: RowStep,
        replaced: Mapping[int, Expression],
        states: Sequence[Accumulator],
        weight: int,
    ) -> Statements:
        """Loops over a row around its steps.

        Args:
            states: are emptied after each block.
            weight: cost of a step in additions.
        """
        plan = self.plan
        loops = [axis for axis in plan.row if axis is not plan.lane]
        if plan.steps == 0:
            return ()
        if plan.along and self.count:
            loops.append(Var(_STRIP, self.count))
        trips = math.prod(axis.extent for axis in loops)
        # Long bodies are not repeated: compiling them costs more than the loop.
        written_out = not plan.along and trips <= FEW and trips * weight <= _WRITTEN_OUT
        kind = LoopKind.UNROLL if written_out else LoopKind.SERIAL
        cut = next(
            (n for n in range(len(loops)) if math.prod(a.extent for a in loops[n + 1 :]) <= BLOCK),
            0,
        )
        inside = math.prod(axis.extent for axis in loops[cut + 1 :])
        chunk = max(1, BLOCK // inside)

        def fold() -> Statements:
            return self.each_slot(lambda slot: joined(state.fold(slot) for state in states))

        def level(nth: int, at: dict[Var, Index]) -> Statements:
            if nth == len(loops):
                return self._leaf(at, step, replaced)
            axis = loops[nth]
            after = self._tail(at, step, replaced) if axis.name == _STRIP else ()
            if nth != cut or not states or axis.extent <= chunk:
                inner = self.names.var("r", axis.extent)
                return loop(inner, kind, level(nth + 1, {**at, axis: variable(inner)})) + after
            blocks, rest = divmod(axis.extent, chunk)
            block, inner = self.names.var("b", blocks), self.names.var("r", chunk)
            number = variable(block) * chunk + variable(inner)
            made = loop(inner, kind, level(nth + 1, {**at, axis: number})) + fold()
            made = loop(block, kind, made)
            if rest:
                last = self.names.var("r", rest)
                number = variable(last) + blocks * chunk
                made += loop(last, kind, level(nth + 1, {**at, axis: number}))
                made += fold() if nth else ()
            return made + after

        made = level(0, {})
        return made

    def _leaf(
        self,
        at: Mapping[Var, Index],
        step: RowStep,
        replaced: Mapping[int, Expression],
    ) -> Statements:
        lane = self.plan.lane
        if not self.plan.along or lane is None:
            return self.vectors(at, step, replaced)
        numbers = [number for axis, number in at.items() if axis.name == _STRIP]
        if not numbers:
            return self._tail(at, step, replaced)
        start = numbers[0] * (self.main.full * self.plan.lanes)
        return strip_loop(self.names, self.main, start, self._along(at, step))

    def _tail(
        self,
        at: Mapping[Var, Index],
        step: RowStep,
        replaced: Mapping[int, Expression],
    ) -> Statements:
        start = constant(self.count * UNROLL * self.plan.lanes)
        if self.count:
            start = constant(self.count * self.main.full * self.plan.lanes)
        return strip_loop(self.names, self.strip, start, self._along(at, step))

    def _along(self, at: Mapping[Var, Index], step: RowStep) -> Step:
        lane = self.plan.lane
        assert lane is not None

        def body(place: Index, _lane: Index, slot: Index) -> Statements:
            return step(Rewriter({**self.outer, **at, lane: place}), slot)

        return body


def joined(groups: Iterable[Iterable[Statement]]) -> Statements:
    """Statements of several groups."""
    return tuple(one for group in groups for one in group)
