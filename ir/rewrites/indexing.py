"""Rules about gathers, scatters and updates of views.

Indices keep their meaning out of range: gather clamps them, scatter skips them.
"""

from __future__ import annotations

from treadle.ir import build as b
from treadle.ir.constants import constant_of, number_of
from treadle.ir.ops import indexing as i, movement as m
from treadle.ir.rewriter import Rule
from treadle.ir.types import contiguous_strides, int64
from treadle.ir.value import Value


def _one_hot(value: Value) -> Value | None:
    """A scatter with one index along its axis, into a constant, as a comparison."""
    data, index, source = value.inputs
    axis, combine = value.attrs
    others = [a for a in range(data.ndim) if a != axis]
    if (
        constant_of(data) is None
        or index.shape[axis] != 1
        or any(index.shape[a] != data.shape[a] for a in others)
    ):
        return None
    position = b.iota(data.shape, axis, int64, data.type.device)
    chosen = b.eq(position, b.broadcast_to(index, data.shape))
    wide = b.broadcast_to(source, data.shape)
    return b.select(chosen, b.COMBINE[combine](data, wide), data)


def _gather_position(value: Value) -> Value | None:
    """A gather that reads one known position along its axis."""
    data, index = value.inputs
    (axis,) = value.attrs
    extent = data.shape[axis]
    number = 0 if extent == 1 else number_of(index)
    if number is None or value.type.numel == 0:
        return None
    position = min(max(int(number), 0), extent - 1)
    starts, stops = [0] * data.ndim, list(index.shape)
    starts[axis], stops[axis] = position, position + 1
    return b.broadcast_to(b.slice(data, starts, stops), index.shape)


def _read_back(value: Value) -> Value | None:
    x = value.inputs[0]
    if x.op is not i.VIEW_UPDATE or x.attrs != value.attrs:
        return None
    # In a view that overlaps itself, an element may have been written twice.
    size, stride, _offset = value.attrs
    return x.inputs[1] if m.reads_once(size, stride) else None


def _overwrite(value: Value) -> Value | None:
    base, part = value.inputs
    if base.op is not i.VIEW_UPDATE or base.attrs != value.attrs:
        return None
    return b.view_update(base.inputs[0], part, *value.attrs)


def _update_all(value: Value) -> Value | None:
    base, part = value.inputs
    size, stride, offset = value.attrs
    if offset or part.type.numel != base.type.numel or stride != contiguous_strides(size):
        return None
    return b.reshape(part, base.shape)


RULES: tuple[Rule, ...] = (
    Rule(
        "scatter-one",
        (i.SCATTER,),
        _one_hot,
        "scatter(c, k, x) = select(iota == k, combine(c, x), c) for one k along the axis",
    ),
    Rule("gather-known", (i.GATHER,), _gather_position, "gather(x, k) = x[k] for a known k"),
    Rule("read-back", (m.AS_STRIDED,), _read_back, "view(view_update(x, y)) = y"),
    Rule(
        "overwrite",
        (i.VIEW_UPDATE,),
        _overwrite,
        "view_update(view_update(x, y), z) = view_update(x, z)",
    ),
    Rule("update-all", (i.VIEW_UPDATE,), _update_all, "an update of everything = reshape(part)"),
)
