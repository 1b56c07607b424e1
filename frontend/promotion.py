"""Type promotion by PyTorch's rules: tensors, 0-d tensors and Python numbers.

Works on IR values; a Python number never decides more than its category.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from treadle.ir import build as b
from treadle.ir.types import (
    DType,
    Scalar,
    bool_,
    complex64,
    complex128,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint32,
)
from treadle.ir.value import Value

CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
_INTEGERS = (int8, int16, int32, int64)


class _Default:
    dtype = float32


def default_dtype() -> DType:
    """The dtype of tensors made from Python floats."""
    return _Default.dtype


def set_default_dtype(d: DType, /) -> None:
    """Sets the dtype of tensors made from Python floats; TypeError unless it is a float dtype."""
    if not isinstance(d, DType) or not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, found {d}")
    _Default.dtype = d


def promote_types(type1: DType, type2: DType) -> DType:
    """The smallest dtype that holds both."""
    if type1 is type2:
        return type1
    ranked = sorted((type1, type2), key=lambda dtype: CATEGORY[dtype.kind])
    low, high = ranked
    if high.kind == "c":
        return complex128 if float64 in (low, high.to_real()) or low is complex128 else complex64
    if CATEGORY[low.kind] != CATEGORY[high.kind]:
        return high
    if high.kind == "f":
        # The two formats of 16 bits hold each other's numbers neither way.
        return float32 if low.itemsize == high.itemsize else max(low, high, key=_itemsize)
    if uint32 in ranked:
        return int64
    if uint8 in ranked:
        other = high if low is uint8 else low
        return int16 if other is int8 else other
    return max(low, high, key=_INTEGERS.index)


def can_cast(from_: DType, to: DType) -> bool:
    """Whether promotion allows a conversion: to no lower of bool, integer, float, complex."""
    return CATEGORY[from_.kind] <= CATEGORY[to.kind]


def _itemsize(dtype: DType) -> int:
    return dtype.itemsize


def dtype_of_number(number: Any) -> DType:
    """The dtype of a tensor made from a Python number."""
    if isinstance(number, bool):
        return bool_
    if isinstance(number, complex):
        return default_dtype().to_complex()
    return int64 if isinstance(number, int) else default_dtype()


def result_type(*operands: Any) -> DType:
    """The dtype of an operation on values and Python numbers.

    Tensors with dimensions decide, then 0-d tensors, then numbers: a lower rank counts only
    through a higher category (bool < integer < floating point < complex).
    """
    ranks: list[list[DType]] = [[], [], []]
    for operand in operands:
        if not isinstance(operand, (int, float, complex)):
            ranks[0 if operand.ndim else 1].append(operand.dtype)
        else:
            ranks[2].append(dtype_of_number(operand))
    result: DType | None = None
    for rank in ranks:
        joined: DType | None = None
        for dtype in rank:
            joined = dtype if joined is None else promote_types(joined, dtype)
        if joined is None:
            continue
        if result is None:
            result = joined
        elif CATEGORY[joined.kind] > CATEGORY[result.kind]:
            # A complex number keeps the precision of the floats that it meets.
            narrow = joined.kind == "c" and result.kind == "f"
            result = result.to_complex() if narrow else joined
    assert result is not None
    return result


def promoted(*operands: Any, to_float: bool = False) -> tuple[Value, ...]:
    """Operands as values of their common dtype (no integer one with ``to_float``)."""
    dtype = result_type(*operands)
    if to_float and dtype.kind not in "fc":
        dtype = default_dtype()
    device = next(item.type.device for item in operands if isinstance(item, Value))
    return tuple(
        b.cast(item, dtype) if isinstance(item, Value) else b.constant(item, dtype, device)
        for item in operands
    )


def as_float(x: Value) -> Value:
    """x itself, or converted to the default dtype where it is an integer or bool."""
    return x if x.dtype.kind in "fc" else b.cast(x, default_dtype())


def scalar_name(dtype: DType) -> str:
    """PyTorch's C++ name of a dtype, as its messages show it."""
    names = {"float32": "Float", "float64": "Double", "int64": "Long", "int32": "Int"}
    short = {"int16": "Short", "int8": "Char", "uint8": "Byte", "uint32": "UInt32"}
    narrow = {"float16": "Half", "bfloat16": "BFloat16", "bool": "Bool"}
    pairs = {"complex64": "ComplexFloat", "complex128": "ComplexDouble"}
    return {**names, **short, **narrow, **pairs}[dtype.name]


def cpp_name(dtype: DType) -> str:
    """The C++ type of a dtype's numbers, which other messages of PyTorch show."""
    names = {
        "Float": "float", "Double": "double", "Half": "c10::Half", "BFloat16": "c10::BFloat16",
        "Long": "long int", "Short": "short int", "Char": "signed char", "Byte": "unsigned char",
        "UInt32": "unsigned int", "ComplexFloat": "c10::complex<float>",
        "ComplexDouble": "c10::complex<double>",
    }  # fmt: skip
    short = scalar_name(dtype)
    return names.get(short, short.lower())


def number_for(value: Any, dtype: DType) -> Scalar:
    """A Python number as one that a dtype holds; RuntimeError where it does not fit."""
    kind = dtype.kind
    if isinstance(value, complex) and kind != "c":
        if value.imag:
            raise _overflow(dtype)
        value = value.real
    if kind not in "iu":
        return bool(value) if dtype is bool_ else value
    limits = np.iinfo(dtype.numpy)
    # Negative numbers wrap around in unsigned dtypes.
    least = limits.min or -limits.max
    if not np.isfinite(value) or not least <= int(value) <= limits.max:
        raise _overflow(dtype)
    return int(value) if limits.min else int(value) % (limits.max + 1)


def _overflow(dtype: DType) -> RuntimeError:
    name = f"{dtype.name}_t" if dtype.kind in "iu" else cpp_name(dtype)
    return RuntimeError(f"value cannot be converted to type {name} without overflow")
