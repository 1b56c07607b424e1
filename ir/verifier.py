"""Checks that a graph keeps the rules of tensor IR; every pass's result must.

It looks at structure and types alone; whether results are right is the interpreter's question.
"""

from __future__ import annotations

from collections.abc import Mapping

from treadle.ir.errors import INFERENCE_ERRORS, VerificationError
from treadle.ir.graph import Graph
from treadle.ir.ops import TABLE
from treadle.ir.ops.kernel import ITEM, KERNEL, PLACE_KINDS, Place
from treadle.ir.ops.source import INPUT
from treadle.ir.printer import describe, number_values, symbol
from treadle.ir.types import TupleType
from treadle.ir.value import Value, make


def verify(graph: Graph) -> None:
    """Checks a graph and, recursively, its kernels' bodies.

    Raises:
        VerificationError: shows the op as IR text and says what is wrong with it.
    """
    numbers = number_values(graph)
    _verify_inputs(graph, numbers)
    for value in numbers:
        reason = _fault(value, graph)
        if reason:
            raise _error(graph, value, numbers, reason)
        if value.op is KERNEL:
            verify(value.attrs[0])
    for position, output in enumerate(graph.outputs):
        if isinstance(output.type, TupleType):
            reason = f"output {position} is a kernel; only item reads a kernel's results"
            raise _error(graph, output, numbers, reason)
    _verify_places(graph, numbers)


def _error(
    graph: Graph, value: Value, numbers: Mapping[Value, int], reason: str
) -> VerificationError:
    try:
        text = describe(value, numbers)
    except INFERENCE_ERRORS:
        # The fault may be what cannot be printed.
        text = f"%{numbers[value]}: {value.op.name} {value.attrs!r}"
    lines = ", ".join(f"{file}:{line}" for file, line in graph.locations.get(value, ()))
    where = f"  // {lines}" if lines else ""
    return VerificationError(f"program @{symbol(graph.name)}: {reason}\n  {text}{where}")


def _verify_inputs(graph: Graph, numbers: Mapping[Value, int]) -> None:
    for slot, value in enumerate(graph.inputs):
        if value.op is not INPUT or value.attrs[0] != slot:
            found = f"input {value.attrs[0]}" if value.op is INPUT else value.op.name
            raise _error(
                graph, value, numbers, f"slot {slot} must hold input {slot}, found {found}"
            )
    for slot in sorted(graph.donated):
        if not 0 <= slot < len(graph.inputs):
            raise VerificationError(
                f"program @{symbol(graph.name)}: donated slot {slot} is not one of "
                f"{len(graph.inputs)} inputs"
            )


def _fault(value: Value, graph: Graph) -> str:
    """What is wrong with one value, empty where nothing is."""
    op = value.op
    if TABLE.get(op.name) is not op:
        return f"{op.name} is not in the op table"
    if op is INPUT and not _is_listed(value, graph):
        return f"input {value.attrs[0]} is read, but the program does not list it"
    variadic = bool(op.operands) and op.operands[-1].startswith("*")
    if not variadic and len(value.inputs) != len(op.operands):
        return f"{op.name} takes {len(op.operands)} operands, found {len(value.inputs)}"
    if len(value.attrs) != len(op.attributes):
        return f"{op.name} has {len(op.attributes)} attributes, found {len(value.attrs)}"
    for operand in value.inputs:
        if isinstance(operand.type, TupleType) != (op is ITEM):
            return f"{op.name} cannot read {operand.op.name}: {operand.type}"
    return _type_fault(value)


def _is_listed(value: Value, graph: Graph) -> bool:
    slot = value.attrs[0]
    return 0 <= slot < len(graph.inputs) and graph.inputs[slot] is value


def _type_fault(value: Value) -> str:
    try:
        inferred = value.op.infer([operand.type for operand in value.inputs], value.attrs)
    except INFERENCE_ERRORS as error:
        return str(error)
    if inferred != value.type:
        return f"its type is {value.type}, but {value.op.name} gives {inferred}"
    try:
        shared = make(value.op, value.inputs, value.attrs)
    except TypeError as error:
        return f"its attributes cannot be compared: {error}"
    return "" if shared is value else "it is not the interned value of its op"


def _verify_places(graph: Graph, numbers: Mapping[Value, int]) -> None:
    """Each planned result has a place that exists, and an output one result or a chain of them."""
    owners: dict[int, Value] = {}
    for value in numbers:
        if value.op is not KERNEL or not value.attrs[1]:
            continue
        body, memory = value.attrs
        if len(memory) != len(body.outputs):
            reason = f"{len(body.outputs)} results need as many places, found {len(memory)}"
            raise _error(graph, value, numbers, reason)
        for place in memory:
            reason = _place_fault(place, graph)
            taken = not reason and place.kind == "output" and place.number in owners
            if taken and owners[place.number] not in _kernels_read(value):
                reason = f"output {place.number} already belongs to another result"
            if reason:
                raise _error(graph, value, numbers, reason)
            if place.kind == "output":
                owners[place.number] = value


def _kernels_read(kernel: Value) -> list[Value]:
    """Kernels whose results a kernel reads, and may replace where they lie."""
    found = []
    for operand in kernel.inputs:
        while operand.op.name == "reshape":
            operand = operand.inputs[0]
        if operand.op is ITEM:
            found.append(operand.inputs[0])
    return found


def _place_fault(place: object, graph: Graph) -> str:
    if not isinstance(place, Place) or place.kind not in PLACE_KINDS:
        return f"a place is one of {', '.join(PLACE_KINDS)} with a number, found {place!r}"
    if place.kind == "output" and not 0 <= place.number < len(graph.outputs):
        return f"output {place.number} is not one of {len(graph.outputs)} outputs"
    if place.kind == "donated" and place.number not in graph.donated:
        return f"input {place.number} is not donated"
    return f"arena offset {place.number} is below 0" if place.number < 0 else ""
