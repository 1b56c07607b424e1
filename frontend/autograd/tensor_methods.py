"""What tensors do with autograd: ``backward``, ``requires_grad_``, hooks.

``METHODS`` lists what ``methods.table`` attaches to ``Tensor``.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from treadle.autograd import differentiate
from treadle.tensor import Tensor
from treadle.utils.hooks import RemovableHandle

METHODS = (
    "backward requires_grad_ detach_ retain_grad register_hook register_post_accumulate_grad_hook"
)
PROPERTIES = "retains_grad"


def backward(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Adds gradients to the leaves this tensor depends on; see ``autograd.backward``."""
    differentiate.backward(self, gradient, retain_graph, create_graph, inputs=inputs)


def requires_grad_(self: Tensor, requires_grad: bool = True) -> Tensor:
    """Says whether operations on this leaf are recorded for autograd."""
    if requires_grad and self.dtype.kind not in "fc":
        raise RuntimeError("only Tensors of floating point dtype can require gradients")
    self.requires_grad = requires_grad
    return self


def detach_(self: Tensor) -> Tensor:
    """Takes the tensor out of the autograd graph."""
    self._grad_fn, self._base = None, None
    self._requires_grad = False
    return self


def retain_grad(self: Tensor) -> None:
    """Keeps the gradient of a tensor that is no leaf in ``grad``."""
    if not self.requires_grad:
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    node = self.grad_fn
    if node is not None:
        node.retain = {**(node.retain or {}), self._output_nr: weakref.ref(self)}


def retains_grad(self: Tensor) -> bool:
    """Whether ``retain_grad`` was called on this tensor that is no leaf."""
    node = self.grad_fn
    kept = None if node is None or node.retain is None else node.retain.get(self._output_nr)
    return kept is not None and kept() is self


def register_hook(self: Tensor, hook: Callable[[Tensor], Any]) -> RemovableHandle:
    """Calls ``hook(grad)`` when the gradient is computed; what it returns replaces it."""
    if not self.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    node = self.grad_fn or self._accumulator()
    if node.hooks is None:
        node.hooks = {}
    hooks = node.hooks.setdefault(self._output_nr, OrderedDict())
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def register_post_accumulate_grad_hook(
    self: Tensor, hook: Callable[[Tensor], Any]
) -> RemovableHandle:
    """Calls ``hook(tensor)`` after a gradient was added to this leaf's ``grad``."""
    if not self.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if self.grad_fn is not None:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    accumulator = self._accumulator()
    if accumulator.post_hooks is None:
        accumulator.post_hooks = OrderedDict()
    handle = RemovableHandle(accumulator.post_hooks)
    accumulator.post_hooks[handle.id] = hook
    return handle
