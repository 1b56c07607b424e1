"""Adaptive pooling: windows that divide the input evenly into an output of a given size.

Window o of an axis goes from floor(o * in / out) to ceil((o + 1) * in / out), as in PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from treadle.ir import build as b
from treadle.ir.types import Device, int64
from treadle.ir.value import Value
from treadle.nn.functional.arguments import check_floating, shown
from treadle.nn.functional.precision import operation
from treadle.tensor import Tensor

Values = tuple[Value, ...]
Ints = tuple[int, ...]
Size = int | None | Sequence[int | None]


class _Axis(NamedTuple):
    """Windows of one axis: ``start`` and ``length`` are values along the output."""

    start: Value
    length: Value
    longest: int


def _windows_of(extent: int, out: int, device: Device) -> _Axis:
    number = b.iota((out,), 0, int64, device)
    start = b.div(number * extent, out)
    stop = b.div((number + 1) * extent + (out - 1), out)
    lengths = [-(-(o + 1) * extent // out) - o * extent // out for o in range(out)]
    return _Axis(start, b.sub(stop, start), max(lengths, default=1))


def _taken(x: Value, axis: int, windows: _Axis) -> tuple[Value, Value | None]:
    """(x with the axis made windows by elements, which of them count: None for all)."""
    extent, out, longest = x.shape[axis], windows.start.shape[0], windows.longest
    shape = (*x.shape[:axis], out, longest, *x.shape[axis + 1 :])
    if extent == out * longest:
        return b.reshape(x, shape), None
    element = b.iota((out, longest), 1, int64, x.type.device)
    place = b.reshape(windows.start, (out, 1)) + element
    counts = b.lt(element, b.reshape(windows.length, (out, 1)))
    aligned = tuple(out * longest if at == axis else 1 for at in range(x.ndim))
    flat = tuple(out * longest if at == axis else e for at, e in enumerate(x.shape))
    index = b.broadcast_to(b.reshape(b.minimum(place, extent - 1), aligned), flat)
    found = b.reshape(b.gather(x, index, axis), shape)
    ones = tuple(e if at in (axis, axis + 1) else 1 for at, e in enumerate(shape))
    return found, b.broadcast_to(b.reshape(counts, ones), shape)


# -- mean ------------------------------------------------------------------------------------


def adaptive_mean(input: Value, out: Ints) -> Value:
    """Means over the windows of the last axes, one axis after the other."""
    check_floating("adaptive_avg_pool2d", input)
    x = input
    for number, count in enumerate(out):
        axis = x.ndim - len(out) + number
        windows = _windows_of(x.shape[axis], count, x.type.device)
        found, counts = _taken(x, axis, windows)
        if counts is not None:
            found = b.select(counts, found, 0.0)
        total = b.sum(found, (axis + 1,))
        if counts is None:
            x = total / float(windows.longest)
        else:
            aligned = tuple(count if at == axis else 1 for at in range(total.ndim))
            x = total / b.reshape(b.cast(windows.length, x.dtype), aligned)
    return x


@operation("MeanBackward1")
def _mean_of_all(input: Value, out: Ints) -> Value:
    axes = tuple(range(input.ndim - len(out), input.ndim))
    check_floating("adaptive_avg_pool2d", input)
    return b.sum(input, axes, keepdim=True) / float(math.prod(input.shape[axis] for axis in axes))


_means = {
    1: operation("SqueezeBackward1")(adaptive_mean),
    2: operation("AdaptiveAvgPool2DBackward0")(adaptive_mean),
    3: operation("AdaptiveAvgPool3DBackward0")(adaptive_mean),
}


# -- maximum ---------------------------------------------------------------------------------


def _max_vjp(
    inputs: Values, outputs: Values, upstreams: Any, *, out: Ints, **_: Any
) -> Sequence[Value]:
    x, index, g = inputs[0], outputs[1], upstreams[0]
    lead = x.shape[: x.ndim - len(out)]
    flat = (*lead, math.prod(x.shape[len(lead) :]))
    places = (*lead, math.prod(out))
    zeros = b.full(flat, 0.0, x.dtype, x.type.device)
    added = b.scatter_add(zeros, b.reshape(index, places), b.reshape(g, places), len(lead))
    return (b.reshape(added, x.shape),)


def _adaptive_max(input: Value, out: Ints) -> tuple[Value, Value]:
    """(maxima over the windows of the last axes, their row-major positions in the plane)."""
    check_floating("adaptive_max_pool2d", input)
    lead = input.ndim - len(out)
    sides = zip(input.shape[lead:], out, strict=True)
    axes = [_windows_of(extent, count, input.type.device) for extent, count in sides]
    x, inside = input, None
    for number, windows in enumerate(axes):
        axis = lead + 2 * number
        x, counts = _taken(x, axis, windows)
        if inside is not None:
            inside = _taken(inside, axis, windows)[0]
        if counts is not None:
            inside = counts if inside is None else b.logical_and(inside, counts)
    if inside is not None:
        x = b.select(inside, x, -math.inf)
    outer = [*range(lead), *(lead + 2 * n for n in range(len(out)))]
    inner = [lead + 2 * n + 1 for n in range(len(out))]
    sizes = tuple(windows.longest for windows in axes)
    shape = (*input.shape[:lead], *out)
    flat = b.reshape(b.permute(x, (*outer, *inner)), (*shape, math.prod(sizes)))
    chosen = b.argmax(flat, flat.ndim - 1)
    position = b.full(shape, 0, int64, input.type.device)
    rest = chosen
    for number, windows in enumerate(axes):
        after = math.prod(sizes[number + 1 :])
        step, rest = b.div(rest, after), b.remainder(rest, after)
        aligned = tuple(out[number] if at == lead + number else 1 for at in range(len(shape)))
        here = b.reshape(windows.start, aligned) + step
        position = position * input.shape[lead + number] + here
    return b.max(flat, (flat.ndim - 1,)), position


_maxima = {
    1: operation("SqueezeBackward1", vjp=_max_vjp)(_adaptive_max),
    2: operation("AdaptiveMaxPool2DBackward0", vjp=_max_vjp)(_adaptive_max),
    3: operation("AdaptiveMaxPool3DBackward0", vjp=_max_vjp)(_adaptive_max),
}


# -- the functions that users call -----------------------------------------------------------


def _output_size(name: str, input: Tensor, size: Size, count: int) -> Ints:
    """The output's extents; None keeps the input's."""
    if count > 1 and isinstance(size, (tuple, list)) and input.ndim <= len(size):
        raise ValueError(f"Input dimension should be at least {len(size) + 1}")
    if input.ndim not in (count + 1, count + 2):
        raise RuntimeError(
            f"{name}(): Expected {count + 1}D or {count + 2}D tensor, but got {shown(input.shape)}"
        )
    wanted = (size,) * count if size is None or isinstance(size, int) else tuple(size)
    if len(wanted) == 1:
        wanted = wanted * count
    if len(wanted) != count:
        raise RuntimeError(f"{name}: output_size must be {count}")
    extents = input.shape[input.ndim - count :]
    out = tuple(
        have if want is None else int(want) for have, want in zip(extents, wanted, strict=True)
    )
    if any(extent < 0 for extent in out):
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 but received "
            f"{list(out)}"
        )
    if 0 in input.shape[1:] and 0 not in out:
        axis = next(at for at in range(1, input.ndim) if not input.shape[at])
        raise RuntimeError(
            f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input "
            f"has sizes {shown(input.shape)} with dimension {axis} being empty"
        )
    return out


def _average(count: int, input: Tensor, output_size: Size) -> Tensor:
    out = _output_size(f"adaptive_avg_pool{count}d", input, output_size, count)
    if count > 1 and set(out) == {1} and input.dtype.is_floating_point:
        return _mean_of_all(input, out)
    result: Tensor = _means[count](input, out)
    return result


def _maximum(count: int, input: Tensor, output_size: Size, return_indices: bool) -> Any:
    out = _output_size(f"adaptive_max_pool{count}d", input, output_size, count)
    values, indices = _maxima[count](input, out)
    return (values, indices) if return_indices else values


def adaptive_avg_pool1d(input: Tensor, output_size: Size) -> Tensor:
    """Means over ``output_size`` windows of [N, C, L]; the batch axis is optional."""
    return _average(1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Size) -> Tensor:
    """Means over windows of [N, C, H, W]; None in ``output_size`` keeps an extent."""
    return _average(2, input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: Size) -> Tensor:
    """Means over windows of [N, C, D, H, W]; None in ``output_size`` keeps an extent."""
    return _average(3, input, output_size)


def adaptive_max_pool1d(input: Tensor, output_size: Size, return_indices: bool = False) -> Any:
    """Maxima over ``output_size`` windows of [N, C, L]; with ``return_indices`` a pair."""
    return _maximum(1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Size, return_indices: bool = False) -> Any:
    """Maxima over windows of [N, C, H, W]; with ``return_indices`` a pair."""
    return _maximum(2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Tensor, output_size: Size, return_indices: bool = False) -> Any:
    """Maxima over windows of [N, C, D, H, W]; with ``return_indices`` a pair."""
    return _maximum(3, input, output_size, return_indices)


def adaptive_max_pool1d_with_indices(
    input: Tensor, output_size: Size, return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """``adaptive_max_pool1d`` with ``return_indices``."""
    pair: tuple[Tensor, Tensor] = _maximum(1, input, output_size, True)
    return pair


def adaptive_max_pool2d_with_indices(
    input: Tensor, output_size: Size, return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """``adaptive_max_pool2d`` with ``return_indices``."""
    pair: tuple[Tensor, Tensor] = _maximum(2, input, output_size, True)
    return pair


def adaptive_max_pool3d_with_indices(
    input: Tensor, output_size: Size, return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """``adaptive_max_pool3d`` with ``return_indices``."""
    pair: tuple[Tensor, Tensor] = _maximum(3, input, output_size, True)
    return pair
