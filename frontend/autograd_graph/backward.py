"""Running the autograd graph: nodes from the latest to the earliest, gradients as recorded values.

Nothing is computed here; with ``create_graph`` the gradients are themselves differentiable.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any

from treadle.autograd_graph.higher_order import differentiable_gradient
from treadle.autograd_graph.node import AccumulateGrad, Node
from treadle.ir import build
from treadle.ir.value import Value
from treadle.tensor import Tensor, new_tensor
from treadle.tracer.segment import recorder

Upstreams = list[Any]


class Backward:
    """One run from root tensors.

    Args:
        create_graph: record the gradients themselves for autograd.
        retain_graph: keep what nodes saved.
        inputs: tensors whose gradients are wanted; None accumulates into every leaf.
    """

    def __init__(
        self, create_graph: bool, retain_graph: bool, inputs: Sequence[Tensor] | None
    ) -> None:
        self.create_graph = create_graph
        self.retain_graph = retain_graph
        self.pending: dict[Node, Upstreams] = {}
        self.queue: list[tuple[int, int, Node]] = []
        self.arrivals = 0
        self.captured: dict[tuple[Node, int], Any] = {}
        self.wanted: set[tuple[Node, int]] | None = None
        self.useful: set[Node] | None = None
        if inputs is not None:
            self.wanted = {target_of(tensor) for tensor in inputs}

    def run(self, roots: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Propagates (root, gradient) pairs to the leaves or the wanted inputs."""
        previous = recorder.grad_enabled
        recorder.grad_enabled = self.create_graph
        try:
            if self.wanted is not None:
                self.useful = _leading_to([root for root, _ in roots], self.wanted)
            for root, gradient in roots:
                node, number = target_of(root)
                self.add(node, number, gradient if self.create_graph else _value(gradient))
            while self.queue:
                node = heapq.heappop(self.queue)[2]
                self.visit(node, self.pending.pop(node))
        finally:
            recorder.grad_enabled = previous
        if recorder.segment.cut:
            recorder.evaluate()

    def add(self, node: Node, number: int, gradient: Any) -> None:
        """Adds a gradient to an output of a node and queues the node."""
        if self.useful is not None and node not in self.useful:
            return
        upstreams = self.pending.get(node)
        if upstreams is None:
            upstreams = self.pending[node] = [None] * max(len(node.outputs), 1)
            # Leaves have one sequence number: the order of arrival, not addresses, decides.
            self.arrivals += 1
            heapq.heappush(self.queue, (-node.sequence, self.arrivals, node))
        present = upstreams[number]
        if present is None:
            upstreams[number] = gradient
        else:
            upstreams[number] = present + gradient

    def visit(self, node: Node, upstreams: Upstreams) -> None:
        """Runs hooks, stores what was asked for and passes gradients on."""
        upstreams = self._run_hooks(node, upstreams)
        for number, upstream in enumerate(upstreams):
            if self.wanted is not None and (node, number) in self.wanted and upstream is not None:
                self.captured[node, number] = upstream
        if isinstance(node, AccumulateGrad):
            if self.wanted is None and upstreams[0] is not None:
                self._accumulate(node, upstreams[0])
            return
        if self.useful is not None and not any(
            edge is not None and edge[0] in self.useful for edge in node.edges
        ):
            return
        gradients = self._gradients(node, upstreams)
        if node.post_hooks:
            gradients = self._call_post_hooks(node, gradients, upstreams)
        for edge, gradient in zip(node.edges, gradients, strict=True):
            if edge is not None and gradient is not None:
                self.add(*edge, gradient)
        if not self.retain_graph:
            node.release()

    def _gradients(self, node: Node, upstreams: Upstreams) -> Sequence[Any]:
        if node.signature is None:
            custom: Any = node
            tensors = [self._as_tensor(upstream) for upstream in upstreams]
            results = custom.apply_backward(tensors)
            if self.create_graph:
                return list(results)
            return [None if result is None else _value(result) for result in results]
        if self.create_graph:
            return differentiable_gradient(node, upstreams)
        return node.gradient(upstreams)

    def _as_tensor(self, gradient: Any) -> Tensor | None:
        if gradient is None or isinstance(gradient, Tensor):
            return gradient
        return new_tensor(gradient, recorder.segment)

    def _run_hooks(self, node: Node, upstreams: Upstreams) -> Upstreams:
        if node.hooks:
            for number, hooks in node.hooks.items():
                for hook in list(hooks.values()):
                    upstreams[number] = self._call(hook, upstreams[number])
        if node.pre_hooks:
            for hook in list(node.pre_hooks.values()):
                replaced = hook(tuple(self._as_tensor(upstream) for upstream in upstreams))
                if replaced is not None:
                    upstreams = [self._from_tensor(item) for item in replaced]
        if node.retain:
            for number, reference in node.retain.items():
                tensor = reference()
                if tensor is not None and upstreams[number] is not None:
                    tensor._grad = self._as_tensor(upstreams[number])
        return upstreams

    def _call(self, hook: Callable[..., Any], gradient: Any) -> Any:
        if gradient is None:
            return None
        replaced = hook(self._as_tensor(gradient))
        if replaced is None:
            return gradient
        if not isinstance(replaced, Tensor):
            raise TypeError(f"expected Variable, but hook returned '{type(replaced).__name__}'")
        if tuple(replaced.shape) != tuple(gradient.shape):
            name = getattr(hook, "__name__", type(hook).__name__)
            raise RuntimeError(f"hook '{name}' has changed the size of value")
        return self._from_tensor(replaced)

    def _call_post_hooks(
        self, node: Node, gradients: Sequence[Any], upstreams: Upstreams
    ) -> Sequence[Any]:
        for hook in list((node.post_hooks or {}).values()):
            replaced = hook(
                tuple(self._as_tensor(gradient) for gradient in gradients),
                tuple(self._as_tensor(upstream) for upstream in upstreams),
            )
            if replaced is not None:
                gradients = [self._from_tensor(item) for item in replaced]
        return gradients

    def _from_tensor(self, tensor: Tensor | None) -> Any:
        return tensor if tensor is None or self.create_graph else _value(tensor)

    def _accumulate(self, node: AccumulateGrad, gradient: Any) -> None:
        leaf = node.variable
        if leaf is None:
            return
        self.accumulate_into(leaf, gradient)
        if node.post_hooks:
            for hook in list(node.post_hooks.values()):
                hook(leaf)
        for hook in list(node.arrival_hooks.values()):
            hook((), (self._as_tensor(gradient),))

    def accumulate_into(self, leaf: Tensor, gradient: Any) -> None:
        """Adds a gradient to the ``grad`` of a leaf."""
        if leaf._grad is None:
            leaf._grad = self._as_tensor(gradient)
        elif self.create_graph:
            leaf._grad = leaf._grad + gradient
        else:
            leaf._grad._replace(build.add(_value(leaf._grad), gradient))


def _value(tensor: Tensor) -> Value:
    return tensor._value(recorder.segment)


def target_of(tensor: Tensor) -> tuple[Node, int]:
    """The node and output number that a tensor's gradient belongs to."""
    node = tensor.grad_fn
    return (tensor._accumulator(), 0) if node is None else (node, tensor._output_nr)


def _leading_to(roots: Sequence[Tensor], wanted: set[tuple[Node, int]]) -> set[Node]:
    """Nodes on a path from the roots to a wanted one."""
    targets = {node for node, _ in wanted}
    useful: set[Node] = set()
    visited: set[Node] = set()
    stack = [(target_of(root)[0], False) for root in roots]
    while stack:
        node, expanded = stack.pop()
        following = [edge[0] for edge in node.edges if edge is not None]
        if expanded:
            if node in targets or any(successor in useful for successor in following):
                useful.add(node)
        elif node not in visited:
            visited.add(node)
            stack.append((node, True))
            stack.extend((successor, False) for successor in following)
    return useful
