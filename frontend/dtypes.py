"""Element types under PyTorch's names, and the dtype that Python floats get."""

from __future__ import annotations

from treadle.ir import types
from treadle.promotion import (
    can_cast,
    default_dtype,
    promote_types,
    result_type,
    set_default_dtype,
)
from treadle.type_info import finfo, iinfo

__all__ = [
    "bfloat16", "bool", "can_cast", "cdouble", "cfloat", "complex64", "complex128", "double",
    "dtype", "finfo", "float", "float16", "float32", "float64", "get_default_dtype", "half",
    "iinfo", "int", "int8", "int16", "int32", "int64", "long", "promote_types", "result_type",
    "set_default_dtype", "short", "uint8",
]  # fmt: skip

dtype = types.DType
bool = types.bool_
uint8 = types.uint8
int8 = types.int8
int16 = short = types.int16
int32 = int = types.int32
int64 = long = types.int64
float16 = half = types.float16
bfloat16 = types.bfloat16
float32 = float = types.float32
float64 = double = types.float64
complex64 = cfloat = types.complex64
complex128 = cdouble = types.complex128
get_default_dtype = default_dtype
