"""Elementary functions as expressions of basic ops, so that every target computes the same.

`expand` is called by emitters on each node before they print it.
"""

from __future__ import annotations

from collections.abc import Callable

from treadle.codegen.elementary.error_complement import erfc, erfcx, erfinv
from treadle.codegen.elementary.error_function import erf
from treadle.codegen.elementary.exponential import exp, exp2, expm1
from treadle.codegen.elementary.gamma import digamma, lgamma
from treadle.codegen.elementary.hyperbolic import acosh, asinh, atanh, cosh, sinh, tanh
from treadle.codegen.elementary.inverse_trigonometric import acos, asin, atan, atan2
from treadle.codegen.elementary.logarithm import log, log1p, log2, log10
from treadle.codegen.elementary.power import integer_power, power
from treadle.codegen.elementary.term import Arithmetic, Term
from treadle.codegen.elementary.trigonometric import cos, sin, tan
from treadle.codegen.loops import Apply, Expression
from treadle.ir.types import NARROW_FLOATS, float32

_FUNCTIONS: dict[str, Callable[..., Term]] = {
    "exp": exp, "exp2": exp2, "expm1": expm1, "log": log, "log1p": log1p, "log2": log2,
    "log10": log10, "sin": sin, "cos": cos, "tan": tan, "asin": asin, "acos": acos, "atan": atan,
    "atan2": atan2, "sinh": sinh, "cosh": cosh, "tanh": tanh, "asinh": asinh, "acosh": acosh,
    "atanh": atanh, "erf": erf, "erfc": erfc, "erfcx": erfcx, "erfinv": erfinv, "lgamma": lgamma,
    "digamma": digamma, "pow": power,
}  # fmt: skip


def expand(apply: Apply, fma: bool = True) -> Expression:
    """The op as basic ops, or the op itself where emitters know it.

    Expand each node once and keep the result with it, so that shared nodes stay shared.

    Args:
        fma: whether the target has fused multiply-add.
    """
    function = _FUNCTIONS.get(apply.op)
    if function is None:
        return apply
    args = [Term(arg) for arg in apply.args]
    if not apply.dtype.is_floating_point:
        return integer_power(*args).expression
    arithmetic = Arithmetic(fma)
    if apply.dtype in NARROW_FLOATS:
        wide = [arg.cast(float32) for arg in args]
        return function(arithmetic, *wide).cast(apply.dtype).expression
    return function(arithmetic, *args).expression


__all__ = ["expand"]
