"""Derivatives of scans: scans in the other direction."""

from __future__ import annotations

from treadle.ir import build as b
from treadle.ir.gradient_rules import GradientRule
from treadle.ir.ops import scan as ops
from treadle.ir.ordering import extreme_positions
from treadle.ir.types import Scalar
from treadle.ir.value import Op, Value

_Gradients = tuple[Value | None, ...]


def _before(x: Value, axis: int, reverse: bool, first: Scalar) -> Value:
    """At each element the one before it in the direction of a scan."""
    low, high = [0] * x.ndim, [0] * x.ndim
    low[axis], high[axis] = (-1, 1) if reverse else (1, -1)
    return b.pad(x, low, high, value=first) if x.shape[axis] else x


def _adjoint(factor: Value, upstream: Value, axis: int, reverse: bool) -> Value:
    """Gradients of each element of a recurrence, with those that reach it through later ones."""
    return b.recurrence(_before(factor, axis, not reverse, 0), upstream, axis, not reverse)


def _cumsum(value: Value, upstream: Value, _wanted: tuple[bool, ...]) -> _Gradients:
    axis, reverse = value.attrs
    return (b.cumsum(upstream, axis, not reverse),)


def _cumprod(value: Value, upstream: Value, _wanted: tuple[bool, ...]) -> _Gradients:
    # y[i] = x[i] * y[i - 1] is a recurrence: no division, so zeros need no case of their own.
    axis, reverse = value.attrs
    x = value.inputs[0]
    return (_adjoint(x, upstream, axis, reverse) * _before(value, axis, reverse, 1),)


def _recurrence(value: Value, upstream: Value, wanted: tuple[bool, ...]) -> _Gradients:
    axis, reverse = value.attrs
    whole = _adjoint(value.inputs[0], upstream, axis, reverse)
    return (whole * _before(value, axis, reverse, 0) if wanted[0] else None, whole)


def _extreme(value: Value, upstream: Value, _wanted: tuple[bool, ...]) -> _Gradients:
    zeros = b.constant_like(value, 0)
    return (b.scatter_add(zeros, extreme_positions(value), upstream, value.attr("axis")),)


RULES: dict[Op, GradientRule] = {
    ops.CUMSUM: _cumsum,
    ops.CUMPROD: _cumprod,
    ops.CUMMAX: _extreme,
    ops.CUMMIN: _extreme,
    ops.RECURRENCE: _recurrence,
}
