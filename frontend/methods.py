"""Attaches functions to ``Tensor`` as methods and operators.

A table, so that what a tensor can do is seen in one place.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from treadle.autograd.differentiate import backward
from treadle.device import device_of
from treadle.functions import (
    contraction,
    creation,
    indexing,
    joining,
    movement,
    pointwise,
    random,
    reduction,
)
from treadle.inplace import inplace
from treadle.ir import types
from treadle.ir.types import Device, DType
from treadle.promotion import scalar_name
from treadle.tensor import Tensor
from treadle.utils.hooks import RemovableHandle

# Every family says which of its functions are methods, and which also work in place.
FAMILIES: tuple[Any, ...] = (
    pointwise, reduction, movement, joining, contraction, indexing, random,
)  # fmt: skip
ALIASES = {
    "multiply": "mul", "subtract": "sub", "divide": "div", "true_divide": "div",
    "negative": "neg", "absolute": "abs", "greater": "gt", "less": "lt", "clip": "clamp",
}  # fmt: skip


def _attach(name: str, function: Any) -> None:
    setattr(Tensor, name, function)


def _attach_tables() -> None:
    for family in FAMILIES:
        for name in getattr(family, "METHODS", "").split():
            _attach(name, getattr(family, name))
        for name in getattr(family, "INPLACE", "").split():
            _attach(f"{name}_", inplace(getattr(family, name)))
    for alias, name in ALIASES.items():
        _attach(alias, getattr(Tensor, name))


def _clamp_(self: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """In-place ``clamp``."""
    plain = not isinstance(min, Tensor) and not isinstance(max, Tensor)
    function = pointwise._clamp_numbers if plain else pointwise._clamp_tensors
    return inplace(function)(self, min=min, max=max)


def _attach_operators() -> None:
    def binary(function: Callable[..., Any]) -> Callable[[Tensor, Any], Any]:
        def method(self: Tensor, other: Any) -> Any:
            if not isinstance(other, (Tensor, int, float)):
                other = _operand(other)
                if other is NotImplemented:
                    return NotImplemented
            return function(self, other)

        return method

    for name in ("add", "sub", "mul", "pow", "eq", "ne", "lt", "le", "gt", "ge", "matmul"):
        _attach(f"__{name}__", binary(getattr(Tensor, name)))
    _attach("__truediv__", binary(pointwise.div))
    _attach("__mod__", binary(pointwise.remainder))
    _attach("__floordiv__", binary(lambda x, y: pointwise.div(x, y, rounding_mode="floor")))
    _attach("__radd__", binary(pointwise.add))
    _attach("__rmul__", binary(pointwise.mul))
    _attach("__rsub__", binary(pointwise.rsub))
    _attach("__rtruediv__", binary(pointwise.rdiv))
    _attach("__rpow__", lambda self, base: pointwise.pow(base, self))
    _attach("__neg__", pointwise.neg)
    _attach("__abs__", pointwise.abs)
    _attach("__invert__", pointwise.bitwise_not)
    for name, symbol in (("and", "bitwise_and"), ("or", "bitwise_or"), ("xor", "bitwise_xor")):
        _attach(f"__{name}__", binary(getattr(pointwise, symbol)))
        _attach(f"__r{name}__", binary(getattr(pointwise, symbol)))
    for name in ("add", "sub", "mul", "pow"):
        _attach(f"__i{name}__", binary(getattr(Tensor, f"{name}_")))
    _attach("__itruediv__", binary(inplace(pointwise.div)))
    _attach("__getitem__", indexing.getitem)
    _attach("__setitem__", indexing.setitem)


def _operand(other: Any) -> Any:
    """NumPy numbers and arrays as operands; NotImplemented for what is no number."""
    if hasattr(other, "__array__") or hasattr(other, "dtype"):
        return creation.as_tensor(other) if getattr(other, "ndim", 0) else other.item()
    return NotImplemented


# -- conversion ----------------------------------------------------------------------------------


def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The tensor with another dtype or device; itself where it has both.

    Call as ``to(dtype)``, ``to(device, dtype)`` or ``to(other)``.
    """
    dtype, device = kwargs.get("dtype"), kwargs.get("device")
    for item in args:
        if isinstance(item, DType):
            dtype = item
        elif isinstance(item, Tensor):
            dtype, device = item.dtype, item.device
        elif isinstance(item, (str, Device)):
            device = item
    if device is not None and device_of(device) != self.device:
        raise RuntimeError(f"cannot copy from {self.device} to {device}")
    if dtype is None or dtype is self.dtype:
        return pointwise.clone(self) if kwargs.get("copy") else self
    converted: Tensor = pointwise.convert(self, dtype)
    return converted


def _converter(dtype: DType) -> Callable[[Tensor], Tensor]:
    def method(self: Tensor) -> Tensor:
        return to(self, dtype)

    method.__doc__ = f"The tensor as {dtype.name}."
    return method


def type_(self: Tensor, dtype: Any = None) -> Any:
    """The type's name, or the tensor converted to a dtype."""
    return self._type_name() if dtype is None else to(self, dtype)


def _type_name(self: Tensor) -> str:
    return f"torch.{scalar_name(self.dtype)}Tensor"


def contiguous(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor itself if its elements lie in row-major order, else a copy that does."""
    return self if self.is_contiguous() else pointwise.clone(self)


def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Makes another tensor the contents, converted and broadcast."""
    return indexing.copy_into(self, src)


def fill_(self: Tensor, value: Any) -> Tensor:
    """Fills with one number."""
    return indexing.copy_into(self, value)


# -- autograd ------------------------------------------------------------------------------------


def _backward(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Adds gradients to the leaves this tensor depends on; see ``autograd.backward``."""
    backward(self, gradient, retain_graph, create_graph, inputs)


def requires_grad_(self: Tensor, requires_grad: bool = True) -> Tensor:
    """Says whether operations on this leaf are recorded for autograd."""
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


def install() -> None:
    """Attaches everything; the package calls it once."""
    _attach_tables()
    _attach("clamp_", _clamp_)
    _attach_operators()
    for name, dtype in {
        "float": types.float32, "double": types.float64, "half": types.float16,
        "long": types.int64, "int": types.int32, "short": types.int16, "char": types.int8,
        "byte": types.uint8, "bool": types.bool_,
    }.items():  # fmt: skip
        _attach(name, _converter(dtype))
    for method in (to, contiguous, copy_, fill_, requires_grad_, detach_, retain_grad,
                   register_hook, _type_name):  # fmt: skip
        _attach(method.__name__, method)
    _attach("type", type_)
    _attach("backward", _backward)
    _attach("T", property(lambda self: movement.permute(self, *reversed(range(self.ndim)))))
    _attach("mT", property(lambda self: movement.transpose(self, -2, -1)))
    _attach("cpu", lambda self: self)
    _attach("cuda", lambda self, device=None: to(self, "cuda" if device is None else device))
    _attach("size", lambda self, dim=None: self.shape if dim is None else self.shape[dim])
    _attach("dim", lambda self: self.ndim)
    _attach("numel", lambda self: self.shape.numel())
    _attach("nelement", lambda self: self.shape.numel())
    _attach("element_size", lambda self: self.dtype.itemsize)
    _attach("is_floating_point", lambda self: self.dtype.is_floating_point)
    _attach("is_cuda", property(lambda self: self.device.type == "cuda"))
    _attach("view_as", lambda self, other: movement.view(self, *other.shape))
    _attach("reshape_as", lambda self, other: movement.reshape(self, *other.shape))
    for name in ("zeros", "ones", "empty", "full"):
        _attach(f"new_{name}", _like_self(getattr(creation, name)))
    _attach("new_tensor", _like_self(creation.tensor))


def _like_self(create: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return create(*args, **{"dtype": self.dtype, "device": self.device, **kwargs})

    return method
