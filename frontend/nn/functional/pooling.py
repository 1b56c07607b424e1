"""Maximum and average pooling in one, two and three dimensions.

Adaptive and fractional pooling are later families.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from treadle.ir import build as b
from treadle.ir.types import int64
from treadle.ir.value import Value
from treadle.nn.functional.precision import operation
from treadle.nn.functional.windowing import Extents, as_tuple, pooled_extent, times
from treadle.tensor import Tensor

Values = tuple[Value, ...]
Ints = tuple[int, ...]
_FIRST_AXIS = 2  # poolings run over the axes behind batch and channel


def _axes(window: Ints) -> Ints:
    return tuple(range(_FIRST_AXIS, _FIRST_AXIS + len(window)))


def _padded(input: Value, low: Ints, high: Ints, value: float) -> Value:
    """``input`` with its window axes padded (or cut at the end, where ``high`` is negative)."""
    inside = tuple(e + min(h, 0) for e, h in zip(input.shape[2:], high, strict=True))
    stops = (*input.shape[:2], *inside)
    if stops != input.shape:
        input = b.slice(input, (0,) * input.ndim, stops, (1,) * input.ndim)
    high = tuple(max(side, 0) for side in high)
    if any(low) or any(high):
        return b.pad(input, (0, 0, *low), (0, 0, *high), value=value)
    return input


def _high(extents: Ints, out: Ints, kernel: Ints, stride: Ints, low: Ints, dilation: Ints) -> Ints:
    """Padding at the end that makes the last window just fit; negative where input is unused."""
    spans = zip(extents, out, kernel, stride, low, dilation, strict=True)
    return tuple((o - 1) * s + d * (k - 1) + 1 - p - e for e, o, k, s, p, d in spans)


def _flat_windows(padded: Value, kernel: Ints, stride: Ints, dilation: Ints) -> Value:
    """[N, C, *OS, K] with the elements of a window in row-major order on the last axis."""
    found = b.windows(padded, _axes(kernel), kernel, stride, dilation)
    return b.reshape(found, (*found.shape[: padded.ndim], math.prod(kernel)))


def _lowest(input: Value) -> float:
    if input.dtype.is_floating_point:
        return -math.inf
    return int(np.iinfo(str(input.dtype).removeprefix("torch.")).min)


def _max_pool_vjp(
    inputs: Values,
    outputs: Values,
    upstreams: Values,
    *,
    kernel: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    out: Ints,
    **_: Any,
) -> Values:
    """The gradient of a window goes to its first maximum, as in PyTorch."""
    x, g = inputs[0], upstreams[0]
    high = _high(x.shape[2:], out, kernel, stride, padding, dilation)
    padded = _padded(x, padding, high, _lowest(x))
    flat = _flat_windows(padded, kernel, stride, dilation)
    last = flat.ndim - 1
    first = b.argmax(flat, last)
    position = b.iota(flat.shape, last, int64, x.type.device)
    chosen = b.eq(position, b.reshape(first, (*first.shape, 1)))
    spread = b.select(chosen, b.reshape(g, (*g.shape, 1)), 0.0)
    spread = b.reshape(spread, (*flat.shape[:-1], *kernel))
    folded = b.fold(spread, padded.shape, _axes(kernel), kernel, stride, dilation)
    return (_unpadded(folded, x, padding),)


def _unpadded(folded: Value, input: Value, low: Ints) -> Value:
    """The part of ``folded`` that lies over the input; zeros where no window reached."""
    starts = (0, 0, *low)
    ends = zip(input.shape[2:], low, folded.shape[2:], strict=True)
    stops = (
        *input.shape[:2],
        *(min(extent + side, have) for extent, side, have in ends),
    )
    if (starts, stops) != ((0,) * input.ndim, folded.shape):
        folded = b.slice(folded, starts, stops, (1,) * input.ndim)
    missing = tuple(e - f for e, f in zip(input.shape, folded.shape, strict=True))
    return b.pad(folded, (0,) * input.ndim, missing) if any(missing) else folded


def _max_pool_values(
    input: Value, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints
) -> Value:
    high = _high(input.shape[2:], out, kernel, stride, padding, dilation)
    # The same flat windows as in the gradient, so that one kernel finds maxima and positions.
    flat = _flat_windows(_padded(input, padding, high, _lowest(input)), kernel, stride, dilation)
    return b.max(flat, (flat.ndim - 1,))


_max_pool1d = operation("SqueezeBackward1", vjp=_max_pool_vjp)(_max_pool_values)
_max_pool2d = operation("MaxPool2DWithIndicesBackward0", vjp=_max_pool_vjp)(_max_pool_values)
_max_pool3d = operation("MaxPool3DWithIndicesBackward0", vjp=_max_pool_vjp)(_max_pool_values)


@operation("NotDifferentiable")
def _max_pool_indices(
    input: Value, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints
) -> Value:
    """Row-major position of each window's first maximum within the unpadded plane; int64."""
    extents = input.shape[2:]
    high = _high(extents, out, kernel, stride, padding, dilation)
    flat = _flat_windows(_padded(input, padding, high, _lowest(input)), kernel, stride, dilation)
    count = math.prod(extents)
    plane = b.reshape(b.iota((count,), 0, int64, input.type.device), (1, 1, *extents))
    numbers = _flat_windows(_padded(plane, padding, high, 0), kernel, stride, dilation)
    first = b.argmax(flat, flat.ndim - 1)
    index = b.reshape(first, (*first.shape, 1))
    found = b.gather(b.broadcast_to(numbers, flat.shape), index, flat.ndim - 1)
    return b.reshape(found, first.shape)


def _avg_pool(
    input: Value,
    kernel: Ints,
    stride: Ints,
    padding: Ints,
    out: Ints,
    count_include_pad: bool,
    divisor: int | None,
) -> Value:
    ones = (1,) * len(kernel)
    extents = input.shape[2:]
    high = _high(extents, out, kernel, stride, padding, ones)

    def window_sum(value: Value) -> Value:
        windows = b.windows(value, _axes(kernel), kernel, stride, ones)
        return b.sum(windows, tuple(range(value.ndim, windows.ndim)))

    total = window_sum(_padded(input, padding, high, 0.0))
    full = all(side <= pad for side, pad in zip(high, padding, strict=True))
    if divisor is not None or (full and (count_include_pad or not any(padding))):
        return total / float(divisor if divisor is not None else math.prod(kernel))
    # Windows hold different counts of elements: count ones through the same windows.
    counted = b.full((1, 1, *extents), 1.0, input.dtype, input.type.device)
    if count_include_pad:
        # Beyond the symmetric padding, ceil_mode adds places that never count.
        inside = tuple(min(h, p) for h, p in zip(high, padding, strict=True))
        counted = _padded(counted, padding, inside, 1.0)
        rest = tuple(max(h - p, 0) for h, p in zip(high, padding, strict=True))
        counted = _padded(counted, (0,) * len(kernel), rest, 0.0)
    else:
        counted = _padded(counted, padding, high, 0.0)
    return total / window_sum(counted)


_avg_pools = {
    1: operation("SqueezeBackward1")(_avg_pool),
    2: operation("AvgPool2DBackward0")(_avg_pool),
    3: operation("AvgPool3DBackward0")(_avg_pool),
}


# -- arguments -------------------------------------------------------------------------------


def _arguments(
    name: str,
    input: Tensor,
    kernel_size: Extents,
    stride: Extents | None,
    padding: Extents,
    dilation: Extents,
    ceil_mode: bool,
    count: int,
) -> tuple[Tensor, Ints, Ints, Ints, Ints, Ints]:
    """(input with batch axis, kernel, stride, padding, dilation, output extents)."""
    if input.ndim not in (count + 1, count + 2):
        raise RuntimeError(
            f"{name}: Expected {count + 1}D or {count + 2}D input, but got input of size: "
            f"[{', '.join(map(str, input.shape))}]"
        )
    if 0 in input.shape[-count - 1 :]:
        raise RuntimeError(
            f"{name}: Expected {count + 1}D or {count + 2}D (batch mode) tensor with optional 0 "
            f"dim batch size for input, but got: [{', '.join(map(str, input.shape))}]"
        )
    kernel = as_tuple(kernel_size, count, f"{name}: kernel_size")
    steps = kernel if stride in (None, (), []) else as_tuple(stride, count, f"{name}: stride")
    sides = as_tuple(padding, count, f"{name}: padding")
    gaps = as_tuple(dilation, count, f"{name}: dilation")
    if any(extent <= 0 for extent in kernel):
        raise RuntimeError(f"kernel size should be greater than zero, but got {times(kernel)}")
    if any(step <= 0 for step in steps):
        raise RuntimeError("stride should not be zero")
    if any(gap <= 0 for gap in gaps):
        raise RuntimeError("dilation should be greater than zero")
    for side, extent, gap in zip(sides, kernel, gaps, strict=True):
        if side < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {side}")
        if side > ((extent - 1) * gap + 1) // 2:
            raise RuntimeError(
                "pad should be at most half of effective kernel size, but got "
                f"pad={side}, kernel_size={extent} and dilation={gap}"
            )
    batched = input if input.ndim == count + 2 else input.unsqueeze(0)
    extents = tuple(batched.shape[2:])
    spans = zip(extents, kernel, steps, sides, gaps, strict=True)
    out = tuple(pooled_extent(*span, ceil_mode) for span in spans)
    if any(extent < 1 for extent in out):
        channels = batched.shape[1]
        raise RuntimeError(
            f"Given input size: ({channels}x{times(extents, 'x')}). Calculated output size: "
            f"({channels}x{times(out, 'x')}). Output size is too small"
        )
    return batched, kernel, steps, sides, gaps, out


def _max_pool(
    operation_of: Any,
    count: int,
    input: Tensor,
    kernel_size: Extents,
    stride: Extents | None,
    padding: Extents,
    dilation: Extents,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    batched, *rest = _arguments(
        f"max_pool{count}d",
        input,
        kernel_size,
        stride,
        padding,
        dilation,
        ceil_mode,
        count,
    )
    result = operation_of(batched, *rest)
    squeezed = batched is not input
    if squeezed:
        result = result.squeeze(0)
    if not return_indices:
        return result
    indices = _max_pool_indices(batched.detach(), *rest)
    return result, indices.squeeze(0) if squeezed else indices


def _average(
    count: int,
    input: Tensor,
    kernel_size: Extents,
    stride: Extents | None,
    padding: Extents,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None = None,
) -> Tensor:
    name = f"avg_pool{count}d"
    if divisor == 0:
        raise RuntimeError("divisor must be not zero")
    batched, kernel, steps, sides, _, out = _arguments(
        name, input, kernel_size, stride, padding, 1, ceil_mode, count
    )
    run = _avg_pools[count]
    result: Tensor = run(batched, kernel, steps, sides, out, count_include_pad, divisor)
    return result if batched is input else result.squeeze(0)


# -- the functions that users call -----------------------------------------------------------


def max_pool1d(
    input: Tensor,
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Extents = 0,
    dilation: Extents = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of [N, C, L]; with ``return_indices`` a pair."""
    return _max_pool(
        _max_pool1d,
        1,
        input,
        kernel_size,
        stride,
        padding,
        dilation,
        ceil_mode,
        return_indices,
    )


def max_pool2d(
    input: Tensor,
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Extents = 0,
    dilation: Extents = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of [N, C, H, W]; with ``return_indices`` a pair."""
    return _max_pool(
        _max_pool2d,
        2,
        input,
        kernel_size,
        stride,
        padding,
        dilation,
        ceil_mode,
        return_indices,
    )


def max_pool3d(
    input: Tensor,
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Extents = 0,
    dilation: Extents = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of [N, C, D, H, W]; with ``return_indices`` a pair."""
    return _max_pool(
        _max_pool3d,
        3,
        input,
        kernel_size,
        stride,
        padding,
        dilation,
        ceil_mode,
        return_indices,
    )


def avg_pool1d(
    input: Tensor,
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Extents = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of [N, C, L]."""
    return _average(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(
    input: Tensor,
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Extents = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of [N, C, H, W], or its sum over ``divisor_override``."""
    return _average(
        2,
        input,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
    )


def avg_pool3d(
    input: Tensor,
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Extents = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of [N, C, D, H, W], or its sum over ``divisor_override``."""
    return _average(
        3,
        input,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
    )


def max_pool1d_with_indices(
    input: Tensor,
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Extents = 0,
    dilation: Extents = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """``max_pool1d`` with ``return_indices``."""
    window = (kernel_size, stride, padding, dilation, ceil_mode, True)
    pair: tuple[Tensor, Tensor] = max_pool1d(input, *window)
    return pair


def max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Extents = 0,
    dilation: Extents = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """``max_pool2d`` with ``return_indices``."""
    window = (kernel_size, stride, padding, dilation, ceil_mode, True)
    pair: tuple[Tensor, Tensor] = max_pool2d(input, *window)
    return pair


def max_pool3d_with_indices(
    input: Tensor,
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Extents = 0,
    dilation: Extents = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """``max_pool3d`` with ``return_indices``."""
    window = (kernel_size, stride, padding, dilation, ceil_mode, True)
    pair: tuple[Tensor, Tensor] = max_pool3d(input, *window)
    return pair
