"""Where the threads of a block must wait for each other: as rarely as can be proved enough.

A barrier stands between two accesses of one buffer, at least one of them a write, unless each
element is accessed by one thread alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import gcd
from typing import TypeAlias

from treadle.codegen.cuda.steps import Access, Step, Threads, is_dynamic
from treadle.codegen.loops import For, LoopKind, When
from treadle.ir.index import Atom, Index, Var, variables

# Accesses since the last barrier, and whether an earlier iteration of a loop around made them.
Pending: TypeAlias = dict[Access, bool]


def place_barriers(steps: Sequence[Step], aliases: Mapping[str, Sequence[str]]) -> None:
    """Mark the steps that need a barrier before them.

    Args:
        aliases: for each written argument, the inputs whose memory it may be. An element of such
            an input is not read once it is written.
    """
    _Placement(aliases).run(steps, {})


class _Placement:
    def __init__(self, aliases: Mapping[str, Sequence[str]]) -> None:
        self._aliases = aliases

    def run(self, steps: Sequence[Step], pending: Pending) -> Pending:
        """Place barriers in statements after pending accesses; the accesses pending after them."""
        for step in steps:
            # To combine lanes is a barrier itself, and comes first.
            if not step.across and self._meet(step, pending):
                step.barrier = True
            if step.barrier or step.across:
                pending = {}
            statement = step.statement
            if isinstance(statement, For) and statement.kind in (LoopKind.SERIAL, LoopKind.UNROLL):
                pending = self._repeated(step, pending)
            elif isinstance(statement, When):
                pending = {**pending, **_fresh(step.accesses)}
                pending = _both(pending, self.run(step.body, pending))
            elif isinstance(statement, For):
                pending = self.run(step.body, pending)
            else:
                self._check_alone(step)
                pending = {**pending, **_fresh(step.accesses)}
        return pending

    def _repeated(self, step: Step, pending: Pending) -> Pending:
        """A loop: what one iteration leaves is pending in the next."""
        entry = pending
        while True:
            leave = self.run(step.body, entry)
            again = _both(entry, dict.fromkeys(leave, True))
            if again == entry:
                return leave
            entry = again

    def _meet(self, step: Step, pending: Pending) -> bool:
        """Whether anything in a step conflicts with a pending access."""
        later = [access for inner in step.inside() for access in inner.accesses]
        return any(
            self._conflict(before, after, carried)
            for before, carried in pending.items()
            for after in later
        )

    def _check_alone(self, step: Step) -> None:
        """A statement has no barrier inside."""
        for after in step.accesses:
            if after.writes and any(
                self._conflict(before, after, False)
                for before in step.accesses
                if not before.writes
            ):
                raise ValueError(
                    f"lanes store to {after.buffer}[{after.index}] what other lanes read in the "
                    "same statement"
                )

    def _conflict(self, before: Access, after: Access, carried: bool) -> bool:
        if before.buffer != after.buffer:
            if before.writes or before.buffer not in self._aliases.get(after.buffer, ()):
                return False
            # Points of one loop nest run in any order: what may be overwritten by one of them is
            # not read by another.
            if before.threads is after.threads is Threads.LANES and _same_nest(before, after):
                return False
        elif not (before.writes or after.writes):
            return False
        return not one_thread(before, after, carried)


def _fresh(accesses: Sequence[Access]) -> Pending:
    return dict.fromkeys(accesses, False)


def _both(first: Pending, second: Pending) -> Pending:
    """Accesses that either leaves; carried if they are in one of them."""
    return {
        access: first.get(access, False) or second.get(access, False)
        for access in (*first, *second)
    }


def _same_nest(before: Access, after: Access) -> bool:
    pairs = zip(before.loops, after.loops, strict=False)
    return len(before.loops) == len(after.loops) and all(one is other for one, other in pairs)


def one_thread(before: Access, after: Access, carried: bool) -> bool:
    """Whether a thread that meets an element again is the one that met it before."""
    if _apart(before.index, after.index):
        return True
    if before.threads is not after.threads or before.threads is Threads.ALL:
        return False
    if before.threads is Threads.FIRST:
        return True
    assert before.lane is not None and after.lane is not None
    step = _factor(before, before.lane)
    if not step or _factor(after, after.lane) != step:
        return False
    rest = _difference(before, after, _fixed_variables(before, after, carried))
    # Two lanes differ by no more than this; all else by a constant and multiples of a grain.
    reach = abs(step) * (max(before.lane.extent, after.lane.extent) - 1)
    grain = gcd(*(factor for _, factor in rest.terms))
    if not grain:
        return rest.constant == 0 or abs(rest.constant) > reach or rest.constant % step != 0
    return rest.constant % grain == 0 and grain > reach


def _factor(access: Access, lane: Var) -> int:
    return dict(access.index.terms).get(lane, 0)


def _apart(first: Index, second: Index) -> bool:
    """Whether ranges prove that two positions never meet."""
    low, high = first.bounds()
    least, greatest = second.bounds()
    return high < least or greatest < low


def _fixed_variables(before: Access, after: Access, carried: bool) -> frozenset[Var]:
    """Loop variables that have one value at both accesses."""
    found: list[Var] = []
    for one, other in zip(before.loops, after.loops, strict=False):
        if one is not other:
            break
        if one.kind is LoopKind.TASKS or (not carried and one.kind is not LoopKind.LANES):
            found.append(one.var)
    return frozenset(found)


def _difference(before: Access, after: Access, fixed: frozenset[Var]) -> Index:
    """What is left of two positions without their lanes: the constants' difference and all terms.

    Of equal terms only those with one value at both accesses cancel.
    """
    first, second = dict(before.index.terms), dict(after.index.terms)
    same = {
        atom
        for atom, factor in first.items()
        if second.get(atom) == factor and _has_one_value(atom, fixed)
    }
    terms = [
        (atom, factor)
        for access, found in ((before, first), (after, second))
        for atom, factor in found.items()
        if atom != access.lane and atom not in same
    ]
    return Index(tuple(terms), before.index.constant - after.index.constant)


def _has_one_value(atom: Atom, fixed: frozenset[Var]) -> bool:
    return not is_dynamic(atom) and variables(atom) <= fixed
