"""What can be known of a value without running it: constants expanded to a shape.

A constant has one canonical form, the one that ``build.full`` makes; nothing is rewritten here.
"""

from __future__ import annotations

from treadle.ir.ops.movement import EXPAND, RESHAPE
from treadle.ir.ops.source import CONSTANT
from treadle.ir.types import Scalar
from treadle.ir.value import Array, Value


def constant_of(value: Value) -> Value | None:
    """The 0-d constant that every element of ``value`` equals, None where that is not known."""
    while value.op is EXPAND or value.op is RESHAPE:
        value = value.inputs[0]
    return value if value.op is CONSTANT else None


def number_of(value: Value) -> Scalar | None:
    """The number that every element equals, as its dtype holds it; None where not known."""
    found = constant_of(value)
    if found is None:
        return None
    return scalar_of(CONSTANT.evaluate((), found.attrs, found.type))


def scalar_of(array: Array) -> Scalar:
    """The number that an array of one element holds, as Python has it."""
    number: Scalar = array.item()
    # Elements of dtypes from outside NumPy are no Python numbers.
    return number if isinstance(number, (bool, int)) else float(number)
