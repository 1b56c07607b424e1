"""Padding of tensors at their borders.

Constant padding; the reflecting and repeating modes are a later family.
"""

from __future__ import annotations

from collections.abc import Sequence

from treadle.ir import build as b
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.tensor import Tensor


@operation("ConstantPadNdBackward0")
def _constant_pad(input: Value, low: tuple[int, ...], high: tuple[int, ...], value: float) -> Value:
    starts = tuple(max(-side, 0) for side in low)
    stops = tuple(extent - max(-side, 0) for extent, side in zip(input.shape, high, strict=True))
    # Negative padding crops.
    cropped = b.slice(input, starts, stops, (1,) * input.ndim)
    low = tuple(max(side, 0) for side in low)
    high = tuple(max(side, 0) for side in high)
    return b.pad(cropped, low, high, value=value)


def pad(
    input: Tensor,
    pad: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> Tensor:
    """Pads the last axes: ``pad`` is (low, high) of the last axis, then of the one before, ...

    Negative numbers crop.

    Raises:
        RuntimeError: an odd count of numbers, more axes than the input has, or a cropped axis
            that would end below zero.
        NotImplementedError: a mode other than "constant".
    """
    numbers = tuple(pad)
    if mode != "constant":
        raise NotImplementedError(f"Unrecognised padding mode {mode}; 'constant' is the known one")
    if len(numbers) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    axes = len(numbers) // 2
    if axes > input.ndim:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got "
            f"padding length {len(numbers)} and input of dimension {input.ndim}"
        )
    low = [0] * input.ndim
    high = [0] * input.ndim
    for position in range(axes):
        axis = input.ndim - 1 - position
        low[axis], high[axis] = numbers[2 * position], numbers[2 * position + 1]
        extent = input.shape[axis] + low[axis] + high[axis]
        if extent < 0:
            raise RuntimeError(
                f"The input size {input.shape[axis]}, plus negative padding {low[axis]} and "
                f"{high[axis]} resulted in a negative output size, which is invalid. Check "
                f"dimension {axis} of your input."
            )
    fill = 0 if value is None else value
    return _constant_pad(input, tuple(low), tuple(high), fill)
