"""Tensors' operators: what ``+``, ``//``, ``[]`` and their relatives do.

Operands that are no numbers give ``NotImplemented``, so that Python raises its own TypeError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from treadle.functions import contraction, creation, index_assignment, indexing, pointwise
from treadle.inplace import inplace
from treadle.tensor import Tensor

_NUMBERS = (Tensor, int, float, complex)

Binary = Callable[[Tensor, Any], Any]


def _operand(other: Any) -> Any:
    """NumPy numbers and arrays as operands; NotImplemented for what is no number."""
    if hasattr(other, "__array__") or hasattr(other, "dtype"):
        return creation.as_tensor(other) if getattr(other, "ndim", 0) else other.item()
    return NotImplemented


def _binary(function: Callable[..., Any]) -> Binary:
    def method(self: Tensor, other: Any) -> Any:
        if not isinstance(other, _NUMBERS):
            other = _operand(other)
            if other is NotImplemented:
                return NotImplemented
        return function(self, other)

    method.__name__ = function.__name__
    return method


def _reflected(function: Callable[..., Any]) -> Binary:
    """The operator with the tensor on the right."""

    def method(self: Tensor, other: Any) -> Any:
        if not isinstance(other, _NUMBERS):
            other = _operand(other)
            if other is NotImplemented:
                return NotImplemented
        return function(other, self)

    method.__name__ = function.__name__
    return method


def _of_tensors(name: str, method: Binary) -> Binary:
    """A reflected operator that, called by its name, takes only a tensor first."""

    def checked(self: Tensor, other: Any) -> Any:
        if not isinstance(self, Tensor):
            raise TypeError(
                f"descriptor '{name}' for 'torch._C.TensorBase' objects doesn't apply to a "
                f"'{type(self).__name__}' object"
            )
        return method(self, other)

    return checked


def _matrices(self: Tensor, other: Any) -> Any:
    if isinstance(other, Tensor):
        return contraction.matmul(self, other)
    if getattr(other, "ndim", 0):
        return contraction.matmul(self, creation.as_tensor(other))
    return NotImplemented


def _matrices_reflected(self: Tensor, other: Any) -> Any:
    return contraction.matmul(other, self) if isinstance(other, Tensor) else NotImplemented


def _contents_replaced(function: Callable[..., Tensor]) -> Callable[[Tensor, Any], Tensor]:
    """An in-place operator for a function that is no operation of its own."""

    def method(self: Tensor, other: Any) -> Tensor:
        found = function(self, other)
        return found if found is NotImplemented else self.copy_(found)

    return method


_BITS = {"and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor"}
_SHIFTS = {"lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift"}


def install() -> None:
    """Attaches the operators."""
    table: dict[str, Any] = {
        "truediv": _binary(pointwise.div),
        "mod": _binary(pointwise.remainder),
        "floordiv": _binary(pointwise.floor_divide),
        "matmul": _matrices,
        "rmatmul": _matrices_reflected,
        "radd": _binary(pointwise.add),
        "rmul": _binary(pointwise.mul),
        "rsub": _binary(pointwise.rsub),
        "rtruediv": _binary(pointwise.rdiv),
        "rdiv": _binary(pointwise.rdiv),
        "rfloordiv": _reflected(pointwise.floor_divide),
        "rmod": _reflected(pointwise.remainder),
        "rpow": _reflected(pointwise.pow),
        "neg": pointwise.neg,
        "pos": pointwise.positive,
        "abs": pointwise.abs,
        "invert": pointwise.bitwise_not,
        "itruediv": _binary(inplace(pointwise.div)),
        "ifloordiv": _binary(inplace(pointwise.floor_divide)),
        "imod": _binary(inplace(pointwise.remainder)),
        "imatmul": _contents_replaced(_matrices),
        "getitem": indexing.getitem,
        "setitem": index_assignment.setitem,
        "delitem": index_assignment.delitem,
        "reversed": lambda self: self.flip(0) if self.ndim else self,
    }
    for name in ("add", "sub", "mul", "pow", "eq", "ne", "lt", "le", "gt", "ge"):
        table[name] = _binary(getattr(Tensor, name))
    for name in ("add", "sub", "mul", "pow"):
        table[f"i{name}"] = _binary(getattr(Tensor, f"{name}_"))
    for name, function in {**_BITS, **_SHIFTS}.items():
        table[name] = _binary(getattr(pointwise, function))
        table[f"r{name}"] = _reflected(getattr(pointwise, function))
        table[f"i{name}"] = _binary(inplace(getattr(pointwise, function)))
    for name in ("radd", "rmul", "rand", "ror", "rxor", "rlshift", "rrshift"):
        table[name] = _of_tensors(f"__{name}__", table[name])
    for name, function in table.items():
        setattr(Tensor, f"__{name}__", function)
