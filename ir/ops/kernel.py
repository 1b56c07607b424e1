"""Fused groups: a kernel holds a graph as its body, and ``item`` reads one of its results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from treadle.ir.types import TensorType, TupleType
from treadle.ir.value import Array, Attributes, LoopClass, Op


class Place(NamedTuple):
    """Where a kernel's result lives.

    Attributes:
        kind: ``arena`` (scratch memory), ``output`` (a result's own memory) or ``donated`` (the
            memory of an input).
        number: byte offset in the arena, position among the outputs, or slot of the input.
    """

    kind: str
    number: int


PLACE_KINDS = ("arena", "output", "donated")


def _kernel(types: Sequence[TensorType], attrs: Attributes) -> TupleType:
    body = attrs[0]
    expected = tuple(value.type for value in body.inputs)
    if tuple(types) != expected:
        raise ValueError(f"kernel takes {TupleType(expected)}, found {TupleType(tuple(types))}")
    return TupleType(tuple(value.type for value in body.outputs))


def _evaluate_kernel(_arrays: Sequence[Array], _attrs: Attributes, _type: TensorType) -> Array:
    raise TypeError("the interpreter runs a kernel's body itself")


def _item(types: Sequence[Any], attrs: Attributes) -> TensorType:
    source = types[0]
    if not isinstance(source, TupleType) or not 0 <= attrs[0] < len(source.types):
        raise ValueError(f"item {attrs[0]} of {source}")
    return source.types[attrs[0]]


# ``memory`` is empty until memory is planned; then it has one ``Place`` a result.
KERNEL = Op("kernel", ("*inputs",), ("body", "memory"), LoopClass.KERNEL, _kernel, _evaluate_kernel)
ITEM = Op(
    "item",
    ("kernel",),
    ("index",),
    LoopClass.KERNEL,
    _item,
    lambda arrays, attrs, _type: arrays[0][attrs[0]],
)
