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
from treadle.tracer.segment import recorder
from treadle.views import TypedView, View


def view_operation(name: str) -> Callable[[Callable[..., Value]], Callable[..., Tensor]]:
    """Makes a movement of values a function (tensor, layout, arguments) that gives an alias."""

    def decorate(body: Callable[..., Value]) -> Callable[..., Tensor]:
        row = Operation(body, name)

        def call(input: Tensor, layout: View, *arguments: Any) -> Tensor:
            if _is_plain(input):
                return _alias(input, layout)
            recorded = Call(row, (input, *arguments), {})
            result = _alias(input, layout)
            _remember(result, recorded, recorded.result)
            if recorded.needs_grad():
                result._requires_grad = True
                result._grad_fn = recorded.node((result,))
            finish(recorded.segment)
            return result

        return call

    return decorate


def views_operation(name: str) -> Callable[[Callable[..., Any]], Callable[..., tuple[Tensor, ...]]]:
    """As ``view_operation``, for functions (tensor, layouts, arguments) of several aliases."""

    def decorate(body: Callable[..., Any]) -> Callable[..., tuple[Tensor, ...]]:
        row = Operation(body, name)

        def call(input: Tensor, layouts: Sequence[View], *arguments: Any) -> tuple[Tensor, ...]:
            if _is_plain(input):
                aliases = tuple(_alias(input, layout) for layout in layouts)
                for one in aliases:
                    one._one_of_several = True
                return aliases
            recorded = Call(row, (input, *arguments), {})
            results = tuple(_alias(input, layout) for layout in layouts)
            for result, value in zip(results, recorded.result, strict=True):
                _remember(result, recorded, value)
            node = recorded.node(results) if recorded.needs_grad() else None
            for number, result in enumerate(results):
                result._one_of_several = True
                if node is not None:
                    result._requires_grad = True
                    result._grad_fn, result._output_nr = node, number
            finish(recorded.segment)
            return results

        return call

    return decorate


def inplace_view(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The in-place form of a view, as ``t_`` is of ``t``: the tensor itself gets the layout."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if self.requires_grad and recorder.grad_enabled and self.is_leaf:
            raise RuntimeError(
                "a leaf Variable that requires grad is being used in an in-place operation."
            )
        become(self, function(self, *args, **kwargs))
        return self

    method.__name__ = f"{function.__name__}_"
    method.__doc__ = f"In-place ``{function.__name__}``."
    return method


def become(target: Tensor, alias: Tensor) -> None:
    """Gives a tensor the layout and history of an alias of it."""
    target._view, target._cached = alias._view, alias._cached
    if alias._grad_fn is not None:
        target._grad_fn, target._output_nr = alias._grad_fn, alias._output_nr
        target._one_of_several = alias._one_of_several


def _is_plain(source: Tensor) -> bool:
    """Whether a view only names a part of memory: its value can be read when it is needed."""
    storage = source._storage
    differentiated = source._requires_grad and recorder.grad_enabled
    return storage.buffer is not None and storage.exposed is None and not differentiated


def _alias(source: Tensor, layout: View) -> Tensor:
    """A tensor over another's storage."""
    storage = source._storage
    if isinstance(layout, TypedView) or isinstance(source._view, TypedView):
        dtype = layout.dtype if isinstance(layout, TypedView) else source.dtype
        layout = views.under(layout, dtype, storage.type.dtype)
    result = source._alias(None if layout == views.whole(storage.type.shape) else layout)
    result._untracked = source._untracked
    base = source if source._base is None else source._base
    result._base = base
    result._base_changes = base._changes
    if source._made_without_grad or not recorder.grad_enabled:
        result._made_without_grad = True
    return result


def _remember(alias: Tensor, call: Call, value: Value) -> None:
    """Notes the recorded movement as the alias's value until its memory changes."""
    alias._cached = (call.segment, alias._storage.writes, value)
