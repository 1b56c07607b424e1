"""Derivatives of indexing and of updates of a part.

Indices are taken to lie in range and updated views not to overlap, as the API makes sure.
"""

from __future__ import annotations

from treadle.ir import build as b
from treadle.ir.gradient_rules import GradientRule
from treadle.ir.ops import indexing as ops
from treadle.ir.value import Op, Value

_Gradients = tuple[Value | None, ...]


def _gather(value: Value, upstream: Value, wanted: tuple[bool, ...]) -> _Gradients:
    data, index = value.inputs
    if not wanted[0]:
        return (None, None)
    return (b.scatter_add(b.constant_like(data, 0), index, upstream, value.attrs[0]), None)


def _scatter(value: Value, upstream: Value, wanted: tuple[bool, ...]) -> _Gradients:
    if not value.inputs[1].type.numel:
        source = b.constant_like(value.inputs[2], 0) if wanted[2] else None
        return (upstream if wanted[0] else None, None, source)
    return _SCATTERS[value.attr("combine")](value, upstream, wanted)


def _set(value: Value, upstream: Value, wanted: tuple[bool, ...]) -> _Gradients:
    # As PyTorch's: a source element that another replaces gets the gradient of its place, too.
    _data, index, source = value.inputs
    axis = value.attr("axis")
    return (
        b.scatter(upstream, index, b.constant_like(source, 0), axis, "set") if wanted[0] else None,
        None,
        b.gather(upstream, index, axis) if wanted[2] else None,
    )


def _added(value: Value, upstream: Value, wanted: tuple[bool, ...]) -> _Gradients:
    added = b.gather(upstream, value.inputs[1], value.attr("axis")) if wanted[2] else None
    return (upstream if wanted[0] else None, None, added)


def _multiplied(value: Value, upstream: Value, wanted: tuple[bool, ...]) -> _Gradients:
    # The product over a factor; a factor of zero is put aside where it is the only one.
    data, index, source = value.inputs
    axis = value.attr("axis")
    nonzero = b.select(b.eq(data, 0), 1, data)
    others = b.scatter(nonzero, index, source, axis, "mul")
    to_data = b.div(b.mul(upstream, others), nonzero) if wanted[0] else None
    if not wanted[2]:
        return (to_data, None, None)
    zero = b.eq(source, 0)
    ones = b.cast(zero, source.dtype)
    zeros = b.gather(b.scatter_add(b.constant_like(data, 0), index, ones, axis), index, axis)
    alone = b.logical_and(zero, b.eq(zeros, 1))
    rest = b.scatter(data, index, b.select(alone, 1, source), axis, "mul")
    without = b.gather(b.mul(upstream, rest), index, axis)
    divided = b.div(b.gather(b.mul(upstream, value), index, axis), b.select(zero, 1, source))
    return (to_data, None, b.select(alone, without, divided))


def _extreme(value: Value, upstream: Value, wanted: tuple[bool, ...]) -> _Gradients:
    # Elements that tie share the gradient evenly.
    data, index, source = value.inputs
    axis = value.attr("axis")
    data_chosen = b.cast(b.eq(data, value), data.dtype)
    source_chosen = b.cast(b.eq(source, b.gather(value, index, axis)), data.dtype)
    share = b.div(upstream, b.scatter_add(data_chosen, index, source_chosen, axis))
    return (
        b.mul(data_chosen, share) if wanted[0] else None,
        None,
        b.mul(source_chosen, b.gather(share, index, axis)) if wanted[2] else None,
    )


_SCATTERS: dict[str, GradientRule] = {
    "set": _set,
    "add": _added,
    "mul": _multiplied,
    "min": _extreme,
    "max": _extreme,
}


def _view_update(value: Value, upstream: Value, wanted: tuple[bool, ...]) -> _Gradients:
    part = value.inputs[1]
    return (
        b.view_update(upstream, b.constant_like(part, 0), *value.attrs) if wanted[0] else None,
        b.as_strided(upstream, *value.attrs) if wanted[1] else None,
    )


RULES: dict[Op, GradientRule] = {
    ops.GATHER: _gather,
    ops.SCATTER: _scatter,
    ops.VIEW_UPDATE: _view_update,
}
