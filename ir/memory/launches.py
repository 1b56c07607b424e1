"""The kernels of a fused graph: who reads what, and the order in which they run.

The order follows from the structure of the graph alone, so that planning and assembly agree.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from functools import lru_cache

from treadle.ir.errors import PassError
from treadle.ir.fusion.costs import is_input, without_reshapes
from treadle.ir.fusion.in_place import overwritable
from treadle.ir.graph import Graph
from treadle.ir.ops.kernel import ITEM, KERNEL
from treadle.ir.ops.movement import RESHAPE
from treadle.ir.value import Value, make

# Bytes that are not worth keeping a kernel waiting for: others may wait for its numbers.
_NEGLIGIBLE = 256

overwritable_of = lru_cache(maxsize=4096)(overwritable)


class Launches:
    """Kernels and the memory they read.

    Memory is named by the input or item that it holds; a reshape is the memory of its operand.

    Attributes:
        kernels: in the order in which they run.
        position: of each kernel in that order.
        readers: kernels that read the memory of each input and item.
        results: for each kernel, the item of each result, read or not.
        outputs: position in the program's outputs of each item that is one.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.readers: dict[Value, list[Value]] = {value: [] for value in graph.inputs}
        self.results: dict[Value, list[Value]] = {}
        for value in graph.values():
            if value.op is KERNEL:
                count = len(value.attrs[0].outputs)
                items = [make(ITEM, (value,), (index,)) for index in range(count)]
                self.results[value] = items
                self.readers.update((item, []) for item in items)
                for operand in dict.fromkeys(map(without_reshapes, value.inputs)):
                    self.readers[operand].append(value)
            elif value.op not in (ITEM, RESHAPE) and not is_input(value):
                raise PassError(
                    f"program @{graph.name} is not fused: {value.op.name} is in no kernel"
                )
        self.outputs = _outputs(graph)
        self.kernels = list(self.results)
        self.kernels = self._ordered()
        self.position = {kernel: number for number, kernel in enumerate(self.kernels)}

    def overwritten(self, item: Value) -> Iterable[Value]:
        """Memory that the kernel of an item reads and that the item may replace as it is made."""
        kernel, index = item.inputs[0], item.attrs[0]
        operands = [without_reshapes(operand) for operand in kernel.inputs]
        for result, slot in sorted(overwritable_of(kernel.attrs[0])):
            if result == index and operands.count(operands[slot]) == 1:
                yield operands[slot]

    def chain(self, item: Value) -> tuple[list[Value], list[Value]]:
        """Items that may share one memory, each made out of the one after it, and donated inputs.

        The first is ``item``. Any of the inputs may be what the last is made out of.
        """
        found = [item]
        while True:
            sources = list(self.overwritten(found[-1]))
            donated = [s for s in sources if is_input(s) and s.attrs[0] in self.graph.donated]
            dying = [
                source
                for source in sources
                if source.op is ITEM and source not in self.outputs and self._dies(source)
            ]
            if donated or not dying:
                return found, donated
            found.append(dying[0])

    def _dies(self, source: Value) -> bool:
        """Whether one kernel of one result is all that reads an item."""
        readers = self.readers[source]
        return len(readers) == 1 and len(readers[0].attrs[0].outputs) == 1

    # --- the order --------------------------------------------------------------------------------

    def _ordered(self) -> list[Value]:
        before: dict[Value, set[Value]] = {kernel: set() for kernel in self.kernels}
        after: dict[Value, set[Value]] = {kernel: set() for kernel in self.kernels}

        def connect(first: Value, second: Value) -> None:
            before[second].add(first)
            after[first].add(second)

        for kernel in self.kernels:
            for operand in map(without_reshapes, kernel.inputs):
                if operand.op is ITEM:
                    connect(operand.inputs[0], kernel)
        # Other readers of memory that an update replaces go first where they can.
        for item in self.outputs:
            items, donated = self.chain(item)
            writer = items[-1].inputs[0]
            for source in donated:
                for reader in self.readers[source]:
                    if reader is not writer and not _leads(after, writer, reader):
                        connect(reader, writer)
        return _Scheduler(self, before, after).run()


def _outputs(graph: Graph) -> dict[Value, int]:
    outputs: dict[Value, int] = {}
    for position, output in enumerate(graph.outputs):
        item = without_reshapes(output)
        if item.op is not ITEM:
            raise PassError(
                f"output {position} of program @{graph.name} is the memory of {item.op.name}: "
                "outputs of a fused program are results of kernels"
            )
        if outputs.setdefault(item, position) != position:
            raise PassError(
                f"outputs {outputs[item]} and {position} of program @{graph.name} are the same "
                "result of a kernel: each output needs memory of its own"
            )
    return outputs


def _leads(after: dict[Value, set[Value]], start: Value, end: Value) -> bool:
    """Whether a kernel must run before another."""
    seen = {start}
    stack = [start]
    while stack:
        for later in after[stack.pop()]:
            if later is end:
                return True
            if later not in seen:
                seen.add(later)
                stack.append(later)
    return False


class _Scheduler:
    """Runs kernels that free memory first, then those whose operands were written last."""

    def __init__(
        self,
        launches: Launches,
        before: dict[Value, set[Value]],
        after: dict[Value, set[Value]],
    ) -> None:
        self._launches = launches
        self._after = after
        self._number = {kernel: number for number, kernel in enumerate(launches.kernels)}
        self._waiting = {kernel: len(earlier) for kernel, earlier in before.items()}
        self._unread = {value: set(readers) for value, readers in launches.readers.items()}
        self._done: dict[Value, int] = {}
        self._ready: list[tuple[bool, int, int]] = []
        self._latest = dict.fromkeys(launches.kernels, -1)

    def run(self) -> list[Value]:
        """The order."""
        kernels = self._launches.kernels
        for kernel in kernels:
            if not self._waiting[kernel]:
                self._push(kernel)
        order: list[Value] = []
        while self._ready:
            kernel = kernels[heapq.heappop(self._ready)[2]]
            # One whose operands' other readers ran meanwhile is there twice.
            if kernel not in self._done:
                self._done[kernel] = len(order)
                order.append(kernel)
                self._release(kernel)
        return order

    def _release(self, kernel: Value) -> None:
        for later in self._after[kernel]:
            self._waiting[later] -= 1
            self._latest[later] = self._done[kernel]
        ready = {later for later in self._after[kernel] if not self._waiting[later]}
        for operand in map(without_reshapes, kernel.inputs):
            unread = self._unread[operand]
            unread.discard(kernel)
            if len(unread) == 1:
                (last,) = unread
                if not self._waiting[last] and last not in self._done:
                    ready.add(last)
        for later in sorted(ready, key=self._number.__getitem__):
            self._push(later)

    def _push(self, kernel: Value) -> None:
        launches = self._launches
        made = sum(
            item.type.nbytes for item in launches.results[kernel] if item not in launches.outputs
        )
        freed = sum(
            operand.type.nbytes
            for operand in dict.fromkeys(map(without_reshapes, kernel.inputs))
            if operand.op is ITEM
            and operand not in launches.outputs
            and self._unread[operand] <= {kernel}
        )
        grows = made > freed + _NEGLIGIBLE
        entry = (grows, -self._latest[kernel], self._number[kernel])
        heapq.heappush(self._ready, entry)
