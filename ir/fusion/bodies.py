"""Kernels out of groups: the body as a graph of its own, and the program that calls kernels.

Bodies are numbered by their structure alone, so that equal work has one body.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from treadle.ir.fusion import costs
from treadle.ir.fusion.groups import Groups
from treadle.ir.graph import Graph, input_value
from treadle.ir.ops.kernel import ITEM, KERNEL
from treadle.ir.ops.movement import RESHAPE
from treadle.ir.value import Value, make

# Names of this many ops make the name of a body.
_NAMED_OPS = 5


class Body(NamedTuple):
    """A body and the values of the program that its inputs stand for, in order."""

    graph: Graph
    operands: tuple[Value, ...]


def body_of(results: Sequence[Value], computed: Collection[Value]) -> Body:
    """The body that computes ``results``; what is not among ``computed`` becomes an input."""
    # Some operands are memory as it is, even where they see it reshaped.
    in_memory = {operand for value in computed for operand in costs.read_from_memory(value)}
    slots: dict[Value, Value] = {}
    done: dict[Value, Value] = {}
    names: list[str] = []
    for result in results:
        stack = [(result, False)]
        while stack:
            value, expanded = stack.pop()
            if value in done:
                continue
            if value not in computed or value in in_memory:
                slots[value] = done[value] = input_value(len(slots), value.type)
            elif expanded:
                operands = tuple(done[operand] for operand in value.inputs)
                done[value] = make(value.op, operands, value.attrs)
                name = costs.name_of(value)
                if name and name not in names:
                    names.append(name)
            else:
                stack.append((value, True))
                stack.extend((operand, False) for operand in reversed(value.inputs))
    name = "_".join(names[:_NAMED_OPS]) or ("copy" if slots else "fill")
    outputs = tuple(done[result] for result in results)
    return Body(Graph(name, tuple(slots.values()), outputs), tuple(slots))


class Program:
    """A graph of kernels while it grows.

    Attributes:
        copies: how often each stored value or input is a result of the program.
        items: for each stored value, its results: one to read, and one more for each further
            result of the program, since no two of those share memory.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.copies = Counter(map(costs.without_reshapes, graph.outputs))
        self.items: dict[Value, list[Value]] = {}
        lines = graph.locations
        self.locations = {value: lines[value] for value in graph.inputs if value in lines}

    def add(self, stored: Iterable[Value], order: Sequence[Value]) -> None:
        """Adds the kernel that computes stored values by computing ``order``, operands first."""
        results = [value for value in stored for _ in range(self._times(value))]
        body = body_of(results, frozenset(order))
        operands = tuple(map(self._operand, body.operands))
        kernel = make(KERNEL, operands, (body.graph, ()))
        for index, value in enumerate(results):
            self.items.setdefault(value, []).append(make(ITEM, (kernel,), (index,)))

        lines = self.graph.locations
        found = [line for value in order for line in lines.get(value, ())]
        if found:
            self.locations[kernel] = tuple(dict.fromkeys(found))

    def _times(self, value: Value) -> int:
        """How often a kernel stores a value; an update is made once, in one memory, and copied."""
        made = len(self.items.get(value, ()))
        if not made and costs.start_of_update(value) is not None:
            return 1
        return max(self.copies[value] - made, 1)

    def _operand(self, value: Value) -> Value:
        if value in self.items:
            return self.items[value][0]
        if costs.is_input(value):
            return value
        return make(RESHAPE, (self._operand(value.inputs[0]),), value.attrs)

    def finished(self) -> Graph:
        """The graph of all kernels added; what lacks a result gets a copying kernel."""
        outputs = []
        taken: Counter[Value] = Counter()
        for output in self.graph.outputs:
            base = costs.without_reshapes(output)
            if taken[base] == len(self.items.get(base, ())):
                self.add((base,), ())
            item = self.items[base][taken[base]]
            taken[base] += 1
            same = item.type == output.type
            outputs.append(item if same else make(RESHAPE, (item,), (output.shape,)))
        return self.graph.with_outputs(outputs, self.locations)


def program_of(graph: Graph, groups: Groups) -> Graph:
    """The graph with a kernel for each group."""
    program = Program(graph)
    for group in groups.in_order():
        stored = [root for root in group.roots if groups.is_read(root)]
        program.add(stored, sorted(group.body, key=groups.number.__getitem__))
    return program.finished()
