"""Copies in another arrangement: reversed, rotated, repeated, padded, triangles.

What can be a view of the same memory is ``movement``'s and ``slicing``'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from treadle.functions import movement
from treadle.functions.axes import (
    axis_of,
    check_extents,
    distinct_axes,
    extents,
    named_extents,
)
from treadle.ir import build as b
from treadle.ir.types import Shape, int32, int64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.out_argument import takes_tensor
from treadle.promotion import scalar_name
from treadle.tensor import Tensor, from_array

__all__ = [
    "constant_pad_nd", "flip", "fliplr", "flipud", "repeat_interleave", "roll", "rot90", "tile",
    "tril", "triu",
]  # fmt: skip
METHODS = "flip fliplr flipud repeat repeat_interleave roll rot90 tile tril triu"
INPLACE = "tril triu"


@operation("FlipBackward0")
def _flipped(input: Value, axes: tuple[int, ...]) -> Value:
    return b.flip(input, axes) if input.ndim else input


@takes_tensor
def flip(input: Tensor, *axes: Any, dims: Any = None) -> Tensor:
    """A copy reversed along axes."""
    chosen = extents((dims,) if dims is not None else axes)
    made: Tensor = _flipped(input, distinct_axes(chosen, input.ndim))
    return made


@takes_tensor
def fliplr(input: Tensor) -> Tensor:
    """A copy with its columns reversed."""
    if input.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, 1)


@takes_tensor
def flipud(input: Tensor) -> Tensor:
    """A copy with its rows reversed."""
    if input.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, 0)


def _rolled(x: Value, axis: int, shift: int) -> Value:
    extent = x.shape[axis]
    at = -shift % extent if extent else 0
    if not at:
        return x
    starts, stops = [0] * x.ndim, list(x.shape)
    starts[axis] = at
    tail = b.slice(x, starts, stops)
    stops[axis] = at
    return b.concat([tail, b.slice(x, [0] * x.ndim, stops)], axis)


@operation("RollBackward0")
def roll(input: Value, shifts: Any, dims: Any = ()) -> Value:
    """A copy whose elements moved along axes, those pushed out coming in at the other end."""
    steps = extents((shifts,))
    axes = () if dims is None else (dims,) if isinstance(dims, int) else tuple(dims)
    if not steps:
        raise RuntimeError("`shifts` required")
    if not axes and len(steps) == 1:
        flat = b.reshape(input, (input.type.numel,))
        return b.reshape(_rolled(flat, 0, steps[0]), input.shape)
    if len(axes) != len(steps):
        raise RuntimeError(
            f"shifts and dimensions must align. shifts: {len(steps)}, dims:{len(axes)}"
        )
    if not input.ndim:
        raise IndexError(f"Dimension specified as {axes[0]} but tensor has no dimensions")
    for step, axis in zip(steps, axes, strict=True):
        input = _rolled(input, axis_of(axis, input.ndim), step)
    return input


@takes_tensor
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """A copy turned by ``k`` right angles from the first of two axes to the second."""
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    if dims[0] == dims[1] or abs(dims[0] - dims[1]) == input.ndim:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}"
        )
    for number, dim in enumerate(dims):
        if not -input.ndim <= dim < input.ndim:
            raise RuntimeError(f"Rotation dim{number} out of range, dim{number} = {dim}")
    turns = k % 4
    if turns == 0:
        return flip(input, ())
    if turns == 2:
        return flip(input, *dims)
    return movement.transpose(flip(input, dims[1] if turns == 1 else dims[0]), *dims)


# -- repeated ------------------------------------------------------------------------------------


@operation("RepeatBackward0")
def _repeated(input: Value, times: Shape) -> Value:
    shape = (1,) * (len(times) - input.ndim) + input.shape
    paired = [extent for pair in zip((1,) * len(shape), shape, strict=True) for extent in pair]
    grown = [extent for pair in zip(times, shape, strict=True) for extent in pair]
    repeated = b.broadcast_to(b.reshape(input, paired), grown)
    return b.reshape(repeated, [n * extent for n, extent in zip(times, shape, strict=True)])


def repeat(input: Tensor, *sizes: Any, repeats: Any = None) -> Tensor:
    """A copy repeated along every axis."""
    times = named_extents(sizes, repeats)
    if len(times) < input.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            "tensor"
        )
    padded = (1,) * (len(times) - input.ndim) + tuple(input.shape)
    check_extents([n * extent for n, extent in zip(times, padded, strict=True)])
    made: Tensor = _repeated(input, times)
    return made


@takes_tensor
def tile(input: Tensor, *sizes: Any, dims: Any = None) -> Tensor:
    """A copy repeated along the last axes."""
    times = named_extents(sizes, dims)
    return repeat(input, (1,) * (input.ndim - len(times)) + times)


@operation("RepeatInterleaveBackward0")
def _each_repeated(input: Value, times: int, axis: int) -> Value:
    lead, rest = input.shape[: axis + 1], input.shape[axis + 1 :]
    grown = b.broadcast_to(b.reshape(input, (*lead, 1, *rest)), (*lead, times, *rest))
    return b.reshape(grown, (*lead[:-1], lead[-1] * times, *rest))


@operation("RepeatInterleaveBackward0")
def _rows(input: Value, index: Value, axis: int) -> Value:
    count = index.shape[0]
    aligned = [count if at == axis else 1 for at in range(input.ndim)]
    shape = [count if at == axis else extent for at, extent in enumerate(input.shape)]
    return b.gather(input, b.broadcast_to(b.reshape(index, aligned), shape), axis)


def repeat_interleave(
    input: Any = None,
    repeats: Any = None,
    dim: int | None = None,
    *,
    output_size: int | None = None,
) -> Tensor:
    """Each element along an axis (of all elements without one) repeated in place.

    ``repeats`` is a number or a tensor of numbers. Given ``repeats`` alone, the positions.
    """
    if input is None or repeats is None:
        given = repeats if input is None else input
        counts = _counts(given)
        return from_array(np.repeat(np.arange(counts.size), counts), given.device)
    if dim is None:
        input, dim = movement.ravel(input), 0
    if not input.ndim:
        input = movement.reshape(input, 1)
    axis = axis_of(dim, input.ndim)
    extent = input.shape[axis]
    if isinstance(repeats, Tensor) and repeats.numel() != 1:
        counts = _counts(repeats)
        if counts.size != extent:
            raise RuntimeError(
                "repeats must have the same size as input along dim, but got repeats.size(0) = "
                f"{counts.size} and input.size({axis}) = {extent}"
            )
        index = np.repeat(np.arange(extent), counts)
        _check_output(output_size, index.size)
        made: Tensor = _rows(input, from_array(index, input.device), axis)
        return made
    if isinstance(repeats, Tensor):
        _counts(movement.reshape(repeats, 1))
    times = int(repeats)
    if times < 0:
        raise RuntimeError("Repeats must be non-negative")
    _check_output(output_size, extent * times)
    made = _each_repeated(input, times, axis)
    return made


def _counts(repeats: Tensor) -> np.ndarray[Any, Any]:
    if repeats.ndim != 1:
        raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
    if repeats.dtype not in (int32, int64):
        name = scalar_name(repeats.dtype)
        raise NotImplementedError(f"\"repeat_interleave_cpu\" not implemented for '{name}'")
    counts = repeats.detach()._concrete()
    if counts.size and counts.min() < 0:
        raise RuntimeError("repeats can not be negative")
    return counts


def _check_output(given: int | None, count: int) -> None:
    if given is not None and given != count:
        raise RuntimeError(f"allocated size does not match required size: {given} and {count}")


# -- padded, triangles ---------------------------------------------------------------------------


@operation("ConstantPadNdBackward0")
def constant_pad_nd(input: Value, pad: Sequence[int], value: Any = 0) -> Value:
    """A copy with numbers before and after along the last axes; negative amounts crop.

    ``pad`` lists the amounts before and after, beginning with the last axis.
    """
    if len(pad) % 2:
        raise RuntimeError(f"Length of pad must be even but instead it equals {len(pad)}")
    if len(pad) > 2 * input.ndim:
        raise RuntimeError(
            "Length of pad should be no more than twice the number of dimensions of the input. "
            f"Pad length is {len(pad)}while the input has {input.ndim}dimensions."
        )
    low, high = [0] * input.ndim, [0] * input.ndim
    for place in range(len(pad) // 2):
        axis = input.ndim - 1 - place
        low[axis], high[axis] = pad[2 * place], pad[2 * place + 1]
        if input.shape[axis] + low[axis] + high[axis] < 0:
            raise RuntimeError("narrow(): length must be non-negative.")
    number = float(value) if input.dtype.is_floating_point else input.dtype.numpy.type(value).item()
    return b.pad(input, low, high, value=number)


def _triangle(name: str, lower: bool) -> Any:
    def body(input: Value, diagonal: int = 0) -> Value:
        if input.ndim < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
        device = input.type.device
        matrix = input.shape[-2:]
        row, column = b.iota(matrix, 0, int64, device), b.iota(matrix, 1, int64, device)
        distance = column - row
        kept = b.le(distance, diagonal) if lower else b.ge(distance, diagonal)
        return b.select(b.broadcast_to(kept, input.shape), input, 0)

    body.__name__ = body.__qualname__ = name
    side = "below" if lower else "above"
    body.__doc__ = f"Matrices whose elements on and {side} a diagonal are kept, the rest zeros."
    return operation(f"{name.capitalize()}Backward0")(body)


tril = _triangle("tril", lower=True)
triu = _triangle("triu", lower=False)
