"""Kernels of one scan: rows side by side, elements of a row one after the other.

Lanes run across rows. Where elements of a row lie side by side in memory, a CPU takes one at a
time, of a few rows in turn. Long rows were cut into blocks before: ``ir.passes.split_scans``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from treadle.codegen.element import Elements, Guard, Known
from treadle.codegen.loops import Apply, Assign, Const, Expression, Holds, LoopKind, Read, Register
from treadle.codegen.schedules.axes import (
    at_variables,
    axis_variables,
    chosen_axes,
    lane_cost,
    position_in,
    store_cost,
)
from treadle.codegen.schedules.expressions import Rewriter, cost, postorder
from treadle.codegen.schedules.map import lanes_of, stores
from treadle.codegen.schedules.problem import Problem, Written
from treadle.codegen.schedules.tiling import (
    UNROLL,
    Names,
    Statements,
    Step,
    Strip,
    loop,
    read,
    slot_of,
    strip_loop,
    strips,
    task_nest,
    wanted_tasks,
)
from treadle.ir.access import Position as At
from treadle.ir.errors import CompilationError
from treadle.ir.index import Bound, Index, Var, constant, variable
from treadle.ir.ops import reduction
from treadle.ir.ops.scan import scanned_in
from treadle.ir.passes.split_reductions import identity
from treadle.ir.types import bool_, contiguous_strides
from treadle.ir.value import LoopClass, Value

_WAIT = 8.0  # cost of a step that can only begin when the one before has ended, in additions
_REDUCED_BY = {
    "cumsum": reduction.SUM,
    "cumprod": reduction.PROD,
    "cummax": reduction.MAX,
    "cummin": reduction.MIN,
}
_COMBINE = {"cumsum": "add", "cumprod": "mul", "cummax": "maximum", "cummin": "minimum"}
_LOGICAL = {"cummax": "or", "cummin": "and"}


def schedule_scan(problem: Problem) -> tuple[Names, Statements]:
    """The loops of a body with a scan and work on its elements.

    Raises:
        CompilationError: there is more than one scan, or a result of another element count.
    """
    found = [value for value in problem.values if value.op.loop_class is LoopClass.SCAN]
    counts = {result.type.numel for result in problem.results}
    if len(found) != 1 or counts != {found[0].type.numel}:
        raise CompilationError(
            "a kernel holds one scan and results of its element count, found "
            + ", ".join(f"{value.op.name} {value.type}" for value in (*found, *problem.results))
        )
    scan = found[0]
    axes, lanes = _axes(problem, scan)
    names = Names(problem.target, lanes)
    along = frozenset(_along(scan, axes))
    nodes = postorder(_probe(problem, scan, axes))
    across = _across(problem, scan, axes, along, lanes)
    axis, width = across.axis, across.lanes
    outer = [one for one in axes if one not in along and one is not axis]
    unroll = min(UNROLL, max(axis.extent // width, 1)) if axis and _is_cpu(problem) else 1
    count, tail = strips(axis.extent, width, unroll) if axis else (0, Strip(0))
    nest = _Nest(names, problem, scan, axes, along, across)

    def main(at: Sequence[Index], number: Index) -> Statements:
        position = dict(zip(outer, at, strict=True))
        return nest.statements(position, number * (unroll * width), Strip(unroll))

    def rest(at: Sequence[Index]) -> Statements:
        if axis and not tail.slots:
            return ()
        position = dict(zip(outer, at, strict=True))
        return nest.statements(position, constant(count * unroll * width), tail)

    wanted = wanted_tasks(problem.target, scan.type.numel * (cost(nodes) + 2))
    return names, task_nest(names, [axis.extent for axis in outer], count, wanted, main, rest)


def _is_cpu(problem: Problem) -> bool:
    return problem.target.kind == "cpu"


def _axes(problem: Problem, scan: Value) -> tuple[list[Var], int]:
    """Axes of the iteration, none of which is scanned in part, and the lanes."""
    extents = [extent for extent in scan.shape if extent != 1]
    below = contiguous_strides(scan.shape)[scan.attr("axis")]
    fixed = {below, below * scan.shape[scan.attr("axis")]}

    def probe(axes: Sequence[Var]) -> list[Expression]:
        return _probe(problem, scan, axes)

    nodes = postorder(probe(axis_variables(extents)))
    lanes = lanes_of(problem.target, nodes, [buffer.dtype for buffer in problem.outputs])
    return axis_variables(chosen_axes(extents, probe, lanes, fixed)), lanes


def _along(scan: Value, axes: Sequence[Var]) -> list[Var]:
    """The axes that lie inside the scanned one."""
    low = contiguous_strides(scan.shape)[scan.attr("axis")]
    high = low * scan.shape[scan.attr("axis")]
    found = []
    below = math.prod(axis.extent for axis in axes)
    for axis in axes:
        below //= axis.extent
        if low <= below < high:
            found.append(axis)
    return found


def _probe(problem: Problem, scan: Value, axes: Sequence[Var]) -> list[Expression]:
    """Everything evaluated for an element, with a stand-in for the scan's."""
    nest = _Nest(Names(problem.target, 0), problem, scan, axes, frozenset(), _Across(None))
    return [*nest.operands, *(one.value for one in nest.written)]


@dataclass(frozen=True)
class _Across:
    """Which rows go side by side: those along ``axis``, if there is one, ``lanes`` in a vector.

    With one lane, elements of some rows are taken in turn.
    """

    axis: Var | None
    lanes: int = 1


def _across(
    problem: Problem, scan: Value, axes: Sequence[Var], along: frozenset[Var], lanes: int
) -> _Across:
    """The cheapest way to go through the rows."""
    nest = _Nest(Names(problem.target, 0), problem, scan, axes, along, _Across(None))
    nodes = postorder([*nest.operands, *(one.value for one in nest.written)])
    rows = [axis for axis in reversed(axes) if axis not in along]

    def price(across: _Across) -> float:
        axis = across.axis
        if axis is None or across.lanes == 1:
            waits = 1 if axis is None else min(UNROLL, axis.extent)
            return scan.type.numel * (cost(nodes) + 1 + _WAIT / waits)
        steps = scan.type.numel // axis.extent * -(-axis.extent // lanes)
        stored = sum(store_cost(one.index, axis, lanes) for one in nest.written)
        return lane_cost(nodes, axes, axis, lanes) + steps * stored

    choices = [_Across(axis, lanes) for axis in rows]
    if _is_cpu(problem):
        choices += [_Across(axis) for axis in rows]
    return min([*choices, _Across(None)] if _is_cpu(problem) or not choices else choices, key=price)


@dataclass(frozen=True)
class _State:
    """The running value: one copy a lane and slot."""

    register: Register

    def now(self, slot: Index) -> Expression:
        return read(self.register, slot)

    def set(self, slot: Index, value: Expression) -> Assign:
        return Assign(self.register, value, slot_of(self.register, slot))


class _Nest:
    """The loops over the elements of some rows.

    Args:
        along: the axes that are scanned.
        across: the rows that go side by side.
    """

    def __init__(
        self,
        names: Names,
        problem: Problem,
        scan: Value,
        axes: Sequence[Var],
        along: frozenset[Var],
        across: _Across,
    ) -> None:
        self.names = names
        self.scan = scan
        self.axes = axes
        self.along = [axis for axis in axes if axis in along]
        self.across = across
        self.dtype = scanned_in(scan.op, scan.dtype)
        extents = [axis.extent for axis in axes]
        position = position_in(scan.shape, extents, at_variables(axes))
        # Slots differ between strips; the register of each strip takes the stand-in's place.
        self.held = Read(Register("scanned", scan.dtype))
        elements = Elements(problem.inputs, {scan: self._known(position)})
        self.operands = [elements.at(operand, position) for operand in scan.inputs]
        self.written = []
        for result in problem.whole_results():
            at = position_in(result.value.shape, extents, at_variables(axes))
            value = elements.at(result.value, at)
            self.written.append(Written(result.buffer, result.place(at), value))

    def _known(self, position: At) -> Known:
        def at(wanted: At, _guard: Guard) -> Expression:
            if wanted != position:
                raise CompilationError("a kernel reads a scan's result before it is computed")
            return self.held

        return at

    def statements(self, at: Mapping[Var, Index], start: Index, strip: Strip) -> Statements:
        """All elements of one row, or of the rows of a strip."""
        lanes = self.across.lanes if self.across.lanes > 1 else 0
        state = _State(self.names.register("running", self.dtype, lanes, max(strip.slots, 1)))
        inner = [self.names.var("s", axis.extent) for axis in self.along]
        moved = dict(at)
        for axis, var in zip(self.along, inner, strict=True):
            reverse = self.scan.attr("reverse")
            place = variable(var)
            moved[axis] = constant(axis.extent - 1) - place if reverse else place
        first = tuple(Bound(variable(var), 0, 1) for var in inner if var.extent > 1)

        def begin(_place: Index, _lane: Index, slot: Index) -> Statements:
            return (state.set(slot, self._identity()),)

        def step(place: Index, _lane: Index, slot: Index) -> Statements:
            axis = self.across.axis
            return self._step(state, slot, {**moved, axis: place} if axis else moved, first)

        made = self._vectors(strip, start, step)
        for var in reversed(inner):
            made = loop(var, LoopKind.SERIAL, made)
        return self._vectors(strip, start, begin) + made

    def _vectors(self, strip: Strip, start: Index, step: Step) -> Statements:
        if self.across.axis is None:
            return step(constant(0), constant(0), constant(0))
        if self.across.lanes > 1:
            return strip_loop(self.names, strip, start, step)
        row = self.names.var("u", strip.full)
        slot = variable(row)
        return loop(row, LoopKind.UNROLL, step(start + slot, constant(0), slot))

    def _identity(self) -> Expression:
        op = _REDUCED_BY.get(self.scan.op.name, reduction.SUM)
        number = identity(op, self.dtype)
        return Const(float(number) if self.dtype.is_floating_point else number, self.dtype)

    def _step(
        self, state: _State, slot: Index, at: Mapping[Var, Index], first: Guard
    ) -> Statements:
        rewrite = Rewriter(at)
        combined = self._combined(state.now(slot), list(map(rewrite, self.operands)), first)
        running = state.now(slot)
        if self.dtype is not self.scan.dtype:
            running = Apply("cast", (running,), self.scan.dtype)
        held = Rewriter(at, {id(self.held): running})
        return (state.set(slot, combined), *stores(self.names, self.written, held))

    def _combined(
        self, running: Expression, operands: Sequence[Expression], first: Guard
    ) -> Expression:
        dtype, name = self.dtype, self.scan.op.name
        wide = [x if x.dtype is dtype else Apply("cast", (x,), dtype) for x in operands]
        if name != "recurrence":
            op = _LOGICAL[name] if dtype is bool_ else _COMBINE[name]
            return Apply(op, (running, wide[0]), dtype)
        factor, term = wide
        if not first:
            return term
        later = Apply("add", (Apply("mul", (factor, running), dtype), term), dtype)
        return Apply("select", (Holds(first, bool_), term, later), dtype)
