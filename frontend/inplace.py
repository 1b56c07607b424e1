"""In-place operations: an operation's result becomes the contents of its first argument.

Views write into their base; autograd's history moves with the contents.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, TypeVar, cast

from treadle import views
from treadle.autograd_graph.node import Node, edge_of, modified_view, node_class
from treadle.autograd_graph.template import Signature
from treadle.ir import build as b
from treadle.ir.types import DType
from treadle.ir.value import Value
from treadle.memory_overlap import refuse_overlap
from treadle.operation import Call, Function, Operation, finish
from treadle.out_argument import accepts_out
from treadle.promotion import CATEGORY, cpp_name, scalar_name
from treadle.tensor import Tensor
from treadle.tracer.segment import recorder
from treadle.views import View

# Writes through views: (operation, layout, dtype, whether the view is its first argument).
_rows: dict[tuple[Operation, View, DType, bool], Operation] = {}


def inplace(function: Function) -> Callable[..., Tensor]:
    """The in-place method of an operation, as ``add_`` is of ``add``."""
    row: Operation = function.operation

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return assign(self, row, (self, *args), kwargs)

    method.__name__ = f"{row.body.__name__}_"
    method.__doc__ = f"In-place ``{row.body.__name__}``."
    method.__wrapped__ = function  # type: ignore[attr-defined]  # for its signature
    return method


F = TypeVar("F", bound=Callable[..., Any])
# What runs for a call whose arguments were checked: an operation and its arguments.
Plan: TypeAlias = "tuple[Function, tuple[Any, ...]]"


class Planned(Protocol):
    """A function of tensors, and how to run it in place on its first argument."""

    in_place: Callable[..., Tensor]

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor: ...


def accepts_separate_out(function: F) -> F:
    """As ``accepts_out``, for functions whose ``out`` must have the result's dtype and may share
    no memory with an argument."""
    with_out = accepts_out(function)

    @functools.wraps(function)
    def call(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is None:
            return function(*args, **kwargs)
        tensors = [item for item in (*args, *kwargs.values()) if isinstance(item, Tensor)]
        if isinstance(out, Tensor):
            refuse_overlap(out, tensors, same=False)
            if out.dtype is not tensors[0].dtype:
                raise RuntimeError(
                    f"Expected out tensor to have dtype {cpp_name(tensors[0].dtype)}, but got "
                    f"{cpp_name(out.dtype)} instead"
                )
        return with_out(*args, out=out, **kwargs)

    return cast(F, call)


def planned(plan: Callable[..., Plan]) -> Planned:
    """Makes checks of arguments, which say what to run, a function with ``out=``; its
    ``in_place`` writes the result into its first argument, which no other one may share."""

    @accepts_separate_out
    @functools.wraps(plan)
    def call(*args: Any, **kwargs: Any) -> Tensor:
        function, arguments = plan(*args, **kwargs)
        made: Tensor = function(*arguments)
        return made

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return run_in_place(plan(self, *args, **kwargs))

    method.__name__ = f"{plan.__name__}_"
    method.__doc__ = f"In-place ``{plan.__name__}``."
    made: Any = call
    made.in_place = method
    return cast(Planned, made)


def run_in_place(plan: Plan) -> Tensor:
    """Writes a result into its operation's first argument, which no other one may share."""
    function, arguments = plan
    return assign(arguments[0], function.operation, arguments, {}, same=False)


def assign(
    target: Tensor,
    operation: Operation,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    overlap: bool = False,
    same: bool = True,
) -> Tensor:
    """Runs an operation and makes its result the contents of ``target``, whose elements may
    share memory only with ``overlap``. With ``same``, an argument may be the target itself.

    Raises RuntimeError, before anything changes, for a leaf that requires gradients, where shape
    or dtype of the result do not fit, and where an argument shares a part of the target's memory.
    """
    call = Call(operation, args, kwargs)
    result = _fitting(call.result, target)
    if not overlap:
        first = bool(call.tensors) and call.tensors[0] is target
        refuse_overlap(target, call.tensors[first:], same)
    if call.tracked:
        _check_history(target)
    elif target._made_without_grad and recorder.grad_enabled:
        _check_view(target)
    if not call.tracked or target.dtype.kind not in "fc":
        target._replace(result)
        finish(recorder.segment)
        return target
    if target._base is not None:
        _write_view(target, call, result)
    else:
        node = _node(call, call.operation.name or "CopyBackwards", target)
        target._replace(result)
        node.outputs = (result,)
        node.saved = (*node.saved, _state_of(target))
        target._requires_grad = True
        target._grad_fn, target._output_nr = node, 0
        target._changes += 1
        target._storage.writer = weakref.ref(node)
    finish(recorder.segment)
    return target


def _state_of(tensor: Tensor) -> tuple[Any, int, int]:
    storage = tensor._storage
    return (storage, storage.version, storage.writes)


def _fitting(result: Value, target: Tensor) -> Value:
    """The result in the dtype and shape of the target."""
    if CATEGORY[result.dtype.kind] > CATEGORY[target.dtype.kind]:
        raise RuntimeError(
            f"result type {scalar_name(result.dtype)} can't be cast to the desired output type "
            f"{scalar_name(target.dtype)}"
        )
    shape = tuple(target.shape)
    if result.shape != shape:
        raise RuntimeError(
            f"output with shape {list(shape)} doesn't match the broadcast shape "
            f"{list(result.shape)}"
        )
    return b.cast(result, target.dtype)


def _check_view(target: Tensor) -> None:
    """A view made under ``no_grad`` has no history that a write through it could continue."""
    base = target._base
    if target._made_without_grad and base is not None and base._requires_grad:
        raise RuntimeError(
            "A view was created in no_grad mode and is being modified inplace with grad mode "
            "enabled. Given that this use case is ambiguous and error-prone, it is forbidden. You "
            "can clarify your code by moving both the view and the inplace either both inside the "
            "no_grad block (if you don't want the inplace to be tracked) or both outside (if you "
            "want the inplace to be tracked)."
        )


def _check_history(target: Tensor) -> None:
    _check_view(target)
    if not target.requires_grad:
        return
    if target._one_of_several and target._grad_fn is not None:
        raise modified_view(target._grad_fn, target._output_nr, "is being modified")
    if target._base is not None and target._base._requires_grad and target._base.is_leaf:
        raise RuntimeError(
            "a view of a leaf Variable that requires grad is being used in an in-place operation."
        )
    if target.is_leaf:
        raise RuntimeError(
            "a leaf Variable that requires grad is being used in an in-place operation."
        )


def _node(call: Call, name: str, target: Tensor) -> Node:
    """The node of an in-place call. Values are immutable, so that overwriting ``target`` does not
    disturb the gradient: only the other arguments are watched for changes."""
    segment = call.segment
    node = node_class(name)(
        name,
        Signature(call.operation, tuple(call.values), call.named, call.templates),
        tuple(tensor._value(segment) for tensor in call.tensors),
        (call.result,),
        tuple(edge_of(tensor) for tensor in call.tensors),
        segment,
        tuple(_state_of(tensor) for tensor in call.tensors),
    )
    node.watched = tuple(tensor is not target for tensor in call.tensors)
    segment.savers.append(node)
    return node


def _write_view(target: Tensor, call: Call, result: Value) -> None:
    """Writes through a view: the base's history becomes "the old base with a part replaced"."""
    base = target._base
    layout = target._layout
    assert base is not None
    inner, dtype = call.operation, target.dtype
    first_is_target = bool(call.tensors) and call.tensors[0] is target

    def copy_slices(whole: Value, *args: Any, **kwargs: Any) -> Value:
        arguments = (views.read(whole, layout), *args) if first_is_target else args
        part = b.cast(inner.body(*arguments, **kwargs), dtype)
        return views.write(whole, part, layout)

    key = (inner, layout, dtype, first_is_target)
    # One operation for equal writes, so that gradients are derived once.
    row = _rows.setdefault(key, Operation(copy_slices, "CopySlices", overwrites=True))
    others = list(call.values[1:] if first_is_target else call.values)
    tensors = [base, *(call.tensors[1:] if first_is_target else call.tensors)]
    segment = call.segment
    whole = base._value(segment)
    node = node_class("CopySlices")(
        "CopySlices",
        Signature(row, (whole, *others), call.named, {}),
        tuple(tensor._value(segment) for tensor in tensors),
        (whole,),
        tuple(edge_of(tensor) for tensor in tensors),
        segment,
        tuple(_state_of(tensor) for tensor in tensors),
    )
    node.watched = (False, *(tensor._storage is not base._storage for tensor in tensors[1:]))
    target._replace(result)
    node.outputs = (base._value(segment),)
    segment.savers.append(node)
    base._requires_grad = True
    base._grad_fn, base._output_nr = node, 0
    base._changes += 1
    target._requires_grad = True
