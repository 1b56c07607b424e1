"""Calls of host libraries: factorisations and transforms that NumPy knows best.

One op for all of them: which function it is, is an attribute, and each function is a row of
``treadle.ir.library``. A call always has a tuple of results; ``item`` reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from treadle.ir.library import function_named
from treadle.ir.types import TensorType, TupleType
from treadle.ir.value import Array, Attributes, LoopClass, Op, device_of


def _library(types: Sequence[TensorType], attrs: Attributes) -> TupleType:
    name, options, pairs = attrs
    device = device_of(types)
    results = function_named(name).result_types(types, options, pairs)
    return TupleType(tuple(result._replace(device=device) for result in results))


def _evaluate(arrays: Sequence[Array], attrs: Attributes, _type: TensorType) -> Any:
    name, options, pairs = attrs
    return tuple(function_named(name).run(arrays, options, pairs))


# ``options`` are numbers, text and tuples of these: they are stored with compiled programs.
# ``pairs`` are the positions of operands that are complex: pairs of parts on a last axis.
LIBRARY = Op(
    "library",
    ("*operands",),
    ("name", "options", "pairs"),
    LoopClass.LIBRARY,
    _library,
    _evaluate,
)
