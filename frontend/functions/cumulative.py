"""Running sums, products and extrema along an axis, differences, and integrals of samples."""

from __future__ import annotations

import math
from typing import Any

from treadle.functions.axes import axis_of
from treadle.functions.pointwise.arguments import not_implemented
from treadle.ir import build as b
from treadle.ir.ordering import extreme_positions
from treadle.ir.types import NARROW_FLOATS, DType, bool_, float32, int64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import promoted
from treadle.return_types import return_type
from treadle.tensor import Tensor

__all__ = [
    "cummax", "cummin", "cumprod", "cumsum", "cumulative_trapezoid", "diff", "logcumsumexp",
    "trapezoid", "trapz",
]  # fmt: skip
METHODS = "cummax cummin cumprod cumsum diff logcumsumexp"
INPLACE = "cumprod cumsum"


def _summand(input: Value, dtype: DType | None) -> Value:
    if dtype is not None:
        return b.cast(input, dtype)
    return input if input.dtype.kind in "fc" else b.cast(input, int64)


@operation("CumsumBackward0")
def cumsum(input: Value, dim: int, *, dtype: DType | None = None) -> Value:
    """Running sums along an axis; integers and bool add up as int64."""
    axis = axis_of(dim, input.ndim)
    x = _summand(input, dtype)
    return b.cumsum(x, axis) if x.ndim else x


@operation("CumprodBackward0")
def cumprod(input: Value, dim: int, *, dtype: DType | None = None) -> Value:
    """Running products along an axis; integers and bool multiply as int64."""
    axis = axis_of(dim, input.ndim)
    x = _summand(input, dtype)
    return b.cumprod(x, axis) if x.ndim else x


def _running(input: Value, dim: int, scan: Any) -> tuple[Value, Value]:
    axis = axis_of(dim, input.ndim)
    if not input.ndim:
        return input, b.constant(0, int64, input.type.device)
    values = scan(input, axis)
    return values, extreme_positions(values)


@operation("CummaxBackward0")
def cummax(input: Value, dim: int) -> Any:
    """Running maxima along an axis, and the last position of each so far; NaN wins."""
    return return_type("cummax", "values indices")(*_running(input, dim, b.cummax))


@operation("CumminBackward0")
def cummin(input: Value, dim: int) -> Any:
    """Running minima along an axis, and the last position of each so far; NaN wins."""
    return return_type("cummin", "values indices")(*_running(input, dim, b.cummin))


def _shifted(x: Value, axis: int, by: int, value: float) -> Value:
    """Each element's neighbour: the one before it (``by`` 1) or after it (-1)."""
    low, high = [0] * x.ndim, [0] * x.ndim
    low[axis], high[axis] = by, -by
    return b.pad(x, low, high, value=value) if x.shape[axis] else x


def _scaled_sums(x: Value, axis: int) -> tuple[Value, Value, Value]:
    """The running maximum, what exponents are taken from, and sums of exponentials so scaled."""
    greatest = b.cummax(x, axis)
    # Infinities are no scale: nothing was added yet, or the sum is infinite in any case.
    scale = b.select(b.eq(b.abs(greatest), math.inf), 0.0, greatest)
    fresh = b.eq(_shifted(greatest, axis, 1, -math.inf), -math.inf)
    factor = b.select(fresh, 0.0, b.exp(_shifted(scale, axis, 1, 0.0) - scale))
    return greatest, scale, b.recurrence(factor, b.exp(x - scale), axis)


def _logcumsumexp_gradient(inputs: Any, outputs: Any, upstreams: Any, *, dim: int) -> tuple[Value]:
    """The sum over i >= k of g[i] exp(x[k] - y[i]), which a recurrence adds up from the end.

    Exponents are differences of elements and maxima, none above 0: y is rounded too coarsely.
    """
    (given,), (g,) = inputs, upstreams
    if not given.ndim:
        return (g,)
    axis = dim % given.ndim
    wide = given.dtype in NARROW_FLOATS
    x, g = (b.cast(item, float32) if wide else item for item in (given, g))
    greatest, scale, total = _scaled_sums(x, axis)
    endless = b.eq(greatest, math.inf)
    nothing = b.eq(greatest, -math.inf)
    falls = b.exp(scale - _shifted(scale, axis, -1, 0.0))
    factor = b.select(b.eq(_shifted(greatest, axis, -1, 0.0), math.inf), 0.0, falls)
    whole = b.recurrence(factor, b.select(nothing, 0.0, g / total), axis, True)
    none = b.logical_or(nothing, b.logical_and(endless, b.lt(x, math.inf)))
    return (b.cast(b.select(none, 0.0, b.exp(x - scale) * whole), given.dtype),)


@operation("LogcumsumexpBackward0", vjp=_logcumsumexp_gradient)
def logcumsumexp(input: Value, dim: int) -> Value:
    """Logarithms of running sums of exponentials, which are scaled by the running maximum."""
    if not input.dtype.is_floating_point:
        raise not_implemented(input, "logcumsumexp_out_cpu")
    axis = axis_of(dim, input.ndim)
    if not input.ndim:
        return input
    x = b.cast(input, float32) if input.dtype in NARROW_FLOATS else input
    _greatest, scale, total = _scaled_sums(x, axis)
    return b.cast(b.log(total) + scale, input.dtype)


# --- differences ----------------------------------------------------------------------------------


def _part(x: Value, axis: int, start: int, stop: int) -> Value:
    starts, stops = [0] * x.ndim, list(x.shape)
    starts[axis], stops[axis] = start, max(start, stop)
    return b.slice(x, starts, stops)


def _check_addition(input: Value, other: Value, axis: int) -> None:
    if other.ndim != input.ndim:
        raise RuntimeError("diff expects prepend or append to be the same dimension as input")
    for at, (have, want) in enumerate(zip(other.shape, input.shape, strict=True)):
        if at != axis and have != want:
            raise RuntimeError(
                "diff expects the shape of tensor to prepend or append to match that of input "
                f"except along the differencing dimension; input.size({at}) = {want}, but got "
                f"tensor.size({at}) = {have}"
            )


@operation("SubBackward0")
def diff(
    input: Value,
    n: int = 1,
    dim: int = -1,
    prepend: Value | None = None,
    append: Value | None = None,
) -> Value:
    """Differences of neighbours along an axis, ``n`` times over; of truth values, ``xor``."""
    if not input.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    axis = axis_of(dim, input.ndim)
    added = [other for other in (prepend, append) if other is not None]
    for other in added:
        _check_addition(input, other, axis)
    x = input
    if added and n:
        parts = [part for part in (prepend, input, append) if part is not None]
        x = b.concat(promoted(*parts), axis)
    for _ in range(min(n, x.shape[axis])):
        count = x.shape[axis]
        later, earlier = _part(x, axis, 1, count), _part(x, axis, 0, count - 1)
        x = b.logical_xor(later, earlier) if x.dtype is bool_ else b.sub(later, earlier)
    return x


# --- integrals ------------------------------------------------------------------------------------


def _check_samples(name: str, y: Tensor, x: Tensor | None, dx: Any) -> None:
    if x is not None and dx is not None:
        raise TypeError(
            f"{name}() received an invalid combination of arguments: either the places `x` or "
            "their distance `dx`"
        )
    if x is None and y.dtype is bool_:
        raise RuntimeError(f"{name}: received a bool input for `y`, but bool is not supported")
    if x is not None and bool_ in (x.dtype, y.dtype):
        raise RuntimeError(
            f"{name}: received a bool input for `x` or `y`, but bool is not supported"
        )
    if isinstance(dx, (bool, complex)):
        raise RuntimeError(f"{name}: Currently, we only support dx as a real number.")


def _axis(y: Tensor, dim: int) -> int:
    if not y.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return axis_of(dim, y.ndim)


def _ends(y: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    count = y.shape[axis]
    return y.narrow(axis, 0, count - 1), y.narrow(axis, 1, count - 1)


def _steps(name: str, y: Tensor, x: Tensor, axis: int) -> Tensor:
    """Distances between the samples' places."""
    if x.ndim == 1:
        if x.shape[0] != y.shape[axis]:
            raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
        x = x.view([-1 if at == axis else 1 for at in range(y.ndim)])
    elif x.ndim < y.ndim:
        x = x.reshape([*[1] * (y.ndim - x.ndim), *x.shape])
    left, right = _ends(x, axis)
    return right - left


def trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1
) -> Tensor:
    """The integral along an axis of samples joined by straight lines.

    ``x`` are the places of the samples, ``dx`` their distance (1).
    """
    _check_samples("trapezoid", y, x, dx)
    axis = _axis(y, dim)
    if not y.shape[axis]:
        return y.sum(axis) * 0.0
    left, right = _ends(y, axis)
    if x is not None:
        whole: Tensor = ((left + right) * _steps("trapezoid", y, x, axis)).sum(axis) / 2.0
        return whole
    ends = y.select(axis, 0) + y.select(axis, -1)
    result: Tensor = (y.sum(axis) - ends * 0.5) * float(1 if dx is None else dx)
    return result


def trapz(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """``trapezoid``."""
    return trapezoid(y, x, dx=dx, dim=dim)


def cumulative_trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1
) -> Tensor:
    """The integrals from the first sample to every other one; see ``trapezoid``."""
    _check_samples("cumulative_trapezoid", y, x, dx)
    axis = _axis(y, dim)
    if not y.shape[axis]:
        return y * 1.0
    left, right = _ends(y, axis)
    if x is not None:
        steps = _steps("cumulative_trapezoid", y, x, axis)
        whole: Tensor = ((left + right) * steps).cumsum(axis) / 2.0
        return whole
    result: Tensor = (left + right).cumsum(axis) * (float(1 if dx is None else dx) / 2.0)
    return result
