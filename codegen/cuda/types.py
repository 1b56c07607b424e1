"""C types, literals and operators' operands for the IR's element types.

Text only; what is computed with them is decided in the other files of this folder.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from treadle.ir.types import (
    DType,
    Scalar,
    bfloat16,
    bool_,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint32,
)

_NAMES = {
    bool_: "bool",
    uint8: "unsigned char",
    uint32: "unsigned int",
    int8: "signed char",
    int16: "short",
    int32: "int",
    int64: "long long",
    float16: "__half",
    bfloat16: "unsigned short",  # its bits: no header is needed
    float32: "float",
    float64: "double",
}
_UNSIGNED = {4: "unsigned int", 8: "unsigned long long"}


class Operand(NamedTuple):
    """A C expression.

    Attributes:
        text: the expression.
        dtype: element type of its value; small integers may be computed as ``int``.
        whole: whether it needs no parentheses beside an operator.
        number: the number that it is, if it is a literal.
    """

    text: str
    dtype: DType
    whole: bool = True
    number: Scalar | None = None

    def __str__(self) -> str:
        return self.text if self.whole else f"({self.text})"


def type_name(dtype: DType) -> str:
    """The C type of an element, in memory and in registers."""
    return _NAMES[dtype]


def unsigned_name(dtype: DType) -> str:
    """The unsigned C type in which arithmetic on an integer type wraps."""
    return _UNSIGNED[max(dtype.itemsize, 4)]


def limits(dtype: DType) -> tuple[int, int]:
    """Least and greatest number of an integer type."""
    bits = 8 * dtype.itemsize
    if dtype.is_signed:
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1


def wrapped(value: int, dtype: DType) -> int:
    """The number of an integer type with the same low bits."""
    bits = 8 * dtype.itemsize
    value &= (1 << bits) - 1
    return value - (1 << bits) if dtype.is_signed and value >> (bits - 1) else value


def literal(value: Scalar, dtype: DType) -> Operand:
    """A constant; integers wrap, floats are rounded to the dtype."""
    if dtype is bool_:
        return Operand("true" if value else "false", dtype, True, bool(value))
    if dtype.is_floating_point:
        return _float(float(dtype.numpy.type(value)), dtype)
    number = wrapped(int(value), dtype)
    suffix = {uint32: "u", int64: "LL"}.get(dtype, "")
    if dtype.itemsize >= 4 and number and number == limits(dtype)[0]:
        # The number without its sign does not fit the type.
        return Operand(f"{number + 1}{suffix} - 1", dtype, False, number)
    return Operand(f"{number}{suffix}", dtype, number >= 0, number)


def _float(number: float, dtype: DType) -> Operand:
    if dtype is float16:
        return Operand(f"__float2half_rn({_float(number, float32).text})", dtype, True, number)
    if dtype is bfloat16:
        bits = dtype.numpy.type(number).view(np.uint16)
        return Operand(f"(unsigned short)0x{bits:04x}", dtype, False, number)
    if not math.isfinite(number):
        return Operand(_special(number, dtype), dtype, True, number)
    text = repr(number)
    if dtype is float32:
        short = np.format_float_scientific(np.float32(number), trim="0", unique=True)
        plain = str(np.float32(number))
        best = plain if len(plain) <= len(short) else short
        # Compilers may round to double first: the short text must survive that as well.
        text = best if float(np.float32(float(best))) == number else text
        text += "f"
    return Operand(text, dtype, math.copysign(1.0, number) > 0, number)


def _special(number: float, dtype: DType) -> str:
    """Infinities and NaN by their bits, which needs no header."""
    if dtype is float32:
        bits = 0x7FC00000 if math.isnan(number) else 0x7F800000 if number > 0 else 0xFF800000
        return f"__uint_as_float(0x{bits:08x}u)"
    wide = 0x7FF8 if math.isnan(number) else 0x7FF0 if number > 0 else 0xFFF0
    return f"__longlong_as_double(0x{wide << 48:016x}LL)"
