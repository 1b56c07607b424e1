"""``torch.Size``: the shape of a tensor, a tuple that prints as PyTorch prints it."""

from __future__ import annotations

from typing import SupportsIndex, overload

from treadle.ir.types import element_count


class Size(tuple[int, ...]):
    """Extents of a tensor."""

    __slots__ = ()

    def numel(self) -> int:
        """Number of elements."""
        return element_count(self)

    @overload
    def __getitem__(self, key: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> Size: ...
    def __getitem__(self, key: SupportsIndex | slice) -> int | Size:
        found = tuple.__getitem__(self, key)
        return Size(found) if isinstance(key, slice) else found  # type: ignore[arg-type,return-value]

    def __add__(self, other: tuple[int, ...]) -> Size:  # type: ignore[override]
        return Size(tuple.__add__(self, other))

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"
