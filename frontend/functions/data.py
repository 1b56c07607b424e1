"""Tensors from data: numbers, nested sequences, arrays, buffers and other tensors."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from treadle import engine
from treadle.device import device_of
from treadle.ir.types import DType, bool_, complex128, dtype_of, float64, int64
from treadle.promotion import default_dtype, dtype_of_number, promote_types
from treadle.tensor import Tensor, from_array

__all__ = ["as_tensor", "asarray", "from_numpy", "frombuffer", "scalar_tensor", "tensor"]

_NUMBERS = {bool: bool_, int: int64, float: float64, complex: complex128}


def require_grad(made: Tensor, wanted: bool) -> Tensor:
    """Marks a new tensor as a leaf that needs gradients; RuntimeError for integers."""
    if wanted:
        if made.dtype.kind not in "fc":
            raise RuntimeError(
                "Only Tensors of floating point and complex dtype can require gradients"
            )
        made.requires_grad = True
    return made


def given_dtype(name: str, dtype: Any) -> DType | None:
    """An argument that names a dtype, as Python's number types do too; TypeError for others."""
    if dtype is None or isinstance(dtype, DType):
        return dtype
    if dtype in _NUMBERS:
        return _NUMBERS[dtype]
    raise TypeError(f"{name}(): argument 'dtype' must be torch.dtype, not {type(dtype).__name__}")


# -- sequences -----------------------------------------------------------------------------------


def _is_sequence(data: Any) -> bool:
    if isinstance(data, np.ndarray):
        return data.ndim > 0
    return isinstance(data, Sequence) and not isinstance(data, (str, bytes))


def _extents(data: Any) -> tuple[int, ...]:
    """The shape that the first elements of nested sequences suggest."""
    shape: list[int] = []
    while _is_sequence(data):
        shape.append(len(data))
        if not len(data):
            break
        data = data[0]
    if shape and isinstance(data, str):
        raise ValueError("too many dimensions 'str'")
    return tuple(shape)


def _scalar(item: Any) -> tuple[Any, DType]:
    """An element as a number of Python and its dtype."""
    if type(item) in _NUMBERS:
        return item, dtype_of_number(item)
    if isinstance(item, Tensor):
        if item.numel() != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return item.item(), item.dtype
    if isinstance(item, (np.generic, np.ndarray)):
        try:
            return item.item(), dtype_of(item.dtype)
        except KeyError:
            pass
    if isinstance(item, str):
        raise TypeError("new(): invalid data type 'str'")
    if isinstance(item, numbers.Number):  # bool's relatives from other libraries
        number = complex(item)  # type: ignore[call-overload]
        return (number, complex128) if number.imag else (number.real, float64)
    raise RuntimeError(f"Could not infer dtype of {type(item).__name__}")


def _fill(
    data: Any, shape: tuple[int, ...], depth: int, flat: list[Any], dtypes: dict[DType, None]
) -> None:
    """Appends the elements of nested sequences in order; errors where they are ragged."""
    if depth == len(shape):
        if _is_sequence(data):
            raise TypeError(f"{type(data).__name__!r} object cannot be interpreted as an integer")
        number, dtype = _scalar(data)
        flat.append(number)
        dtypes[dtype] = None
        return
    if not _is_sequence(data):
        _scalar(data)
        raise TypeError("not a sequence")
    if len(data) != shape[depth]:
        raise ValueError(
            f"expected sequence of length {shape[depth]} at dim {depth} (got {len(data)})"
        )
    for item in data:
        _fill(item, shape, depth + 1, flat, dtypes)


def _inferred(dtypes: dict[DType, None]) -> DType:
    if not dtypes:
        return default_dtype()
    found: DType | None = None
    for dtype in dtypes:
        found = dtype if found is None else promote_types(found, dtype)
    assert found is not None
    return found


def _array_of_sequence(data: Any, dtype: DType | None) -> npt.NDArray[Any]:
    shape = _extents(data)
    flat: list[Any] = []
    dtypes: dict[DType, None] = {}
    if 0 not in shape:
        _fill(data, shape, 0, flat, dtypes)
    return _converted(flat, dtype or _inferred(dtypes)).reshape(shape)


def _converted(flat: list[Any], dtype: DType) -> npt.NDArray[Any]:
    """Numbers as an array of a dtype; errors in PyTorch's words where they do not fit."""
    if dtype.kind not in "iu":
        if dtype.kind != "c" and any(isinstance(number, complex) for number in flat):
            raise TypeError("must be real number, not complex")
        wide = np.array(flat, np.complex128 if dtype.is_complex else None)
        if wide.dtype == object:
            wide = wide.astype(np.float64)
        return wide.astype(dtype.numpy)
    limits = np.iinfo(dtype.numpy)
    whole = []
    for number in flat:
        if isinstance(number, complex):
            raise TypeError("must be real number, not complex")
        if isinstance(number, float) and (number != number or abs(number) == float("inf")):
            raise RuntimeError(f"value cannot be converted to type {dtype.name} without overflow")
        value = int(number)
        if not -(1 << 63) <= value < 1 << 63:
            raise ValueError("Overflow when unpacking long long")
        # Negative integers wrap around in unsigned dtypes.
        least = -limits.max if dtype.kind == "u" and value == number else limits.min
        if not least <= value <= limits.max:
            raise RuntimeError(f"value cannot be converted to type {dtype.name} without overflow")
        whole.append(value if limits.min else value % (int(limits.max) + 1))
    return np.array(whole, dtype.numpy)


def _array(data: Any, dtype: DType | None) -> npt.NDArray[Any]:
    """A new array with the elements of ``data``, in the dtype that they have or are given."""
    if isinstance(data, Tensor):
        kept = np.array(data.detach()._concrete())
        return kept if dtype is None else kept.astype(dtype.numpy)
    if isinstance(data, np.ndarray):
        _check_array_dtype(data)
        return np.array(data, data.dtype.newbyteorder("=") if dtype is None else dtype.numpy)
    if _is_sequence(data):
        return _array_of_sequence(data, dtype)
    if hasattr(data, "__array__") and not isinstance(data, np.generic):
        return _array(np.asarray(data), dtype)
    number, kind = _scalar(data)
    return _converted([number], dtype or kind).reshape(())


def tensor(
    data: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A leaf tensor with a copy of ``data``: numbers, nested sequences, arrays or a tensor."""
    if isinstance(data, Tensor):
        _recommend_clone("torch.tensor")
    refuse_pinned(pin_memory)
    made = from_array(_array(data, given_dtype("tensor", dtype)), device_of(device))
    return require_grad(made, requires_grad)


def _recommend_clone(call: str) -> None:
    warnings.warn(
        "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() "
        "or sourceTensor.detach().clone().requires_grad_(True), rather than "
        f"{call}(sourceTensor).",
        UserWarning,
        stacklevel=3,
    )


def new_tensor(
    self: Tensor, data: Any, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, layout: Any = None, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """A leaf tensor with a copy of ``data``, in this tensor's dtype unless another is given."""
    if isinstance(data, Tensor):
        _recommend_clone("tensor.new_tensor")
    chosen = given_dtype("new_tensor", dtype) or self.dtype
    made = from_array(_array(data, chosen), device_of(device))
    return require_grad(made, requires_grad)


def refuse_pinned(pin_memory: bool) -> None:
    """RuntimeError where memory for faster copies to a GPU is asked for."""
    if pin_memory:
        raise RuntimeError(
            "pin_memory=True requires a CUDA or other accelerator backend; no pinned memory "
            "allocator is available on this system."
        )


def scalar_tensor(
    s: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A number as a tensor without dimensions, of the default dtype."""
    if not isinstance(s, (int, float, complex, np.generic)):
        raise TypeError(
            f"scalar_tensor(): argument 's' (position 1) must be Number, not {type(s).__name__}"
        )
    wide = default_dtype().to_complex() if isinstance(s, complex) else default_dtype()
    chosen = given_dtype("scalar_tensor", dtype) or wide
    return tensor(
        s, dtype=chosen, device=device, requires_grad=requires_grad, pin_memory=pin_memory
    )


# -- memory of others ----------------------------------------------------------------------------


def _check_array_dtype(array: npt.NDArray[Any]) -> DType:
    """The dtype of an array's elements; TypeError where tensors have none like it."""
    try:
        return dtype_of(array.dtype.newbyteorder("="))
    except KeyError:
        raise TypeError(
            f"can't convert np.ndarray of type numpy.{array.dtype.type.__name__}. The only "
            "supported types are: float64, float32, float16, complex64, complex128, int64, int32, "
            "int16, int8, uint8, and bool."
        ) from None


def from_numpy(ndarray: npt.NDArray[Any]) -> Tensor:
    """A tensor that shares the memory of an array."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {_type_name(ndarray)})")
    if any(step < 0 for step in ndarray.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array  with array.copy().) "
        )
    if any(step % ndarray.itemsize for step in ndarray.strides if ndarray.itemsize):
        raise ValueError(
            "given numpy array strides not a multiple of the element byte size. Copy the numpy "
            "array to reallocate the memory."
        )
    _check_array_dtype(ndarray)
    if not ndarray.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion "
            "between byte orders is currently not supported."
        )
    if not ndarray.flags.writeable:
        warnings.warn(
            "The given NumPy array is not writable, and PyTorch does not support non-writable "
            "tensors. This means writing to this tensor will result in undefined behavior. You may "
            "want to copy the array to protect its data or make it writable before converting it "
            "to a tensor.",
            UserWarning,
            stacklevel=2,
        )
    storage, view = engine.share(ndarray)
    made = object.__new__(Tensor)
    made._storage = storage
    made._view = None if view.size == storage.type.shape and view.is_contiguous() else view
    return made


def _type_name(item: Any) -> str:
    kind = type(item)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """``data`` as a tensor, sharing memory where it is a tensor or array of that dtype."""
    chosen = given_dtype("as_tensor", dtype)
    if isinstance(data, Tensor):
        return data if chosen is None or chosen is data.dtype else data.to(chosen)
    if isinstance(data, np.ndarray):
        shared = from_numpy(data)
        return shared if chosen is None or chosen is shared.dtype else shared.to(chosen)
    return tensor(data, dtype=chosen, device=device)


def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``obj`` as a tensor: sharing memory where it can, unless ``copy`` is True.

    With ``copy`` False a copy is a ValueError.
    """
    chosen = given_dtype("asarray", dtype)
    if isinstance(obj, Tensor):
        shared = obj
    elif isinstance(obj, np.ndarray):
        shared = from_numpy(obj)
    elif isinstance(obj, (bytes, bytearray, memoryview)):
        shared = frombuffer(obj, dtype=chosen or default_dtype())
    else:
        if copy is False:
            raise ValueError("can't alias arbitrary sequence into a tensor.")
        made = tensor(obj, dtype=chosen, device=device)
        return require_grad(made, requires_grad)
    if chosen is not None and chosen is not shared.dtype:
        if copy is False:
            raise ValueError(
                f"can't alias tensor with dtype '{shared.dtype}' into dtype '{chosen}'."
            )
        shared = shared.to(chosen)
    elif copy:
        shared = shared.clone()
    if requires_grad and not shared.requires_grad:
        shared = require_grad(shared.detach(), True)
    elif not requires_grad and shared.requires_grad:
        shared = shared.detach()
    return shared


def frombuffer(
    buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """A vector that shares the memory of an object with Python's buffer protocol."""
    chosen = given_dtype("frombuffer", dtype)
    assert chosen is not None
    length, itemsize = memoryview(buffer).nbytes, chosen.itemsize
    if not length or not count:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if not 0 <= offset < length:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length "
            f"({length} bytes) minus 1"
        )
    if count < 0 and (length - offset) % itemsize:
        raise ValueError(
            f"buffer length ({length - offset} bytes) after offset ({offset} bytes) must be a "
            f"multiple of element size ({itemsize})"
        )
    if count > 0 and offset + count * itemsize > length:
        raise ValueError(
            f"requested buffer length ({count} * {itemsize} bytes) after offset ({offset} bytes) "
            f"must not be greater than actual buffer length ({length} bytes)"
        )
    array = np.frombuffer(buffer, chosen.numpy, count, offset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # bytes cannot be written to, which PyTorch allows
        made = from_numpy(array)
    return require_grad(made, requires_grad)
