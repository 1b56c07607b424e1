"""Conversions between element types: saturating, without undefined behaviour.

Float to integer truncates, saturates and takes NaN to 0; float16 rounds once,
bfloat16 by way of float32.
"""

from __future__ import annotations

from treadle.codegen.cuda.prelude import Prelude
from treadle.codegen.cuda.types import Operand, limits, literal, type_name
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
    uint32,
)

_BITCASTS = {
    (float32, int32): "__float_as_int",
    (float32, uint32): "__float_as_uint",
    (int32, float32): "__int_as_float",
    (uint32, float32): "__uint_as_float",
    (float64, int64): "__double_as_longlong",
    (int64, float64): "__longlong_as_double",
    (float16, int16): "__half_as_short",
    (int16, float16): "__short_as_half",
    (bfloat16, int16): "(short)",
    (int16, bfloat16): "(unsigned short)",
}


def bitcast(value: Operand, dtype: DType, prelude: Prelude) -> Operand:
    """The same bits as another type."""
    name = _BITCASTS.get((value.dtype, dtype))
    if name is None:
        # Integers of one size; a bool is a byte of 0 or 1.
        return cast(value, dtype, prelude)
    return Operand(f"{name}({value.text})", dtype)


def cast(value: Operand, dtype: DType, prelude: Prelude) -> Operand:
    """The nearest number of another type."""
    source = value.dtype
    if source is dtype:
        return value
    if source in NARROW_FLOATS:
        wide = _extended(value, prelude)
        if value.number is not None:
            wide = literal(value.number, float32)
        return cast(wide, dtype, prelude)
    if dtype is bool_:
        return Operand(f"{value} != {literal(0, source).text}", bool_, False)
    if dtype is bfloat16:
        return _shortened(cast(value, float32, prelude), prelude)
    if dtype is float16:
        if source is float64:
            return Operand(f"__double2half({value.text})", float16)
        # Integers are exact in float32 as far as float16 reaches, so this rounds once.
        return Operand(f"__float2half_rn({cast(value, float32, prelude).text})", float16)
    if source.is_floating_point and not dtype.is_floating_point:
        name = f"cast_{source.short}_{dtype.short}"
        body = _saturating(source, dtype)
        prelude.define(name, type_name(dtype), f"{type_name(source)} x", body)
        return Operand(f"{name}({value.text})", dtype)
    return Operand(f"({type_name(dtype)}){value}", dtype)


def _extended(value: Operand, prelude: Prelude) -> Operand:
    """A narrow float as float32."""
    if value.dtype is float16:
        return Operand(f"__half2float({value.text})", float32)
    bits = "__uint_as_float((unsigned int)x << 16)"
    name = prelude.expression("cast_bf16_f32", "float", f"{type_name(bfloat16)} x", bits)
    return Operand(f"{name}({value.text})", float32)


def _shortened(value: Operand, prelude: Prelude) -> Operand:
    """A float32 as bfloat16, to nearest even."""
    body = [
        "  if (x != x) return 0x7fc0;",
        "  const unsigned int bits = __float_as_uint(x);",
        "  return (unsigned short)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);",
    ]
    prelude.define("cast_f32_bf16", type_name(bfloat16), "float x", body)
    return Operand(f"cast_f32_bf16({value.text})", bfloat16)


def _saturating(source: DType, dtype: DType) -> list[str]:
    """The body of a conversion from a float ``x`` to an integer."""
    low, high = limits(dtype)
    above = literal(float(high + 1), source).text
    below = f"x < {literal(float(low), source).text}"
    if not low:
        below = f"x <= {literal(-1.0, source).text}"
    # 32-bit conversions are instructions; in range they are the same.
    by = "(int)" if dtype.itemsize < 4 else ""
    return [
        "  if (x != x) return 0;",
        f"  if (x >= {above}) return {literal(high, dtype).text};",
        f"  if ({below}) return {literal(low, dtype).text};",
        f"  return ({type_name(dtype)}){by}x;",
    ]
