"""The statements of one row, or of one strip of columns, in all its passes.

``rows.py`` chooses axes and lanes and puts the loops over rows around.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from treadle.codegen.element import Elements, Guard, Known
from treadle.codegen.loops import (
    Apply,
    Assign,
    Buffer,
    Expression,
    Load,
    Read,
)
from treadle.codegen.schedules.axes import at_variables, position_in
from treadle.codegen.schedules.expressions import Rewriter, cost, postorder
from treadle.codegen.schedules.map import stores
from treadle.codegen.schedules.problem import Written
from treadle.codegen.schedules.reductions import Accumulator, accumulator
from treadle.codegen.schedules.row_body import operand_at
from treadle.codegen.schedules.row_loops import (
    BLOCK,
    LANE,
    SLOT,
    RowLoops,
    RowPlan,
    joined,
)
from treadle.codegen.schedules.tiling import (
    Names,
    Statements,
    Strip,
    slot_of,
)
from treadle.ir.access import Position as At
from treadle.ir.errors import CompilationError
from treadle.ir.index import Index, Var, constant, linearize, variable
from treadle.ir.types import contiguous_strides
from treadle.ir.value import Value


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
        self.loops = RowLoops(names, plan, outer, start, strip)
        self.known: dict[Value, Known] = {}
        extents = [axis.extent for axis in plan.axes]
        self.position = position_in(self.body.shape, extents, at_variables(plan.axes))
        self.rows = self.body.outer_position(self.position)
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
            written.append(Written(result.buffer, result.place(at), elements.at(result.value, at)))
        if not operands and not written:
            return ()
        blocked = plan.steps > 2 * BLOCK
        states = [
            accumulator(self.names, value, self.loops.slots, plan.lanes, plan.steps, blocked)
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

        made = before + self.loops.each_slot(
            lambda slot: joined(state.start(slot) for state in states)
        )
        fold = any(state.blocked for state in states)
        weight = cost(postorder([*operands, *(one.value for one in written)]))
        made += self.loops.sweep(step, replaced, states if fold else [], weight)
        if fold:
            made += self.loops.each_slot(lambda slot: joined(state.close(slot) for state in states))
        for value in body.kept[nth]:
            if value in self.buffers:
                self.known[value] = self._kept(value)
        return made + self._finish(body.reductions[nth], states)

    def _finish(self, values: Sequence[Value], states: Sequence[Accumulator]) -> Statements:
        made: Statements = ()
        for value, state in zip(values, states, strict=True):
            if self.plan.along:
                made += self.names.all_lanes(state.merge(self.loops.slots))
                joins, result = state.across(self.names)
                named = self.names.let(result, 0)
                made += (*joins, named)
                self.known[value] = self._result(Read(named.register))
            else:
                self.known[value] = self._result(state.lane_result(variable(SLOT)))
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
            axis: int = value.attr("axis")
            return self.position[axis]
        return constant(0)

    # --- row buffers ------------------------------------------------------------------------------

    def _row_buffers(self, kept: Sequence[Value]) -> dict[Value, Buffer]:
        columns = 1 if self.plan.along else max(self.loops.slots * self.plan.lanes, 1)
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
        return along * (self.loops.slots * lanes) + variable(SLOT) * lanes + variable(LANE)

    def _kept(self, value: Value) -> Known:
        load = Load(self.buffers[value], self._kept_place())
        return lambda position, _guard: load if position == self.position else None

    # --- what stays the same along a row ---------------------------------------------------------

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
            key: self.names.register("fixed", node.dtype, plan.lanes, self.loops.slots)
            for key, node in found.items()
        }

        def step(rewrite: Rewriter, slot: Index) -> Statements:
            return tuple(
                Assign(registers[key], rewrite(node), slot_of(registers[key], slot))
                for key, node in found.items()
            )

        slot = variable(SLOT)
        replaced: dict[int, Expression] = {
            key: Read(register, slot_of(register, slot)) for key, register in registers.items()
        }
        return self.loops.vectors({}, step, {}), replaced

    # --- once a row -------------------------------------------------------------------------------

    def _outer_stores(self) -> Statements:
        elements = Elements(self.body.problem.inputs, self.known)
        shape = self.body.outer_shape
        written = []
        for result in self.body.outer:
            at = position_in(result.value.shape, shape, self.rows)
            written.append(Written(result.buffer, result.place(at), elements.at(result.value, at)))
        if not written:
            return ()
        if self.plan.along:
            return stores(self.names, written, Rewriter(self.loops.outer))
        return self.loops.vectors(
            {}, lambda rewrite, _slot: stores(self.names, written, rewrite), {}
        )


def _in_row_buffer(node: Expression) -> bool:
    return isinstance(node, Load) and node.buffer.name.startswith("row")
