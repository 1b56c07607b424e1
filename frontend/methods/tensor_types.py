"""Typed constructors (``torch.FloatTensor``), the default tensor type, and type names.

``torch.Tensor(...)`` itself is one of them: it makes tensors of the default dtype.
"""

from __future__ import annotations

import importlib
import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from treadle.device import device_of
from treadle.functions import creation
from treadle.ir import types
from treadle.ir.types import DType
from treadle.promotion import cpp_name, default_dtype, scalar_name, set_default_dtype
from treadle.size import Size
from treadle.tensor import Tensor

_DTYPES = {
    "FloatTensor": types.float32, "DoubleTensor": types.float64, "HalfTensor": types.float16,
    "BFloat16Tensor": types.bfloat16, "LongTensor": types.int64, "IntTensor": types.int32,
    "ShortTensor": types.int16, "CharTensor": types.int8, "ByteTensor": types.uint8,
    "BoolTensor": types.bool_,
}  # fmt: skip


class TensorType(type):
    """The class of ``torch.FloatTensor`` and its like: a dtype and a device that construct tensors.

    Tensors are instances of the one with their dtype and device.
    """

    dtype: DType
    is_cuda: bool

    def __call__(cls, *args: Any, **kwargs: Any) -> Tensor:
        if cls.is_cuda:
            raise TypeError(
                f"type {cls.full_name()} not available. Torch not compiled with CUDA enabled."
            )
        return construct(Tensor, *args, dtype=cls.dtype, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        found = isinstance(instance, Tensor) and instance.dtype is cls.dtype
        return found and (instance.device.type == "cuda") is cls.is_cuda

    def full_name(cls) -> str:
        """``torch.FloatTensor``, as ``Tensor.type()`` prints it."""
        return f"torch.cuda.{cls.__name__}" if cls.is_cuda else f"torch.{cls.__name__}"

    def __repr__(cls) -> str:
        return f"<class '{cls.full_name()}'>"


def tensor_types(cuda: bool) -> dict[str, TensorType]:
    """The typed constructors of a kind of device, by name."""
    module = "treadle.cuda" if cuda else "treadle"
    return {
        name: TensorType(name, (), {"dtype": dtype, "is_cuda": cuda, "__module__": module})
        for name, dtype in _DTYPES.items()
    }


TENSOR_TYPES = tensor_types(cuda=False)
globals().update(TENSOR_TYPES)
__all__ = [*TENSOR_TYPES, "set_default_tensor_type", "typename"]
_BY_NAME = {kind.full_name(): kind for kind in TENSOR_TYPES.values()}
_BY_NAME["torch.Tensor"] = TENSOR_TYPES["FloatTensor"]


# -- constructing --------------------------------------------------------------------------------


def construct(cls: type[Tensor], *args: Any, dtype: DType | None = None, **kwargs: Any) -> Tensor:
    """``torch.Tensor(2, 3)`` with unspecified contents, or ``torch.Tensor([1, 2])`` from data."""
    device = kwargs.pop("device", None)
    data = [kwargs.pop(name) for name in ("data", "size", "other") if name in kwargs]
    if kwargs or len(data) + bool(args) > 1:
        raise TypeError(
            "new() received an invalid combination of arguments - got "
            f"{described(args, kwargs)}, but expected one of:\n * (*, torch.device device = None)\n"
            " * (tuple of ints size, *, torch.device device = None)\n"
            " * (object data, *, torch.device device = None)"
        )
    device_of(device)
    kind = dtype or default_dtype()
    made = _constructed(args or tuple(data), kind, keep=dtype is not None)
    if cls is Tensor:
        return made
    subclassed: Tensor = Tensor._make_subclass(cls, made, made.requires_grad)
    return subclassed


def _constructed(args: Sequence[Any], dtype: DType, keep: bool) -> Tensor:
    if not args:
        return creation.empty(0, dtype=dtype)
    first = args[0]
    if len(args) > 1 or isinstance(first, Size) or _is_whole(first):
        return creation.empty(_extents(first if isinstance(first, Size) else args), dtype=dtype)
    if isinstance(first, Tensor):
        if keep and first.dtype is not dtype:
            raise TypeError(f"expected {_options(dtype)} (got {_options(first.dtype)})")
        return first._alias(first._view)
    return _from_data(first, dtype)


def _from_data(data: Any, dtype: DType) -> Tensor:
    if isinstance(data, str):
        raise TypeError("new(): invalid data type 'str'")
    if not isinstance(data, Iterable) and not hasattr(data, "__array__"):
        raise TypeError(f"new(): data must be a sequence (got {type(data).__name__})")
    if not isinstance(data, (np.ndarray, Sequence)):
        data = list(data)
    made = creation.tensor(data if isinstance(data, np.ndarray) else list(data))
    return made if made.dtype is dtype else made.to(dtype)


def _is_whole(item: Any) -> bool:
    return isinstance(item, numbers.Integral) and not isinstance(item, bool)


def _extents(extents: Sequence[Any]) -> tuple[int, ...]:
    for position, extent in enumerate(extents, 1):
        if not _is_whole(extent):
            raise TypeError(
                f"new(): argument 'size' failed to unpack the object at pos {position} with error "
                f'"type must be tuple of ints,but got {type(extent).__name__}"'
            )
    return tuple(int(extent) for extent in extents)


def _options(dtype: DType) -> str:
    """PyTorch's TensorOptions of a dtype on the CPU, as an error shows them."""
    return (
        f"TensorOptions(dtype={cpp_name(dtype)}, device=cpu, layout=Strided, requires_grad=false "
        "(default), pinned_memory=false (default), memory_format=(nullopt))"
    )


def described(args: Sequence[Any], kwargs: dict[str, Any]) -> str:
    """Types of arguments as PyTorch's messages list them: ``(Tensor, dim=int, )``."""
    parts = [_type_of(item) for item in args]
    named = "".join(f"{name}={_type_of(item)}, " for name, item in kwargs.items())
    positional = ", ".join(parts)
    return f"({positional}{', ' if parts and named else ''}{named})"


def _type_of(item: Any) -> str:
    if isinstance(item, Tensor):
        return type(item).__name__
    if isinstance(item, DType):
        return "torch.dtype"
    if isinstance(item, types.Device):
        return "torch.device"
    if isinstance(item, (tuple, list)) and item:
        kinds = sorted({_type_of(part) for part in item})
        listed = kinds[0] if len(kinds) == 1 else f"({', '.join(map(_type_of, item))})"
        return f"{type(item).__name__} of {listed}"
    return type(item).__name__


# -- types of tensors ----------------------------------------------------------------------------


def type_name(tensor: Tensor) -> str:
    """``torch.FloatTensor`` for a float32 tensor."""
    return f"torch.{scalar_name(tensor.dtype)}Tensor"


def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The type's name; or the tensor converted to a dtype, a typed constructor or its name."""
    if dtype is None:
        return type_name(self)
    if isinstance(dtype, str):
        if dtype.startswith("torch.cuda."):
            raise RuntimeError("Cannot initialize CUDA without ATen_cuda library.")
        if dtype not in _BY_NAME:
            raise ValueError(f"invalid type: '{dtype}'")
        dtype = _BY_NAME[dtype]
    if dtype is Tensor:
        dtype = default_dtype()
    if isinstance(dtype, TensorType):
        if dtype.is_cuda:
            raise TypeError(
                f"type {dtype.full_name()} not available. Torch not compiled with CUDA enabled."
            )
        dtype = dtype.dtype
    if not isinstance(dtype, DType):
        raise ValueError(f"invalid type: '{getattr(dtype, '__name__', dtype)}'")
    return self.to(dtype)


def set_default_tensor_type(t: Any) -> None:
    """Sets the dtype of tensors made from Python floats by a floating typed constructor."""
    if isinstance(t, str):
        module, _, name = t.rpartition(".")
        known = _BY_NAME.get(t)
        t = known or getattr(importlib.import_module(module or name), name)
    if t is Tensor:
        t = TENSOR_TYPES["FloatTensor"]
    if not isinstance(t, TensorType):
        raise TypeError("invalid type object: only tensor types can be the default type")
    if not t.dtype.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    set_default_dtype(t.dtype)


def typename(obj: Any) -> str:
    """The name of an object's type: ``torch.FloatTensor`` for a tensor, module and name else."""
    if isinstance(obj, Tensor):
        return type_name(obj)
    if isinstance(obj, TensorType):
        return obj.full_name()
    module = getattr(obj, "__module__", "") or ""
    named = obj if hasattr(obj, "__qualname__") else type(obj)
    name: str = getattr(named, "__qualname__", type(obj).__name__)
    if not module or module in ("builtins", "__builtin__"):
        return name
    return f"{module}.{name}"
