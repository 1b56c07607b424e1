"""A kernel's statements as steps of a block of threads, with what each reads and writes.

Decides which threads run a statement; where they must wait for each other is in ``barriers.py``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from treadle.codegen.cuda.expression import across_in
from treadle.codegen.loop_text import operands_of
from treadle.codegen.loops import (
    AcrossLanes,
    Assign,
    Expression,
    For,
    Kernel,
    Let,
    Load,
    LoopKind,
    Read,
    Statement,
    Store,
    When,
)
from treadle.ir.index import Atom, Dynamic, Index, Quotient, Remainder, Var, variables


class Threads(enum.Enum):
    """Which threads of a block make an access."""

    ALL = "all"  # every thread, or more than one, the same element
    FIRST = "first"  # thread 0
    LANES = "lanes"  # every thread of a LANES loop an element of its own or of others


@dataclass(frozen=True, eq=False)
class Access:
    """A read or write of a buffer.

    Attributes:
        lane: variable of the LANES loop around, for ``LANES``.
        loops: loops around, outermost first.
    """

    buffer: str
    writes: bool
    index: Index
    threads: Threads
    lane: Var | None
    loops: tuple[For, ...]


@dataclass(eq=False)
class Step:
    """A statement and what emission must know of it.

    Attributes:
        accesses: of the statement itself, not of its body.
        across: whether it combines lanes first, which all threads wait for.
        barrier: whether all threads meet before it.
    """

    statement: Statement
    accesses: list[Access]
    body: list[Step] = field(default_factory=list)
    across: bool = False
    barrier: bool = False

    def inside(self) -> Iterable[Step]:
        """The step and all in it."""
        yield self
        for step in self.body:
            yield from step.inside()


def threads_of(kernel: Kernel) -> int:
    """Threads of a block: the lanes of the kernel, 1 where it has none."""
    most = 1
    pending = list(kernel.body)
    while pending:
        statement = pending.pop()
        if isinstance(statement, For):
            most = max(most, statement.lanes)
        if isinstance(statement, (For, When)):
            pending.extend(statement.body)
    return most


def may_alias(kernel: Kernel) -> dict[str, tuple[str, ...]]:
    """Written arguments and the inputs whose memory each may be.

    A result is written over an input of as many elements of the same size, or over none.
    """
    first = len(kernel.arguments) - kernel.writes
    return {
        output.name: tuple(
            source.name
            for source in kernel.arguments[:first]
            if (source.size, source.dtype.itemsize) == (output.size, output.dtype.itemsize)
        )
        for output in kernel.arguments[first:]
    }


def roots_of(statement: Statement) -> tuple[Expression, ...]:
    """The expressions of a statement itself, those inside its positions included."""
    if isinstance(statement, Let):
        return (statement.value,)
    if isinstance(statement, Assign):
        return (*_dynamics(statement.position), statement.value)
    if isinstance(statement, Store):
        bounds = (bound.index for bound in statement.guard)
        return (*_dynamics((statement.index, *bounds)), statement.value)
    if isinstance(statement, When):
        return tuple(_dynamics(bound.index for bound in statement.guard))
    return ()


def writes(body: Iterable[Statement]) -> frozenset[str]:
    """Names of the registers and buffers that statements write."""
    found: set[str] = set()
    pending = list(body)
    while pending:
        statement = pending.pop()
        if isinstance(statement, (For, When)):
            pending.extend(statement.body)
        elif isinstance(statement, Store):
            found.add(statement.buffer.name)
        else:
            found.add(statement.register.name)
    return frozenset(found)


def varies(index: Index, lane: Var) -> bool:
    """Whether lanes may have different values of an index."""
    return lane in variables(index) or any(
        isinstance(node, Read) and node.register.lanes > 0 for node in nodes_of(_dynamics([index]))
    )


def is_dynamic(item: Index | Atom) -> bool:
    """Whether data decides the value."""
    if isinstance(item, Index):
        return any(is_dynamic(atom) for atom, _ in item.terms)
    if isinstance(item, (Quotient, Remainder)):
        return is_dynamic(item.operand)
    return isinstance(item, Dynamic)


def nodes_of(roots: Iterable[Expression]) -> list[Expression]:
    """Every node of expressions, once."""
    found: dict[int, Expression] = {}
    stack = list(roots)
    while stack:
        node = stack.pop()
        if id(node) not in found:
            found[id(node)] = node
            stack.extend(operands_of(node))
    return list(found.values())


def _dynamics(indices: Iterable[Index]) -> list[Expression]:
    found: list[Expression] = []
    stack: list[Atom] = [atom for index in indices for atom, _ in index.terms]
    while stack:
        atom = stack.pop()
        if isinstance(atom, Dynamic):
            found.append(atom.expression)
        elif isinstance(atom, (Quotient, Remainder)):
            stack.extend(inner for inner, _ in atom.operand.terms)
    return found


class StepBuilder:
    """Makes the steps of one kernel."""

    def __init__(self, kernel: Kernel) -> None:
        first = len(kernel.arguments) - kernel.writes
        written = {buffer.name for buffer in kernel.arguments[first:]}
        # Accesses of other buffers need no care: nothing is written to them.
        self._watched = written.union(*may_alias(kernel).values())
        self._watched.update(buffer.name for buffer in kernel.scratch)
        self._combined: set[AcrossLanes] = set()

    def build(
        self, body: Sequence[Statement], loops: tuple[For, ...] = (), lane: For | None = None
    ) -> list[Step]:
        """The steps of statements."""
        steps: list[Step] = []
        for statement in body:
            if isinstance(statement, For):
                if statement.var.extent:
                    steps.append(self._loop(statement, loops, lane))
                continue
            step = Step(statement, self._accesses(statement, loops, lane))
            self._combine(step, lane)
            if isinstance(statement, When):
                step.body = self.build(statement.body, loops, lane)
            steps.append(step)
        return steps

    def _loop(self, loop: For, loops: tuple[For, ...], lane: For | None) -> Step:
        if loop.kind is LoopKind.LANES:
            if lane is not None:
                raise ValueError(f"LANES loop {loop.var.name} is inside another")
            if not 1 < loop.lanes >= loop.var.extent:
                raise ValueError(
                    f"LANES loop {loop.var.name} of extent {loop.var.extent} has {loop.lanes} lanes"
                )
            lane = loop
        elif loop.kind is LoopKind.TASKS and loops:
            raise ValueError("a TASKS loop must be the outermost loop")
        return Step(loop, [], self.build(loop.body, (*loops, loop), lane))

    def _combine(self, step: Step, lane: For | None) -> None:
        found = across_in(roots_of(step.statement))
        if found and lane is not None:
            raise ValueError(f"lanes are combined inside the LANES loop {lane.var.name}")
        # One combined before may still have its name.
        fresh = [node for node in found if node not in self._combined]
        self._combined.update(fresh)
        step.across = bool(fresh)

    def _accesses(
        self, statement: Statement, loops: tuple[For, ...], lane: For | None
    ) -> list[Access]:
        found: list[Access] = []
        for node in nodes_of(roots_of(statement)):
            if isinstance(node, Load) and node.buffer.name in self._watched:
                threads = Threads.ALL
                if lane is not None and varies(node.index, lane.var):
                    threads = Threads.LANES
                elif lane is None and isinstance(statement, Store):
                    threads = Threads.FIRST
                found.append(_access(node.buffer.name, False, node.index, threads, loops, lane))
        if isinstance(statement, Store):
            threads = Threads.FIRST
            if lane is not None:
                threads = Threads.LANES if varies(statement.index, lane.var) else Threads.ALL
            name = statement.buffer.name
            found.append(_access(name, True, statement.index, threads, loops, lane))
        return found


def _access(
    buffer: str,
    writes: bool,
    index: Index,
    threads: Threads,
    loops: tuple[For, ...],
    lane: For | None,
) -> Access:
    if lane is not None and lane.var.extent == 1:
        threads = Threads.FIRST
    return Access(buffer, writes, index, threads, None if lane is None else lane.var, loops)
