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
    powers,
    rounding,
    selection,
    signs,
)
from treadle.functions.pointwise.arithmetic import *
from treadle.functions.pointwise.arithmetic import rdiv as rdiv
from treadle.functions.pointwise.comparison import *
from treadle.functions.pointwise.elementary import *
from treadle.functions.pointwise.extremes import *
from treadle.functions.pointwise.logic import *
from treadle.functions.pointwise.powers import *
from treadle.functions.pointwise.rounding import *
from treadle.functions.pointwise.selection import *
from treadle.functions.pointwise.selection import (
    clone as clone,
    convert as convert,
    where_method as where_method,
)
from treadle.functions.pointwise.signs import *

_FAMILIES = (
    arithmetic,
    powers,
    elementary,
    rounding,
    signs,
    extremes,
    comparison,
    logic,
    selection,
)
__all__ = [name for family in _FAMILIES for name in family.__all__]
METHODS = " ".join(family.METHODS for family in _FAMILIES)
# Whose in-place form is a function of the package as well, as ``torch.sin_`` is.
IN_PLACE_FUNCTIONS = (
    "abs", "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "asin",
    "asinh", "atan", "atanh", "ceil", "clamp", "clamp_max", "clamp_min", "clip", "cos", "cosh",
    "deg2rad", "erf", "erfc", "exp", "exp2", "expm1", "fix", "floor", "frac", "gcd", "i0", "lcm",
    "ldexp", "log", "log10", "log1p", "log2", "logit", "nan_to_num", "neg", "negative", "rad2deg",
    "reciprocal", "relu", "round", "rsqrt", "sigmoid", "sin", "sinc", "sinh", "sqrt", "square",
    "tan", "tanh", "trunc", "xlogy",
)  # fmt: skip
INPLACE = " ".join(family.INPLACE for family in _FAMILIES)
