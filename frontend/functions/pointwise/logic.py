"""Logic on truth values, operations on the bits of integers, shifts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from treadle.functions.pointwise.arguments import need_signature, need_tensors, not_implemented
from treadle.ir import build as b
from treadle.ir.types import bool_
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import promoted

__all__ = [
    "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor", "logical_and", "logical_not", "logical_or", "logical_xor",
]  # fmt: skip
METHODS = INPLACE = " ".join(__all__)


def _logical(build: Callable[[Any, Any], Value], name: str) -> Any:
    def body(input: Value, other: Value) -> Value:
        need_tensors(name, input=input, other=other)
        return build(b.cast(input, bool_), b.cast(other, bool_))

    body.__name__ = name
    body.__doc__ = "Elementwise logic; nonzero counts as True."
    return operation()(body)


logical_and = _logical(b.logical_and, "logical_and")
logical_or = _logical(b.logical_or, "logical_or")
logical_xor = _logical(b.logical_xor, "logical_xor")


@operation()
def logical_not(input: Value) -> Value:
    """Whether elements are zero."""
    return b.logical_not(b.cast(input, bool_))


def _bitwise(build: Callable[[Any, Any], Value], name: str) -> Any:
    def body(input: Any, other: Any) -> Value:
        need_signature(name, input, other, first=True)
        x, y = promoted(input, other)
        if x.dtype.kind not in "biu":
            raise not_implemented(x, f"{name}_cpu")
        return build(x, y)

    body.__name__ = name
    body.__doc__ = "The operation on every pair of bits."
    return operation()(body)


bitwise_and = _bitwise(b.logical_and, "bitwise_and")
bitwise_or = _bitwise(b.logical_or, "bitwise_or")
bitwise_xor = _bitwise(b.logical_xor, "bitwise_xor")


@operation()
def bitwise_not(input: Value) -> Value:
    """Bits inverted; logical not on bool."""
    if input.dtype.kind not in "biu":
        raise TypeError(
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors"
        )
    return b.logical_not(input)


def _shift(build: Callable[[Any, Any], Value], name: str, kernel: str) -> Any:
    def body(input: Any, other: Any) -> Value:
        need_signature(name, input, other, first=True)
        x, y = promoted(input, other)
        if x.dtype.kind not in "iu":
            raise not_implemented(x, kernel)
        return build(x, y)

    body.__name__ = name
    body.__doc__ = "Bits shifted by so many places; by too many or fewer than 0 all are lost."
    return operation()(body)


bitwise_left_shift = _shift(b.shift_left, "bitwise_left_shift", "lshift_cpu")
bitwise_right_shift = _shift(b.shift_right, "bitwise_right_shift", "rshift_cpu")
