"""Operations that compute 16-bit floating tensors in float32 and round their results once.

As PyTorch's kernels do: sums of many numbers and elementary functions lose too much otherwise.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from treadle import operation as recording
from treadle.autograd_graph.template import GradientRule
from treadle.ir import build as b
from treadle.ir.types import DType, float32
from treadle.ir.value import Value
from treadle.operation import Function


def is_narrow(x: Any) -> bool:
    """Whether a value is of a 16-bit floating dtype."""
    return isinstance(x, Value) and x.dtype.is_floating_point and x.dtype.itemsize == 2


def widened(x: Any) -> Any:
    """An argument with float32 values in the place of 16-bit ones."""
    if isinstance(x, tuple):
        return tuple(map(widened, x))
    return b.cast(x, float32) if is_narrow(x) else x


def _result_dtype(arguments: Sequence[Any]) -> DType | None:
    """The 16-bit dtype of the first floating value, None where that is wider."""
    for x in arguments:
        if isinstance(x, Value) and x.dtype.is_floating_point:
            return x.dtype if is_narrow(x) else None
    return None


def _narrowed(result: Any, dtype: DType) -> Any:
    if isinstance(result, tuple):
        parts = [_narrowed(part, dtype) for part in result]
        return type(result)(*parts) if hasattr(result, "_fields") else tuple(parts)
    return b.cast(result, dtype) if result.dtype is float32 else result


def _wide_rule(rule: GradientRule) -> GradientRule:
    def run(
        inputs: Sequence[Value], outputs: Sequence[Value], upstreams: Sequence[Any], **static: Any
    ) -> Sequence[Value | None]:
        if not any(map(is_narrow, inputs)):
            return rule(inputs, outputs, upstreams, **static)
        wide = (widened(tuple(values)) for values in (inputs, outputs, upstreams))
        found = rule(*wide, **static)
        return tuple(
            None if g is None else b.cast(g, x.dtype) for g, x in zip(found, inputs, strict=True)
        )

    return run


def operation(
    name: str = "", *, vjp: GradientRule | None = None, saves: str | None = None
) -> Callable[[Callable[..., Any]], Function]:
    """As ``treadle.operation.operation``, in float32 where the first floating value is narrower."""

    def decorate(body: Callable[..., Any]) -> Function:
        @functools.wraps(body)
        def run(*arguments: Any, **named: Any) -> Any:
            dtype = _result_dtype((*arguments, *named.values()))
            if dtype is None:
                return body(*arguments, **named)
            wide = {name: widened(argument) for name, argument in named.items()}
            return _narrowed(body(*map(widened, arguments), **wide), dtype)

        rule = None if vjp is None else _wide_rule(vjp)
        return recording.operation(name, vjp=rule, saves=saves)(run)

    return decorate
