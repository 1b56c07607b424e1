"""The statements of one row, or of one strip of columns, in all its passes.

``rows.py`` chooses axes and lanes and puts the loops over rows around.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from treadle.codegen.element import At, Elements, Guard, Known
from treadle.codegen.loops import (
    Apply,
    Assign,
    Buffer,
    Expression,
    Load,
    LoopKind,
    Read,
    Store,
)
from treadle.codegen.schedules.axes import at_variables, position_in
from treadle.codegen.schedules.expressions import Rewriter
from treadle.codegen.schedules.map import stores
from treadle.codegen.schedules.problem import Written
from treadle.codegen.schedules.reductions import Accumulator, accumulator
from treadle.codegen.schedules.row_body import RowBody, operand_at
from treadle.codegen.schedules.tiling import (
    UNROLL,
    Names,
    Statements,
    Step,
    Strip,
    loop,
    slot_of,
    strip_loop,
    strips,
)
from treadle.ir.errors import CompilationError
from treadle.ir.index import Index, Var, constant, linearize, variable
from treadle.ir.types import DType, contiguous_strides
from treadle.ir.value import Value

_BLOCK = 512  # additions in a row before an accumulator is emptied into another
_FEW = 16  # steps of a column's reduction that are written out
_STRIP = Var("strip", 1 << 40)
_SLOT = Var("slot", 1 << 20)
_LANE = Var("lane", 1 << 20)


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


class RowNest:
    """Builds the statements of one row or strip.

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
        self.body = plan.body
        self.outer = dict(outer)
        self.start = start
        self.known: dict[Value, Known] = {}
        extents = [axis.extent for axis in plan.axes]
        self.position = position_in(self.body.shape, extents, at_variables(plan.axes))
        self.rows = self.body.outer_position(self.position)
        self.count, self.strip = 0, strip
        if plan.along and plan.lane is not None:
            unroll = UNROLL if names.target.kind == "cpu" else 1
            self.count, self.strip = strips(plan.lane.extent, plan.lanes, unroll)
            self.main = Strip(unroll)
        self.slots = max(UNROLL if self.count else 0, self.strip.slots, 1)
        if self.count:
            self.slots = max(self.main.slots, self.strip.slots)
        kept = [value for some in self.body.kept for value in some]
        self.buffers = self._row_buffers(kept)

    def statements(self) -> Statements:
        """All passes, then what is stored once a row."""
        made: Statements = ()
        for nth in range(len(self.body.reductions)):
            made += self._pass(nth)
        return made + self._outer_stores()

    # --- one pass ---------------------------------------------------------------------------------

    def _pass(self, nth: int) -> Statements:
        body, plan = self.body, self.plan
        elements = Elements(body.problem.inputs, self.known)
        operands = [operand_at(elements, value, self.position) for value in body.reductions[nth]]
        written = [
            Written(self.buffers[value], self._kept_place(), elements.at(value, self.position))
            for value in body.kept[nth]
            if value in self.buffers
        ]
        for result in body.rows[nth]:
            at = position_in(result.value.shape, body.shape, self.position)
            written.append(
                Written(result.buffer, result.place(at), elements.at(result.value, at))
            )
        if not operands and not written:
            return ()
        blocked = plan.steps > 2 * _BLOCK
        states = [
            accumulator(self.names, value, self.slots, plan.lanes, plan.steps, blocked)
            if plan.lane is not None
            else accumulator(self.names, value, 1, 0, plan.steps, blocked)
            for value in body.reductions[nth]
        ]
        places = [self._place(value) for value in body.reductions[nth]]
        before, replaced = self._invariants([*operands, *(w.value for w in written)])

        def step(rewrite: Rewriter, slot: Index) -> Statements:
            made: Statements = ()
            for state, operand, place in zip(states, operands, places, strict=True):
                made += tuple(state.step(slot, rewrite(operand), rewrite.index(place)))
            return made + stores(self.names, written, rewrite)

        made = before + self._each_slot(lambda slot: _each(state.start(slot) for state in states))
        fold = any(state.blocked for state in states)
        made += self._sweep(step, replaced, states if fold else [])
        if fold:
            made += self._each_slot(lambda slot: _each(state.close(slot) for state in states))
        for value in body.kept[nth]:
            if value in self.buffers:
                self.known[value] = self._kept(value)
        return made + self._finish(body.reductions[nth], states)

    def _finish(self, values: Sequence[Value], states: Sequence[Accumulator]) -> Statements:
        made: Statements = ()
        for value, state in zip(values, states, strict=True):
            if self.plan.along:
                made += self.names.all_lanes(state.merge(self.slots))
                joins, result = state.across(self.names)
                named = self.names.let(result, 0)
                made += (*joins, named)
                self.known[value] = self._result(Read(named.register))
            else:
                self.known[value] = self._result(state.lane_result(variable(_SLOT)))
        return made

    def _result(self, held: Expression) -> Known:
        """A reduction's result, which only its own row may read."""
        shape = self.body.outer_shape
        strides = contiguous_strides(shape)

        def at(position: At, _guard: Guard) -> Expression:
            if position != self.rows and linearize(position, strides) != linearize(
                self.rows, strides
            ):
                raise CompilationError(
                    "a row kernel reads the result of another row: the reduction must be a "
                    "kernel of its own"
                )
            return held

        return at

    def _place(self, value: Value) -> Index:
        """Position along the reduced axis, for those that return it."""
        if value.op.name in ("argmax", "argmin"):
            return self.position[value.attr("axis")]
        return constant(0)

    # --- row buffers ------------------------------------------------------------------------------

    def _row_buffers(self, kept: Sequence[Value]) -> dict[Value, Buffer]:
        columns = 1 if self.plan.along else max(self.slots * self.plan.lanes, 1)
        size = self.plan.steps * columns
        left = self.names.target.max_scratch // 2
        made: dict[Value, Buffer] = {}
        for value in kept:
            left -= size * value.dtype.itemsize
            if left < 0:
                break
            made[value] = self.names.scratch_buffer("row", value.dtype, size)
        return made

    def _kept_place(self) -> Index:
        strides = contiguous_strides(tuple(axis.extent for axis in self.plan.row))
        along = linearize(at_variables(self.plan.row), strides)
        if self.plan.along:
            return along
        lanes = self.plan.lanes if self.plan.lane is not None else 1
        return along * (self.slots * lanes) + variable(_SLOT) * lanes + variable(_LANE)

    def _kept(self, value: Value) -> Known:
        load = Load(self.buffers[value], self._kept_place())
        return lambda position, _guard: load if position == self.position else None

    # --- loops ------------------------------------------------------------------------------------

    def _each_slot(self, make: Callable[[Index], Statements]) -> Statements:
        """Statements for every slot, in all lanes that have one."""
        if self.plan.lane is None:
            return make(constant(0))
        strip = Strip(self.slots) if self.plan.along else self.strip
        return strip_loop(self.names, strip, constant(0), lambda _at, _lane, slot: make(slot))

    def _invariants(self, roots: Sequence[Expression]) -> tuple[Statements, dict[int, Expression]]:
        """Registers for what does not change along a row, where lanes run across rows."""
        plan = self.plan
        if plan.along or plan.lane is None or plan.steps == 1:
            return (), {}
        found: dict[int, Expression] = {}
        seen: set[int] = set()
        pending = list(roots)
        while pending:
            node = pending.pop()
            if id(node) in seen or not isinstance(node, (Apply, Load)):
                continue
            seen.add(id(node))
            if plan.reduced.isdisjoint(node.variables()) and not _in_row_buffer(node):
                found[id(node)] = node
            elif isinstance(node, Apply):
                pending.extend(node.args)
        registers = {
            key: self.names.register("fixed", node.dtype, plan.lanes, self.slots)
            for key, node in found.items()
        }

        def step(rewrite: Rewriter, slot: Index) -> Statements:
            return tuple(
                Assign(registers[key], rewrite(node), slot_of(registers[key], slot))
                for key, node in found.items()
            )

        slot = variable(_SLOT)
        replaced: dict[int, Expression] = {
            key: Read(register, slot_of(register, slot)) for key, register in registers.items()
        }
        return self._vectors({}, step, {}), replaced

    def _vectors(
        self,
        at: Mapping[Var, Index],
        step: Callable[[Rewriter, Index], Statements],
        replaced: Mapping[int, Expression],
    ) -> Statements:
        """One step for every vector of the strip of columns, or for the only element."""
        lane = self.plan.lane

        def body(place: Index, number: Index, slot: Index) -> Statements:
            moved = {**self.outer, **at, _SLOT: slot, _LANE: number}
            if lane is not None:
                moved[lane] = place
            nodes = {
                key: Rewriter({_SLOT: slot})(node) for key, node in replaced.items()
            }
            return step(Rewriter(moved, nodes), slot)

        if lane is None:
            return body(constant(0), constant(0), constant(0))
        return strip_loop(self.names, self.strip, self.start, body)

    def _sweep(
        self,
        step: Callable[[Rewriter, Index], Statements],
        replaced: Mapping[int, Expression],
        states: Sequence[Accumulator],
    ) -> Statements:
        """Loops over a row around its steps; ``states`` are emptied after each block."""
        plan = self.plan
        loops = [axis for axis in plan.row if axis is not plan.lane]
        if plan.steps == 0:
            return ()
        if plan.along and self.count:
            loops.append(Var(_STRIP.name, self.count))
        trips = math.prod(axis.extent for axis in loops)
        written_out = not plan.along and trips <= _FEW
        kind = LoopKind.UNROLL if written_out else LoopKind.SERIAL
        cut = next(
            (n for n in range(len(loops)) if math.prod(a.extent for a in loops[n + 1 :]) <= _BLOCK),
            0,
        )
        inside = math.prod(axis.extent for axis in loops[cut + 1 :])
        chunk = max(1, _BLOCK // inside)

        def fold() -> Statements:
            return self._each_slot(lambda slot: _each(state.fold(slot) for state in states))

        def level(nth: int, at: dict[Var, Index]) -> Statements:
            if nth == len(loops):
                return self._leaf(at, step, replaced)
            axis = loops[nth]
            after = self._tail(at, step, replaced) if axis.name == _STRIP.name else ()
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
        step: Callable[[Rewriter, Index], Statements],
        replaced: Mapping[int, Expression],
    ) -> Statements:
        lane = self.plan.lane
        if not self.plan.along or lane is None:
            return self._vectors(at, step, replaced)
        numbers = [number for axis, number in at.items() if axis.name == _STRIP.name]
        if not numbers:
            return self._tail(at, step, replaced)
        start = numbers[0] * (self.main.full * self.plan.lanes)
        return strip_loop(self.names, self.main, start, self._along(at, step))

    def _tail(
        self,
        at: Mapping[Var, Index],
        step: Callable[[Rewriter, Index], Statements],
        replaced: Mapping[int, Expression],
    ) -> Statements:
        start = constant(self.count * UNROLL * self.plan.lanes)
        if self.count:
            start = constant(self.count * self.main.full * self.plan.lanes)
        return strip_loop(self.names, self.strip, start, self._along(at, step))

    def _along(
        self, at: Mapping[Var, Index], step: Callable[[Rewriter, Index], Statements]
    ) -> Step:
        lane = self.plan.lane
        assert lane is not None

        def body(place: Index, _lane: Index, slot: Index) -> Statements:
            return step(Rewriter({**self.outer, **at, lane: place}), slot)

        return body

    # --- once a row -------------------------------------------------------------------------------

    def _outer_stores(self) -> Statements:
        elements = Elements(self.body.problem.inputs, self.known)
        shape = self.body.outer_shape
        written = []
        for result in self.body.outer:
            at = position_in(result.value.shape, shape, self.rows)
            written.append(
                Written(result.buffer, result.place(at), elements.at(result.value, at))
            )
        if not written:
            return ()
        if self.plan.along:
            return stores(self.names, written, Rewriter(self.outer))
        return self._vectors(
            {}, lambda rewrite, _slot: stores(self.names, written, rewrite), {}
        )


def _in_row_buffer(node: Expression) -> bool:
    return isinstance(node, Load) and node.buffer.name.startswith("row")


def _each(groups: object) -> Statements:
    return tuple(one for group in groups for one in group)  # type: ignore[attr-defined]
