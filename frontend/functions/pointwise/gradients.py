"""What gradient rules of pointwise functions share."""

from __future__ import annotations

from typing import Any

from treadle.ir import build as b
from treadle.ir.value import Value


def reduced_to(gradient: Value, like: Value) -> Value:
    """A gradient summed over the axes along which an operand was repeated, in its dtype."""
    lead = gradient.ndim - like.ndim
    axes = [
        axis
        for axis in range(gradient.ndim)
        if axis < lead or (like.shape[axis - lead] == 1 and gradient.shape[axis] != 1)
    ]
    summed = b.sum(gradient, axes, True) if axes else gradient
    return b.cast(b.reshape(summed, like.shape), like.dtype)


def no_derivative(name: str) -> Any:
    """A gradient rule for functions that PyTorch does not differentiate."""

    def rule(_inputs: Any, _outputs: Any, _upstreams: Any, **_static: Any) -> Any:
        raise RuntimeError(f"derivative for aten::{name} is not implemented")

    return rule


def zeros(inputs: Any, _outputs: Any, _upstreams: Any, **_static: Any) -> tuple[Value, ...]:
    """The gradient rule of steps: zero for every operand."""
    return tuple(b.constant_like(x, 0) for x in inputs)


def both(inputs: Any, static: dict[str, Any], second: str) -> tuple[Any, Any]:
    """The two arguments of a call: values, and numbers in their places."""
    values = list(inputs)
    first = static["input"] if "input" in static else values.pop(0)
    return first, static[second] if second in static else values.pop(0)
