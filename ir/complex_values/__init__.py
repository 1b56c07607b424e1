"""Complex values, composed of real ops on their parts: what ``ir.build`` makes of complex operands.

``arithmetic``, ``functions`` and ``movement`` say how; ``pairs`` gives programs pairs of reals in
the places of complex values.
"""

from __future__ import annotations

from collections.abc import Callable

from treadle.ir.complex_values import arithmetic as a, functions as f, movement as m, parts as p
from treadle.ir.value import Value

# The function in a builder's place where an operand is complex, by the builder's name.
BUILDERS: dict[str, Callable[..., Value]] = {
    "constant": p.constant, "cast": p.cast, "neg": a.neg, "abs": a.abs, "sign": a.sign,
    "add": a.add, "sub": a.sub, "mul": a.mul, "div": a.div, "eq": a.eq, "ne": a.ne,
    "select": a.select, "pow": f.pow, "exp": f.exp, "exp2": f.exp2, "expm1": f.expm1, "log": f.log,
    "log1p": f.log1p, "log2": f.log2, "log10": f.log10, "sqrt": f.sqrt, "sin": f.sin, "cos": f.cos,
    "tan": f.tan, "asin": f.asin, "acos": f.acos, "atan": f.atan, "sinh": f.sinh, "cosh": f.cosh,
    "tanh": f.tanh, "asinh": f.asinh, "acosh": f.acosh, "atanh": f.atanh, "reshape": m.reshape,
    "permute": m.permute, "broadcast_to": m.broadcast_to, "slice": m.slice, "flip": m.flip,
    "pad": m.pad, "concat": m.concat, "windows": m.windows, "fold": m.fold,
    "as_strided": m.as_strided, "view_update": m.view_update, "sum": m.sum, "prod": m.prod,
    "cumsum": m.cumsum, "cumprod": m.cumprod, "dot": m.dot, "conv": m.conv, "gather": m.gather,
    "scatter": m.scatter,
}  # fmt: skip
