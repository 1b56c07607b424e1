"""One of two values by a condition, replacement of special values, and copies."""

from __future__ import annotations

import math
from typing import Any

from treadle.functions.pointwise.arguments import need_tensors
from treadle.functions.positions import nonzero
from treadle.ir import build as b
from treadle.ir.types import DType, bool_, float_limits, uint8
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import cpp_name, number_for, promoted, scalar_name

__all__ = ["masked_fill", "nan_to_num", "where"]
METHODS = "masked_fill nan_to_num"
INPLACE = "masked_fill nan_to_num"


@operation("WhereBackward0", numbers=True, integers=True)
def _where(condition: Value, input: Any, other: Any) -> Value:
    need_tensors("where", condition=condition)
    if condition.dtype is uint8:
        condition = b.cast(condition, bool_)
    if condition.dtype is not bool_:
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{scalar_name(condition.dtype)}"
        )
    if not isinstance(input, Value) and not isinstance(other, Value):
        x, y, _ = promoted(input, other, b.constant(False, bool_, condition.type.device))
    else:
        x, y = promoted(input, other)
    return b.select(condition, x, y)


def where(condition: Any, input: Any = None, other: Any = None, *, out: Any = None) -> Any:
    """input where the condition holds, else other; alone, where the condition is not zero."""
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    found = {} if out is None else {"out": out}
    return _where(condition, input, other, **found)


def where_method(self: Any, condition: Any, other: Any) -> Any:
    """``where`` as a method: self where the condition holds, else other."""
    return where(condition, self, other)


@operation("MaskedFillBackward0", numbers=True, integers=True)
def masked_fill(input: Value, mask: Value, value: Any) -> Value:
    """input with ``value`` where the mask holds."""
    if mask.dtype is not bool_:
        kind = cpp_name(mask.dtype)
        raise RuntimeError(
            f"masked_fill_ only supports boolean masks, but got mask with dtype {kind}"
        )
    if isinstance(value, Value) and value.ndim:
        raise RuntimeError(
            "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s)."
        )
    if isinstance(value, Value):
        if value.dtype.kind == "c" and input.dtype.kind != "c":
            number_for(1j, input.dtype)  # raises
        filling: Any = b.cast(value, input.dtype)
    else:
        filling = number_for(value, input.dtype)
    shape = b.broadcast_shapes(input.shape, mask.shape)
    return b.select(mask, filling, b.broadcast_to(input, shape))


def _replaced_gradient(inputs: Any, _outputs: Any, upstreams: Any, **_static: Any) -> tuple[Value]:
    return (b.select(b.lt(b.abs(inputs[0]), math.inf), upstreams[0], 0),)


@operation("NanToNumBackward0", vjp=_replaced_gradient)
def nan_to_num(
    input: Value,
    nan: float | None = None,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Value:
    """NaN and infinities replaced by numbers: by default 0 and the dtype's limits."""
    if not input.dtype.is_floating_point:
        return input
    greatest = float(float_limits(input.dtype.numpy).max)
    result = b.select(b.ne(input, input), 0.0 if nan is None else nan, input)
    result = b.select(b.eq(input, math.inf), greatest if posinf is None else posinf, result)
    return b.select(b.eq(input, -math.inf), -greatest if neginf is None else neginf, result)


@operation("ToCopyBackward0")
def convert(input: Value, dtype: DType) -> Value:
    """Elements converted to a dtype."""
    return b.cast(input, dtype)


@operation("CloneBackward0")
def clone(input: Value) -> Value:
    """The same elements in memory of their own."""
    return input
