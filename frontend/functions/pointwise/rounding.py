"""Rounding to whole numbers and to decimals, and what rounding leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from treadle.functions.pointwise.arguments import not_implemented, refuse_bool
from treadle.ir import build as b
from treadle.ir.value import Value
from treadle.operation import operation

__all__ = ["ceil", "fix", "floor", "frac", "round", "trunc"]
METHODS = INPLACE = "ceil fix floor frac round trunc"


def _rounding(name: str, build: Callable[[Value], Value]) -> Any:
    def body(input: Value) -> Value:
        refuse_bool(input, f"{build.__name__}_vml_cpu")
        if input.dtype.is_complex:
            raise NotImplementedError(f"{build.__name__} is not supported for complex inputs")
        return build(input) if input.dtype.is_floating_point else input

    body.__name__ = build.__name__
    body.__doc__ = f"The function ``{build.__name__}`` of every element; integers stay."
    return operation(name)(body)


floor = _rounding("FloorBackward0", b.floor)
ceil = _rounding("CeilBackward0", b.ceil)
trunc = fix = _rounding("TruncBackward0", b.trunc)


@operation("RoundBackward0")
def round(input: Value, *, decimals: int = 0) -> Value:
    """The nearest whole number, ties to even, or the nearest number of so many decimals."""
    if decimals == 0:
        refuse_bool(input, "round_vml_cpu")
        return b.round(input) if input.dtype.is_floating_point else input
    if not input.dtype.is_floating_point:
        raise not_implemented(input, "round_cpu")
    scale = float(10 ** (decimals if decimals > 0 else -decimals))
    if decimals > 0:
        return b.round(input * scale) / scale
    return b.round(input / scale) * scale


@operation("FracBackward0")
def frac(input: Value) -> Value:
    """What truncation takes away."""
    if not input.dtype.is_floating_point:
        raise not_implemented(input, "frac_cpu")
    return input - b.trunc(input)
