"""Tensors filled with one number, or with unspecified contents.

They are recorded like any operation. Tensors from data are ``data``'s, ranges ``ranges``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from treadle.device import device_of
from treadle.functions import movement, striding
from treadle.functions.axes import check_extents, extents
from treadle.functions.data import (
    as_tensor as as_tensor,
    from_numpy as from_numpy,
    given_dtype,
    new_tensor as new_tensor,
    refuse_pinned,
    require_grad as require_grad,
    tensor as tensor,
)
from treadle.ir import build as b
from treadle.ir.types import Device, DType, bool_, int64
from treadle.ir.value import Value
from treadle.layouts import check_layout, innermost_channels
from treadle.operation import changing_number, operation
from treadle.promotion import default_dtype, number_for, scalar_name
from treadle.tensor import Tensor

__all__ = [
    "empty", "empty_like", "empty_permuted", "empty_strided", "fill", "full", "full_like", "ones",
    "ones_like", "zeros", "zeros_like",
]  # fmt: skip
METHODS = "new_empty new_empty_strided new_full new_ones new_tensor new_zeros"


@operation()
def _full(shape: tuple[int, ...], value: Any, dtype: DType, device: Device) -> Value:
    return b.full(shape, value, dtype, device)


@operation()
def _spread(value: Value, shape: tuple[int, ...]) -> Value:
    return b.broadcast_to(value, shape)


def _constant_tensor(shape: tuple[int, ...], value: Any, dtype: DType, device: Device) -> Tensor:
    """One number everywhere, which is an input of the program where it changes all the time."""
    if value != 0 and value != 1 and device.type == "cpu":
        value = changing_number((_full, shape, dtype), value, dtype)
        if isinstance(value, Tensor):
            spread: Tensor = _spread(value, shape)
            return spread
    made: Tensor = _full(shape, value, dtype, device)
    return made


def _sizes(name: str, sizes: tuple[Any, ...]) -> tuple[int, ...]:
    try:
        if len(sizes) == 1 and isinstance(sizes[0], bool):
            raise TypeError
        shape = extents(sizes)
    except TypeError:
        wrong = sizes[0]
        if len(sizes) > 1 and isinstance(wrong, (tuple, list)):
            raise TypeError(
                f"{name}() takes 1 positional argument but {len(sizes)} were given"
            ) from None
        raise TypeError(
            f"{name}(): argument 'size' (position 1) must be tuple of ints, not "
            f"{type(wrong).__name__}"
        ) from None
    if shape and min(shape) < 0:
        if name in ("zeros", "ones", "full"):
            raise RuntimeError(f"{name}: Dimension size must be non-negative.")
        check_extents(shape)
    return shape


def _filled(
    name: str,
    shape: tuple[int, ...],
    value: Any,
    out: Tensor | None,
    dtype: Any,
    layout: Any,
    device: Any,
    requires_grad: bool,
    pin_memory: bool,
    memory_format: Any = None,
) -> Tensor:
    refuse_pinned(pin_memory)
    check_layout(layout)
    chosen = given_dtype(name, dtype)
    if out is not None:
        check_out_dtype(out, chosen)
        return out.resize_(shape).fill_(value)
    kind = chosen or default_dtype()
    if innermost_channels(memory_format, len(shape)):
        nested = (shape[0], *shape[2:], shape[1])
        made = _constant_tensor(nested, value, kind, device_of(device))
        made = movement.permute(made, (0, len(shape) - 1, *range(1, len(shape) - 1)))
        made._base = None
    else:
        made = _constant_tensor(shape, value, kind, device_of(device))
    return require_grad(made, requires_grad)


def check_out_dtype(out: Tensor, dtype: DType | None) -> None:
    """RuntimeError where a dtype is asked for that ``out`` does not have."""
    if dtype is not None and dtype is not out.dtype:
        raise RuntimeError(
            f"dtype {scalar_name(dtype)} does not match dtype of out parameter "
            f"({scalar_name(out.dtype)})"
        )


def _constant(name: str, value: int, doc: str) -> Callable[..., Tensor]:
    def function(
        *size: Any, out: Tensor | None = None, dtype: Any = None, layout: Any = None,
        device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
        memory_format: Any = None, **named: Any,
    ) -> Tensor:  # fmt: skip
        if named:
            if set(named) - {"size"} or size:
                raise TypeError(f"{name}() got an unexpected keyword argument {min(named)!r}")
            size = (named["size"],)
        if not size:
            raise TypeError(f'{name}() missing 1 required positional arguments: "size"')
        shape = _sizes(name, size)
        return _filled(
            name, shape, value, out, dtype, layout, device, requires_grad, pin_memory,
            memory_format,
        )  # fmt: skip

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


zeros = _constant("zeros", 0, "Zeros.")
ones = _constant("ones", 1, "Ones.")
empty = _constant(
    "empty", 0, "A tensor whose contents are unspecified (zeros: recording them costs nothing)."
)


def full(
    size: Sequence[int], fill_value: Any, *, out: Tensor | None = None, dtype: Any = None,
    layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
    names: Any = None,
) -> Tensor:  # fmt: skip
    """A tensor filled with one number, whose kind decides the dtype."""
    if not isinstance(size, (tuple, list)):
        raise TypeError(
            f"full(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}"
        )
    value = _fill_number("full", fill_value)
    if dtype is None and isinstance(value, bool):
        dtype = bool_
    elif dtype is None and isinstance(value, int):
        dtype = int64
    elif dtype is None and isinstance(value, complex):
        dtype = default_dtype().to_complex()
    if out is not None:
        dtype = None
    else:
        value = number_for(value, given_dtype("full", dtype) or default_dtype())
    shape = _sizes("full", (size,))
    return _filled("full", shape, value, out, dtype, layout, device, requires_grad, pin_memory)


def _fill_number(name: str, value: Any) -> Any:
    if isinstance(value, Tensor) and not value.ndim:
        return value.item()
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, (int, float, complex)):
        raise TypeError(
            f"{name}(): argument 'fill_value' (position 2) must be Number, not "
            f"{type(value).__name__}"
        )
    return value


# -- like another tensor -------------------------------------------------------------------------


def _check_like(name: str, input: Any) -> None:
    if not isinstance(input, Tensor):
        raise TypeError(
            f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}"
        )


def _like(name: str, value: int, doc: str) -> Callable[..., Tensor]:
    def function(
        input: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None,
        requires_grad: bool = False, pin_memory: bool = False, memory_format: Any = None,
    ) -> Tensor:  # fmt: skip
        _check_like(name, input)
        return _filled(
            name, tuple(input.shape), value, None, dtype or input.dtype, layout, device,
            requires_grad, pin_memory, memory_format,
        )  # fmt: skip

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


zeros_like = _like("zeros_like", 0, "Zeros with the shape and dtype of a tensor.")
ones_like = _like("ones_like", 1, "Ones with the shape and dtype of a tensor.")
empty_like = _like("empty_like", 0, "Unspecified contents with the shape and dtype of a tensor.")


def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """One number with the shape and dtype of a tensor."""
    _check_like("full_like", input)
    kind = given_dtype("full_like", dtype) or input.dtype
    value = number_for(_fill_number("full_like", fill_value), kind)
    return _filled(
        "full_like", tuple(input.shape), value, None, kind, layout, device,
        requires_grad, pin_memory, memory_format,
    )  # fmt: skip


def _new(name: str, create: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def method(self: Tensor, *size: Any, dtype: Any = None, **options: Any) -> Tensor:
        return create(*size, dtype=dtype or self.dtype, **options)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"``{create.__name__}`` in this tensor's dtype unless another is given."
    return method


new_zeros = _new("new_zeros", zeros)
new_ones = _new("new_ones", ones)
new_empty = _new("new_empty", empty)
new_full = _new("new_full", full)


# -- with a layout -------------------------------------------------------------------------------


def empty_strided(
    size: Sequence[int], stride: Sequence[int], *, dtype: Any = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Unspecified contents with any strides."""
    shape, steps = extents((size,)), extents((stride,))
    if len(shape) != len(steps):
        raise RuntimeError(
            f"dimensionality of sizes ({len(shape)}) must match dimensionality of strides "
            f"({len(steps)})"
        )
    check_extents(shape)
    span = 0 if 0 in shape else 1 + sum((n - 1) * s for n, s in zip(shape, steps, strict=True))
    made = _filled(
        "empty_strided", (span,), 0, None, dtype, layout, device, False, pin_memory
    )  # fmt: skip
    return require_grad(striding.as_strided_(made, shape, steps, 0), requires_grad)


def new_empty_strided(
    self: Tensor, size: Sequence[int], stride: Sequence[int], *, dtype: Any = None, **options: Any
) -> Tensor:
    """``empty_strided`` in this tensor's dtype unless another is given."""
    return empty_strided(size, stride, dtype=dtype or self.dtype, **options)


def empty_permuted(
    size: Sequence[int], physical_layout: Sequence[int], *, dtype: Any = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Unspecified contents whose axes lie in memory in a given order."""
    shape, order = extents((size,)), extents((physical_layout,))
    if len(shape) != len(order):
        raise RuntimeError(
            "Number of dimensions in size does not match the length of the physical_layout; i.e. "
            f"len(size) = {len(shape)} is not equal to len(physical_layout) = {len(order)}"
        )
    for number, axis in enumerate(order):
        if not 0 <= axis < len(shape):
            raise RuntimeError(
                f"Dimension out of range (expected to be between 0 and {len(shape) - 1}, but got "
                f"{axis} at index {number}).  NB: negative dims not currently supported; file an "
                "issue if you want it."
            )
        if axis in order[:number]:
            raise RuntimeError("Duplicate dim not allowed")
    strides = [1] * len(shape)
    step = 1
    for axis in reversed(order):
        strides[axis] = step
        step *= max(shape[axis], 1)
    return empty_strided(
        shape, strides, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad,
        pin_memory=pin_memory,
    )  # fmt: skip


# -- filling -------------------------------------------------------------------------------------


@operation("FillBackward0")
def _filled_copy(input: Value, value: Any) -> Value:
    if isinstance(value, Value):
        return b.broadcast_to(b.cast(value, input.dtype), input.shape)
    return b.full(input.shape, value, input.dtype, input.type.device)


def fill(input: Tensor, value: Any) -> Tensor:
    """A copy filled with one number, or that of a tensor without dimensions."""
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                "fill_ only supports 0-dimension value tensor but got tensor with "
                f"{value.ndim} dimensions."
            )
        made: Tensor = _filled_copy(input, value)
        return made
    made = _filled_copy(input, number_for(_fill_number("fill", value), input.dtype))
    return made
