"""``torch.Size``: the shape of a tensor, a tuple that prints as PyTorch prints it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, SupportsIndex, overload

from treadle.ir.types import element_count


class Size(tuple[int, ...]):
    """Extents of a tensor: a tuple of whole numbers.

    Raises TypeError for other elements.
    """

    __slots__ = ()

    def __new__(cls, extents: Iterable[Any] = ()) -> Size:
        """The extents as a size."""
        made = super().__new__(cls, extents)
        for number, extent in enumerate(made):
            if type(extent) is not int:
                return super().__new__(cls, (*made[:number], *_checked(made, number)))
        return made

    def numel(self) -> int:
        """Number of elements."""
        return element_count(self)

    @overload
    def __getitem__(self, key: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> Size: ...
    def __getitem__(self, key: SupportsIndex | slice) -> int | Size:
        found = tuple.__getitem__(self, key)
        return size_of(found) if isinstance(key, slice) else found  # type: ignore[arg-type,return-value]

    def __add__(self, other: tuple[int, ...]) -> Size:  # type: ignore[override]
        return Size(tuple.__add__(self, other))

    def __radd__(self, other: tuple[int, ...]) -> Size:
        return Size(tuple(other) + tuple(self))

    def __mul__(self, times: SupportsIndex) -> Size:
        return size_of(tuple.__mul__(self, times))

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Size, (tuple(self),))


def size_of(extents: tuple[int, ...]) -> Size:
    """Extents that are whole numbers already as a size."""
    return tuple.__new__(Size, extents)


def _checked(extents: Iterable[Any], start: int) -> list[int]:
    """The extents from a position on as whole numbers."""
    found = []
    for number, extent in enumerate(extents):
        if number < start:
            continue
        if not hasattr(extent, "__index__"):
            raise TypeError(
                f"torch.Size() takes an iterable of 'int' (item {number} is "
                f"'{type(extent).__name__}')"
            )
        found.append(extent.__index__())
    return found
