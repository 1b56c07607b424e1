"""The op table: every primitive of tensor IR, one row each, grouped by what loop it becomes.

To add an op, add its row in the file of its family; gradients and emission are tables elsewhere.
"""

from __future__ import annotations

from treadle.ir.ops import (
    contraction,
    elementwise,
    indexing,
    kernel,
    library,
    movement,
    random,
    reduction,
    scan,
    sort,
    source,
)
from treadle.ir.value import Op

FAMILIES = (
    source, elementwise, movement, reduction, contraction, indexing, scan, sort, random, library,
    kernel,
)  # fmt: skip

TABLE: dict[str, Op] = {
    row.name: row for family in FAMILIES for row in vars(family).values() if isinstance(row, Op)
}
