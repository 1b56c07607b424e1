"""Writes whose result would depend on the order of their elements are refused, as in PyTorch.

The rule is that of ``get_overlap_status`` (ATen/MemoryOverlap.cpp): layouts with gaps are not
judged. They read what was there before the write.
"""

from __future__ import annotations

from collections.abc import Iterable

from treadle.ir.types import element_count
from treadle.tensor import Tensor


def refuse_overlap(target: Tensor, arguments: Iterable[Tensor], same: bool = True) -> None:
    """RuntimeError where elements of a tensor that is written to share memory, or where an
    argument shares a part of it; with ``same``, all of it in the same places is allowed."""
    if target._view is not None and target._view.overlaps():
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a "
            "single memory location. Please clone() the tensor before performing the operation."
        )
    for argument in arguments:
        if argument._storage is not target._storage or (argument is target and same):
            continue
        mine, other = _run_of_memory(target), _run_of_memory(argument)
        alike = mine == other and target._layout.stride == argument._layout.stride
        if mine[0] < other[1] and other[0] < mine[1] and not (same and alike):
            raise RuntimeError(
                "unsupported operation: some elements of the input tensor and the written-to "
                "tensor refer to a single memory location. Please clone() the tensor before "
                "performing the operation."
            )


def _run_of_memory(tensor: Tensor) -> tuple[int, int]:
    """Where in its storage a tensor begins and ends, in bytes; nowhere if there are gaps."""
    layout = tensor._layout
    if not layout.is_dense():
        return (0, 0)
    size = tensor.dtype.itemsize
    return (layout.offset * size, (layout.offset + element_count(layout.size)) * size)
