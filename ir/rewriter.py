"""The rewrite driver: applies a table of rules to a graph, operands first, to a fixpoint.

Rules are rows: a pure function from a value to an equal one, its law and how exact it is.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from treadle.ir.constants import constant_of
from treadle.ir.errors import PassError
from treadle.ir.graph import Graph, Locations
from treadle.ir.ops.source import INPUT
from treadle.ir.printer import describe
from treadle.ir.value import Op, Value, make

# More rewrites than this while one value settles mean that rules grow it forever.
STEP_LIMIT = 10_000


class Exactness(enum.IntEnum):
    """What a rewrite may do to floating-point results; each level allows those before it."""

    EXACT = 0  # the same bits, NaN, inf and signed zero included
    REASSOCIATING = 1  # another order of the same roundings
    CONTRACTING = 2  # fewer roundings
    APPROXIMATE = 3  # results within a stated error


@dataclass(frozen=True)
class Rule:
    """One row of a rewrite table.

    Attributes:
        name: kebab-case, shown in reports and errors.
        ops: the ops whose values it looks at.
        apply: value -> an equal value of the same type, or None where the rule does not match.
        law: the equation it rests on.
        exactness: what it may do to floating-point results.
    """

    name: str
    ops: tuple[Op, ...]
    apply: Callable[[Value], Value | None]
    law: str
    exactness: Exactness = Exactness.EXACT


def rewrite(graph: Graph, rules: Iterable[Rule]) -> tuple[Graph, dict[str, int]]:
    """The graph with rules applied until none matches, and how often each rule did.

    User lines of a replaced value go to its replacement.

    Raises:
        PassError: a rule changed a type, or rules lead back to where they began.
    """
    rows = list(rules)
    driver = _Driver(rows)
    order = graph.values()
    for value in order:
        driver.settle(value)
    settled = driver.settled
    outputs = [settled[output] for output in graph.outputs]
    result = graph.with_outputs(outputs)
    lines = _carried(graph.locations, order, settled)
    kept = {value: lines[value] for value in (*graph.inputs, *result.values()) if value in lines}
    counts = {rule.name: driver.counts[rule.name] for rule in rows if driver.counts[rule.name]}
    return result.with_outputs(outputs, kept), counts


class _Driver:
    """Memoised rewriting of values; ``settled`` maps each to its final form."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.by_op: dict[Op, list[Rule]] = {}
        for rule in rules:
            for op in rule.ops:
                self.by_op.setdefault(op, []).append(rule)
        self.counts = {rule.name: 0 for rule in rules}
        self.settled: dict[Value, Value] = {}
        # What each value became in one step, by new operands or by a rule.
        self.replaced: dict[Value, Value] = {}

    def settle(self, root: Value) -> None:
        """Finds the final form of a value whose operands are settled, and of all on the way."""
        stack = [root]
        waiting: set[Value] = set()
        steps = 0
        while stack:
            value = stack[-1]
            if value in self.settled:
                stack.pop()
                continue
            following = self.replaced.get(value)
            if following is not None:
                if following in self.settled:
                    self.settled[value] = self.settled[following]
                    stack.pop()
                else:
                    self.push(stack, waiting, following)
                continue
            waiting.add(value)
            missing = [operand for operand in value.inputs if operand not in self.settled]
            if missing:
                for operand in reversed(missing):
                    self.push(stack, waiting, operand)
                continue
            step = self.step(value)
            if step is None:
                self.settled[value] = value
                continue
            steps += 1
            if steps > STEP_LIMIT:
                raise PassError(f"rules did not settle {describe(root)} in {STEP_LIMIT} steps")
            self.replaced[value] = step

    def push(self, stack: list[Value], waiting: set[Value], value: Value) -> None:
        if value in waiting:
            raise PassError(f"rules lead from {describe(value)} back to itself")
        stack.append(value)

    def step(self, value: Value) -> Value | None:
        """The value in terms of settled operands, or what the first matching rule makes of it."""
        operands = tuple(self.settled[operand] for operand in value.inputs)
        if operands != value.inputs:
            return make(value.op, operands, value.attrs)
        for rule in self.by_op.get(value.op, ()):
            found = rule.apply(value)
            if found is None or found is value:
                continue
            if found.type != value.type:
                raise PassError(
                    f"rule {rule.name} must keep the type of {describe(value)}, found {found.type}"
                )
            self.counts[rule.name] += 1
            return found
        return None


def _carried(
    locations: Locations, order: Sequence[Value], settled: dict[Value, Value]
) -> dict[Value, tuple[tuple[str, int], ...]]:
    """User lines of the rewritten graph's values."""
    lines: dict[Value, dict[tuple[str, int], None]] = {}
    finals = {settled[value] for value in order}
    for value, found in locations.items():
        if value not in settled or settled[value] is value:
            lines.setdefault(value, {}).update(dict.fromkeys(found))
    for value in order:
        found = locations.get(value, ())
        if not found or settled[value] is value:
            continue
        # Values that only the replacement needs come from the same lines.
        pending = [settled[value]]
        seen: set[Value] = set()
        while pending:
            target = pending.pop()
            if target in seen or target.op is INPUT or constant_of(target) is not None:
                continue
            seen.add(target)
            lines.setdefault(target, {}).update(dict.fromkeys(found))
            pending.extend(
                operand
                for operand in target.inputs
                if operand not in finals and operand not in lines
            )
    return {value: tuple(found) for value, found in lines.items()}
