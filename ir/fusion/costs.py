"""What computing a value again costs beside storing and loading it.

Rough figures for choosing between two correct programs; schedules have their own cost models.
"""

from __future__ import annotations

from treadle.ir.ops.kernel import ITEM
from treadle.ir.ops.sort import MERGE
from treadle.ir.ops.source import INPUT
from treadle.ir.types import Shape, element_count
from treadle.ir.value import LoopClass, Value

# Work of an op on one element, in vector instructions; other elementwise ops count 1. The
# polynomials take about a cycle for a vector of elements, divisions and roots half of that.
_WORK = {
    **dict.fromkeys(("exp", "exp2", "expm1", "log", "tanh", "erf", "sin", "cos", "atan"), 12),
    **dict.fromkeys(("log1p", "log2", "log10", "tan", "asin", "acos", "sinh", "cosh", "atan2"), 16),
    **dict.fromkeys(("pow", "asinh", "acosh", "atanh", "erfc", "erfcx", "erfinv"), 24),
    **dict.fromkeys(("lgamma", "digamma"), 60),
    "div": 4,
    "sqrt": 4,
    "remainder": 8,
    "fmod": 8,
    "gather": 10,
    "random_bits": 24,
    "pad": 1,
    "concat": 1,
}

# From here on, storing and loading a value costs less than computing it twice.
EXPENSIVE = 10
# The work on a value that is read many times over, where reading the result is free of waits.
REPEATED_WORK = 4
# How often an element must be read for that.
REPEATED_READS = 16
# Sums of work stop here: diamonds count shared operands twice, and chains of them without end.
_CEILING = 1 << 20


def work(value: Value) -> int:
    """Work for one element of a value, its operands given."""
    if value.op.loop_class is LoopClass.ELEMENTWISE:
        return _WORK.get(value.op.name, 1)
    return _WORK.get(value.op.name, 0)


def add_work(*amounts: int) -> int:
    """The sum of amounts of work, up to a ceiling."""
    return min(sum(amounts), _CEILING)


def bytes_read(leaf: Value, elements: int) -> int:
    """Bytes of a stored value that a kernel reads which computes that many elements out of it."""
    return min(leaf.type.nbytes, elements * leaf.dtype.itemsize)


def repetition(user: Value, operand: Value) -> float:
    """How often an element of an operand is read for one pass over the user's elements."""
    repeats = user.op.name in ("expand", "windows", "as_strided")
    if repeats or (user.op.name == "gather" and operand is user.inputs[0]):
        return user.type.numel / max(operand.type.numel, 1)
    return 1.0


def is_computed(value: Value) -> bool:
    """Whether a value is neither an input, nor a constant or ramp, nor the movement of one."""
    return value.op.loop_class not in (LoopClass.SOURCE, LoopClass.MOVEMENT)


def name_of(value: Value) -> str:
    """What a kernel that computes a value is named after; empty for what names none."""
    if value.op.loop_class is LoopClass.LIBRARY:
        name: str = value.attrs[0]
        return name
    return value.op.name if is_computed(value) and value.op is not ITEM else ""


def is_input(value: Value) -> bool:
    """Whether a value is in memory before the program starts."""
    return value.op is INPUT


def start_of_update(value: Value) -> Value | None:
    """The operand that an update changes a part of; None for other ops."""
    return value.inputs[0] if value.op.name in ("view_update", "scatter") else None


def read_from_memory(value: Value) -> tuple[Value, ...]:
    """Operands that must be read as they lie in memory.

    Where an update starts, so that it can be made in place, what library functions read, and what
    is merged, each element of which is looked at many times.
    """
    if value.op.loop_class is LoopClass.LIBRARY or value.op is MERGE:
        return value.inputs
    start = start_of_update(value)
    return () if start is None else (start,)


def without_reshapes(value: Value) -> Value:
    """The value whose memory holds this one: reshapes cost nothing and move nothing."""
    while value.op.name == "reshape":
        value = value.inputs[0]
    return value


def is_empty(shape: Shape) -> bool:
    """Whether a shape has no elements."""
    return element_count(shape) == 0
