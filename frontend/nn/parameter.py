"""Parameters: tensors that a module registers when they are assigned to it.

Nothing about optimisation; a parameter differs from a tensor only by its type.
"""

from __future__ import annotations

from typing import Any, ClassVar

import treadle
from treadle.methods.subclasses import _disabled_torch_function_impl
from treadle.tensor import Tensor


class Parameter(Tensor):
    """A leaf tensor that belongs to a module.

    Args:
        data: the tensor whose storage the parameter takes; an empty tensor when None.
        requires_grad: whether gradients are recorded.
    """

    # What is computed from parameters are plain tensors.
    __torch_function__: ClassVar[Any] = classmethod(_disabled_torch_function_impl)

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        """A parameter that shares ``data``'s storage and starts outside any graph."""
        if data is None:
            data = treadle.empty(0)
        made: Parameter = Tensor._make_subclass(cls, data, requires_grad)
        return made

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        """All is done in ``__new__``; this only keeps the signature."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        found: Parameter | None = memo.get(id(self))
        if found is None:
            found = type(self)(self.data.clone(), self.requires_grad)
            memo[id(self)] = found
        return found

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild, (type(self), self.data, self.requires_grad)


def _rebuild(kind: type[Parameter], data: Tensor, requires_grad: bool) -> Parameter:
    return kind(data, requires_grad)
