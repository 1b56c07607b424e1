"""Gradients that can be differentiated again: a node's gradient run as an operation on tensors.

Used where ``create_graph`` asks for it; rules are the same IR as in the first order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from treadle import engine
from treadle.autograd_graph.node import Edge, Node
from treadle.autograd_graph.template import Template, instantiate
from treadle.ir.value import Value
from treadle.operation import Operation, dispatch
from treadle.tensor import Tensor, new_tensor
from treadle.tracer.segment import recorder

_operations: dict[Template, Operation] = {}
engine.on_forget(_operations.clear)


def _operation(template: Template, label: str) -> Operation:
    """The gradient of a template as an operation on inputs, outputs and upstream gradients."""
    found = _operations.get(template)
    if found is None:
        wanted = tuple(g for g in template.gradients if g is not None)

        def gradient(values: tuple[Value | None, ...]) -> tuple[Value | None, ...]:
            return instantiate(template, wanted, values)

        found = _operations[template] = Operation(gradient, f"{label}Backward")
    return found


def _proxy(value: Value | None, edge: Edge) -> Tensor | None:
    """A tensor with the contents of a value whose gradient goes along an edge."""
    if value is None:
        return None
    tensor = new_tensor(value, recorder.segment)
    if edge is not None:
        tensor._requires_grad = True
        tensor._grad_fn, tensor._output_nr = edge
    return tensor


def differentiable_gradient(
    node: Node, upstreams: Sequence[Tensor | None]
) -> Sequence[Tensor | None]:
    """Gradients of a node's inputs, recorded for autograd."""
    template = node._template([upstream is not None for upstream in upstreams])
    inputs, outputs = node.current_values(template)
    arguments: list[Any] = [_proxy(v, e) for v, e in zip(inputs, node.edges, strict=True)]
    for number, value in enumerate(outputs):
        used = template.used_outputs[number]
        arguments.append(_proxy(value, (node, number) if used else None))
    results = dispatch(_operation(template, node.label), ((*arguments, *upstreams),), {})
    remaining = iter(results)
    return [None if g is None else next(remaining) for g in template.gradients]
