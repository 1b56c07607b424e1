"""The op table: every primitive of tensor IR, one row each, grouped by what loop it becomes.

To add an op, add its row in the file of its family; gradients and emission are tables elsewhere.
"""

from __future__ import annotations

from treadle.ir.ops import (
    contraction,
    elementwise,
    indexing,
    kernel,
    movement,
    random,
    reduction,
    source,
)
from treadle.ir.value import Op

FAMILIES = (source, elementwise, movement, reduction, contraction, indexing, random, kernel)

TABLE: dict[str, Op] = {
    row.name: row for family in FAMILIES for row in vars(family).values() if isinstance(row, Op)
}
