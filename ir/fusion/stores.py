"""Which values are worth memory of their own; all others are computed where they are read.

A stored value may still vanish, when every reader joins its kernel; nothing is merged here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from treadle.ir.errors import PassError
from treadle.ir.fusion import costs
from treadle.ir.graph import Graph
from treadle.ir.ops.kernel import ITEM, KERNEL
from treadle.ir.value import LoopClass, Value

# Enough consumers to decide by; more are not told apart.
_MANY = 16
# Values looked at behind a contraction or reduction for what it is wanted for.
_REGION = 64
OPERAND = "an operand of a contraction"
# Operands are followed through these to the memory that a contraction reads.
_ONE_TO_ONE = ("reshape", "permute")
_FREE_MOVEMENT = ("reshape", "permute", "expand", "slice", "flip", "windows", "as_strided")


class Stores:
    """Chooses stored values of a graph.

    Attributes:
        order: every value, operands first.
        number: position of each value in that order.
        users: readers of each value, in order.
        reasons: the stored values and why each is stored.
        work: work for one element of each value, down to values that must be stored.
    """

    def __init__(self, graph: Graph, max_ops: int, max_inputs: int) -> None:
        self.order: Sequence[Value] = graph.values()
        self.number = {value: position for position, value in enumerate(self.order)}
        self.users: dict[Value, list[Value]] = {value: [] for value in self.order}
        self.reasons: dict[Value, str] = {}
        self.work: dict[Value, int] = {}
        self._leaves: dict[Value, frozenset[Value] | None] = {}
        self._max_ops = max_ops
        self._max_inputs = max_inputs
        for value in self.order:
            for operand in dict.fromkeys(value.inputs):
                self.users[operand].append(value)
        self._require(graph)
        self._measure()
        self._choose()
        for value in list(self.reasons):
            self._sink(value)
        self._limit()

    def is_leaf(self, value: Value) -> bool:
        """Whether kernels read the value from memory."""
        return value in self.reasons or costs.is_input(value)

    def kernel_of(self, root: Value) -> tuple[set[Value], set[Value]]:
        """What a kernel of one stored value computes, and the stored values and inputs it reads."""
        body, leaves = {root}, set[Value]()
        stack = [root]
        while stack:
            value = stack.pop()
            in_memory = costs.read_from_memory(value)
            for operand in value.inputs:
                if operand in in_memory:
                    leaves.add(costs.without_reshapes(operand))
                elif self.is_leaf(operand):
                    leaves.add(operand)
                elif operand not in body:
                    body.add(operand)
                    stack.append(operand)
        return body, leaves

    def _store(self, value: Value, reason: str) -> None:
        if not costs.is_input(value):
            self.reasons.setdefault(value, reason)

    # --- what must be stored ----------------------------------------------------------------------

    def _require(self, graph: Graph) -> None:
        for value in self.order:
            if value.op is KERNEL:
                raise PassError(f"program @{graph.name} is fused already: it has kernels")
            if value.op is ITEM:
                self._store(value, "a result of a library call")
            if value.op.loop_class is LoopClass.CONTRACTION:
                self._store(value, "a contraction")
                for operand in value.inputs:
                    self._store(_source(operand), OPERAND)
            elif value.op.loop_class is LoopClass.REDUCTION:
                self._store(value, "a reduction")
            elif value.op.loop_class in (LoopClass.SCAN, LoopClass.SORT):
                self._store(value, f"a {value.op.loop_class.value}")
                for operand in costs.read_from_memory(value):
                    self._store(costs.without_reshapes(operand), "an operand of a merge")
            elif value.op.loop_class is LoopClass.LIBRARY:
                for operand in value.inputs:
                    self._store(costs.without_reshapes(operand), "an operand of a library call")
            start = costs.start_of_update(value)
            if start is not None:
                self._store(value, "an update")
                self._store(costs.without_reshapes(start), "what an update starts from")
        for output in graph.outputs:
            self._store(costs.without_reshapes(output), "an output")

    # --- what is worth storing --------------------------------------------------------------------

    def _measure(self) -> None:
        """Work and leaves of each value, as if only required values were stored."""
        for value in self.order:
            inlined = [o for o in dict.fromkeys(value.inputs) if not self.is_leaf(o)]
            below = [self.work[operand] for operand in inlined]
            self.work[value] = costs.add_work(costs.work(value), *below)
            leaves: set[Value] | None = {o for o in value.inputs if self.is_leaf(o)}
            for operand in inlined:
                found = self._leaves[operand]
                leaves = None if leaves is None or found is None else leaves | found
            many = leaves is None or len(leaves) > _MANY
            self._leaves[value] = None if many else frozenset(leaves or ())

    def _choose(self) -> None:
        owners: dict[Value, frozenset[Value]] = {}
        reads: dict[Value, float] = {}
        for value in reversed(self.order):
            if value.op.loop_class is LoopClass.LIBRARY:
                owners[value], reads[value] = frozenset(self.users[value]), 1.0
                continue
            found: set[Value] = set()
            repeats = 1.0
            for user in self.users[value]:
                stored = user in self.reasons
                found |= {user} if stored else owners[user]
                after = 1.0 if stored else reads[user]
                repeats = max(repeats, after * costs.repetition(user, value))
            # Which of many are kept must not depend on the order of a set.
            kept = (
                sorted(found, key=self.number.__getitem__)[:_MANY] if len(found) > _MANY else found
            )
            owners[value] = frozenset(kept)
            reads[value] = repeats
            if value in self.reasons:
                if value.op.name == "fold" and self.work[value.inputs[0]] >= costs.EXPENSIVE:
                    # Every element of a fold looks at each window that could hold it.
                    self._store(self._cut(value.inputs[0]), "read by a fold and expensive")
            elif value.op.name == "gather" and not self.is_leaf(_source(value.inputs[0])):
                # Few elements of a large operand: best picked where that is computed.
                self._store(value, "picked from computed values")
            elif costs.is_computed(value):
                reason = self._reason(value, len(owners[value]), repeats)
                if reason:
                    self._store(self._cut(value), reason)

    def _reason(self, value: Value, owners: int, repeats: float) -> str:
        """Why a value should be stored; empty where computing it in each kernel is better."""
        work = self.work[value]
        if repeats >= 4 and work >= costs.EXPENSIVE:
            return "expensive and read many times over"
        if repeats >= costs.REPEATED_READS and work >= costs.REPEATED_WORK:
            return "expensive and read many times over"
        if owners < 2:
            return ""
        if work >= costs.EXPENSIVE:
            return "expensive and read by several kernels"
        read = self._bytes(value, value.type.numel)
        if read is None or (owners - 1) * read > owners * value.type.nbytes:
            return "read by several kernels and smaller than its operands"
        return ""

    def _bytes(self, value: Value, elements: int) -> int | None:
        """Bytes read to compute a value; None where too many values are read."""
        leaves = self._leaves[value]
        if self.is_leaf(value):
            leaves = frozenset((value,))
        if leaves is None:
            return None
        return sum(costs.bytes_read(leaf, elements) for leaf in leaves)

    def _cut(self, value: Value) -> Value:
        """Where storing saves most of the work above for the fewest bytes, at or below a value.

        A mask of random bits is stored rather than the numbers made of it.
        """
        best, fewest = value, value.type.nbytes
        current, beside = value, 0
        while True:
            inlined = [o for o in dict.fromkeys(current.inputs) if not self.is_leaf(o)]
            if not inlined:
                return best
            below = max(inlined, key=lambda operand: self.work[operand])
            rest = self.work[value] - self.work[below]
            if self.work[below] < costs.EXPENSIVE or rest >= costs.EXPENSIVE:
                return best
            for operand in dict.fromkeys(current.inputs):
                if operand is not below:
                    read = self._bytes(operand, value.type.numel)
                    beside += value.type.nbytes if read is None else read
            current = below
            total = below.type.nbytes + beside
            shared = len(self.users[below]) > 1
            if costs.is_computed(below) and (total < fewest or (shared and total == fewest)):
                best, fewest = below, total

    def _sink(self, value: Value) -> None:
        """Stores what a contraction or reduction is wanted for in place of its own result.

        Where all further readers read a value computed from it element by element, its kernel can
        store that value, and they need not compute it again.
        """
        if value.op.loop_class not in (LoopClass.CONTRACTION, LoopClass.REDUCTION):
            return
        wanted: dict[Value, None] = {}
        seen = {value}
        stack = [(value, value)]  # with the value whose memory a movement would read
        while stack:
            current, stored = stack.pop()
            if not self.users[current] or len(seen) > _REGION:
                return
            for user in self.users[current]:
                elementwise = user.op.loop_class is LoopClass.ELEMENTWISE
                if user in seen or (elementwise and self._joins(user, value)):
                    continue
                if user in self.reasons or not (elementwise or user.op.name in _ONE_TO_ONE):
                    wanted[stored] = None
                    continue
                seen.add(user)
                stack.append((user, user if elementwise else stored))
        if value not in wanted and sum(v.type.nbytes for v in wanted) <= value.type.nbytes:
            for other in wanted:
                self._store(other, f"wanted in place of a {value.op.name}")

    def _joins(self, user: Value, center: Value) -> bool:
        """Whether a stored value is likely to share the kernel of a contraction or reduction.

        It rather shares that of a later one that it reads too.
        """
        leaves = self._leaves[user] or ()
        return user in self.reasons and not any(
            leaf.op.loop_class is LoopClass.CONTRACTION
            and leaf is not center
            and self.number[leaf] > self.number[center]
            for leaf in leaves
        )

    # --- what must be cut -------------------------------------------------------------------------

    def _limit(self) -> None:
        """Stores values so that no kernel of one stored value exceeds the limits."""
        unread = {value: len(users) for value, users in self.users.items()}
        inlined: dict[Value, _Inlined] = {}
        for value in self.order:
            found = self._inlined(value, inlined)
            while len(found.body) > self._max_ops or len(found.leaves) > self._max_inputs:
                if not self._store_largest(value, inlined):
                    break
                found = self._inlined(value, inlined)
            inlined[value] = found
            for operand in dict.fromkeys(value.inputs):
                unread[operand] -= 1
                if not unread[operand]:
                    # Sets of a long chain would otherwise take quadratic memory.
                    del inlined[operand]

    def _inlined(self, value: Value, inlined: Mapping[Value, _Inlined]) -> _Inlined:
        within = [inlined[o] for o in dict.fromkeys(value.inputs) if not self.is_leaf(o)]
        body = frozenset((value,)).union(*(part.body for part in within))
        read = frozenset(o for o in value.inputs if self.is_leaf(o))
        return _Inlined(body, read.union(*(part.leaves for part in within)))

    def _store_largest(self, value: Value, inlined: dict[Value, _Inlined]) -> bool:
        """Stores the operand, below movement ops, that most of a value's body belongs to."""
        best, best_source, most = value, value, 0
        for operand in dict.fromkeys(value.inputs):
            source = _source(operand)
            size = len(inlined[operand].body) + len(inlined[operand].leaves)
            if self.is_leaf(source) or source.op.loop_class is LoopClass.SOURCE or size <= most:
                continue
            best, best_source, most = operand, source, size
        if not most:
            return False
        self._store(best_source, "the kernel would grow too large")
        inlined[best] = _Inlined(frozenset((best,)), frozenset((best_source,)))
        return True


class _Inlined(NamedTuple):
    """What a value is computed from: values computed with it, and stored values read."""

    body: frozenset[Value]
    leaves: frozenset[Value]


def _source(operand: Value) -> Value:
    """The value that movement without guards reads."""
    while operand.op.name in _FREE_MOVEMENT:
        operand = operand.inputs[0]
    return operand
