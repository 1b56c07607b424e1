"""Element types under PyTorch's names, and the dtype that Python floats get."""

from __future__ import annotations

from treadle.ir import types
from treadle.promotion import default_dtype, promote_types, set_default_dtype

__all__ = [
    "bool", "double", "dtype", "float", "float16", "float32", "float64", "get_default_dtype",
    "half", "int", "int8", "int16", "int32", "int64", "long", "promote_types",
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
float32 = float = types.float32
float64 = double = types.float64
get_default_dtype = default_dtype
