"""Conversions between element types, saturating and without traps or library calls.

Float to integer truncates, saturates and takes NaN to 0; float16 rounds once,
bfloat16 by way of float32.
"""

from __future__ import annotations

from treadle.codegen.llvm.code import Code
from treadle.codegen.llvm.types import Value, literal, scalar_type, suffix, type_of
from treadle.ir.types import (
    NARROW_FLOATS,
    DType,
    bfloat16,
    bool_,
    float16,
    float32,
    float64,
    int16,
    int32,
    int64,
)

_FLOAT_BITS = {2: int16, 4: int32, 8: int64}


class Conversions:
    """Emits the conversions of one function.

    Args:
        half: whether the target has instructions between float16 and float32.
    """

    def __init__(self, code: Code, half: bool) -> None:
        self._code = code
        self._half = half

    def _number(self, number: float, like: Value) -> Value:
        return self._code.splat(literal(number, like.dtype), like.lanes)

    def _two(self, name: str, left: Value, right: Value | int) -> Value:
        other = self._number(right, left) if isinstance(right, int) else right
        return self._code.value(f"{name} {left.typed}, {other.text}", left.dtype, left.lanes)

    def _test(self, name: str, left: Value, right: Value) -> Value:
        return self._code.value(f"{name} {left.typed}, {right.text}", bool_, left.lanes)

    def _select(self, condition: Value, yes: Value, no: Value) -> Value:
        instruction = f"select {condition.typed}, {yes.typed}, {no.typed}"
        return self._code.value(instruction, yes.dtype, yes.lanes)

    def convert(self, name: str, value: Value, dtype: DType) -> Value:
        """One conversion instruction."""
        instruction = f"{name} {value.typed} to {type_of(dtype, value.lanes)}"
        return self._code.value(instruction, dtype, value.lanes)

    def bitcast(self, value: Value, dtype: DType) -> Value:
        """The same bits as another type."""
        if scalar_type(value.dtype) == scalar_type(dtype):
            return value._replace(dtype=dtype)
        if bool_ in (value.dtype, dtype):
            # A bool is one bit in registers and a byte of 0 or 1 in memory.
            return self.cast(value, dtype)
        return self.convert("bitcast", value, dtype)

    def cast(self, value: Value, dtype: DType) -> Value:
        """The nearest number of another type."""
        source = value.dtype
        if source is dtype:
            return value
        if dtype is bool_:
            if source in NARROW_FLOATS:
                return self.cast(self.cast(value, float32), bool_)
            relation = "fcmp une" if source.is_floating_point else "icmp ne"
            return self._test(relation, value, self._number(0, value))
        if source.is_floating_point:
            if dtype.is_floating_point:
                return self._float_to_float(value, dtype)
            return self._float_to_integer(value, dtype)
        if dtype.is_floating_point:
            return self._integer_to_float(value, dtype)
        if dtype.itemsize == source.itemsize and source is not bool_:
            return value._replace(dtype=dtype)
        if dtype.itemsize < source.itemsize:
            return self.convert("trunc", value, dtype)
        return self.convert("sext" if source.is_signed else "zext", value, dtype)

    def _integer_to_float(self, value: Value, dtype: DType) -> Value:
        if value.dtype is bool_:
            return self._select(value, *(self._like(number, value, dtype) for number in (1, 0)))
        if dtype in NARROW_FLOATS:
            # Exact in float32 as far as float16 reaches, so that this rounds once.
            return self.cast(self._integer_to_float(value, float32), dtype)
        if value.dtype.itemsize < 4:
            # 32-bit conversions are instructions.
            value = self.convert("sext" if value.dtype.is_signed else "zext", value, int32)
        return self.convert("sitofp" if value.dtype.is_signed else "uitofp", value, dtype)

    def _like(self, number: float, value: Value, dtype: DType) -> Value:
        return self._code.splat(literal(number, dtype), value.lanes)

    # --- float to integer -------------------------------------------------------------------------

    def _float_to_integer(self, value: Value, dtype: DType) -> Value:
        """Truncation; out of range it saturates, NaN gives 0.

        llvm.fptosi.sat would do, but LLVM takes vectors apart for it.
        """
        if value.dtype in NARROW_FLOATS:
            value = self.cast(value, float32)
        low, high = _limits(dtype)
        if dtype.itemsize < 4:
            wide = self._float_to_integer(value, int32)
            bounded = self._clamp(wide, low, high)
            return self.convert("trunc", bounded, dtype)
        name = "fptosi" if dtype.is_signed else "fptoui"
        result = self.convert(name, value, dtype)
        # Out of range the conversion is poison, which these selections do not pass on.
        above = self._test("fcmp oge", value, self._number(float(high + 1), value))
        if dtype.is_signed:
            below = self._test("fcmp olt", value, self._number(float(low), value))
        else:
            below = self._test("fcmp ole", value, self._number(-1.0, value))
        missing = self._test("fcmp uno", value, value)
        result = self._select(above, self._number(high, result), result)
        result = self._select(below, self._number(low, result), result)
        return self._select(missing, self._number(0, result), result)

    def _clamp(self, value: Value, low: int, high: int) -> Value:
        for name, number in (("smax", low), ("smin", high)):
            other = self._number(number, value)
            symbol = f"@llvm.{name}.{suffix(value.dtype, value.lanes)}"
            instruction = f"call {value.type} {symbol}({value.typed}, {other.typed})"
            value = self._code.value(instruction, value.dtype, value.lanes)
        return value

    # --- between floats ---------------------------------------------------------------------------

    def _float_to_float(self, value: Value, dtype: DType) -> Value:
        source = value.dtype
        if source is bfloat16:
            return self.cast(self._extend(value), dtype)
        if dtype is bfloat16:
            return self._shorten(self.cast(value, float32))
        if float16 not in (source, dtype):
            return self.convert(
                "fpext" if dtype.itemsize > source.itemsize else "fptrunc", value, dtype
            )
        if dtype is float16:
            single = self._to_odd(value) if source is float64 else value
            return self.convert("fptrunc", single, float16) if self._half else self._pack(single)
        single = self.convert("fpext", value, float32) if self._half else self._unpack(value)
        return single if dtype is float32 else self.convert("fpext", single, dtype)

    def _extend(self, value: Value) -> Value:
        """bfloat16 to float32: the upper half of its bits."""
        wide = self.convert("zext", value._replace(dtype=int16), int32)
        return self.convert("bitcast", self._two("shl", wide, 16), float32)

    def _shorten(self, value: Value) -> Value:
        """float32 to bfloat16, to nearest even."""
        bits = self.convert("bitcast", value, int32)
        # Half of the last place kept is added, less one if that place is even.
        even = self._two("and", self._two("lshr", bits, 16), 1)
        near = self._two("lshr", self._two("add", self._two("add", bits, 0x7FFF), even), 16)
        missing = self._test("fcmp uno", value, value)
        near = self._select(missing, self._number(0x7FC0, near), near)
        return self.convert("trunc", near, int16)._replace(dtype=bfloat16)

    def _to_odd(self, value: Value) -> Value:
        """float64 to float32 rounded to odd, so that a second rounding is as good as one."""
        near = self.convert("fptrunc", value, float32)
        back = self.convert("fpext", near, float64)
        bits = self.convert("bitcast", near, int32)
        sizes = [self._magnitude(each) for each in (back, value)]
        larger = self._test("fcmp ogt", sizes[0], sizes[1])
        toward_zero = self._select(larger, self._two("sub", bits, 1), bits)
        odd = self._two("or", toward_zero, 1)
        inexact = self._test("fcmp one", back, value)
        return self.convert("bitcast", self._select(inexact, odd, bits), float32)

    def _magnitude(self, value: Value) -> Value:
        symbol = f"@llvm.fabs.{suffix(value.dtype, value.lanes)}"
        return self._code.value(
            f"call {value.type} {symbol}({value.typed})", value.dtype, value.lanes
        )

    def _unpack(self, value: Value) -> Value:
        """float16 to float32 with integer instructions.

        The exponent is moved by a multiplication, which also normalises subnormals.
        """
        short = self.convert("bitcast", value, int16)
        wide = self.convert("zext", short, int32)
        moved = self._two("shl", self._two("and", wide, 0x7FFF), 13)
        scaled = self.convert("bitcast", moved, float32)
        scaled = self._two("fmul", scaled, self._number(2.0**112, scaled))
        special = self._test("icmp uge", moved, self._number(0x7C00 << 13, moved))
        bits = self.convert("bitcast", scaled, int32)
        bits = self._select(special, self._two("or", moved, 0xFF << 23), bits)
        sign = self._two("shl", self._two("and", wide, 0x8000), 16)
        return self.convert("bitcast", self._two("or", bits, sign), float32)

    def _pack(self, value: Value) -> Value:
        """float32 to float16, to nearest even, with integer instructions."""
        bits = self.convert("bitcast", value, int32)
        size = self._two("and", bits, 0x7FFFFFFF)
        # Normal: add half of the last place kept, less one if that place is even.
        even = self._two("and", self._two("lshr", size, 13), 1)
        normal = self._two("add", self._two("add", size, 0xFFF - (112 << 23)), even)
        normal = self._two("lshr", normal, 13)
        # Subnormal: adding 0.5 puts the last place at float16's, and the addition rounds.
        small = self.convert("bitcast", size, float32)
        small = self._two("fadd", small, self._number(0.5, small))
        small = self._two("sub", self.convert("bitcast", small, int32), 0x3F000000)
        result = self._select(
            self._test("icmp ult", size, self._number(113 << 23, size)), small, normal
        )
        infinite = self._test("icmp uge", size, self._number(0x477FF000, size))
        result = self._select(infinite, self._number(0x7C00, result), result)
        missing = self._test("icmp ugt", size, self._number(0xFF << 23, size))
        result = self._select(missing, self._number(0x7E00, result), result)
        sign = self._two("and", self._two("lshr", bits, 16), 0x8000)
        return self.convert(
            "bitcast", self.convert("trunc", self._two("or", result, sign), int16), float16
        )


def _limits(dtype: DType) -> tuple[int, int]:
    bits = 8 * dtype.itemsize
    if dtype.is_signed:
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1
