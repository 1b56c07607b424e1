"""Numbers in order: ranges, identity matrices, indices of triangles, powers."""

from __future__ import annotations

import math
import warnings
from operator import index
from typing import Any

import numpy as np

from treadle.device import device_of
from treadle.functions.creation import check_out_dtype
from treadle.functions.data import given_dtype, refuse_pinned, require_grad
from treadle.ir import build as b
from treadle.ir.types import Device, DType, bool_, complex128, float64, int64
from treadle.ir.value import Value
from treadle.layouts import check_layout
from treadle.operation import changing_number, operation
from treadle.out_argument import takes_tensor, write_out
from treadle.promotion import default_dtype, scalar_name
from treadle.tensor import Tensor, from_array

__all__ = [
    "arange", "eye", "linspace", "logspace", "range", "tril_indices", "triu_indices", "vander",
]  # fmt: skip


def _number(name: str, argument: str, position: int, item: Any) -> Any:
    """A number of Python from a number or a tensor without dimensions."""
    if isinstance(item, (Tensor, np.generic)):
        return item.item()
    if isinstance(item, (int, float, complex)):
        return item
    raise TypeError(
        f"{name}(): argument '{argument}' (position {position}) must be Number, not "
        f"{type(item).__name__}"
    )


def _finished(
    made: Tensor, out: Tensor | None, layout: Any, pin_memory: bool, requires_grad: bool
) -> Tensor:
    check_layout(layout)
    refuse_pinned(pin_memory)
    if out is not None:
        written: Tensor = write_out(made, out)
        return written
    return require_grad(made, requires_grad)


def _chosen_dtype(name: str, dtype: Any, out: Tensor | None) -> DType | None:
    given = given_dtype(name, dtype)
    if out is None:
        return given
    check_out_dtype(out, given)
    return out.dtype


# -- ranges --------------------------------------------------------------------------------------


@operation()
def _ramp(count: int, start: Any, step: Any, dtype: DType, device: Device) -> Value:
    # Positions are exact in float64; the result is rounded once.
    wide, number = (float64, float) if dtype.is_floating_point else (int64, int)
    first = b.broadcast_to(start, (count,)) if isinstance(start, Value) else number(start)
    return b.cast(b.iota((count,), 0, wide, device) * number(step) + first, dtype)


def _ramp_from(count: int, start: Any, step: Any, dtype: DType, device: Device) -> Tensor:
    """Numbers from ``start``, which is an input of the program where it changes all the time."""
    if start and device.type == "cpu":
        wide, number = (float64, float) if dtype.is_floating_point else (int64, int)
        start = changing_number((_ramp, count, step, dtype), number(start), wide)
    made: Tensor = _ramp(count, start, step, dtype, device)
    return made


def _check_range(name: str, start: Any, end: Any, step: Any, dtype: DType) -> None:
    if dtype is bool_ or dtype.is_complex:
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{scalar_name(dtype)}'")
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start:g} -> {end:g}")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if dtype.kind in "iu" and int(step) == 0:
        raise ValueError("step must be nonzero")


def arange(
    start: Any = 0, end: Any = None, step: Any = 1, *, out: Tensor | None = None, dtype: Any = None,
    layout: Any = None, device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Numbers from start (0 by default) to end, exclusive."""
    if end is None:
        start, end = 0, start
    start = _number("arange", "start", 1, start)
    end = _number("arange", "end", 1 if start == 0 else 2, end)
    step = _number("arange", "step", 3, step)
    kind = _chosen_dtype("arange", dtype, out)
    if kind is None:
        whole = all(isinstance(number, int) for number in (start, end, step))
        kind = int64 if whole else default_dtype()
    _check_range("arange", start, end, step, kind)
    if kind is int64 or all(isinstance(number, int) for number in (start, end, step)):
        start, end, step = int(start), int(end), int(step)
        count = -(-(end - start) // step)
    else:
        count = math.ceil((end - start) / step)
    made = _ramp_from(max(count, 0), start, step, kind, device_of(device))
    return _finished(made, out, layout, pin_memory, requires_grad)


def range(
    start: Any = 0, end: Any = None, step: Any = 1, *, out: Tensor | None = None, dtype: Any = None,
    layout: Any = None, device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Numbers from start to end, inclusive; deprecated for ``arange``."""
    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is "
        "inconsistent with Python's range builtin. Instead, use torch.arange, which produces "
        "values in [start, end).",
        UserWarning,
        stacklevel=2,
    )
    if end is None:
        start, end = 0, start
    kind = _chosen_dtype("range", dtype, out) or default_dtype()
    _check_range("range", start, end, step, kind)
    count = math.floor((end - start) / step) + 1
    made = _ramp_from(count, start, step, kind, device_of(device))
    return _finished(made, out, layout, pin_memory, requires_grad)


def _evenly(count: int, start: Any, end: Any, dtype: DType, device: Device) -> Value:
    """Evenly spaced numbers in float64 or complex128."""
    wide = complex128 if dtype.is_complex else float64
    if dtype.kind in "iu":
        start, end = int(start), int(end)
    if count == 1:
        return b.full((1,), start, wide, device)
    position = b.iota((count,), 0, float64, device)
    first_half = b.lt(position, float(count // 2))
    position = b.cast(position, wide)
    step = (end - start) / (count - 1) if count > 1 else 0.0
    # From both ends, so that the last element is exact.
    upward = position * step + start
    downward = end - (float(count - 1) - position) * step
    return b.select(first_half, upward, downward)


@operation()
def _even(count: int, start: Any, end: Any, dtype: DType, device: Device) -> Value:
    return b.cast(_evenly(count, start, end, dtype, device), dtype)


@operation()
def _powers(count: int, start: Any, end: Any, base: float, dtype: DType, device: Device) -> Value:
    exponents = _evenly(count, start, end, dtype, device)
    return b.cast(b.pow(b.constant_like(exponents, base), exponents), dtype)


def _ends(name: str, start: Any, end: Any, steps: Any, dtype: DType | None) -> Any:
    """Endpoints as numbers, how many numbers, and their dtype."""
    given = [item for item in (start, end) if isinstance(item, Tensor)]
    if any(item.ndim for item in given):
        ranks = [item.ndim if isinstance(item, Tensor) else 0 for item in (start, end)]
        raise RuntimeError(
            f"{name} only supports 0-dimensional start and end tensors, but got start with "
            f"{ranks[0]} dimension(s) and end with {ranks[1]} dimension(s)."
        )
    try:
        if isinstance(steps, bool) or steps is None:
            raise TypeError
        count = index(steps)
    except TypeError:
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got "
            f"({type(start).__name__}, {type(end).__name__}, {type(steps).__name__})"
        ) from None
    if count < 0:
        raise RuntimeError("number of steps must be non-negative")
    numbers = [_number(name, "start", 1, start), _number(name, "end", 2, end)]
    is_complex = any(isinstance(number, complex) for number in numbers)
    wide = default_dtype().to_complex() if is_complex else default_dtype()
    return *numbers, count, dtype or wide


def linspace(
    start: Any, end: Any, steps: Any = None, *, out: Tensor | None = None, dtype: Any = None,
    layout: Any = None, device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``steps`` evenly spaced numbers from start to end, both included."""
    first, last, count, kind = _ends(
        "linspace", start, end, steps, _chosen_dtype("linspace", dtype, out)
    )
    made: Tensor = _even(count, first, last, kind, device_of(device))
    return _finished(made, out, layout, pin_memory, requires_grad)


def logspace(
    start: Any, end: Any, steps: Any = None, base: float = 10.0, *, out: Tensor | None = None,
    dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``steps`` powers of base with evenly spaced exponents from start to end."""
    first, last, count, kind = _ends(
        "logspace", start, end, steps, _chosen_dtype("logspace", dtype, out)
    )
    if kind.kind in "iu":
        # Powers must be exact where they are whole, which the compiled pow does not promise.
        exponents = np.linspace(int(first), int(last), count)
        powers = np.trunc(np.power(float(base), exponents)).astype(kind.numpy)
        made = from_array(powers, device_of(device))
    else:
        made = _powers(count, first, last, float(base), kind, device_of(device))
    return _finished(made, out, layout, pin_memory, requires_grad)


# -- matrices ------------------------------------------------------------------------------------


@operation()
def _eye(rows: int, columns: int, dtype: DType, device: Device) -> Value:
    shape = (rows, columns)
    same = b.eq(b.iota(shape, 0, int64, device), b.iota(shape, 1, int64, device))
    return b.cast(same, dtype)


def eye(
    n: int, m: int | None = None, *, out: Tensor | None = None, dtype: Any = None,
    layout: Any = None, device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Ones on the diagonal of an n x m matrix."""
    for number, (name, size) in enumerate((("n", n), ("m", n if m is None else m)), 1):
        if isinstance(size, float):
            raise TypeError(f"eye(): argument '{name}' (position {number}) must be int, not float")
        if size < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {size}")
    kind = _chosen_dtype("eye", dtype, out) or default_dtype()
    made: Tensor = _eye(index(n), index(n if m is None else m), kind, device_of(device))
    return _finished(made, out, layout, pin_memory, requires_grad)


def _triangle(name: str, lower: bool) -> Any:
    def function(
        row: int, col: int, offset: int = 0, *, dtype: Any = int64, device: Any = None,
        layout: Any = None, pin_memory: bool = False,
    ) -> Tensor:  # fmt: skip
        for side, size in (("row", row), ("col", col)):
            if size < 0:
                raise RuntimeError(f"{side} must be non-negative, got{size}")
        kind = given_dtype(name, dtype) or int64
        if kind.kind not in "iu":
            raise NotImplementedError(f"\"{name}\" not implemented for '{scalar_name(kind)}'")
        indices = np.tril_indices(row, offset, col) if lower else np.triu_indices(row, offset, col)
        made = from_array(np.stack(indices).astype(kind.numpy), device_of(device))
        return _finished(made, None, layout, pin_memory, False)

    function.__name__ = function.__qualname__ = name
    side = "below" if lower else "above"
    function.__doc__ = f"Rows and columns of the elements on and {side} a diagonal, row by row."
    return function


tril_indices = _triangle("tril_indices", lower=True)
triu_indices = _triangle("triu_indices", lower=False)


@operation("VanderBackward0")
def _vander(x: Value, count: int, increasing: bool) -> Value:
    powers = []
    power = b.constant_like(x, 1)
    for _ in np.arange(count):
        powers.append(b.reshape(power, (*x.shape, 1)))
        power = power * x
    if not powers:
        return b.full((*x.shape, 0), 0, x.dtype, x.type.device)
    return b.concat(powers if increasing else powers[::-1], x.ndim)


@takes_tensor
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """Powers of a vector's elements in columns, the highest first unless ``increasing``."""
    if x.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    count = x.numel() if N is None else N
    if count < 0:
        raise RuntimeError("N must be non-negative.")
    wide = x if x.dtype.kind in "fc" else x.to(int64)
    made: Tensor = _vander(wide, count, increasing)
    return made
