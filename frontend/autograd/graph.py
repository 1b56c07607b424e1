"""``torch.autograd.graph``: the nodes behind ``grad_fn``."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from treadle.autograd_graph.node import SECOND_BACKWARD, AccumulateGrad, Node, set_saved_tensor
from treadle.ir.value import Value
from treadle.tensor import Tensor, new_tensor
from treadle.tracer.segment import recorder
from treadle.utils.hooks import RemovableHandle

__all__ = ["GradientEdge", "Node", "get_gradient_edge", "increment_version"]


def _saved(node: Node, name: str) -> Any:
    """A tensor or number that a node saved: an argument of its operation, or a result."""
    signature = node.signature
    assert signature is not None
    if node.released:
        raise RuntimeError(SECOND_BACKWARD)
    if name.startswith("result"):
        number = int(name.removeprefix("result") or 0)
        return _as_tensor(node, node.outputs[number], (node, number))
    bound = inspect.signature(signature.operation.body).bind(*signature.args, **signature.kwargs)
    names = {"self": next(iter(bound.arguments), "")}
    argument = bound.arguments.get(names.get(name, name), bound)
    if argument is bound:
        raise AttributeError(f"{node.name()} saved nothing called {name!r}")
    if not isinstance(argument, Value):
        return argument
    values = [item for item in bound.args if isinstance(item, Value)]
    return _as_tensor(node, argument, node.edges[values.index(argument)])


def _as_tensor(node: Node, value: Value, edge: Any) -> Tensor:
    segment = recorder.segment
    tensor = new_tensor(segment.bring(node.segment, value), segment)
    if edge is not None:
        source, number = edge
        if isinstance(source, AccumulateGrad):
            return source.variable if source.variable is not None else tensor
        tensor._requires_grad, tensor._grad_fn, tensor._output_nr = True, source, number
    return tensor


set_saved_tensor(_saved)


def _added(hooks: dict[int, Any], hook: Callable[..., Any]) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def _register_hook(self: Node, fn: Callable[..., Any]) -> RemovableHandle:
    """Calls ``fn(grad_inputs, grad_outputs)`` after the node ran; what it returns replaces the
    gradients of the inputs."""
    if isinstance(self, AccumulateGrad):
        return _added(self.arrival_hooks, fn)
    if self.post_hooks is None:
        self.post_hooks = OrderedDict()
    return _added(self.post_hooks, fn)


def _register_prehook(self: Node, fn: Callable[..., Any]) -> RemovableHandle:
    """Calls ``fn(grad_outputs)`` before the node runs; what it returns replaces them."""
    if self.pre_hooks is None:
        self.pre_hooks = OrderedDict()
    return _added(self.pre_hooks, fn)


Node.register_hook = _register_hook
Node.register_prehook = _register_prehook


class GradientEdge(NamedTuple):
    """Where a tensor's gradient goes: a node and the number of its output."""

    node: Node
    output_nr: int


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """Where the gradient of a tensor goes; RuntimeError if it needs none."""
    if not tensor.requires_grad:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require "
            "gradients"
        )
    node = tensor.grad_fn
    return GradientEdge(tensor._accumulator() if node is None else node, tensor.output_nr)


def increment_version(tensor: Tensor | tuple[Tensor, ...] | list[Tensor]) -> None:
    """Tells autograd that the contents of tensors were changed behind its back."""
    for one in (tensor,) if isinstance(tensor, Tensor) else tensor:
        one._storage.version += 1
