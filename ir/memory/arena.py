"""Offsets for blocks of scratch memory whose lifetimes are known.

Greedy by size, best fit: large blocks first, each into the tightest gap among its contemporaries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Offsets are multiples of a cache line, which is also the widest vector.
ALIGNMENT = 64


class Block(NamedTuple):
    """Bytes that are in use from launch ``first`` to launch ``last``, both included."""

    size: int
    first: int
    last: int


def aligned(size: int) -> int:
    """The least multiple of the alignment that holds a size."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def arranged(blocks: Sequence[Block]) -> list[int]:
    """An offset for each block, so that blocks in use at the same time do not overlap.

    The heuristic is "greedy by size" of Pisarchyk and Lee, Efficient Memory Management for Deep
    Neural Net Inference (2020).
    """
    count = len(blocks)
    first = np.array([block.first for block in blocks], np.int64)
    last = np.array([block.last for block in blocks], np.int64)
    offsets = [0] * count
    placed = np.zeros(count, np.bool_)
    order = sorted(range(count), key=lambda n: (-blocks[n].size, blocks[n].first, n))
    for number in order:
        block = blocks[number]
        overlaps = placed & (first <= block.last) & (last >= block.first)
        together: list[int] = np.flatnonzero(overlaps).tolist()
        taken = sorted((offsets[n], offsets[n] + aligned(blocks[n].size)) for n in together)
        offsets[number] = _best_fit(taken, aligned(block.size))
        placed[number] = True
    return offsets


def _best_fit(taken: Sequence[tuple[int, int]], size: int) -> int:
    """Start of the smallest gap that holds a size, else the end; intervals come in order."""
    best, room = -1, 0
    end = 0
    for start, stop in taken:
        gap = start - end
        if gap >= size and (best < 0 or gap < room):
            best, room = end, gap
        end = max(end, stop)
    return end if best < 0 else best


def peak(blocks: Sequence[Block]) -> int:
    """Most bytes in use at once: no arrangement needs less."""
    changes: dict[int, int] = {}
    for block in blocks:
        changes[block.first] = changes.get(block.first, 0) + aligned(block.size)
        changes[block.last + 1] = changes.get(block.last + 1, 0) - aligned(block.size)
    most = current = 0
    for _, change in sorted(changes.items()):
        current += change
        most = max(most, current)
    return most
