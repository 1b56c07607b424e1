"""Split reductions: one result out of very many elements becomes two steps with tasks in the first.

The blocks follow from shapes alone, so that results do not depend on the number of threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from treadle.ir import build as b
from treadle.ir.graph import Graph
from treadle.ir.ops import reduction as ops
from treadle.ir.pass_manager import register
from treadle.ir.rewriter import Exactness, Rule, rewrite
from treadle.ir.types import NARROW_FLOATS, DType, Scalar, element_count, float32
from treadle.ir.value import Op, Value, make

# Blocks beyond this number would make the second step noticeable.
_MOST_BLOCKS = 256
# Fewer elements a block would not be worth a task.
_LEAST_IN_BLOCK = 4096
_LAW = "reduce(x) = reduce(reduce of each block of x)"


@register
@dataclass(frozen=True)
class SplitReductions:
    """Makes ``[.., blocks, n / blocks]`` out of what few results are reduced from.

    Exact for ``max``, ``min`` and integers; sums and products of floating point numbers are
    reassociated, and narrow ones kept in float32 until the end. Where no divisor suits, the
    elements are padded with the identity.

    Attributes:
        min_reduced: reductions of fewer elements to a result stay.
        max_outer: reductions to this many results or more stay: those are the tasks.
        block: elements of a block to aim at.
    """

    name: ClassVar[str] = "split-reductions"
    exactness: ClassVar[Exactness] = Exactness.REASSOCIATING

    min_reduced: int = 65536
    max_outer: int = 16
    block: int = 16384

    def run(self, graph: Graph) -> Graph:
        """The graph with large reductions in two steps."""
        rows = (ops.SUM, ops.PROD, ops.MAX, ops.MIN)
        rule = Rule("split-reduction", rows, self._split, _LAW, Exactness.REASSOCIATING)
        return rewrite(graph, (rule,))[0]

    def _split(self, value: Value) -> Value | None:
        (dims,) = value.attrs
        source = value.inputs[0]
        reduced = element_count(tuple(source.shape[axis] for axis in dims))
        if value.type.numel >= self.max_outer or reduced < self.min_reduced or not value.type.numel:
            return None
        start, stop = _longest_run(source, dims)
        run = element_count(source.shape[start:stop])
        blocks = self._blocks(run, reduced)
        if blocks < 2:
            return None
        wide = source.dtype in NARROW_FLOATS and value.op in (ops.SUM, ops.PROD)
        whole = b.cast(source, float32) if wide else source
        split, inner = _in_blocks(whole, start, stop, blocks, value.op)
        # All that was reduced but the axis of blocks, which lies where the run began.
        moved = 1 + inner - (stop - start)
        first = [
            axis if axis < start else axis + moved for axis in dims if not start <= axis < stop
        ]
        first += [start + 1] * inner
        partial = make(value.op, (split,), (tuple(sorted(first)),)) if first else split
        at = start - sum(axis < start for axis in first)
        result = make(value.op, (partial,), ((at,),))
        return b.cast(result, source.dtype)

    def _blocks(self, run: int, reduced: int) -> int:
        """Into how many blocks a run of reduced elements is cut; 0 where it is too short."""
        most = min(_MOST_BLOCKS, run, reduced // _LEAST_IN_BLOCK)
        wanted = max(min(reduced // self.block, most), min(self.max_outer, most))
        divisors = [n for n in range(2, most + 1) if run % n == 0]
        best = min(divisors, key=lambda n: abs(math.log(n / wanted)), default=0)
        # A quarter of the tasks wanted still keeps the cores of a small machine busy.
        return best if 4 * best >= wanted else wanted


def _longest_run(source: Value, dims: tuple[int, ...]) -> tuple[int, int]:
    """The neighbouring reduced axes that hold most elements, outermost of equal ones."""
    runs: list[tuple[int, int]] = []
    for axis in dims:
        if runs and runs[-1][1] == axis:
            runs[-1] = runs[-1][0], axis + 1
        else:
            runs.append((axis, axis + 1))
    return max(runs, key=lambda run: element_count(source.shape[run[0] : run[1]]))


def _in_blocks(whole: Value, start: int, stop: int, blocks: int, op: Op) -> tuple[Value, int]:
    """A run of axes as [blocks, elements], and how many axes follow that of the blocks."""
    run = element_count(whole.shape[start:stop])
    before, after = whole.shape[:start], whole.shape[stop:]
    size = -(-run // blocks)
    if blocks * size != run:
        flat = b.reshape(whole, (*before, run, *after))
        high = [0] * flat.ndim
        high[start] = blocks * size - run
        whole = b.pad(flat, [0] * flat.ndim, high, value=identity(op, whole.dtype))
    if size == 1:
        return b.reshape(whole, (*before, blocks, *after)), 0
    return b.reshape(whole, (*before, blocks, size, *after)), 1


def identity(op: Op, dtype: DType) -> Scalar:
    """The number that changes no result of a reduction."""
    if op is ops.PROD:
        return 1
    if op is ops.SUM:
        # -0.0 + x is x for every x; 0.0 would turn a sum of negative zeros positive.
        return -0.0 if dtype.is_floating_point else 0
    greatest = op is ops.MIN
    if dtype.kind == "b":
        return greatest
    if dtype.is_floating_point:
        return math.inf if greatest else -math.inf
    limits = np.iinfo(dtype.numpy)
    return int(limits.max if greatest else limits.min)
