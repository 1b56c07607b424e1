"""Pointwise functions by family: each result element depends on the same element of the operands.

Results follow PyTorch's promotion and broadcasting. The special functions are a package of their
own, ``treadle.functions.special``.
"""

from __future__ import annotations

from treadle.functions.pointwise import (
    arithmetic,
    comparison,
    elementary,
    extremes,
    logic,
    rounding,
    selection,
    signs,
)
from treadle.functions.pointwise.arithmetic import *
from treadle.functions.pointwise.arithmetic import rdiv as rdiv, rfloordiv as rfloordiv
from treadle.functions.pointwise.comparison import *
from treadle.functions.pointwise.elementary import *
from treadle.functions.pointwise.extremes import *
from treadle.functions.pointwise.logic import *
from treadle.functions.pointwise.rounding import *
from treadle.functions.pointwise.selection import *
from treadle.functions.pointwise.selection import convert as convert, where_method as where_method
from treadle.functions.pointwise.signs import *

_FAMILIES = (arithmetic, elementary, rounding, signs, extremes, comparison, logic, selection)
__all__ = [name for family in _FAMILIES for name in family.__all__]  # noqa: PLE0604
METHODS = " ".join(family.METHODS for family in _FAMILIES)
INPLACE = " ".join(family.INPLACE for family in _FAMILIES)
