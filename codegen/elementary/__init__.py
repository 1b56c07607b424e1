"""Elementary functions as expressions of basic ops, so that every target computes the same.

`expand` is called by emitters on each node before they print it.
"""

from __future__ import annotations

from collections.abc import Callable

from treadle.codegen.elementary.exponential import exp
from treadle.codegen.elementary.hyperbolic import tanh
from treadle.codegen.elementary.logarithm import log
from treadle.codegen.elementary.term import Arithmetic, Term
from treadle.codegen.loops import Apply, Expression
from treadle.ir.types import float16, float32

_UNARY: dict[str, Callable[[Arithmetic, Term], Term]] = {"exp": exp, "log": log, "tanh": tanh}


def expand(apply: Apply, fma: bool = True) -> Expression:
    """The op as basic ops, or the op itself where emitters know it.

    Expand each node once and keep the result with it, so that shared nodes stay shared.

    Args:
        fma: whether the target has fused multiply-add.
    """
    function = _UNARY.get(apply.op)
    if function is None:
        return apply
    x = Term(apply.args[0])
    if apply.dtype is float16:
        return function(Arithmetic(fma), x.cast(float32)).cast(float16).expression
    return function(Arithmetic(fma), x).expression
