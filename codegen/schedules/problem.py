"""What one kernel must compute, before any loop is chosen: buffers, results, the kind of body.

Schedules start from it; nothing here depends on lanes or tasks.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from treadle.codegen.element import inverse_view, separate_windows
from treadle.codegen.loops import Buffer, Expression
from treadle.codegen.target import Target
from treadle.ir.graph import Graph
from treadle.ir.index import Index, Var, linearize, variable
from treadle.ir.types import contiguous_strides
from treadle.ir.value import LoopClass, Value


class BodyKind(enum.Enum):
    """Which schedule a body needs."""

    MAP = "map"
    ROWS = "rows"
    CONTRACTION = "contraction"
    SCAN = "scan"
    SORT = "sort"
    UPDATE = "update"


@dataclass(frozen=True)
class Problem:
    """A body and the facts that its schedule needs.

    Attributes:
        values: every value, operands first.
        inputs, outputs: buffers in slot order.
        results: output values with reshapes taken off, since buffers are flat.
        aliases: for outputs that lie in an input's memory, its slot.
    """

    body: Graph
    target: Target
    values: tuple[Value, ...]
    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    results: tuple[Value, ...]
    aliases: Mapping[int, int]

    def whole_results(self) -> list[Result]:
        """Every output as a result that fills its buffer."""
        pairs = zip(self.results, self.outputs, strict=True)
        return [Result.whole(value, buffer) for value, buffer in pairs]


@dataclass(frozen=True)
class Result:
    """A value written to a buffer.

    Attributes:
        value: what is written, element by element.
        buffer: where.
        strides, offset: place of an element in the buffer.
    """

    value: Value
    buffer: Buffer
    strides: tuple[int, ...]
    offset: int = 0

    @staticmethod
    def whole(value: Value, buffer: Buffer) -> Result:
        """A result that fills a contiguous buffer."""
        return Result(value, buffer, contiguous_strides(value.shape))

    def place(self, position: Sequence[Index]) -> Index:
        """Flat index of the element at a position."""
        return linearize(position, self.strides, self.offset)


@dataclass(frozen=True)
class Written:
    """One store of a kernel, at a symbolic position."""

    buffer: Buffer
    index: Index
    value: Expression


def without_reshapes(value: Value) -> Value:
    """The value whose elements, in the same order, are those of ``value``."""
    while value.op.name == "reshape":
        value = value.inputs[0]
    return value


def problem_of(body: Graph, target: Target, aliases: Mapping[int, int]) -> Problem:
    """The facts of a body."""
    inputs = [
        Buffer(f"in{slot}", value.dtype, value.type.numel) for slot, value in enumerate(body.inputs)
    ]
    outputs = [
        Buffer(f"out{nth}", value.dtype, value.type.numel) for nth, value in enumerate(body.outputs)
    ]
    results = tuple(map(without_reshapes, body.outputs))
    values = tuple(body.values())
    return Problem(body, target, values, tuple(inputs), tuple(outputs), results, aliases)


def reduces(value: Value) -> bool:
    """Whether a value needs a loop of its own over elements of its operand."""
    if value.op.name == "fold":
        return not separate_windows(value)
    return value.op.loop_class is LoopClass.REDUCTION


def kind_of(problem: Problem) -> BodyKind:
    """Which schedule the body needs."""
    if any(value.op.loop_class is LoopClass.CONTRACTION for value in problem.values):
        return BodyKind.CONTRACTION
    if any(needs_update(problem, value) for value in problem.values):
        return BodyKind.UPDATE
    for value in problem.values:
        if value.op.loop_class in (LoopClass.SCAN, LoopClass.SORT):
            return BodyKind(value.op.loop_class.value)
    return BodyKind.ROWS if any(map(reduces, problem.values)) else BodyKind.MAP


def needs_update(problem: Problem, value: Value) -> bool:
    """Whether a value is written as a change of its base, rather than element by element."""
    if value.op.name == "scatter":
        return True
    if value.op.name != "view_update":
        return False
    if alias_of(problem, value) is not None:
        return True
    position = [variable(Var("flat", value.type.numel))]
    return inverse_view(value, position[0]) is None


def alias_of(problem: Problem, value: Value) -> int | None:
    """The output that writes an update in the memory of its base, or None."""
    for nth, result in enumerate(problem.results):
        if result is value and nth in problem.aliases:
            base = without_reshapes(value.inputs[0])
            if base is problem.body.inputs[problem.aliases[nth]]:
                return nth
    return None
