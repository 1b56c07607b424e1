"""Long rows are sorted in blocks that fit a cache, and the sorted blocks merged two by two.

Every merge is a kernel with as many tasks as it is worth, whatever the number of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from treadle.ir import build as b
from treadle.ir.graph import Graph
from treadle.ir.ops.sort import SORT
from treadle.ir.pass_manager import register
from treadle.ir.rewriter import Exactness, Rule, rewrite
from treadle.ir.value import Value

_LAW = "sort(x) = merges of the sorted blocks of x"
# Blocks have a multiple of so many elements, so that lanes share out their merging evenly.
_GRAIN = 512


@register
@dataclass(frozen=True)
class SplitSorts:
    """Makes ``log2(n / block)`` merges out of rows of more than ``block`` elements.

    Attributes:
        block: elements that are sorted in the scratch memory of a task.
    """

    name: ClassVar[str] = "split-sorts"
    exactness: ClassVar[Exactness] = Exactness.EXACT

    block: int = 2048

    def run(self, graph: Graph) -> Graph:
        """The graph with long rows sorted in steps."""
        rule = Rule("split-sort", (SORT,), self._split, _LAW, Exactness.EXACT)
        return rewrite(graph, (rule,))[0]

    def _split(self, value: Value) -> Value | None:
        x = value.inputs[0]
        length = x.shape[-1]
        if length <= self.block or not x.type.numel:
            return None
        blocks = -(-length // self.block)
        size = min(-(-length // (blocks * _GRAIN)) * _GRAIN, self.block)
        blocks = -(-length // size)
        high = [0] * (x.ndim - 1) + [blocks * size - length]
        greatest = int(np.iinfo(x.dtype.numpy).max)
        whole = b.pad(x, [0] * x.ndim, high, value=greatest)
        outer = x.shape[:-1]
        ordered = b.sort(b.reshape(whole, (*outer, blocks, size)))
        ordered = b.reshape(ordered, whole.shape)
        while size < length:
            ordered = b.merge(ordered, size)
            size *= 2
        return b.slice(ordered, [0] * x.ndim, x.shape)
