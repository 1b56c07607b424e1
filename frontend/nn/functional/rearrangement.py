"""Rearranging the elements of images: shuffles of pixels and channels, and sliding blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence

from treadle.ir import build as b
from treadle.ir.value import Value
from treadle.nn.functional.arguments import shown
from treadle.nn.functional.windowing import Extents, as_tuple
from treadle.operation import operation
from treadle.tensor import Tensor

Ints = tuple[int, ...]


# -- shuffles --------------------------------------------------------------------------------


@operation("PixelShuffleBackward0")
def pixel_shuffle(input: Value, upscale_factor: int) -> Value:
    """[*, C * r * r, H, W] -> [*, C, H * r, W * r]."""
    r = upscale_factor
    if input.ndim < 3:
        raise RuntimeError(
            "pixel_shuffle expects input to have at least 3 dimensions, but got input with "
            f"{input.ndim} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    *lead, channels, height, width = input.shape
    if channels % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square "
            f"of upscale_factor, but input.size(-3)={channels} is not divisible by {r * r}"
        )
    n = len(lead)
    split = b.reshape(input, (*lead, channels // (r * r), r, r, height, width))
    order = (*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return b.reshape(b.permute(split, order), (*lead, channels // (r * r), height * r, width * r))


@operation("PixelUnshuffleBackward0")
def pixel_unshuffle(input: Value, downscale_factor: int) -> Value:
    """[*, C, H * r, W * r] -> [*, C * r * r, H, W]."""
    r = downscale_factor
    if input.ndim < 3:
        raise RuntimeError(
            "pixel_unshuffle expects input to have at least 3 dimensions, but got input with "
            f"{input.ndim} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    *lead, channels, height, width = input.shape
    for name, extent, at in (("height", height, -2), ("width", width, -1)):
        if extent % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but "
                f"input.size({at})={extent} is not divisible by {r}"
            )
    n = len(lead)
    split = b.reshape(input, (*lead, channels, height // r, r, width // r, r))
    order = (*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return b.reshape(b.permute(split, order), (*lead, channels * r * r, height // r, width // r))


@operation("ChannelShuffleBackward0")
def channel_shuffle(input: Value, groups: int) -> Value:
    """[N, g * C, ...] with the channels of the groups taken in turn."""
    if input.ndim <= 2:
        raise RuntimeError(
            f"channel_shuffle expects input with > 2 dims, but got input with sizes "
            f"{shown(input.shape)}"
        )
    channels = input.shape[1]
    if groups <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. {groups}")
    if channels % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {channels} channels and "
            f"{groups} groups."
        )
    batch, _, *extents = input.shape
    split = b.reshape(input, (batch, groups, channels // groups, *extents))
    order = (0, 2, 1, *range(3, split.ndim))
    return b.reshape(b.permute(split, order), input.shape)


native_channel_shuffle = channel_shuffle


# -- sliding blocks --------------------------------------------------------------------------


def _block_counts(
    extents: Sequence[int], kernel: Ints, dilation: Ints, padding: Ints, stride: Ints
) -> Ints:
    spans = zip(extents, kernel, dilation, padding, stride, strict=True)
    return tuple((e + 2 * p - d * (k - 1) - 1) // s + 1 for e, k, d, p, s in spans)


@operation("Im2ColBackward0")
def _unfold(input: Value, kernel: Ints, dilation: Ints, padding: Ints, stride: Ints) -> Value:
    """[N, C, H, W] -> [N, C * kh * kw, blocks]."""
    batch, channels, *_ = input.shape
    padded = b.pad(input, (0, 0, *padding), (0, 0, *padding))
    blocks = b.windows(padded, (2, 3), kernel, stride, dilation)
    columns = b.permute(blocks, (0, 1, 4, 5, 2, 3))
    count = math.prod(blocks.shape[2:4])
    return b.reshape(columns, (batch, channels * math.prod(kernel), count))


@operation("Col2ImBackward0")
def _fold(
    input: Value, out: Ints, kernel: Ints, dilation: Ints, padding: Ints, stride: Ints
) -> Value:
    """[N, C * kh * kw, blocks] added up to [N, C, *out]."""
    batch, rows, _ = input.shape
    channels = rows // math.prod(kernel)
    counts = _block_counts(out, kernel, dilation, padding, stride)
    split = b.reshape(input, (batch, channels, *kernel, *counts))
    blocks = b.permute(split, (0, 1, 4, 5, 2, 3))
    padded = (batch, channels, *(e + 2 * p for e, p in zip(out, padding, strict=True)))
    whole = b.fold(blocks, padded, (2, 3), kernel, stride, dilation)
    stops = tuple(extent + side for extent, side in zip(out, padding, strict=True))
    return b.slice(whole, (0, 0, *padding), (batch, channels, *stops))


def _options(
    kernel_size: Extents, dilation: Extents, padding: Extents, stride: Extents
) -> tuple[Ints, Ints, Ints, Ints]:
    kernel, gaps = as_tuple(kernel_size, 2, "kernel_size"), as_tuple(dilation, 2, "dilation")
    sides, steps = as_tuple(padding, 2, "padding"), as_tuple(stride, 2, "stride")
    for name, numbers in (("kernel size", kernel), ("dilation", gaps), ("stride", steps)):
        if any(number <= 0 for number in numbers):
            raise RuntimeError(
                f"{name} should be greater than zero, but got {name.replace(' ', '_')}: "
                f"{list(numbers)}"
            )
    if any(side < 0 for side in sides):
        raise RuntimeError(f"padding should be non-negative, but got padding: {list(sides)}")
    return kernel, gaps, sides, steps


def unfold(
    input: Tensor,
    kernel_size: Extents,
    dilation: Extents = 1,
    padding: Extents = 0,
    stride: Extents = 1,
) -> Tensor:
    """Sliding blocks of [N, C, H, W] as columns [N, C * kh * kw, blocks]; the batch is optional."""
    kernel, gaps, sides, steps = _options(kernel_size, dilation, padding, stride)
    if input.ndim not in (3, 4) or 0 in input.shape[-3:]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: {shown(input.shape)}"
        )
    counts = _block_counts(input.shape[-2:], kernel, gaps, sides, steps)
    if any(count < 1 for count in counts):
        raise RuntimeError(
            f"Given input with spatial size ({', '.join(map(str, input.shape[-2:]))}), "
            f"kernel_size={kernel}, dilation={gaps}, padding={sides}, calculated shape of the "
            f"array of sliding blocks as {counts}, but its components must be at least one."
        )
    batch = input if input.ndim == 4 else input.unsqueeze(0)
    result: Tensor = _unfold(batch, kernel, gaps, sides, steps)
    return result if batch is input else result.squeeze(0)


def fold(
    input: Tensor,
    output_size: Extents,
    kernel_size: Extents,
    dilation: Extents = 1,
    padding: Extents = 0,
    stride: Extents = 1,
) -> Tensor:
    """Columns of ``unfold`` added up at the places they come from: [N, C, *output_size]."""
    kernel, gaps, sides, steps = _options(kernel_size, dilation, padding, stride)
    out = as_tuple(output_size, 2, "output_size")
    if input.ndim not in (2, 3) or 0 in input.shape[-2:]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and "
            f"non-zero dimensions for input, but got: {shown(input.shape)}"
        )
    rows, columns = input.shape[-2:]
    if rows % math.prod(kernel):
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, "
            f"but got input.size(1)={rows} and kernel_size={kernel}."
        )
    counts = _block_counts(out, kernel, gaps, sides, steps)
    if any(count < 1 for count in counts) or math.prod(counts) != columns:
        raise RuntimeError(
            f"Given output_size={out}, kernel_size={kernel}, dilation={gaps}, padding={sides}, "
            f"stride={steps}, expected size of input's dimension 2 to match the calculated number "
            f"of sliding blocks {' * '.join(map(str, counts))} = {math.prod(counts)}, but got "
            f"input.size(2)={columns}."
        )
    batch = input if input.ndim == 3 else input.unsqueeze(0)
    result: Tensor = _fold(batch, out, kernel, gaps, sides, steps)
    return result if batch is input else result.squeeze(0)
