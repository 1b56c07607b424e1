"""Tensors in another dtype, on another device, or as another type: ``to`` and its relatives."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from treadle.device import device_of
from treadle.functions import pointwise, striding
from treadle.ir.types import Device, DType
from treadle.layouts import memory_format, preserve_format
from treadle.methods.tensor_types import described
from treadle.tensor import Tensor

METHODS = "to cuda cpu type_as"

_FORMS = (
    " * (torch.device device = None, torch.dtype dtype = None, bool non_blocking = False, "
    "bool copy = False, *, torch.memory_format memory_format = None)\n"
    " * (torch.dtype dtype, bool non_blocking = False, bool copy = False, *, "
    "torch.memory_format memory_format = None)\n"
    " * (Tensor tensor, bool non_blocking = False, bool copy = False, *, "
    "torch.memory_format memory_format = None)"
)
# What may follow the first argument, by what that is.
_AFTER_DEVICE = ("device", "dtype", "non_blocking", "copy")
_AFTER_DTYPE = ("dtype", "non_blocking", "copy")
_AFTER_TENSOR = ("tensor", "non_blocking", "copy")
_KINDS: dict[str, Any] = {
    "device": (str, int, Device, type(None)), "dtype": (DType, type(None)), "non_blocking": bool,
    "copy": bool, "tensor": Tensor, "memory_format": (memory_format, type(None)),
}  # fmt: skip


def _arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments of ``to`` by name; TypeError where they fit none of its forms."""
    names: tuple[str, ...] = _AFTER_DEVICE
    if (args and isinstance(args[0], Tensor)) or "tensor" in kwargs:
        names = _AFTER_TENSOR
    elif args and isinstance(args[0], DType):
        names = _AFTER_DTYPE
    given = dict(zip(names, args, strict=False))
    allowed = {*names, "memory_format"}
    wrong = len(args) > len(names) or not set(kwargs) <= allowed - set(given)
    given.update(kwargs)
    if wrong or any(not isinstance(item, _KINDS[name]) for name, item in given.items()):
        raise TypeError(
            f"to() received an invalid combination of arguments - got {described(args, kwargs)}, "
            f"but expected one of:\n{_FORMS}\n"
        )
    return given


def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The tensor with another dtype or device; itself where it has both, unless ``copy``.

    Call as ``to(dtype)``, ``to(device, dtype)`` or ``to(other)``, each followed by
    ``non_blocking`` and ``copy``.
    """
    given = _arguments(args, kwargs)
    other = given.get("tensor")
    dtype = given.get("dtype") if other is None else other.dtype
    if given.get("device") is not None:
        device_of(given["device"])
    result = self
    if dtype is not None and dtype is not self.dtype:
        if self.dtype.is_complex and dtype.kind in "iuf":
            warnings.warn(
                "Casting complex values to real discards the imaginary part",
                UserWarning,
                stacklevel=2,
            )
        result = pointwise.convert(self, dtype)
    elif given.get("copy"):
        result = pointwise.clone(self)
    format = given.get("memory_format")
    if format is None or format is preserve_format:
        return result
    return striding.contiguous(result, format)


def converter(dtype: DType) -> Callable[..., Tensor]:
    """The method that converts to a dtype, as ``Tensor.double`` does."""

    def method(self: Tensor, memory_format: Any = None) -> Tensor:
        return to(self, dtype)

    method.__doc__ = f"The tensor as {dtype.name}."
    return method


def cuda(
    self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None
) -> Tensor:
    """The tensor on a CUDA device."""
    return to(self, "cuda" if device is None else device)


def cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor in the CPU's memory."""
    return to(self, "cpu")


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor in the dtype of another."""
    return to(self, other.dtype)
