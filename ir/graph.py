"""Graphs: a program's inputs and results over interned values; immutable.

A graph adds order and source lines to values; the values know nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from treadle.ir.ops.source import INPUT
from treadle.ir.types import TensorType
from treadle.ir.value import Value, make, topological

# (file, line) pairs of user code; files are shown relative to the working directory.
Locations: TypeAlias = Mapping[Value, tuple[tuple[str, int], ...]]


@dataclass(frozen=True)
class Graph:
    """Values from ``inputs`` to ``outputs``.

    Attributes:
        name: symbol in IR text.
        inputs: the ``input`` values, slot k at position k (an unused input stays listed).
        outputs: results; a value may be listed more than once.
        locations: user lines of values. Not part of a graph's identity.
        donated: slots whose memory the program may overwrite.
    """

    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    locations: Locations = field(default_factory=dict, compare=False, hash=False, repr=False)
    donated: frozenset[int] = frozenset()

    def values(self) -> list[Value]:
        """Every value that the outputs need, operands first."""
        return topological(self.outputs)

    def with_outputs(self, outputs: Sequence[Value], locations: Locations | None = None) -> Graph:
        """The same program with other result values (of the same types)."""
        kept = self.locations if locations is None else locations
        return Graph(self.name, self.inputs, tuple(outputs), kept, self.donated)


def input_value(slot: int, type: TensorType) -> Value:
    """The value of a program's input ``slot``."""
    return make(INPUT, (), (slot, type))
