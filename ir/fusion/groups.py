"""Groups of stored values that share a kernel, merged while that saves memory traffic.

A merge needs a common form, room within the limits, and no path that leaves a group and returns.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from treadle.ir.access import Position
from treadle.ir.fusion import costs
from treadle.ir.fusion.forms import (
    Form,
    Kind,
    Read,
    RefusedError,
    form_of,
    joined,
    product_places,
    reads,
)
from treadle.ir.fusion.stores import OPERAND, Stores
from treadle.ir.graph import Graph
from treadle.ir.value import LoopClass, Value

# An operand read more often than this for each element is too small to share kernels for.
_REPEATS = 16
# Reading one of so many elements of a value, computing those again costs nothing to speak of.
_FEW = 4
# Paths through more kernels than this are not cleared.
_DETOUR = 4
# A merge can make room for another that came before it.
_ROUNDS = 4


class _BlockedError(RefusedError):
    """A path leads out of a kernel and back; merging what lies on it would make room."""


@dataclass(frozen=True)
class Limits:
    """How large a kernel may grow: values it reads, stores and computes."""

    inputs: int
    outputs: int
    ops: int


@dataclass
class Group:
    """Stored values that one kernel computes.

    Attributes:
        number: its name; that of the first group it was merged from.
        roots: the stored values, operands first.
        form: index space of the kernel.
        body: every value that the kernel computes.
        leaves: stored values of other groups and inputs that it reads.
        places: which elements of leaves it reads, for a point of the form's domain.
        again: roots that it also computes at positions that are not their own.
        rank: place in an order in which every group follows those it reads.
        before, after: groups that it reads, and that read it.
    """

    number: int
    roots: list[Value]
    form: Form
    body: set[Value]
    leaves: set[Value]
    places: dict[Value, set[Position]]
    rank: int
    again: set[Value] = field(default_factory=set)
    before: set[int] = field(default_factory=set)
    after: set[int] = field(default_factory=set)


class Groups:
    """The groups of a graph.

    Attributes:
        number: position of every value, operands first.
        groups: by number.
        owner: group of each stored value.
        readers: groups that read each stored value or input from memory.
        refusals: why a value and a stored value that it reads stayed apart.
    """

    def __init__(self, graph: Graph, stores: Stores, limits: Limits) -> None:
        self.number = {value: position for position, value in enumerate(stores.order)}
        self.stores = stores
        self.limits = limits
        self.results = frozenset(map(costs.without_reshapes, graph.outputs))
        self.groups: dict[int, Group] = {}
        self.owner: dict[Value, int] = {}
        self.readers: dict[Value, set[int]] = {}
        self.refusals: dict[tuple[Value, Value], str] = {}
        self._merged_into: dict[int, int] = {}
        self._blocked = False  # whether the last refusal was for a path
        for value in stores.order:
            if value in stores.reasons:
                self._add(value)

    def group_of(self, value: Value) -> Group:
        """The group that computes a stored value."""
        return self.groups[self.owner[value]]

    def is_read(self, value: Value) -> bool:
        """Whether another kernel, or the caller, reads a stored value."""
        return value in self.results or bool(self.readers.get(value))

    def _add(self, root: Value) -> None:
        body, leaves = self.stores.kernel_of(root)
        number = len(self.groups)
        form = form_of(root)
        if form.kind is Kind.LIBRARY:
            # All results of a call are made together.
            number = self.owner.get(root.inputs[0], number)
            self.owner[root.inputs[0]] = self.owner[root] = number
            if number in self.groups:
                self.groups[number].roots.append(root)
                self.groups[number].body |= body
                return
        group = Group(number, [root], form, body, leaves, {}, number)
        if form.kind in (Kind.MAP, Kind.ROWS):
            group.places = self._places(form, root)
        for leaf in leaves:
            self.readers.setdefault(leaf, set()).add(number)
            if leaf in self.owner:
                group.before.add(self.owner[leaf])
        for before in group.before:
            self.groups[before].after.add(number)
        self.groups[number] = group
        self.owner[root] = number

    def _places(self, form: Form, root: Value) -> dict[Value, set[Position]]:
        try:
            return {leaf: read.positions for leaf, read in self._reads(form, (root,)).items()}
        except RefusedError:
            return {}

    def _reads(
        self, form: Form, roots: Sequence[Value], again: Collection[Value] = ()
    ) -> dict[Value, Read]:
        try:
            return reads(form, roots, self.stores.reasons, again)
        except ValueError as error:
            # Index arithmetic has no form for operands without elements.
            raise RefusedError("it reads values without elements") from error

    # --- along edges ------------------------------------------------------------------------------

    def merge_readers(self) -> None:
        """Takes stored values into the kernels that read them, where that saves most first."""
        read = {value: self.stores.kernel_of(value)[1] for value in self.owner}
        edges = [(leaf, value) for value, leaves in read.items() for leaf in leaves if leaf in read]

        def order(edge: tuple[Value, Value]) -> tuple[int, int, int]:
            leaf, value = edge
            shared = read[leaf] & read[value]
            saved = leaf.type.nbytes + sum(other.type.nbytes for other in shared)
            # Of equal savings that of the value written last, which is still in the cache.
            return -saved, self.number[value], -self.number[leaf]

        edges.sort(key=order)
        for _round in range(_ROUNDS):
            before = len(self.groups)
            for leaf, value in edges:
                merged = self._merge_edge(leaf, value)
                if not merged and self._blocked and self._clear_path(leaf, value):
                    self._merge_edge(leaf, value)
            if len(self.groups) == before:
                return

    def _merge_edge(self, leaf: Value, value: Value) -> bool:
        producer, consumer = self.group_of(leaf), self.group_of(value)
        if producer is consumer:
            return True
        try:
            form = self._check_edge(producer, consumer, leaf)
        except RefusedError as refusal:
            self.refusals[value, leaf] = str(refusal)
            self._blocked = isinstance(refusal, _BlockedError)
            return False
        self._join(producer, consumer, form)
        return True

    def _clear_path(self, leaf: Value, value: Value) -> bool:
        """Merges what lies between two groups into the first; False where something stays."""
        producer, consumer = self.group_of(leaf), self.group_of(value)
        if producer.rank > consumer.rank or producer is consumer:
            return False
        towards = {group.number for group in self._between(producer, consumer, backwards=True)}
        found = [g for g in self._between(producer, consumer) if g.number in towards]
        if not 0 < len(found) <= _DETOUR:
            return False
        for group in sorted(found, key=_rank):
            read = [other for other in group.leaves if self.owner.get(other) == producer.number]
            if not read or not self._merge_edge(max(read, key=self._weight), group.roots[0]):
                return False
        return True

    def _weight(self, value: Value) -> tuple[int, int]:
        return value.type.nbytes, self.number[value]

    def _check_edge(self, producer: Group, consumer: Group, leaf: Value) -> Form:
        """The form of a group and one that reads its ``leaf``; raises RefusedError."""
        if consumer.form.kind is Kind.PRODUCT:
            if self.stores.reasons[leaf] == OPERAND:
                raise RefusedError("a contraction reads its operands from memory")
            raise RefusedError("a kernel with a contraction stores only what depends on it")
        if consumer.form.kind in (Kind.FOLD, Kind.SCAN):
            kind = consumer.form.kind.value
            raise RefusedError(f"a kernel with a {kind} stores only what depends on it")
        form = joined(producer.form, consumer.form)
        self._check_size(producer, consumer)
        self._check_paths(producer, consumer)
        if form.kind is Kind.PRODUCT:
            body = sorted(producer.body | consumer.body, key=self.number.__getitem__)
            product_places(body, (*producer.roots, *consumer.roots))
            return form
        found = self._check_reads(form, producer, consumer, leaf)
        # Positions hold for one domain.
        consumer.places = {value: read.positions for value, read in found.items()}
        if producer.form != form:
            producer.places = {}
        return form

    def _check_reads(
        self, form: Form, producer: Group, consumer: Group, leaf: Value
    ) -> dict[Value, Read]:
        """How the consumer reads what both store, in the form of both; raises RefusedError."""
        stored = sorted((*producer.roots, *consumer.roots), key=self.number.__getitem__)
        again = producer.again | consumer.again
        while True:
            found = self._reads(form, consumer.roots, again)
            if leaf not in found:
                raise RefusedError("it has no elements")
            few = consumer.form.count * _FEW <= leaf.type.numel
            if not found[leaf].at_home and not few:
                raise RefusedError("it is read at other positions than it is computed at")
            # What is computed again there reads its own operands at other positions in turn.
            more = [r for r in stored if r in found and found[r].elsewhere and r not in again]
            if not more:
                consumer.again = again
                return found
            for root in more:
                self._check_again(root, consumer)
            again = again.union(more)

    def _check_again(self, root: Value, consumer: Group) -> None:
        """Whether a value may also be computed at positions that are not its own."""
        alone = (LoopClass.REDUCTION, LoopClass.CONTRACTION, LoopClass.SCAN)
        if root.op.loop_class in alone:
            raise RefusedError(f"{root.op.name} is read at other positions than it is computed at")
        few = consumer.form.count * _FEW <= root.type.numel
        if self.stores.work[root] >= costs.EXPENSIVE and not few:
            raise RefusedError("it is expensive and would be computed again at other positions")

    # --- side by side -----------------------------------------------------------------------------

    def merge_siblings(self) -> None:
        """Joins kernels that read the same value element by element."""
        order = sorted(self.readers, key=self.number.__getitem__)
        for leaf in order:
            numbers = sorted(self.readers[leaf])
            for earlier, later in pairwise(numbers):
                first, second = self._current(earlier), self._current(later)
                if first is second:
                    continue
                try:
                    form = self._check_siblings(first, second, leaf)
                except RefusedError:
                    continue
                self._join(first, second, form)

    def _current(self, number: int) -> Group:
        while number in self._merged_into:
            number = self._merged_into[number]
        return self.groups[number]

    def _check_siblings(self, first: Group, second: Group, leaf: Value) -> Form:
        if not self._read_together(first, second, leaf):
            raise RefusedError("they do not read the same elements together")
        if first.number in second.before or second.number in first.before:
            raise RefusedError("one reads the other")
        form = joined(first.form, second.form)
        if form.kind not in (Kind.MAP, Kind.ROWS):
            raise RefusedError(f"a kernel with a {form.kind.value} stores only what depends on it")
        self._check_size(first, second)
        self._check_paths(first, second)
        return form

    def _read_together(self, first: Group, second: Group, leaf: Value) -> bool:
        """Whether two kernels read the same elements of a leaf at the same time."""
        count = max(first.form.count, second.form.count)
        if not leaf.type.numel or leaf.type.numel * _REPEATS < count:
            return False
        if (first.form.domain, first.form.axes) == (second.form.domain, second.form.axes):
            return bool(first.places.get(leaf, set()) & second.places.get(leaf, set()))
        return all(g.form.home(leaf) in g.places.get(leaf, ()) for g in (first, second))

    # --- both -------------------------------------------------------------------------------------

    def _check_size(self, first: Group, second: Group) -> None:
        limits = self.limits
        if len(first.body | second.body) > limits.ops:
            raise RefusedError(f"the kernel would have more than {limits.ops} ops")
        roots = (*first.roots, *second.roots)
        if len((first.leaves | second.leaves).difference(roots)) > limits.inputs:
            raise RefusedError(f"the kernel would read more than {limits.inputs} values")
        both = {first.number, second.number}
        stored = [r for r in roots if r in self.results or self.readers.get(r, set()) - both]
        if len(stored) > limits.outputs:
            raise RefusedError(f"the kernel would store more than {limits.outputs} values")

    def _check_paths(self, first: Group, second: Group) -> None:
        """Raises RefusedError where a third group reads one of two and is read by the other."""
        low, high = sorted((first, second), key=lambda group: group.rank)
        for group in self._between(low, high):
            if high.number in group.after:
                name = group.roots[-1].op.name
                raise _BlockedError(f"a path leads out of the kernel and back through {name}")

    def _between(self, low: Group, high: Group, backwards: bool = False) -> list[Group]:
        """Groups that must follow ``low`` (or precede ``high``) and are ranked between the two."""
        start = high if backwards else low
        seen = {low.number, high.number}
        found: list[Group] = []
        stack = [start]
        while stack:
            group = stack.pop()
            for number in group.before if backwards else group.after:
                near = self.groups[number]
                if number not in seen and low.rank < near.rank < high.rank:
                    seen.add(number)
                    found.append(near)
                    stack.append(near)
        return found

    def _join(self, first: Group, second: Group, form: Form) -> None:
        """Makes the second group a part of the first."""
        for group in (first, second):
            if group.form != form and group.form.kind is Kind.MAP:
                group.places = {}
        for leaf, positions in second.places.items():
            first.places.setdefault(leaf, set()).update(positions)
        first.again |= second.again
        first.form = form
        first.roots = sorted((*first.roots, *second.roots), key=self.number.__getitem__)
        first.body |= second.body
        for leaf in second.leaves:
            self.readers[leaf].discard(second.number)
            self.readers[leaf].add(first.number)
        first.leaves = (first.leaves | second.leaves).difference(first.roots)
        for root in second.roots:
            self.owner[root] = first.number
        for root in first.roots:
            self.readers.get(root, set()).discard(first.number)
        self._merged_into[second.number] = first.number
        self._reconnect(first, second)
        del self.groups[second.number]

    def _reconnect(self, first: Group, second: Group) -> None:
        """Edges and ranks of two groups as those of one.

        Ranks change as in Pearce and Kelly, A Dynamic Topological Sort Algorithm (2006): only
        what lies between the two moves.
        """
        low, high = sorted((first, second), key=lambda group: group.rank)
        later = self._between(low, high)
        earlier = self._between(low, high, backwards=True)
        ranks = sorted([high.rank, *(group.rank for group in (*earlier, *later))])
        moved = [*sorted(earlier, key=_rank), first, *sorted(later, key=_rank)]
        for group, rank in zip(moved, ranks, strict=True):
            group.rank = rank

        both = {first.number, second.number}
        first.before = (first.before | second.before) - both
        first.after = (first.after | second.after) - both
        for number in first.before:
            self.groups[number].after.discard(second.number)
            self.groups[number].after.add(first.number)
        for number in first.after:
            self.groups[number].before.discard(second.number)
            self.groups[number].before.add(first.number)

    def in_order(self) -> list[Group]:
        """The groups, each after all that it reads."""
        return sorted(self.groups.values(), key=_rank)


def _rank(group: Group) -> int:
    return group.rank
