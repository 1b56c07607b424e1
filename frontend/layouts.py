"""``torch.layout`` and ``torch.memory_format``: names for how elements lie in memory.

Tensors are strided; ``channels_last`` formats are strided tensors whose channels lie innermost.
"""

from __future__ import annotations

from typing import Any

from treadle.ir.types import Shape

__all__ = [
    "channels_last", "channels_last_3d", "contiguous_format", "layout", "memory_format",
    "preserve_format", "sparse_coo", "strided",
]  # fmt: skip


class _Name:
    """A constant with a name, one object for each."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"torch.{self._name}"

    def __reduce__(self) -> str:
        return self._name


class layout(_Name):  # PyTorch's name
    """Which kind of memory a tensor has."""

    __slots__ = ()


class memory_format(_Name):  # PyTorch's name
    """The order of a tensor's axes in memory."""

    __slots__ = ()


strided = layout("strided")
sparse_coo = layout("sparse_coo")
contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")

_RANKS = {channels_last: 4, channels_last_3d: 5}


def check_layout(given: Any) -> None:
    """RuntimeError for a layout that is not strided."""
    if given is not None and given is not strided:
        raise RuntimeError(f"only strided tensors are supported, got layout {given}")


def innermost_channels(format: memory_format | None, rank: int) -> bool:
    """Whether a memory format puts the channels innermost; RuntimeError for another rank."""
    if format is None or format not in _RANKS:
        return False
    if rank != _RANKS[format]:
        name = format._name
        raise RuntimeError(f"required rank {_RANKS[format]} tensor to use {name} format")
    return True


def channels_lie_innermost(size: Shape, stride: tuple[int, ...], format: memory_format) -> bool:
    """Whether elements of [n, c, *space] lie in the order [n, *space, c] without gaps."""
    if len(size) != _RANKS.get(format):
        return False
    step = 1
    for axis in (1, *range(len(size) - 1, 1, -1), 0):
        if size[axis] != 1 and stride[axis] != step:
            return False
        step *= max(size[axis], 1)
    return True
