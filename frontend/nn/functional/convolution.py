"""Convolutions in one, two and three dimensions.

They are correlations, as in PyTorch; transposed ones have a file of their own.
"""

from __future__ import annotations

from treadle.ir import build as b
from treadle.ir.value import Value
from treadle.nn.functional.windowing import Extents, as_tuple, times
from treadle.operation import operation
from treadle.tensor import Tensor
from treadle.utils.typename import cpp_name

Padding = tuple[tuple[int, int], ...]


def _check(
    input: Value,
    weight: Value,
    padding: Padding,
    dilation: tuple[int, ...],
    groups: int,
) -> None:
    """PyTorch's errors for shapes and dtypes; the input has its batch axis."""
    shape = f"[{', '.join(map(str, weight.shape))}]"
    given = f"[{', '.join(map(str, input.shape))}]"
    if weight.ndim != input.ndim:
        raise RuntimeError(
            f"Expected {input.ndim}-dimensional weight for {input.ndim}-dimensional input "
            f"{given}, but got {weight.ndim}-dimensional weight of size {shape} instead"
        )
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if weight.shape[0] % groups or weight.shape[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size {shape} instead"
        )
    if input.shape[1] != weight.shape[1] * groups:
        raise RuntimeError(
            f"Given groups={groups}, weight of size {shape}, expected input{given} to have "
            f"{weight.shape[1] * groups} channels, but got {input.shape[1]} channels instead"
        )
    padded = [
        extent + low + high for extent, (low, high) in zip(input.shape[2:], padding, strict=True)
    ]
    kernel = [d * (k - 1) + 1 for k, d in zip(weight.shape[2:], dilation, strict=True)]
    if any(extent < k for extent, k in zip(padded, kernel, strict=True)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({times(padded)}). Kernel size: "
            f"({times(kernel)}). Kernel size can't be greater than actual input size"
        )


def check_dtypes(input: Value, weight: Value, bias: Value | None) -> None:
    for name, other in (("bias", bias), ("weight", weight)):
        if other is not None and other.dtype != input.dtype:
            first, second = (cpp_name(value.dtype) for value in (input, other))
            raise RuntimeError(
                f"Input type ({first}) and {name} type ({second}) should be the same"
            )


@operation("ConvolutionBackward0")
def _convolution(
    input: Value,
    weight: Value,
    bias: Value | None,
    stride: tuple[int, ...],
    padding: Padding,
    dilation: tuple[int, ...],
    groups: int,
) -> Value:
    """[N, C, *S] by [O, C / groups, *K] -> [N, O, *OS]."""
    check_dtypes(input, weight, bias)
    _check(input, weight, padding, dilation, groups)
    batch, channels, *extents = input.shape
    out, per_group, *kernel = weight.shape
    grouped = b.reshape(input, (batch, groups, channels // groups, *extents))
    filters = b.reshape(weight, (groups, out // groups, per_group, *kernel))
    result = b.conv(grouped, filters, stride, padding, dilation, (1,) * len(extents))
    result = b.reshape(result, (batch, out, *result.shape[3:]))
    if bias is None:
        return result
    if bias.shape != (out,):
        raise RuntimeError(
            f"Given weight of size [{', '.join(map(str, weight.shape))}], expected bias to be "
            f"1-dimensional with {out} elements, but got bias of size "
            f"[{', '.join(map(str, bias.shape))}] instead"
        )
    return result + b.reshape(bias, (1, out, *(1 for _ in extents)))


def _convolve(
    count: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Extents,
    padding: Extents | str,
    dilation: Extents,
    groups: int,
) -> Tensor:
    """Fills in the arguments of a convolution over ``count`` axes; adds a missing batch axis."""
    if input.ndim not in (count + 1, count + 2):
        raise RuntimeError(
            f"Expected {count + 1}D (unbatched) or {count + 2}D (batched) input to conv{count}d, "
            f"but got input of size: [{', '.join(map(str, input.shape))}]"
        )
    strides = as_tuple(stride, count, "stride")
    dilations = as_tuple(dilation, count, "dilation")
    if any(step <= 0 for step in strides):
        raise RuntimeError("non-positive stride is not supported")
    if any(step <= 0 for step in dilations):
        raise RuntimeError("non-positive dilation is not supported")
    if isinstance(padding, str) and weight.ndim != count + 2:
        raise RuntimeError(
            f"Expected {weight.ndim}-dimensional input for {weight.ndim}-dimensional weight"
            f"{list(weight.shape)}, but got {input.ndim}-dimensional input of size "
            f"{list(input.shape)} instead"
        )
    sides = _sides(padding, tuple(weight.shape[2:]), strides, dilations)
    batched = input if input.ndim == count + 2 else input.unsqueeze(0)
    result: Tensor = _convolution(batched, weight, bias, strides, sides, dilations, groups)
    return result if batched is input else result.squeeze(0)


def _sides(
    padding: Extents | str,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Padding:
    """(low, high) padding of each axis."""
    if padding == "valid":
        return tuple((0, 0) for _ in kernel)
    if padding == "same":
        if any(step != 1 for step in stride):
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        # The odd element goes to the end.
        return tuple((total // 2, total - total // 2) for total in totals)
    if isinstance(padding, str):
        raise RuntimeError(f"Invalid padding string: '{padding}'")
    numbers = as_tuple(padding, len(dilation), "padding")
    if any(number < 0 for number in numbers):
        raise RuntimeError("negative padding is not supported")
    return tuple((number, number) for number in numbers)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Extents = 1,
    padding: Extents | str = 0,
    dilation: Extents = 1,
    groups: int = 1,
) -> Tensor:
    """Correlates [N, C, L] with [O, C / groups, K] -> [N, O, L']; the batch axis is optional."""
    return _convolve(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Extents = 1,
    padding: Extents | str = 0,
    dilation: Extents = 1,
    groups: int = 1,
) -> Tensor:
    """Correlates [N, C, H, W] with [O, C / groups, KH, KW]; the batch axis is optional.

    ``padding`` is a number for each axis, "valid" (none) or "same" (output as large as the input).
    """
    return _convolve(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Extents = 1,
    padding: Extents | str = 0,
    dilation: Extents = 1,
    groups: int = 1,
) -> Tensor:
    """Correlates [N, C, D, H, W] with [O, C / groups, KD, KH, KW]; the batch axis is optional."""
    return _convolve(3, input, weight, bias, stride, padding, dilation, groups)


def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """``conv1d`` of [T, N, C] with [K, C, O] -> [T', N, O]."""
    channels_first = input.permute(1, 2, 0), weight.permute(2, 1, 0)
    return conv1d(*channels_first, bias, padding=pad).permute(2, 0, 1)
