"""Creation of tensors: from data, filled, ranges and identity matrices.

Filled tensors are recorded like any operation; data is copied into memory at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from treadle import engine
from treadle.device import device_of
from treadle.functions.movement import extents
from treadle.ir import build as b
from treadle.ir.types import Device, DType, bool_, dtype_of, float64, int64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import default_dtype
from treadle.tensor import Tensor, from_array

__all__ = [
    "arange", "as_tensor", "empty", "empty_like", "eye", "from_numpy", "full", "full_like",
    "linspace", "ones", "ones_like", "tensor", "zeros", "zeros_like",
]  # fmt: skip


def _numpy_of(data: Any, dtype: DType | None) -> npt.NDArray[Any]:
    if isinstance(data, Tensor):
        return np.array(data.detach()._concrete())
    if isinstance(data, (np.ndarray, np.generic)):
        return np.array(data)
    data = _plain(data)
    try:
        array = np.array(data)
    except ValueError as error:
        raise ValueError(f"expected sequences of equal lengths: {error}") from None
    if array.dtype == np.uint64 or (array.dtype == object and array.size):
        raise RuntimeError("Overflow when unpacking long long")
    if array.dtype.kind not in "buif":
        raise TypeError(f"not a sequence of numbers: found elements of dtype {array.dtype}")
    if array.size == 0:
        return array.astype(default_dtype().numpy)
    if array.dtype == np.float64:
        return array.astype(default_dtype().numpy if dtype is None else np.float64)
    return array.astype(np.int64) if array.dtype.kind in "ui" else array


def _plain(data: Any) -> Any:
    """Nested lists with tensors and arrays replaced by Python numbers."""
    if isinstance(data, Tensor):
        return data.tolist()
    if isinstance(data, (list, tuple)):
        return [_plain(item) for item in data]
    return data


def tensor(
    data: Any,
    *,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A leaf tensor with a copy of ``data``: numbers, nested sequences, arrays or a tensor."""
    array = _numpy_of(data, dtype)
    if dtype is not None:
        array = array.astype(dtype.numpy)
    made = from_array(array, device_of(device))
    return require_grad(made, requires_grad)


def require_grad(made: Tensor, wanted: bool) -> Tensor:
    """Marks a new tensor as a leaf that needs gradients; RuntimeError for integers."""
    if wanted:
        if not made.dtype.is_floating_point:
            raise RuntimeError(
                "Only Tensors of floating point and complex dtype can require gradients"
            )
        made.requires_grad = True
    return made


def from_numpy(ndarray: npt.NDArray[Any]) -> Tensor:
    """A tensor that shares the memory of an array."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    if any(step < 0 for step in ndarray.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array  with array.copy().) "
        )
    try:
        dtype_of(ndarray.dtype)
    except KeyError:
        raise TypeError(
            f"can't convert np.ndarray of type {ndarray.dtype}. The only supported types are: "
            "float64, float32, float16, int64, int32, int16, int8, uint8, and bool."
        ) from None
    storage, view = engine.share(ndarray)
    made = object.__new__(Tensor)
    made._storage = storage
    made._view = None if view.size == storage.type.shape and view.is_contiguous() else view
    return made


def as_tensor(data: Any, dtype: DType | None = None, device: Any = None) -> Tensor:
    """``data`` as a tensor, sharing memory where it is a tensor or array of that dtype."""
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    if isinstance(data, np.ndarray):
        shared = from_numpy(data)
        return shared if dtype is None else shared.to(dtype)
    return tensor(data, dtype=dtype, device=device)


@operation()
def _full(shape: tuple[int, ...], value: Any, dtype: DType, device: Device) -> Value:
    if any(extent < 0 for extent in shape):
        raise RuntimeError(
            f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}"
        )
    return b.full(shape, value, dtype, device)


def _filled(
    sizes: tuple[Any, ...], value: Any, dtype: DType | None, device: Any, requires_grad: bool
) -> Tensor:
    made: Tensor = _full(extents(sizes), value, dtype or default_dtype(), device_of(device))
    return require_grad(made, requires_grad)


def zeros(
    *size: Any, dtype: DType | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Zeros."""
    return _filled(size, 0, dtype, device, requires_grad)


def ones(
    *size: Any, dtype: DType | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Ones."""
    return _filled(size, 1, dtype, device, requires_grad)


def empty(
    *size: Any, dtype: DType | None = None, device: Any = None, requires_grad: bool = False,
    memory_format: Any = None, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """A tensor whose contents are unspecified (zeros here: recording them costs nothing)."""
    return _filled(size, 0, dtype, device, requires_grad)


def full(
    size: Sequence[int], fill_value: Any, *, dtype: DType | None = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A tensor filled with one number, whose kind decides the dtype."""
    if isinstance(fill_value, Tensor):
        fill_value = fill_value.item()
    if dtype is None and isinstance(fill_value, bool):
        dtype = bool_
    elif dtype is None and isinstance(fill_value, int):
        dtype = int64
    return _filled((tuple(size),), fill_value, dtype, device, requires_grad)


def _like(input: Tensor, value: Any, options: dict[str, Any]) -> Tensor:
    return _filled(
        (tuple(input.shape),),
        value,
        options.get("dtype") or input.dtype,
        input.device if options.get("device") is None else options["device"],
        options.get("requires_grad", False),
    )


def zeros_like(input: Tensor, **options: Any) -> Tensor:
    """Zeros with the shape, dtype and device of a tensor."""
    return _like(input, 0, options)


def ones_like(input: Tensor, **options: Any) -> Tensor:
    """Ones with the shape, dtype and device of a tensor."""
    return _like(input, 1, options)


def empty_like(input: Tensor, **options: Any) -> Tensor:
    """Unspecified contents with the shape, dtype and device of a tensor."""
    return _like(input, 0, options)


def full_like(input: Tensor, fill_value: Any, **options: Any) -> Tensor:
    """One number with the shape, dtype and device of a tensor."""
    return _like(input, fill_value, options)


@operation()
def _ramp(count: int, start: Any, step: Any, dtype: DType, device: Device) -> Value:
    if not dtype.is_floating_point:
        steps = b.iota((count,), 0, int64, device)
        return b.cast(steps * int(step) + int(start), dtype)
    # Positions are exact in float64; the result is rounded once.
    return b.cast(b.iota((count,), 0, float64, device) * float(step) + float(start), dtype)


def arange(
    start: Any, end: Any = None, step: Any = 1, *, dtype: DType | None = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Numbers from start (0 by default) to end, exclusive."""
    if end is None:
        start, end = 0, start
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if dtype is None:
        whole = all(isinstance(number, int) for number in (start, end, step))
        dtype = int64 if whole else default_dtype()
    count = max(math.ceil((end - start) / step), 0)
    made: Tensor = _ramp(count, start, step, dtype, device_of(device))
    return require_grad(made, requires_grad)


@operation()
def _even(count: int, start: float, end: float, dtype: DType, device: Device) -> Value:
    if count == 1:
        return b.full((1,), start, dtype, device)
    position = b.iota((count,), 0, float64, device)
    step = (end - start) / (count - 1) if count > 1 else 0.0
    # From both ends, so that the last element is exact.
    upward = position * step + start
    downward = end - (float(count - 1) - position) * step
    return b.cast(b.select(b.lt(position, count / 2), upward, downward), dtype)


def linspace(
    start: float, end: float, steps: int, *, dtype: DType | None = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``steps`` evenly spaced numbers from start to end, both included."""
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    made: Tensor = _even(
        steps, float(start), float(end), dtype or default_dtype(), device_of(device)
    )
    return require_grad(made, requires_grad)


@operation()
def _eye(rows: int, columns: int, dtype: DType, device: Device) -> Value:
    shape = (rows, columns)
    same = b.eq(b.iota(shape, 0, int64, device), b.iota(shape, 1, int64, device))
    return b.cast(same, dtype)


def eye(
    n: int, m: int | None = None, *, dtype: DType | None = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Ones on the diagonal of an n x m matrix."""
    made: Tensor = _eye(n, n if m is None else m, dtype or default_dtype(), device_of(device))
    return require_grad(made, requires_grad)
