"""Elementary functions as expressions of basic ops, so that every target computes the same.

`expand` is called by emitters on each node before they print it.
"""

from __future__ import annotations

from collections.abc import Callable

from treadle.codegen.elementary.error_function import erf
from treadle.codegen.elementary.exponential import exp
from treadle.codegen.elementary.hyperbolic import tanh
from treadle.codegen.elementary.logarithm import log
from treadle.codegen.elementary.power import integer_power, power
from treadle.codegen.elementary.term import Arithmetic, Term
from treadle.codegen.elementary.trigonometric import cos, sin
from treadle.codegen.loops import Apply, Expression
from treadle.ir.types import float16, float32

_FUNCTIONS: dict[str, Callable[..., Term]] = {
    "exp": exp, "log": log, "tanh": tanh, "erf": erf, "sin": sin, "cos": cos, "pow": power,
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
    if apply.dtype is float16:
        wide = [arg.cast(float32) for arg in args]
        return function(arithmetic, *wide).cast(float16).expression
    return function(arithmetic, *args).expression


__all__ = ["expand"]
