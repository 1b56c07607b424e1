"""Replacing all of a tensor's contents: by a copy of another tensor, or by one number."""

from __future__ import annotations

from typing import Any

from treadle.functions.indexing import type_name
from treadle.inplace import assign
from treadle.ir import build as b
from treadle.ir.types import DType, TensorType
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import number_for
from treadle.tensor import Tensor, new_tensor
from treadle.tracer.segment import recorder

__all__ = ["fill", "fill_", "zero_"]
METHODS = "copy_ fill_ zero_"


@operation("CopyBackwards", overwrites=True)
def copied(target: Value, source: Value) -> Value:
    """The source in the target's shape and dtype."""
    lead = source.ndim - target.ndim
    if lead > 0 and set(source.shape[:lead]) <= {1}:
        source = b.reshape(source, source.shape[lead:])
    shape = b.broadcast_shapes(target.shape, source.shape)
    if shape != target.shape:
        raise RuntimeError(
            f"output with shape {list(target.shape)} doesn't match the broadcast shape "
            f"{list(shape)}"
        )
    return b.broadcast_to(b.cast(source, target.dtype), target.shape)


def _filled(target: Value, value: Any) -> Value:
    """The target's shape filled with a number."""
    return filling(value, target.dtype, target)


_fill = operation("FillBackward2", overwrites=True, numbers=True)(_filled)
_fill_from = operation("FillBackward3", overwrites=True)(_filled)
_fill_copy = operation("FillBackward0", overwrites=True, numbers=True)(_filled)
_fill_copy_from = operation("FillBackward1", overwrites=True)(_filled)
_zero = operation("ZeroBackward0", overwrites=True)(_filled)


def filling(value: Any, dtype: DType, like: Value) -> Value:
    """A number, or a value of one element, as a value of a shape."""
    if isinstance(value, Value):
        return b.broadcast_to(b.reshape(b.cast(value, dtype), ()), like.shape)
    return b.full(like.shape, value, dtype, like.type.device)


def copy_into(target: Tensor, source: Any) -> Tensor:
    """Makes a tensor or a number the contents of a tensor, in place."""
    if isinstance(source, Tensor):
        if source is target or _is_written(target, source):
            return target
        return assign(target, copied.operation, (_stand_in(target, source), source), {})
    if isinstance(source, (bool, int, float, complex)):
        number = number_for(source, target.dtype)
        arguments = (_stand_in(target), number)
        return assign(target, _fill.operation, arguments, {}, overlap=True)
    raise TypeError(
        f"fill_(): argument 'value' (position 1) must be Number, not {type_name(source)}"
    )


def _stand_in(target: Tensor, *sources: Tensor) -> Tensor:
    """What an operation that replaces all of a tensor takes for it: its type alone, where
    autograd does not watch, so that memory which is not read can be written in place."""
    in_memory = target._view is not None and target._storage.buffer is not None
    if not in_memory or needs_history(target, *sources):
        return target
    type = TensorType(target.dtype, tuple(target.shape), target._storage.type.device)
    return new_tensor(b.full(type.shape, 0, type.dtype, type.device), recorder.segment)


def _is_written(target: Tensor, source: Tensor) -> bool:
    """Whether a source is the target's own elements, as Python writes back after ``x[i] += y``."""
    same = source._storage is target._storage and source._layout == target._layout
    if not same or target.dtype is not source.dtype or needs_history(target, source):
        return False
    target._storage.version += not target._untracked
    return True


def needs_history(*tensors: Tensor) -> bool:
    """Whether autograd records an operation on tensors."""
    return recorder.grad_enabled and any(tensor.requires_grad for tensor in tensors)


def copy_(self: Tensor, other: Tensor, non_blocking: bool = False) -> Tensor:
    """Makes another tensor the contents, converted and broadcast."""
    if not isinstance(other, (Tensor, bool, int, float, complex)):
        raise TypeError(
            f"copy_(): argument 'other' (position 1) must be Tensor, not {type_name(other)}"
        )
    return copy_into(self, other)


def fill_(self: Tensor, value: Any) -> Tensor:
    """Fills with one number, which may be that of a 0-d tensor."""
    if not isinstance(value, Tensor):
        return copy_into(self, value)
    _check_scalar(value)
    return assign(self, _fill_from.operation, (self, value), {}, overlap=True)


def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor of the same shape and dtype filled with one number."""
    if isinstance(value, Tensor):
        _check_scalar(value)
        return _fill_copy_from(input, value)
    return _fill_copy(input, number_for(value, input.dtype))


def _check_scalar(value: Tensor) -> None:
    if value.ndim:
        raise RuntimeError(
            "fill_ only supports 0-dimension value tensor but got tensor with "
            f"{value.ndim} dimensions."
        )


def zero_(self: Tensor) -> Tensor:
    """Fills with zeros."""
    return assign(self, _zero.operation, (_stand_in(self), 0), {}, overlap=True)
