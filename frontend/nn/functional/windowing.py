"""Window arithmetic that convolutions and poolings share: argument tuples and output extents.

No values and no tensors; whole numbers only.
"""

from __future__ import annotations

from collections.abc import Sequence

Extents = int | Sequence[int]


def as_tuple(value: Extents, count: int, name: str) -> tuple[int, ...]:
    """``count`` whole numbers out of one number or a sequence; RuntimeError otherwise."""
    if isinstance(value, int):
        return (value,) * count
    numbers = tuple(int(number) for number in value)
    if len(numbers) == 1:
        return numbers * count
    if len(numbers) != count:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {count} values to match "
            f"the window's dimensions, but got {name}={list(numbers)}"
        )
    return numbers


def times(numbers: Sequence[int], separator: str = " x ") -> str:
    """``3 x 5``, as PyTorch writes extents in messages."""
    return separator.join(map(str, numbers))


def pooled_extent(
    extent: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> int:
    """Output extent of a pooling along one axis.

    With ``ceil_mode`` a window may start inside the input or the left padding, never beyond.
    """
    span = extent + 2 * padding - dilation * (kernel - 1) - 1
    count = (span + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (count - 1) * stride >= extent + padding:
        count -= 1
    return count
