"""Padding of tensors at their borders: by a number, or by reflecting, repeating or going round.

Every mode is index arithmetic, so that it costs no kernel of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from treadle.ir import build as b
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.tensor import Tensor

Ints = tuple[int, ...]


def _cropped(input: Value, low: Ints, high: Ints) -> Value:
    """The input without what negative amounts take away."""
    starts = tuple(max(-side, 0) for side in low)
    stops = tuple(extent - max(-side, 0) for extent, side in zip(input.shape, high, strict=True))
    return b.slice(input, starts, stops, (1,) * input.ndim)


@operation("ConstantPadNdBackward0")
def _constant_pad(input: Value, low: Ints, high: Ints, value: float) -> Value:
    cropped = _cropped(input, low, high)
    low = tuple(max(side, 0) for side in low)
    high = tuple(max(side, 0) for side in high)
    return b.pad(cropped, low, high, value=value)


def constant_pad_nd(input: Tensor, pad: Sequence[int], value: float = 0) -> Tensor:
    """Pads the last axes with a number: (low, high) of the last axis, then of the one before.

    Negative amounts crop.

    Raises:
        RuntimeError: an odd count of numbers, more axes than the input has, or a cropped axis
            that would end below zero.
    """
    numbers = tuple(int(number) for number in pad)
    if len(numbers) % 2:
        raise RuntimeError(f"Length of pad must be even but instead it equals {len(numbers)}")
    if len(numbers) // 2 > input.ndim:
        raise RuntimeError(
            "Length of pad should be no more than twice the number of dimensions of the input. "
            f"Pad length is {len(numbers)} while the input has {input.ndim} dimensions."
        )
    low, high = _sides(input, numbers)
    for axis, (before, after) in enumerate(zip(low, high, strict=True)):
        if input.shape[axis] + before + after < 0:
            raise RuntimeError(
                f"The input size {input.shape[axis]}, plus negative padding {before} and {after} "
                f"resulted in a negative output size, which is invalid. Check dimension {axis} of "
                "your input."
            )
    return _constant_pad(input, low, high, value)


def _sides(input: Tensor, numbers: Ints) -> tuple[Ints, Ints]:
    """Amounts before and after every axis."""
    low, high = [0] * input.ndim, [0] * input.ndim
    for position in range(len(numbers) // 2):
        axis = input.ndim - 1 - position
        low[axis], high[axis] = numbers[2 * position], numbers[2 * position + 1]
    return tuple(low), tuple(high)


# -- modes that continue the input -----------------------------------------------------------


def _span(x: Value, axis: int, start: int, stop: int) -> Value:
    starts = tuple(start if at == axis else 0 for at in range(x.ndim))
    stops = tuple(stop if at == axis else extent for at, extent in enumerate(x.shape))
    return b.slice(x, starts, stops)


def _reflected(x: Value, axis: int, before: int, after: int) -> list[Value]:
    extent = x.shape[axis]
    return [
        b.flip(_span(x, axis, 1, 1 + before), [axis]),
        x,
        b.flip(_span(x, axis, extent - 1 - after, extent - 1), [axis]),
    ]


def _repeated(x: Value, axis: int, before: int, after: int) -> list[Value]:
    def copies(start: int, count: int) -> Value:
        shape = tuple(count if at == axis else extent for at, extent in enumerate(x.shape))
        return b.broadcast_to(_span(x, axis, start, start + 1), shape)

    return [copies(0, before), x, copies(x.shape[axis] - 1, after)]


def _wrapped(x: Value, axis: int, before: int, after: int) -> list[Value]:
    extent = x.shape[axis]
    return [_span(x, axis, extent - before, extent), x, _span(x, axis, 0, after)]


def _continued(parts: Callable[[Value, int, int, int], list[Value]], crop_first: bool) -> Any:
    def body(input: Value, low: Ints, high: Ints) -> Value:
        x = _cropped(input, low, high) if crop_first else input
        for axis, (before, after) in enumerate(zip(low, high, strict=True)):
            before, after = max(before, 0), max(after, 0)
            if before or after:
                pieces = parts(x, axis, before, after)
                x = b.concat([piece for piece in pieces if piece.shape[axis]], axis)
        if crop_first:
            return x
        # Cropping comes last: what is repeated may be what is cropped on the other side.
        return _cropped(x, low, high)

    return body


_replicate = _continued(_repeated, crop_first=False)
_reflect = _continued(_reflected, crop_first=False)
_circular = operation("torch::autograd::CopySlices")(_continued(_wrapped, crop_first=True))
_MODES = {
    "reflect": {n: operation(f"ReflectionPad{n}DBackward0")(_reflect) for n in (1, 2, 3)},
    "replicate": {n: operation(f"ReplicationPad{n}DBackward0")(_replicate) for n in (1, 2, 3)},
    "circular": dict.fromkeys((1, 2, 3), _circular),
}


def _check_mode(input: Tensor, numbers: Ints, mode: str) -> int:
    """How many axes are padded, or PyTorch's error."""
    count = len(numbers) // 2
    if input.ndim not in (count + 1, count + 2) or not 1 <= count <= 3:
        raise NotImplementedError(
            f"Padding size {len(numbers)} is not supported for {input.ndim}D input tensor.\n"
            "Supported combinations for non-constant padding:\n"
            "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
            "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
            "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
        )
    low, high = _sides(input, numbers)
    for axis in range(input.ndim - count, input.ndim):
        extent, before, after = input.shape[axis], low[axis], high[axis]
        if mode == "reflect" and (before >= extent or after >= extent):
            raise RuntimeError(
                "Argument #4: Padding size should be less than the corresponding input dimension, "
                f"but got: padding ({before}, {after}) at dimension {axis} of input "
                f"{list(input.shape)}"
            )
        if mode == "circular" and (before > extent or after > extent):
            raise RuntimeError("Padding value causes wrapping around more than once.")
        if extent + before + after < (0 if mode == "circular" else 1):
            if mode == "circular":
                raise RuntimeError("Negative padding value is resulting in an empty dimension.")
            raise RuntimeError(
                f"input (length: {extent}) is too small. Calculated output length: "
                f"{extent + before + after}"
            )
    if 0 in input.shape[input.ndim - count - 1 :]:
        raise RuntimeError(
            f"Expected {count + 1}D or {count + 2}D (batch mode) tensor with possibly 0 batch size "
            f"and other non-zero dimensions for input, but got: {list(input.shape)}"
        )
    return count


def pad(
    input: Tensor,
    pad: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> Tensor:
    """Pads the last axes: ``pad`` is (low, high) of the last axis, then of the one before, ...

    Modes are ``constant`` (``value``, 0 by default), ``reflect`` (mirrored without the border),
    ``replicate`` (the border repeated) and ``circular``. Negative amounts crop.

    Raises:
        RuntimeError: an odd count of numbers, more axes than the input has, or amounts that do
            not fit the input.
        NotImplementedError: an unknown mode, or one that does not pad so many axes.
    """
    numbers = tuple(int(number) for number in pad)
    if len(numbers) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(numbers) // 2 > input.ndim:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got "
            f"padding length {len(numbers)} and input of dimension {input.ndim}"
        )
    if mode == "constant":
        return constant_pad_nd(input, numbers, 0 if value is None else value)
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if mode not in _MODES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    count = _check_mode(input, numbers, mode)
    result: Tensor = _MODES[mode][count](input, *_sides(input, numbers))
    return result
