"""Memory planning: every kernel result gets the memory of an output, of a donated input or scratch.

Offsets follow from lifetimes in the order in which kernels run; nothing is allocated here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from treadle.ir.fusion.costs import is_input
from treadle.ir.graph import Graph
from treadle.ir.memory.arena import Block, aligned, arranged, peak
from treadle.ir.memory.launches import Launches
from treadle.ir.ops.kernel import KERNEL, Place
from treadle.ir.pass_manager import register
from treadle.ir.rewriter import Exactness
from treadle.ir.value import Value, make


@register
@dataclass(frozen=True)
class MemoryPlan:
    """Sets the ``memory`` of every kernel of a fused graph; PassError where it is not fused."""

    name: ClassVar[str] = "memory-plan"
    exactness: ClassVar[Exactness] = Exactness.EXACT

    def run(self, graph: Graph) -> Graph:
        """The graph with a place for each result of each kernel."""
        launches = Launches(graph)
        places = _lasting(launches)
        shared = _shared_blocks(launches, places)
        offsets = arranged([block for block, _ in shared])
        for offset, (_, items) in zip(offsets, shared, strict=True):
            places.update((item, Place("arena", offset)) for item in items)
        return _placed(graph, launches, places)


def arena_bytes(graph: Graph) -> int:
    """Bytes of scratch memory that a planned graph needs."""
    most = 0
    for value in graph.values():
        if value.op is KERNEL:
            body, memory = value.attrs
            for result, place in zip(body.outputs, memory, strict=True):
                if place.kind == "arena":
                    most = max(most, place.number + aligned(result.type.nbytes))
    return most


def live_bytes(graph: Graph) -> int:
    """Most bytes of temporaries in use at once: no plan in this order of kernels needs less.

    What a plan writes in place counts once.
    """
    launches = Launches(graph)
    return peak([block for block, _ in _shared_blocks(launches, _lasting(launches))])


def _lasting(launches: Launches) -> dict[Value, Place]:
    """Places of outputs, and of what they are made out of, in memory that is not scratch."""
    places = _donations(launches)
    for item, position in launches.outputs.items():
        if item not in places:
            made, _ = launches.chain(item)
            places.update((each, Place("output", position)) for each in made)
    return places


# --- donated inputs -------------------------------------------------------------------------------


def _donations(launches: Launches) -> dict[Value, Place]:
    """Places of outputs, and of what they are made out of, in the memory of donated inputs.

    Updates of an input by one output get it before outputs that merely have its size.
    """
    places: dict[Value, Place] = {}
    graph = launches.graph
    free = {slot: graph.inputs[slot] for slot in sorted(graph.donated)}
    for same_type in (True, False):
        for item in launches.outputs:
            items, sources = launches.chain(item)
            for source in sources:
                fits = item not in places and (not same_type or source.type == item.type)
                if fits and source.attrs[0] in free and _is_last(launches, source, items[-1]):
                    slot = source.attrs[0]
                    places.update((made, Place("donated", slot)) for made in items)
                    del free[slot]
    for same_type in (True, False):
        for item in launches.outputs:
            if item not in places:
                slot = _unread_slot(launches, free, item, same_type)
                if slot >= 0:
                    places[item] = Place("donated", slot)
                    del free[slot]
    return places


def _is_last(launches: Launches, source: Value, item: Value) -> bool:
    """Whether nothing reads an input after the kernel that makes an item out of it."""
    end = launches.position[item.inputs[0]]
    return all(launches.position[reader] <= end for reader in launches.readers[source])


def _unread_slot(launches: Launches, free: dict[int, Value], item: Value, same_type: bool) -> int:
    """A donated slot of an output's size that nothing reads any more; -1 where there is none."""
    begin = launches.position[item.inputs[0]]
    for slot, source in free.items():
        fits = source.type.nbytes == item.type.nbytes > 0
        fits = fits and (not same_type or source.type == item.type)
        if fits and all(launches.position[reader] < begin for reader in launches.readers[source]):
            return slot
    return -1


# --- scratch memory -------------------------------------------------------------------------------


def _shared_blocks(
    launches: Launches, places: dict[Value, Place]
) -> list[tuple[Block, list[Value]]]:
    """Blocks of scratch memory, each with the items that it holds one after the other."""
    held: dict[Value, list[Value]] = {}
    for kernel in launches.kernels:
        for item in launches.results[kernel]:
            if item in places:
                continue
            replaced = _replaced(launches, held, item)
            items = held[replaced] if replaced is not None else []
            items.append(item)
            held[item] = items
    chains = {id(items): items for items in held.values()}
    return [(_block(launches, items), items) for items in chains.values()]


def _replaced(launches: Launches, held: dict[Value, list[Value]], item: Value) -> Value | None:
    """A temporary that a kernel reads last and may write an item over."""
    kernel = item.inputs[0]
    now = launches.position[kernel]
    for source in launches.overwritten(item):
        # What another result of the kernel replaced is the last item of its block no more.
        free = source in held and held[source][-1] is source
        if free and all(launches.position[reader] <= now for reader in launches.readers[source]):
            return source
    return None


def _block(launches: Launches, items: list[Value]) -> Block:
    made = [launches.position[item.inputs[0]] for item in items]
    # What nothing reads is written all the same.
    read = [launches.position[reader] for reader in launches.readers[items[-1]]]
    return Block(items[0].type.nbytes, made[0], max(made + read))


# --- the planned graph ----------------------------------------------------------------------------


def _placed(graph: Graph, launches: Launches, places: dict[Value, Place]) -> Graph:
    """The graph with places in its kernels."""
    done: dict[Value, Value] = {}
    for value in graph.values():
        if is_input(value):
            done[value] = value
            continue
        operands = tuple(done[operand] for operand in value.inputs)
        attrs = value.attrs
        if value.op is KERNEL:
            attrs = (attrs[0], tuple(places[item] for item in launches.results[value]))
        done[value] = make(value.op, operands, attrs)
    lines = {done.get(value, value): found for value, found in graph.locations.items()}
    return graph.with_outputs([done[output] for output in graph.outputs], lines)
