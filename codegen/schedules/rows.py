"""Kernels of reductions: passes over rows, with lanes along the row or across several rows.

The structure of every sum depends on shapes alone, so that results are the same for any threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from treadle.codegen.element import At, Elements, Guard, Known
from treadle.codegen.loops import (
    Apply,
    Assign,
    Buffer,
    Expression,
    Let,
    Load,
    LoopKind,
    Read,
    Register,
    Statement,
    Store,
)
from treadle.codegen.schedules.axes import (
    at_variables,
    axis_variables,
    chosen_axes,
    lane_cost,
    position_in,
)
from treadle.codegen.schedules.expressions import Rewriter, cost, indices, dynamics, operands, postorder
from treadle.codegen.schedules.map import lanes_of, stores
from treadle.codegen.schedules.problem import Problem, Written
from treadle.codegen.schedules.reductions import Accumulator, accumulator
from treadle.codegen.schedules.row_body import RowBody, operand_at, row_body
from treadle.codegen.schedules.tiling import (
    UNROLL,
    Names,
    Statements,
    Step,
    Strip,
    loop,
    slot_of,
    strip_loop,
    strips,
    task_nest,
    wanted_tasks,
)
from treadle.ir.errors import CompilationError
from treadle.ir.index import Index, Var, constant, linearize, variable
from treadle.ir.types import contiguous_strides, element_count
from treadle.ir.value import Value

_BLOCK = 512  # additions in a row before an accumulator is emptied into another
_UNROLLED = 16  # steps of a reduction that are written out
_SLOT = Var("slot", 1 << 20)
_LANE = Var("lane", 1 << 20)
