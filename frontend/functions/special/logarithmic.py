"""Products with logarithms that are 0 where the other factor is, entropy and log odds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from treadle.functions.pointwise.arguments import need_signature, rounded_once
from treadle.functions.pointwise.gradients import reduced_to
from treadle.ir import build as b
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import as_float, promoted

__all__ = ["entr", "logit", "xlog1py", "xlogy"]


def _product(
    name: str, function: str, logarithm: Callable[[Value], Value], offset: float, text: str
) -> Any:
    """x * log(y + offset), 0 at x = 0."""

    def times_log(x: Value, y: Value) -> Value:
        result = b.select(b.eq(x, 0), 0, x * logarithm(y))
        return b.select(b.ne(y, y), math.nan, result)

    def gradient(inputs: Any, _outputs: Any, upstreams: Any, **static: Any) -> Any:
        g, tensors = upstreams[0], list(inputs)
        first = static["input"] if "input" in static else tensors.pop(0)
        second = static["other"] if "other" in static else tensors.pop(0)
        x, y = promoted(first, second, to_float=True)
        found = []
        if "input" not in static:
            flat = b.logical_and(b.eq(x, 0), b.le(y, -offset))
            found.append(reduced_to(b.select(flat, 0, times_log(g, y)), first))
        if "other" not in static:
            found.append(reduced_to(g * x / (y + offset if offset else y), second))
        return tuple(found)

    def body(input: Any, other: Any) -> Value:
        need_signature(function, input, other, first=True)
        return rounded_once(times_log)(*promoted(input, other, to_float=True))

    body.__name__, body.__doc__ = function, text
    return operation(name, vjp=gradient)(body)


xlogy = _product("XlogyBackward0", "xlogy", b.log, 0.0, "input * log(other), 0 at input = 0.")
xlog1py = _product(
    "SpecialXlog1PyBackward0",
    "special_xlog1py",
    b.log1p,
    1.0,
    "input * log(1 + other), 0 at input = 0.",
)


def _entr_gradient(inputs: Any, _outputs: Any, upstreams: Any) -> tuple[Value]:
    return (upstreams[0] * (-1.0 - b.log(as_float(inputs[0]))),)


@operation("SpecialEntrBackward0", vjp=_entr_gradient)
def entr(input: Value) -> Value:
    """-x log(x), 0 at 0 and -inf below."""
    x = as_float(input)
    result = b.select(b.eq(x, 0), 0, -x * b.log(x))
    return b.select(b.lt(x, 0), -math.inf, result)


def _logit_gradient(
    inputs: Any, _outputs: Any, upstreams: Any, *, eps: float | None = None
) -> tuple[Value]:
    x, g = as_float(inputs[0]), upstreams[0]
    low = 0.0 if eps is None else eps
    outside = b.logical_or(b.lt(x, low), b.gt(x, 1.0 - low))
    return (b.select(outside, math.nan if eps is None else 0.0, g / (x * (1.0 - x))),)


@operation("LogitBackward0", vjp=_logit_gradient)
def logit(input: Value, eps: float | None = None) -> Value:
    """log(x / (1 - x)), with x limited to [eps, 1 - eps] if that is given."""
    x = as_float(input)
    if eps is not None:
        x = b.select(b.lt(x, eps), eps, b.select(b.gt(x, 1.0 - eps), 1.0 - eps, x))
    return rounded_once(lambda x: b.log(x / (1.0 - x)))(x)
