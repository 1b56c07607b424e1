"""Fusion: every computed value lands in a kernel, together with what is best computed beside it.

It decides what is stored and what shares a kernel; how kernels run is for schedules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from treadle.ir.fusion.bodies import program_of
from treadle.ir.fusion.groups import Groups, Limits
from treadle.ir.fusion.stores import Stores
from treadle.ir.graph import Graph
from treadle.ir.pass_manager import register
from treadle.ir.rewriter import Exactness
from treadle.ir.value import Value


class Remark(NamedTuple):
    """A fusion that was refused: a value goes through memory on its way to a kernel.

    Attributes:
        consumer: stored value of the kernel that reads.
        producer: stored value that is read; both are values of the graph before fusion.
        reason: why they are in different kernels, in words for a person.
        bytes: size of the value read.
    """

    consumer: Value
    producer: Value
    reason: str
    bytes: int


@register
@dataclass(frozen=True)
class Fuse:
    """Groups values into kernels.

    Afterwards the graph has inputs, kernels, items of kernels, and reshapes of these alone. A body
    has one of the forms of ``fusion.forms``.

    Attributes:
        max_inputs: values that a kernel reads at most, where one op alone does not read more.
        max_outputs: values that a kernel stores at most; equal results of the program count once.
        max_ops: ops that a kernel computes at most.
    """

    name: ClassVar[str] = "fuse"
    exactness: ClassVar[Exactness] = Exactness.EXACT

    max_inputs: int = 24
    max_outputs: int = 8
    max_ops: int = 200

    def run(self, graph: Graph) -> Graph:
        """The graph as kernels. PassError where it has kernels already."""
        return fuse(graph, self)[0]


def fuse(graph: Graph, options: Fuse | None = None) -> tuple[Graph, tuple[Remark, ...]]:
    """The graph as kernels, and the fusions refused. PassError where it has kernels already."""
    options = options or Fuse()
    stores = Stores(graph, options.max_ops, options.max_inputs)
    limits = Limits(options.max_inputs, options.max_outputs, options.max_ops)
    groups = Groups(graph, stores, limits)
    groups.merge_readers()
    groups.merge_siblings()
    return program_of(graph, groups), tuple(_remarks(groups))


def _remarks(groups: Groups) -> Iterator[Remark]:
    for (consumer, producer), reason in groups.refusals.items():
        if groups.owner[consumer] != groups.owner[producer]:
            yield Remark(consumer, producer, reason, producer.type.nbytes)
