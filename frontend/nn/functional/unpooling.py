"""Max unpooling (the partial inverse of max pooling) and pooling by powers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from treadle.functions import pointwise
from treadle.functions.indexing import out_of_bounds
from treadle.ir import build as b
from treadle.ir.types import int64
from treadle.ir.value import Value
from treadle.nn.functional.arguments import shown
from treadle.nn.functional.pooling import avg_pool1d, avg_pool2d, avg_pool3d
from treadle.nn.functional.windowing import Extents, as_tuple
from treadle.operation import operation
from treadle.tensor import Tensor

Ints = tuple[int, ...]


def _unpooled(input: Value, indices: Value, out: Ints) -> Value:
    """Zeros of extents ``out`` with the input's elements at row-major positions."""
    if indices.dtype is not int64:
        raise RuntimeError(
            f"elements in indices should be type int64 but got: {indices.dtype.name}"
        )
    if indices.shape != input.shape:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor "
            f"({shown(input.shape)}) but got indices tensor with shape: {shown(indices.shape)}"
        )
    lead = input.shape[: input.ndim - len(out)]
    if 0 in (*input.shape[1:], *out):
        raise RuntimeError(
            "Expected input to have non-zero size for non-batch dimensions, but got "
            f"{shown(input.shape)}"
        )
    places = (*lead, math.prod(input.shape[len(lead) :]))
    zeros = b.full((*lead, math.prod(out)), 0, input.dtype, input.type.device)
    index, source = b.reshape(indices, places), b.reshape(input, places)
    return b.reshape(b.scatter(zeros, index, source, len(lead), "set"), (*lead, *out))


_unpools = {
    1: operation("SqueezeBackward1")(_unpooled),
    2: operation("MaxUnpool2DBackward0")(_unpooled),
    3: operation("MaxUnpool3DBackward0")(_unpooled),
}


def _output_size(
    input: Tensor, kernel: Ints, stride: Ints, padding: Ints, output_size: Sequence[int] | None
) -> Ints:
    count = len(kernel)
    spans = zip(input.shape[input.ndim - count :], kernel, stride, padding, strict=True)
    usual = tuple((extent - 1) * step + size - 2 * side for extent, size, step, side in spans)
    if output_size is None:
        out = usual
    else:
        given = tuple(output_size)
        out = given[2:] if len(given) == count + 2 else given
        shown_size = type(output_size)(out) if isinstance(output_size, (list, tuple)) else out
        if len(out) != count:
            raise ValueError(
                f"output_size should be a sequence containing {count} or {count + 2} elements, "
                f"but it has a length of '{len(out)}'"
            )
        for axis in range(count):
            least, most = usual[axis] - stride[axis], usual[axis] + stride[axis]
            if not least < out[axis] < most:
                raise ValueError(
                    f'invalid output_size "{shown_size}" (dim {axis} must be between {least} and '
                    f"{most})"
                )
    for axis, extent in enumerate(out):
        if extent < 0:
            raise ValueError(
                "max_unpooling: output_size must contain non-negative spatial dimensions, but got "
                f"output_size[{axis}]={extent}"
            )
    return out


def _unpool(
    count: int,
    input: Tensor,
    indices: Tensor,
    kernel_size: Extents,
    stride: Extents | None,
    padding: Extents,
    output_size: Sequence[int] | None,
) -> Tensor:
    kernel = as_tuple(kernel_size, count, "kernel_size")
    steps = kernel if stride is None else as_tuple(stride, count, "stride")
    if input.ndim not in (count + 1, count + 2):
        raise RuntimeError(
            f"Input to max_unpooling{max(count, 2)}d should be a {count + 1}d or {count + 2}d "
            f"Tensor, but got tensor with dim: {input.ndim}"
        )
    if count == 3 and any(step <= 0 for step in steps):
        raise RuntimeError(f"strides should be greater than zero, but got stride: {list(steps)}")
    sides = as_tuple(padding, count, "padding")
    out = _output_size(input, kernel, steps, sides, output_size)
    wrong = out_of_bounds(indices, math.prod(out), lowest=0)
    if wrong is not None:
        size = "x".join(map(str, out))
        raise RuntimeError(
            f"Found an invalid max index: {wrong} (output volumes are of size {size}"
        )
    result: Tensor = _unpools[count](input, indices, out)
    return result


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Extents = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Puts the maxima of ``max_pool1d`` back at their indices; zeros elsewhere."""
    return _unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Extents = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Puts the maxima of ``max_pool2d`` back at their indices; zeros elsewhere."""
    return _unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Extents,
    stride: Extents | None = None,
    padding: Extents = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Puts the maxima of ``max_pool3d`` back at their indices; zeros elsewhere."""
    return _unpool(3, input, indices, kernel_size, stride, padding, output_size)


# -- means of powers -------------------------------------------------------------------------


def _power_pool(mean: Any, input: Tensor, norm_type: float, count: int) -> Tensor:
    """(sum of the window's elements to the power p) to the power 1 / p, with 0 for sums below 0."""
    found = mean(pointwise.pow(input, norm_type))
    total = pointwise.sign(found) * pointwise.relu(pointwise.abs(found)) * count
    result: Tensor = pointwise.pow(total, 1.0 / norm_type)
    return result


def lp_pool1d(
    input: Tensor,
    norm_type: float,
    kernel_size: Extents,
    stride: Extents | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """The ``norm_type``-norm of each window of [N, C, L], without absolute values."""
    (size,) = as_tuple(kernel_size, 1, "kernel_size")
    return _power_pool(
        lambda x: avg_pool1d(x, kernel_size, stride, 0, ceil_mode), input, norm_type, size
    )


def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: Extents,
    stride: Extents | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """The ``norm_type``-norm of each window of [N, C, H, W], without absolute values."""
    count = math.prod(as_tuple(kernel_size, 2, "kernel_size"))
    return _power_pool(
        lambda x: avg_pool2d(x, kernel_size, stride, 0, ceil_mode), input, norm_type, count
    )


def lp_pool3d(
    input: Tensor,
    norm_type: float,
    kernel_size: Extents,
    stride: Extents | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """The ``norm_type``-norm of each window of [N, C, D, H, W], without absolute values."""
    count = math.prod(as_tuple(kernel_size, 3, "kernel_size"))
    return _power_pool(
        lambda x: avg_pool3d(x, kernel_size, stride, 0, ceil_mode), input, norm_type, count
    )
