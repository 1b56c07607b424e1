"""Variances and standard deviations over axes, alone or with the mean."""

from __future__ import annotations

import builtins
import math
import warnings
from typing import Any

from treadle.functions.axes import Dim, axes_of
from treadle.functions.reduction import count_along, narrowed, spread, widened
from treadle.ir import build as b
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.out_argument import accepts_out

__all__ = ["std", "std_mean", "var", "var_mean"]
METHODS = "std var"


def _check(name: str, input: Value) -> None:
    if input.dtype.kind not in "fc":
        called = name if name.endswith("_mean") else "std and var"
        raise RuntimeError(f"{called} only support floating point and complex dtypes")


def _centre(x: Value, axes: tuple[int, ...]) -> Value:
    """The mean, with extents of 1 along the axes."""
    count = count_along(x.shape, axes)
    return b.sum(x, axes, keepdim=True) / float(builtins.max(count, 1))


def _variance(x: Value, axes: tuple[int, ...], correction: float, keepdim: bool) -> Value:
    """Two passes: squares of what is left when the mean is taken off."""
    left = b.sub(x, b.broadcast_to(_centre(x, axes), x.shape))
    total = b.sum(b.squared_magnitude(left), axes, keepdim)
    freedom = builtins.max(count_along(x.shape, axes) - correction, 0)
    return total / float(freedom) if freedom else b.div(total, 0.0)


def _mean(x: Value, axes: tuple[int, ...], keepdim: bool) -> Value:
    if not count_along(x.shape, axes):
        return b.mul(b.sum(x, axes, keepdim), math.nan)
    centre = _centre(x, axes)
    kept = [extent for at, extent in enumerate(x.shape) if at not in axes]
    return centre if keepdim else b.reshape(centre, kept)


def _variance_slope(x: Value, axes: tuple[int, ...], correction: float, g: Value) -> Value:
    """The gradient through a variance; PyTorch's, also where no degree of freedom is left."""
    freedom = count_along(x.shape, axes) - correction
    factor = 2.0 / freedom if freedom else math.inf
    left = b.sub(x, b.broadcast_to(_centre(x, axes), x.shape))
    return spread(g, x.shape, axes) * factor * left


def _deviation_slope(deviation: Value, g: Value) -> Value:
    """The upstream gradient of the variance; 0 where nothing deviates."""
    zero = b.eq(deviation, 0)
    return b.select(zero, 0.0, g / b.select(zero, 1.0, deviation * 2.0))


def _gradient(root: bool) -> Any:
    """The rule of var or std, or of the pair with the mean."""

    def rule(
        inputs: Any, outputs: Any, upstreams: Any, *, dim: Dim, correction: float, keepdim: bool
    ) -> tuple[Value | None]:
        x = widened(inputs[0])
        axes = axes_of(x, dim)
        total: Value | None = None
        if upstreams[0] is not None:
            g = widened(upstreams[0])
            g = _deviation_slope(widened(outputs[0]), g) if root else g
            total = _variance_slope(x, axes, correction, g)
        if len(upstreams) > 1 and upstreams[1] is not None:
            count = builtins.max(count_along(x.shape, axes), 1)
            share = spread(widened(upstreams[1]), x.shape, axes) / float(count)
            total = share if total is None else total + share
        return (None if total is None else narrowed(total, inputs[0]),)

    return rule


@operation("VarBackward0", vjp=_gradient(root=False))
def _var(input: Value, dim: Dim, correction: float, keepdim: bool) -> Value:
    _check("var", input)
    x = widened(input)
    return narrowed(_variance(x, axes_of(x, dim), correction, keepdim), input)


@operation("StdBackward0", vjp=_gradient(root=True))
def _std(input: Value, dim: Dim, correction: float, keepdim: bool) -> Value:
    _check("std", input)
    x = widened(input)
    return narrowed(b.sqrt(_variance(x, axes_of(x, dim), correction, keepdim)), input)


@operation("VarMeanBackward0", vjp=_gradient(root=False))
def _var_mean(input: Value, dim: Dim, correction: float, keepdim: bool) -> Any:
    _check("var_mean", input)
    x = widened(input)
    axes = axes_of(x, dim)
    both = _variance(x, axes, correction, keepdim), _mean(x, axes, keepdim)
    return narrowed(both[0], input), narrowed(both[1], input)


@operation("StdMeanBackward0", vjp=_gradient(root=True))
def _std_mean(input: Value, dim: Dim, correction: float, keepdim: bool) -> Any:
    _check("std_mean", input)
    x = widened(input)
    axes = axes_of(x, dim)
    both = b.sqrt(_variance(x, axes, correction, keepdim)), _mean(x, axes, keepdim)
    return narrowed(both[0], input), narrowed(both[1], input)


def _moment(name: str, run: Any, what: str) -> Any:
    def function(
        input: Any, dim: Any = None, unbiased: Any = None, keepdim: bool = False,
        *, correction: float | None = None,
    ) -> Any:  # fmt: skip
        if isinstance(dim, bool):  # var(unbiased)
            dim, unbiased = None, dim
        if correction is None:
            correction = 1 if unbiased is None else int(unbiased)
        elif unbiased is not None:
            raise TypeError(f"{name}() takes either 'unbiased' or 'correction', not both")
        result = run(input, dim, correction, keepdim)
        shape = tuple(input.shape)
        if count_along(shape, axes_of(input, dim)) <= correction:
            _warn(name)
        return result

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{what} over axes; divides by count - correction (1 by default)."
    return accepts_out(function)


def _warn(name: str) -> None:
    warnings.warn(
        f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the "
        "reduction factor (input numel divided by output numel).",
        UserWarning,
        stacklevel=4,
    )


var = _moment("var", _var, "Variance")
std = _moment("std", _std, "Standard deviation")
var_mean = _moment("var_mean", _var_mean, "Variance and mean")
std_mean = _moment("std_mean", _std_mean, "Standard deviation and mean")
