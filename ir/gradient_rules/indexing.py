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


def _scatter_add(value: Value, upstream: Value, wanted: tuple[bool, ...]) -> _Gradients:
    index = value.inputs[1]
    added = b.gather(upstream, index, value.attrs[0]) if wanted[2] and index.type.numel else None
    if wanted[2] and added is None:
        added = b.constant_like(value.inputs[2], 0)
    return (upstream if wanted[0] else None, None, added)


def _view_update(value: Value, upstream: Value, wanted: tuple[bool, ...]) -> _Gradients:
    part = value.inputs[1]
    return (
        b.view_update(upstream, b.constant_like(part, 0), *value.attrs) if wanted[0] else None,
        b.as_strided(upstream, *value.attrs) if wanted[1] else None,
    )


RULES: dict[Op, GradientRule] = {
    ops.GATHER: _gather,
    ops.SCATTER_ADD: _scatter_add,
    ops.VIEW_UPDATE: _view_update,
}
