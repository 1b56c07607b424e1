"""Recording views: a movement of values becomes a tensor over its argument's storage.

A view's value is a movement op, so that no kernel copies anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from treadle import views
from treadle.ir.value import Value
from treadle.operation import Call, Operation, finish
from treadle.tensor import Tensor
from treadle.views import View


def view_operation(name: str) -> Callable[[Callable[..., Value]], Callable[..., Tensor]]:
    """Makes a movement of values a function (tensor, layout, arguments) that gives an alias."""

    def decorate(body: Callable[..., Value]) -> Callable[..., Tensor]:
        row = Operation(body, name, None, None)

        def call(input: Tensor, layout: View, *arguments: Any) -> Tensor:
            recorded = Call(row, (input, *arguments), {})
            result = _alias(recorded, layout, recorded.result)
            if recorded.needs_grad():
                result._requires_grad = True
                result._grad_fn = recorded.node((result,))
            finish()
            return result

        return call

    return decorate


def views_operation(name: str) -> Callable[[Callable[..., Any]], Callable[..., tuple[Tensor, ...]]]:
    """As ``view_operation`` for functions (tensor, layouts, arguments) that give several aliases."""

    def decorate(body: Callable[..., Any]) -> Callable[..., tuple[Tensor, ...]]:
        row = Operation(body, name, None, None)

        def call(input: Tensor, layouts: Sequence[View], *arguments: Any) -> tuple[Tensor, ...]:
            recorded = Call(row, (input, *arguments), {})
            pairs = zip(layouts, recorded.result, strict=True)
            results = tuple(_alias(recorded, layout, value) for layout, value in pairs)
            node = recorded.node(results) if recorded.needs_grad() else None
            for number, result in enumerate(results):
                result._one_of_several = True
                if node is not None:
                    result._requires_grad = True
                    result._grad_fn, result._output_nr = node, number
            finish()
            return results

        return call

    return decorate


def _alias(call: Call, layout: View, value: Value) -> Tensor:
    """A recorded movement's value as a tensor over its argument's storage."""
    source = call.tensors[0]
    storage = source._storage
    result = source._alias(None if layout == views.whole(storage.type.shape) else layout)
    result._untracked = source._untracked
    result._cached = (call.segment, storage.writes, value)
    base = source if source._base is None else source._base
    result._base = base
    result._base_changes = base._changes
    return result
