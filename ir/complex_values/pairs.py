"""Programs without complex values: pairs of reals, the same bytes, in their place.

Runs before every pass, so that passes, schedules and emitters know real dtypes alone.
"""

from __future__ import annotations

from treadle.ir.errors import VerificationError
from treadle.ir.graph import Graph, input_value
from treadle.ir.ops.movement import VIEW_AS_COMPLEX, VIEW_AS_REAL
from treadle.ir.ops.source import INPUT
from treadle.ir.printer import describe
from treadle.ir.types import TensorType
from treadle.ir.value import Value, make


def with_pairs(graph: Graph) -> Graph:
    """The graph with a pair of reals for each complex value, inputs and results included."""
    values = graph.values()
    if all(value.dtype.kind != "c" for value in (*values, *graph.inputs) if not _is_tuple(value)):
        return graph
    done: dict[Value, Value] = {}
    locations = dict(graph.locations)
    for value in dict.fromkeys((*graph.inputs, *values)):
        done[value] = _paired(value, done)
        if value in locations:
            locations.setdefault(done[value], locations[value])
    return Graph(
        graph.name,
        tuple(done[value] for value in graph.inputs),
        tuple(done[value] for value in graph.outputs),
        locations,
        graph.donated,
    )


def _is_tuple(value: Value) -> bool:
    return not isinstance(value.type, TensorType)


def _paired(value: Value, done: dict[Value, Value]) -> Value:
    if value.op is VIEW_AS_REAL or value.op is VIEW_AS_COMPLEX:
        return done[value.inputs[0]]
    if not _is_tuple(value) and value.dtype.kind == "c":
        if value.op is not INPUT:
            raise VerificationError(f"an op on complex values is not composed: {describe(value)}")
        shape = (*value.shape, 2)
        type = value.type._replace(dtype=value.dtype.to_real(), shape=shape)
        return input_value(value.attrs[0], type)
    operands = tuple(done[operand] for operand in value.inputs)
    return value if operands == value.inputs else make(value.op, operands, value.attrs)
