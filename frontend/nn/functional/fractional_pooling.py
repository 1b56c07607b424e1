"""Fractional max pooling (B. Graham, 2014): windows whose places are drawn at random.

Each plane has its own draw, so that windows are gathered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import treadle
from treadle.ir import build as b
from treadle.ir.types import int64
from treadle.ir.value import Value
from treadle.nn.functional.arguments import check_floating, shown
from treadle.nn.functional.windowing import Extents, as_tuple
from treadle.operation import operation
from treadle.tensor import Tensor

Values = tuple[Value, ...]
Ints = tuple[int, ...]


def _starts(sample: Value, extent: int, out: int, size: int) -> Value:
    """First positions [N, C, out] of the windows of an axis for samples [N, C] in [0, 1)."""
    shape = (*sample.shape, out)
    last = b.full(shape, extent - size, int64, sample.type.device)
    if out == 1:
        return last
    alpha = (extent - size) / (out - 1)
    number = b.iota(shape, 2, sample.dtype, sample.type.device)
    drawn = b.reshape(sample, (*sample.shape, 1))
    first = b.cast((number + drawn) * alpha, int64) - b.cast(drawn * alpha, int64)
    return b.select(b.eq(b.iota(shape, 2, int64, sample.type.device), out - 1), last, first)


def _vjp(
    inputs: Values, outputs: Values, upstreams: Any, *, out: Ints, **_: Any
) -> Sequence[Value | None]:
    x, index, g = inputs[0], outputs[1], upstreams[0]
    flat = (*x.shape[:2], math.prod(x.shape[2:]))
    places = (*x.shape[:2], math.prod(out))
    zeros = b.full(flat, 0.0, x.dtype, x.type.device)
    added = b.scatter_add(zeros, b.reshape(index, places), b.reshape(g, places), 2)
    return (b.reshape(added, x.shape), None)


def _pooled(input: Value, samples: Value, kernel: Ints, out: Ints) -> tuple[Value, Value]:
    """(maxima [N, C, *out], their row-major positions in the plane)."""
    check_floating("fractional_max_pool2d", input)
    count = len(kernel)
    batch, channels, *extents = input.shape
    if samples.dtype is not input.dtype:
        raise RuntimeError("Expect _random_samples to have the same dtype as input")
    if samples.ndim != 3 or samples.shape[0] < batch or samples.shape[1] < channels:
        raise RuntimeError("Expect _random_samples.size(1) equals to input.size(1)")
    if samples.shape[2] != count:
        raise RuntimeError(f"Expect _random_samples.size(2) equals to {count}.")
    x = input
    starts = []
    for axis, (extent, size, wanted) in enumerate(zip(extents, kernel, out, strict=True)):
        # PyTorch draws the last axis of a plane first, but that of a volume last.
        number = count - 1 - axis if count == 2 else axis
        drawn = b.slice(samples, (0, 0, number), (batch, channels, number + 1))
        start = _starts(b.reshape(drawn, (batch, channels)), extent, wanted, size)
        starts.append(start)
        inside = b.iota((size,), 0, int64, x.type.device)
        place = b.reshape(start, (*start.shape, 1)) + inside
        at = 2 + axis
        aligned = (batch, channels, *(wanted * size if a == at else 1 for a in range(2, x.ndim)))
        shape = tuple(wanted * size if a == at else e for a, e in enumerate(x.shape))
        x = b.gather(x, b.broadcast_to(b.reshape(place, aligned), shape), at)
    pairs = [extent for pair in zip(out, kernel, strict=True) for extent in pair]
    split = b.reshape(x, (batch, channels, *pairs))
    order = (0, 1, *range(2, 2 + 2 * count, 2), *range(3, 3 + 2 * count, 2))
    flat = b.reshape(b.permute(split, order), (batch, channels, *out, math.prod(kernel)))
    rest = b.argmax(flat, flat.ndim - 1)
    position = b.full(rest.shape, 0, int64, input.type.device)
    for axis in range(count):
        after = math.prod(kernel[axis + 1 :])
        step, rest = b.div(rest, after), b.remainder(rest, after)
        aligned = (batch, channels, *(out[axis] if a == axis else 1 for a in range(count)))
        position = position * extents[axis] + (b.reshape(starts[axis], aligned) + step)
    return b.max(flat, (flat.ndim - 1,)), position


_pools = {
    2: operation("FractionalMaxPool2DBackward0", vjp=_vjp)(_pooled),
    3: operation("FractionalMaxPool3DBackward0", vjp=_vjp)(_pooled),
}


def _arguments(
    count: int, input: Tensor, kernel_size: Extents, output_size: Extents | None, output_ratio: Any
) -> tuple[Ints, Ints]:
    """(kernel, output extents), or PyTorch's errors."""
    name = f"fractional_max_pool{count}d"
    if output_size is None:
        if output_ratio is None:
            raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
        ratios = (output_ratio,) * count if isinstance(output_ratio, (int, float)) else output_ratio
        if len(ratios) > count:
            raise ValueError(
                f"{name} requires output_ratio to either be a single Int or tuple of Ints."
            )
        extents = input.shape[input.ndim - count :]
        output_size = tuple(int(e * r) for e, r in zip(extents, ratios, strict=True))
    kernel = as_tuple(kernel_size, count, "kernel_size")
    out = as_tuple(output_size, count, "output_size")
    if input.ndim not in (count + 1, count + 2) or 0 in input.shape[1:]:
        raise RuntimeError(
            f"{name}(): Expected {count + 1}D or {count + 2}D tensor with non-zero size for "
            f"non-batch dimensions, but got: {shown(input.shape)}"
        )
    for extent, size, wanted in zip(input.shape[input.ndim - count :], kernel, out, strict=True):
        if size <= 0 or wanted <= 0:
            raise RuntimeError(f"{name}: kernel_size and output_size should be greater than zero")
        if wanted + size - 1 > extent:
            raise RuntimeError(
                f"{name}(): pool size {size} too large relative to input size {extent}"
            )
    return kernel, out


def _fractional(
    count: int,
    input: Tensor,
    kernel_size: Extents,
    output_size: Extents | None,
    output_ratio: Any,
    return_indices: bool,
    samples: Tensor | None,
) -> Any:
    kernel, out = _arguments(count, input, kernel_size, output_size, output_ratio)
    batch = input if input.ndim == count + 2 else input.unsqueeze(0)
    if samples is None:
        size = (*batch.shape[:2], count)
        samples = treadle.rand(size, dtype=input.dtype, device=input.device)
    found = _pools[count](batch, samples, kernel, out)
    values, indices = found if batch is input else tuple(part.squeeze(0) for part in found)
    return (values, indices) if return_indices else values


def fractional_max_pool2d(
    input: Tensor,
    kernel_size: Extents,
    output_size: Extents | None = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """Maxima of windows at random places; ``output_size``, or a ratio of the input's size."""
    return _fractional(
        2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples
    )


def fractional_max_pool3d(
    input: Tensor,
    kernel_size: Extents,
    output_size: Extents | None = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """Maxima of windows at random places; ``output_size``, or a ratio of the input's size."""
    return _fractional(
        3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples
    )


def fractional_max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Extents,
    output_size: Extents | None = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """``fractional_max_pool2d`` with ``return_indices``."""
    pair: tuple[Tensor, Tensor] = _fractional(
        2, input, kernel_size, output_size, output_ratio, True, _random_samples
    )
    return pair


def fractional_max_pool3d_with_indices(
    input: Tensor,
    kernel_size: Extents,
    output_size: Extents | None = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """``fractional_max_pool3d`` with ``return_indices``."""
    pair: tuple[Tensor, Tensor] = _fractional(
        3, input, kernel_size, output_size, output_ratio, True, _random_samples
    )
    return pair
