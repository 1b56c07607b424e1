"""Long scans of few rows become scans of blocks with tasks of their own, and what came before them.

The blocks follow from shapes alone, so that results do not depend on the number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from treadle.ir import build as b
from treadle.ir.graph import Graph
from treadle.ir.ops import reduction, scan
from treadle.ir.pass_manager import register
from treadle.ir.passes.split_reductions import identity
from treadle.ir.rewriter import Exactness, Rule, rewrite
from treadle.ir.types import element_count
from treadle.ir.value import Value, make

_LAW = "scan(x) = scan of each block of x, joined with the scan of the blocks' ends before it"
_JOIN = {
    scan.CUMSUM: (reduction.SUM, b.add),
    scan.CUMPROD: (reduction.PROD, b.mul),
    scan.CUMMAX: (reduction.MAX, b.maximum),
    scan.CUMMIN: (reduction.MIN, b.minimum),
}
# Blocks beyond this number would make the scan of their ends noticeable.
_MOST_BLOCKS = 1024


@register
@dataclass(frozen=True)
class SplitScans:
    """Makes ``[.., blocks, n / blocks, ..]`` out of long axes.

    Exact for ``cummax``, ``cummin`` and integers; sums and products of floating point numbers are
    reassociated, and those of narrow floats kept in float32 until the end.

    Attributes:
        min_length: shorter axes stay.
        max_rows: scans of this many rows or more stay: those are the tasks.
        block: elements of a block to aim at.
    """

    name: ClassVar[str] = "split-scans"
    exactness: ClassVar[Exactness] = Exactness.REASSOCIATING

    min_length: int = 32768
    max_rows: int = 16
    block: int = 4096

    def run(self, graph: Graph) -> Graph:
        """The graph with long scans in steps."""
        rule = Rule("split-scan", tuple(_JOIN), self._split, _LAW, Exactness.REASSOCIATING)
        return rewrite(graph, (rule,))[0]

    def _split(self, value: Value) -> Value | None:
        axis, reverse = value.attrs
        x = value.inputs[0]
        length = x.shape[axis]
        outer, inner = x.shape[:axis], x.shape[axis + 1 :]
        rows = element_count(outer) * element_count(inner)
        if length < self.min_length or not 0 < rows < self.max_rows:
            return None
        like, join = _JOIN[value.op]
        wide = b.cast(x, scan.scanned_in(value.op, x.dtype))
        number = identity(like, wide.dtype)
        size = max(self.block, -(-length // _MOST_BLOCKS))
        blocks = -(-length // size)
        before = [0] * x.ndim
        after = [0] * x.ndim
        (before if reverse else after)[axis] = blocks * size - length
        padded = b.pad(wide, before, after, value=number)
        split = b.reshape(padded, (*outer, blocks, size, *inner))
        within = make(value.op, (split,), (axis + 1, reverse))
        last = 0 if reverse else size - 1
        starts, stops = [0] * split.ndim, list(split.shape)
        starts[axis + 1], stops[axis + 1] = last, last + 1
        ends = b.slice(within, starts, stops)
        ahead = make(value.op, (ends,), (axis, reverse))
        low, high = [0] * split.ndim, [0] * split.ndim
        low[axis], high[axis] = (-1, 1) if reverse else (1, -1)
        joined = join(b.pad(ahead, low, high, value=number), within)
        whole = b.reshape(joined, padded.shape)
        stops = [extent + low for extent, low in zip(x.shape, before, strict=True)]
        return b.cast(b.slice(whole, before, stops), x.dtype)
