"""Names of LLVM types, intrinsic suffixes and constants for the IR's element types.

Text only; what is computed with them is decided in the other files of this folder.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import NamedTuple

from treadle.ir.types import DType, Scalar, bfloat16, bool_, float16, float32, float64

# bfloat16 is an integer to LLVM, whose own type for it lacks code on most targets.
_FLOATS = {float16: "half", float32: "float", float64: "double"}


class Value(NamedTuple):
    """An operand of an instruction.

    Attributes:
        text: SSA name, or a scalar constant.
        dtype: element type.
        lanes: 0 for a scalar, else the lanes of a vector.
        literal: whether ``text`` is a constant (of a vector, only masks are).
    """

    text: str
    dtype: DType
    lanes: int = 0
    literal: bool = False

    @property
    def type(self) -> str:
        """LLVM type."""
        return type_of(self.dtype, self.lanes)

    @property
    def typed(self) -> str:
        """LLVM type and text, as operands are written."""
        return f"{type_of(self.dtype, self.lanes)} {self.text}"

    def holds(self, lane: int) -> bool:
        """A lane of a constant mask."""
        return self.text.split(", ")[lane].strip("<>") == "i1 true"


@cache
def scalar_type(dtype: DType) -> str:
    """Type of one element in a register; bool is one bit."""
    if dtype is bool_:
        return "i1"
    return _FLOATS.get(dtype) or f"i{8 * dtype.itemsize}"


@cache
def memory_type(dtype: DType) -> str:
    """Type of one element in memory; bool is one byte."""
    return _FLOATS.get(dtype) or f"i{8 * dtype.itemsize}"


@cache
def type_of(dtype: DType, lanes: int) -> str:
    """Type of a value in a register."""
    return f"<{lanes} x {scalar_type(dtype)}>" if lanes else scalar_type(dtype)


@cache
def suffix(dtype: DType, lanes: int) -> str:
    """How intrinsics name the type: ``f32``, ``v8f32``, ``i64``."""
    name = "i1" if dtype is bool_ else f"{'f' if dtype in _FLOATS else 'i'}{8 * dtype.itemsize}"
    return f"v{lanes}{name}" if lanes else name


def memory_suffix(dtype: DType, lanes: int) -> str:
    """`suffix` of the type in memory."""
    name = f"{'f' if dtype in _FLOATS else 'i'}{8 * dtype.itemsize}"
    return f"v{lanes}{name}" if lanes else name


def _wrap(value: int, bits: int) -> int:
    """The signed number of so many bits with the same low bits."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def literal_text(value: Scalar, dtype: DType) -> str:
    """A scalar constant; integers wrap, floats are rounded to the dtype."""
    if dtype is bool_:
        return "true" if value else "false"
    if not dtype.is_floating_point:
        return str(_wrap(int(value), 8 * dtype.itemsize))
    rounded = dtype.numpy.type(value)
    if dtype is bfloat16:
        return str(struct.unpack("<h", rounded.tobytes())[0])
    if dtype is float16:
        return f"0xH{struct.unpack('<H', rounded.tobytes())[0]:04X}"
    # LLVM writes float constants as the double of the same value.
    return f"0x{struct.unpack('<Q', struct.pack('<d', float(rounded)))[0]:016X}"


def literal(value: Scalar, dtype: DType) -> Value:
    """A scalar constant as an operand."""
    return Value(literal_text(value, dtype), dtype, 0, True)


def splat_text(value: Value) -> str:
    """A literal in every lane, as the text after the vector's type."""
    return f"splat ({scalar_type(value.dtype)} {value.text})"


def vector_text(texts: list[str], dtype: DType) -> str:
    """A constant vector, as the text after its type."""
    return f"<{', '.join(f'{scalar_type(dtype)} {text}' for text in texts)}>"
