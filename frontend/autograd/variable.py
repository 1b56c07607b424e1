"""``Variable``: tensors under their old name."""

from __future__ import annotations

from typing import Any

from treadle.tensor import Tensor


class _VariableType(type):
    """Every tensor is a ``Variable``."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=_VariableType):
    """``Variable(tensor, requires_grad)`` is a tensor with the same memory, a leaf of its own."""

    def __new__(cls, data: Any = None, requires_grad: bool = False, volatile: bool = False) -> Any:
        """The tensor; TypeError unless ``data`` is one."""
        if data is None:
            data = Tensor()
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        made = data.detach()
        made.requires_grad = requires_grad
        return made
