"""The parts that schedules share: names, strips of lanes, splitting work into tasks.

Nothing here knows what is computed; bodies come as functions from positions to statements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from treadle.codegen.loops import (
    Buffer,
    Expression as Scalar,
    For,
    Let,
    LoopKind,
    Read,
    Register,
    Space,
    Statement,
    When,
)
from treadle.codegen.target import Target
from treadle.ir.index import Bound, Index, Var, constant, delinearize, variable
from treadle.ir.types import DType

Statements: TypeAlias = "tuple[Statement, ...]"
# (position along the axis, lane, slot) -> statements of one vector step
Step: TypeAlias = Callable[[Index, Index, Index], Statements]

UNROLL = 4  # vectors in flight: hides the latency of an addition or a load
_CHEAP_WORK = 1 << 17  # additions that one task does alone: dispatching costs as much
_TASK_WORK = 1 << 16  # additions a task should have at least
_TASKS = 16
_MOST_TASKS = 64
_BLOCKS = 4096  # blocks of a GPU's grid


class Names:
    """Fresh loop variables and registers of one kernel, and what it declares."""

    def __init__(self, target: Target, lanes: int) -> None:
        self.target = target
        self.lanes = lanes
        self.registers: list[Register] = []
        self.scratch: list[Buffer] = []
        self._count = 0

    def _fresh(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def var(self, prefix: str, extent: int) -> Var:
        """A loop variable."""
        return Var(self._fresh(prefix), extent)

    def register(self, prefix: str, dtype: DType, lanes: int, slots: int = 1) -> Register:
        """A register that is assigned; an array when there are several slots."""
        shape = (slots,) if slots > 1 else ()
        made = Register(self._fresh(prefix), dtype, lanes, shape)
        self.registers.append(made)
        return made

    def let(self, value: Scalar, lanes: int, depends: frozenset[Var] | None = None) -> Let:
        """A name for an expression."""
        depends = value.variables() if depends is None else depends
        return Let(Register(self._fresh("v"), value.dtype, lanes, (), depends), value)

    def scratch_buffer(self, prefix: str, dtype: DType, size: int) -> Buffer:
        """Memory of one task."""
        made = Buffer(self._fresh(prefix), dtype, size, Space.SCRATCH)
        self.scratch.append(made)
        return made

    def all_lanes(self, body: Iterable[Statement]) -> Statements:
        """Statements in every lane."""
        statements = tuple(body)
        if not statements:
            return ()
        return (For(self.var("l", self.lanes), LoopKind.LANES, statements, self.lanes),)


def slot_of(register: Register, slot: Index) -> tuple[Index, ...]:
    """The position of a slot in a register."""
    return (slot,) if register.shape else ()


def read(register: Register, slot: Index) -> Read:
    """A slot of a register."""
    return Read(register, slot_of(register, slot))


@dataclass(frozen=True)
class Strip:
    """Some whole vectors, then one of which only ``rest`` lanes are active."""

    full: int
    rest: int = 0

    @property
    def slots(self) -> int:
        """Vectors, each with a slot of its own."""
        return self.full + (self.rest > 0)


def strips(extent: int, lanes: int, unroll: int) -> tuple[int, Strip]:
    """An axis as a number of full strips of ``unroll`` vectors, and the rest."""
    return extent // (lanes * unroll), Strip(extent % (lanes * unroll) // lanes, extent % lanes)


def strip_loop(names: Names, strip: Strip, start: Index, step: Step) -> Statements:
    """One step a vector of the strip."""
    made: Statements = ()
    if strip.full:
        unroll = names.var("u", strip.full)
        lane = names.var("l", names.lanes)
        at = Index(((lane, 1),))
        slot = variable(unroll)
        inner = step(start + slot * names.lanes + at, at, slot)
        made += loop(unroll, LoopKind.UNROLL, lane_loop(lane, names.lanes, inner))
    if strip.rest:
        lane = names.var("l", strip.rest)
        # An index even for a single lane: the lanes of the statement must show in its positions.
        at = Index(((lane, 1),))
        inner = step(start + (strip.full * names.lanes) + at, at, constant(strip.full))
        made += lane_loop(lane, names.lanes, inner)
    return made


def lane_loop(lane: Var, lanes: int, body: Statements) -> Statements:
    """A loop over lanes, none around nothing."""
    return (For(lane, LoopKind.LANES, body, lanes),) if body else ()


def loop(var: Var, kind: LoopKind, body: Statements) -> Statements:
    """A loop, none around nothing or for one iteration."""
    if var.extent == 1 or not body:
        return body
    return (For(var, kind, body),)


def wanted_tasks(target: Target, work: float) -> int:
    """How many tasks an amount of work (in additions of single elements) is worth."""
    if target.kind == "cuda":
        return max(1, min(_BLOCKS, int(work) // 1024))
    if work < _CHEAP_WORK:
        return 1
    return min(_TASKS, int(work) // _TASK_WORK)


@dataclass(frozen=True)
class TaskSplit:
    """Loops shared out to tasks.

    Attributes:
        whole: how many of the first loops are tasks entirely.
        parts: tasks that share the next loop (1: it is serial).
        chunk: iterations of that loop in a part; the last part may have fewer.
    """

    whole: int
    parts: int
    chunk: int


def split_tasks(extents: Sequence[int], wanted: int, target: Target) -> TaskSplit:
    """Outer loops as about ``wanted`` tasks; depends on shapes only."""
    most = _MOST_TASKS if target.kind == "cpu" else 16 * _BLOCKS
    tasks = 1
    for nth, extent in enumerate(extents):
        if tasks >= wanted:
            return TaskSplit(nth, 1, extent)
        if tasks * extent <= min(most, 4 * wanted):
            tasks *= extent
            continue
        need = -(-wanted // tasks)
        for parts in range(need, min(2 * need, extent) + 1):
            if extent % parts == 0:
                return TaskSplit(nth, parts, extent // parts)
        chunk = -(-extent // need)
        return TaskSplit(nth, -(-extent // chunk), chunk)
    return TaskSplit(len(extents), 1, 1)


def task_nest(
    names: Names,
    extents: Sequence[int],
    strip_count: int,
    wanted: int,
    main: Callable[[list[Index], Index], Statements],
    tail: Callable[[list[Index]], Statements],
) -> Statements:
    """Loops over outer axes and, inside them, over strips, with the first ones made tasks.

    Args:
        main: (positions along the axes, number of the strip) -> statements of a full strip.
        tail: positions -> statements after the last full strip.
    """
    counts = [*extents, strip_count] if strip_count else list(extents)
    split = split_tasks(counts, wanted, names.target)
    counted = [*counts[: split.whole], split.parts]
    total = 1
    for count in counted:
        total *= count
    task = names.var("t", total)
    parts = delinearize(variable(task), counted)
    inner: list[Var] = []
    at: list[Index] = []
    for nth, extent in enumerate(counts):
        if nth < split.whole:
            inner.append(Var("", 1))
            at.append(parts[nth])
        elif nth == split.whole and split.parts > 1:
            inner.append(names.var("i", split.chunk))
            at.append(parts[-1] * split.chunk + variable(inner[-1]))
        else:
            inner.append(names.var("i", extent))
            at.append(variable(inner[-1]))

    def wrapped(nth: int, body: Statements) -> Statements:
        bound = Bound(at[nth], 0, counts[nth])
        guarded: Statements = body if bound.always() or not body else (When((bound,), body),)
        return loop(inner[nth], LoopKind.SERIAL, guarded)

    outer = at[: len(extents)]
    body: Statements = ()
    last = len(counts) - 1
    if strip_count:
        body = wrapped(last, main(outer, at[-1]))
    after = tail(outer)
    if strip_count and after and split.whole >= last:
        # Strips are shared out: what follows them belongs to the task of the last one.
        number, count = min(last, split.whole), counted[last]
        bound = Bound(parts[number], count - 1, count)
        after = after if bound.always() else (When((bound,), after),)
    body += after
    for nth in reversed(range(len(extents))):
        body = wrapped(nth, body)
    return loop(task, LoopKind.TASKS, body)
