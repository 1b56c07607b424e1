"""Type promotion by PyTorch's rules: tensors, 0-d tensors and Python numbers.

Works on IR values; a Python number never decides more than its category.
"""

from __future__ import annotations

from typing import Any

from treadle.ir import build as b
from treadle.ir.types import (
    DType,
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
from treadle.ir.value import Value

_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2}
_INTEGERS = (int8, int16, int32, int64)
_FLOATS = (float16, float32, float64)


class _Default:
    dtype = float32


def default_dtype() -> DType:
    """The dtype of tensors made from Python floats."""
    return _Default.dtype


def set_default_dtype(dtype: DType) -> None:
    """Sets the dtype of tensors made from Python floats; TypeError unless it is a float dtype."""
    if not isinstance(dtype, DType) or not dtype.is_floating_point:
        raise TypeError(
            f"only floating-point types are supported as the default type, found {dtype}"
        )
    _Default.dtype = dtype


def promote_types(first: DType, second: DType) -> DType:
    """The smallest dtype that holds both."""
    if first is second:
        return first
    ranked = sorted((first, second), key=lambda dtype: _CATEGORY[dtype.kind])
    low, high = ranked
    if _CATEGORY[low.kind] != _CATEGORY[high.kind]:
        return high
    if high.kind == "f":
        return max(low, high, key=_FLOATS.index)
    if uint32 in ranked:
        return int64
    if uint8 in ranked:
        other = high if low is uint8 else low
        return int16 if other is int8 else other
    return max(low, high, key=_INTEGERS.index)


def _of_number(number: Any) -> DType:
    if isinstance(number, bool):
        return bool_
    return int64 if isinstance(number, int) else default_dtype()


def result_type(*operands: Any) -> DType:
    """The dtype of an operation on values and Python numbers.

    Tensors with dimensions decide, then 0-d tensors, then numbers: a lower rank counts only
    through a higher category (bool < integer < floating point).
    """
    ranks: list[list[DType]] = [[], [], []]
    for operand in operands:
        if isinstance(operand, Value):
            ranks[0 if operand.ndim else 1].append(operand.dtype)
        else:
            ranks[2].append(_of_number(operand))
    result: DType | None = None
    for rank in ranks:
        joined: DType | None = None
        for dtype in rank:
            joined = dtype if joined is None else promote_types(joined, dtype)
        if joined is None:
            continue
        if result is None or _CATEGORY[joined.kind] > _CATEGORY[result.kind]:
            result = joined
    assert result is not None
    return result


def promoted(*operands: Any, to_float: bool = False) -> tuple[Value, ...]:
    """Operands as values of their common dtype (a floating one with ``to_float``)."""
    dtype = result_type(*operands)
    if to_float and not dtype.is_floating_point:
        dtype = default_dtype()
    device = next(item.type.device for item in operands if isinstance(item, Value))
    return tuple(
        b.cast(item, dtype) if isinstance(item, Value) else b.constant(item, dtype, device)
        for item in operands
    )


def as_float(x: Value) -> Value:
    """x itself, or converted to the default dtype where it is no float."""
    return x if x.dtype.is_floating_point else b.cast(x, default_dtype())


def scalar_name(dtype: DType) -> str:
    """PyTorch's C++ name of a dtype, as its messages show it."""
    names = {"float32": "Float", "float64": "Double", "int64": "Long", "int32": "Int"}
    short = {"int16": "Short", "int8": "Char", "uint8": "Byte", float16.name: "Half"}
    return {**names, **short, "bool": "Bool"}.get(dtype.name, dtype.name)


def cpp_name(dtype: DType) -> str:
    """The C++ type of a dtype's numbers, which other messages of PyTorch show."""
    names = {"Float": "float", "Double": "double", "Half": "c10::Half", "Long": "long int"}
    short = scalar_name(dtype)
    return names.get(short, short.lower())
