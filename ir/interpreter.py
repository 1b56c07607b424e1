"""Runs graphs with NumPy, op by op: the meaning that passes and backends are tested against.

Made to be plain, not fast. Results never share memory with arguments or with each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from treadle.ir.errors import EvaluationError
from treadle.ir.graph import Graph
from treadle.ir.ops.kernel import KERNEL
from treadle.ir.ops.library import LIBRARY
from treadle.ir.printer import describe
from treadle.ir.types import TensorType, TupleType
from treadle.ir.value import Array, LoopClass, Value

# NumPy's order of addition follows an operand's memory layout; with one layout for all operands,
# a graph rewritten exactly gives the same bits.
_LAYOUT_SENSITIVE = (LoopClass.REDUCTION, LoopClass.CONTRACTION)


def interpret(graph: Graph, arrays: Sequence[Array]) -> list[Array]:
    """A program's results for one array an input.

    Raises:
        ValueError: the arrays do not have the number, shapes and dtypes of the inputs.
        EvaluationError: an op failed; the message names its value.
    """
    if len(arrays) != len(graph.inputs):
        raise ValueError(
            f"program @{graph.name} takes {len(graph.inputs)} arrays, found {len(arrays)}"
        )
    return evaluate(graph.outputs, dict(zip(graph.inputs, arrays, strict=True)))


def evaluate(values: Sequence[Value], bindings: Mapping[Value, Array]) -> list[Array]:
    """The arrays of ``values``, given those of ``bindings`` (any values, not inputs alone).

    Raises:
        ValueError: a bound array does not have its value's shape and dtype.
        EvaluationError: an op failed or an input is not bound; the message names its value.
    """
    known: dict[Value, Any] = {}
    for value, array in bindings.items():
        known[value] = _checked_binding(value, array)
    order = _unbound(values, known)
    remaining = _uses(order, values)
    for value in order:
        operands = [known[operand] for operand in value.inputs]
        known[value] = _run(value, operands)
        for operand in value.inputs:
            remaining[operand] -= 1
            if not remaining[operand]:
                del known[operand]
    return _owned([known[value] for value in values], bindings.values())


def _checked_binding(value: Value, array: Array) -> Array:
    array = np.asarray(array)
    if array.shape != value.shape or array.dtype != value.dtype.numpy:
        raise ValueError(
            f"the array of {describe(value)} must be {value.type}, "
            f"found {array.dtype}{list(array.shape)}"
        )
    return array


def _unbound(values: Iterable[Value], known: Mapping[Value, Any]) -> list[Value]:
    """What must be computed for ``values``, operands first."""
    order: list[Value] = []
    done = set(known)
    for root in values:
        stack = [(root, False)]
        while stack:
            value, expanded = stack.pop()
            if value in done:
                continue
            if expanded:
                done.add(value)
                order.append(value)
                continue
            stack.append((value, True))
            stack.extend((operand, False) for operand in reversed(value.inputs))
    return order


def _uses(order: Iterable[Value], results: Iterable[Value]) -> dict[Value, int]:
    """How often each value is read; results count once more, so that they are kept."""
    uses: dict[Value, int] = {}
    for value in order:
        for operand in value.inputs:
            uses[operand] = uses.get(operand, 0) + 1
    for value in results:
        uses[value] = uses.get(value, 0) + 1
    return uses


def _run(value: Value, operands: list[Any]) -> Any:
    if value.op is KERNEL:
        return tuple(interpret(value.attrs[0], operands))
    if value.op.loop_class in _LAYOUT_SENSITIVE:
        operands = [np.asarray(operand, order="C") for operand in operands]
    try:
        with np.errstate(all="ignore"):
            result = value.op.run(operands, value.attrs, value.type)
    except Exception as error:
        if value.op is LIBRARY:
            raise  # what the user must know, as from compiled programs
        raise EvaluationError(f"cannot evaluate {describe(value)}: {error}") from error
    if isinstance(value.type, TupleType):
        pairs = zip(result, value.type.types, strict=True)
        return tuple(_checked_result(value, array, type) for array, type in pairs)
    return _checked_result(value, result, value.type)


def _checked_result(value: Value, result: Array, expected: TensorType) -> Array:
    result = np.asarray(result)
    if result.shape != expected.shape or result.dtype != expected.dtype.numpy:
        raise EvaluationError(
            f"{describe(value)} evaluated to {result.dtype}{list(result.shape)}, not {expected}"
        )
    return result


def _owned(results: Iterable[Array], arguments: Iterable[Array]) -> list[Array]:
    """Results as contiguous arrays of their own memory."""
    taken = {id(argument) for argument in arguments}
    owned: list[Array] = []
    for result in results:
        shared = result.base is not None or id(result) in taken
        array = np.array(result, order="C", copy=True) if shared else np.asarray(result, order="C")
        taken.add(id(array))
        owned.append(array)
    return owned
