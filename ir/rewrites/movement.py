"""Rules about movement: chains of one op become one op, and what does not move goes.

They only say which element is read where, so all of them are exact.
"""

from __future__ import annotations

from collections.abc import Sequence

from treadle.ir import build as b
from treadle.ir.ops import movement as m, reduction as r
from treadle.ir.rewriter import Exactness, Rule
from treadle.ir.rewrites.constants import full_like
from treadle.ir.types import contiguous_strides, element_count
from treadle.ir.value import Value, make


def _reshape_chain(value: Value) -> Value | None:
    x = value.inputs[0]
    if value.shape == x.shape:
        return x
    return b.reshape(x.inputs[0], value.shape) if x.op is m.RESHAPE else None


def _permute_chain(value: Value) -> Value | None:
    x = value.inputs[0]
    (dims,) = value.attrs
    if dims == tuple(range(len(dims))):
        return x
    if x.op is not m.PERMUTE:
        return None
    return b.permute(x.inputs[0], [x.attrs[0][axis] for axis in dims])


def _expand_chain(value: Value) -> Value | None:
    x = value.inputs[0]
    if value.shape == x.shape:
        return x
    return b.broadcast_to(x.inputs[0], value.shape) if x.op is m.EXPAND else None


def _move_one_element(value: Value) -> Value | None:
    x = value.inputs[0]
    if x.op is not m.EXPAND or x.inputs[0].type.numel != 1:
        return None
    return b.broadcast_to(b.reshape(x.inputs[0], (1,) * value.ndim), value.shape)


def _slice_chain(value: Value) -> Value | None:
    x = value.inputs[0]
    if value.shape == x.shape:
        return x
    if x.op is not m.SLICE:
        return None
    starts, stops, steps = [], [], []
    for axis, count in enumerate(value.shape):
        (outer, _, outer_step), (inner, _, inner_step) = (_row(value, axis), _row(x, axis))
        step = outer_step * inner_step
        start = inner + outer * inner_step if count else 0
        starts.append(start)
        steps.append(step)
        stops.append(start + (count - 1) * step + 1 if count else 0)
    return b.slice(x.inputs[0], starts, stops, steps)


def _row(value: Value, axis: int) -> tuple[int, int, int]:
    starts, stops, steps = value.attrs
    return starts[axis], stops[axis], steps[axis]


def _flip_chain(value: Value) -> Value | None:
    x = value.inputs[0]
    dims = set(value.attrs[0])
    if x.op is m.FLIP:
        return b.flip(x.inputs[0], sorted(dims ^ set(x.attrs[0])))
    short = {axis for axis in dims if x.shape[axis] == 1}
    return b.flip(x, sorted(dims - short)) if short or not dims else None


def _pad_chain(value: Value) -> Value | None:
    x = value.inputs[0]
    low, high, interior, number = value.attrs
    if not (any(low) or any(high) or any(interior)):
        return x
    if x.op is not m.PAD or any(interior) or repr(x.attrs[3]) != repr(number):
        return None
    sides = [*zip(x.attrs[0], low, strict=True), *zip(x.attrs[1], high, strict=True)]
    # What the inner pad cropped must not come back.
    if any(inner < 0 < outer for inner, outer in sides):
        return None
    low = [inner + outer for inner, outer in zip(x.attrs[0], low, strict=True)]
    high = [inner + outer for inner, outer in zip(x.attrs[1], high, strict=True)]
    return b.pad(x.inputs[0], low, high, x.attrs[2], number)


def _slice_of_pad(value: Value) -> Value | None:
    """The slice of what was padded, where it reads no padding, or the padding alone."""
    x = value.inputs[0]
    if x.op is not m.PAD or value.type.numel == 0:
        return None
    low, _high, interior, number = x.attrs
    starts, stops, steps = [], [], []
    for axis, count in enumerate(value.shape):
        start, _, step = _row(value, axis)
        spread = interior[axis] + 1
        extent = x.inputs[0].shape[axis]
        first = start - low[axis]
        last = first + (count - 1) * step
        if last < 0 or first > (extent - 1) * spread:
            return full_like(value, number)
        aligned = first % spread == 0 and (step % spread == 0 or count == 1)
        if not aligned or first < 0 or last > (extent - 1) * spread:
            return None
        starts.append(first // spread)
        steps.append(step // spread if count > 1 else 1)
        stops.append(last // spread + 1)
    return b.slice(x.inputs[0], starts, stops, steps)


def _concat_without_empty(value: Value) -> Value | None:
    (axis,) = value.attrs
    kept = [part for part in value.inputs if part.shape[axis]]
    if not kept or (len(kept) == len(value.inputs) and len(kept) > 1):
        return None
    return b.concat(kept, axis)


def _slice_of_concat(value: Value) -> Value | None:
    """The slice of the one part that all its elements come from."""
    x = value.inputs[0]
    if x.op is not m.CONCAT or value.type.numel == 0:
        return None
    (axis,) = x.attrs
    starts, stops, steps = (list(attr) for attr in value.attrs)
    last = starts[axis] + (value.shape[axis] - 1) * steps[axis]
    begin = 0
    for part in x.inputs:
        end = begin + part.shape[axis]
        if begin <= starts[axis] and last < end:
            starts[axis] -= begin
            stops[axis] = last - begin + 1
            return b.slice(part, starts, stops, steps)
        begin = end
    return None


def _whole_view(value: Value) -> Value | None:
    x = value.inputs[0]
    size, stride, offset = value.attrs
    whole = element_count(size) == x.type.numel and offset == 0
    return b.reshape(x, size) if whole and stride == contiguous_strides(size) else None


def _reduce_one(value: Value) -> Value | None:
    """A reduction over axes of extent 1; a float sum is 0.0 + x."""
    x = value.inputs[0]
    if any(x.shape[axis] != 1 for axis in value.attrs[0]):
        return None
    kept = b.reshape(x, value.shape)
    is_float_sum = value.op is r.SUM and value.dtype.is_floating_point
    return b.add(kept, full_like(value, 0.0)) if is_float_sum else kept


def _merged(value: Value) -> Value | None:
    """One reduction over the axes of two."""
    inner = value.inputs[0]
    if inner.op is not value.op:
        return None
    x = inner.inputs[0]
    remaining = [axis for axis in range(x.ndim) if axis not in inner.attrs[0]]
    outer: Sequence[int] = [remaining[axis] for axis in value.attrs[0]]
    return make(value.op, (x,), (tuple(sorted((*inner.attrs[0], *outer))),))


def _merged_exactly(value: Value) -> Value | None:
    rounds = value.op in (r.SUM, r.PROD) and value.dtype.is_floating_point
    return None if rounds else _merged(value)


_KEPT_SCALAR = (m.RESHAPE, m.PERMUTE, m.SLICE, m.FLIP)
_REDUCTIONS = (r.SUM, r.PROD, r.MAX, r.MIN)

RULES: tuple[Rule, ...] = (
    Rule("reshape-chain", (m.RESHAPE,), _reshape_chain, "reshape(reshape(x)) = reshape(x)"),
    Rule("permute-chain", (m.PERMUTE,), _permute_chain, "permute(permute(x)) = permute(x)"),
    Rule("expand-chain", (m.EXPAND,), _expand_chain, "expand(expand(x)) = expand(x)"),
    Rule(
        "move-one-element",
        _KEPT_SCALAR,
        _move_one_element,
        "move(expand(one element)) = expand(the element)",
    ),
    Rule("slice-chain", (m.SLICE,), _slice_chain, "x[a::s][b::t] = x[a + b * s :: s * t]"),
    Rule("flip-chain", (m.FLIP,), _flip_chain, "flip(flip(x)) = x, extents of 1 do not flip"),
    Rule("pad-chain", (m.PAD,), _pad_chain, "pad(pad(x, a), b) = pad(x, a + b)"),
    Rule("slice-of-pad", (m.SLICE,), _slice_of_pad, "pad(x)[within x] = x[...]"),
    Rule("concat-without-empty", (m.CONCAT,), _concat_without_empty, "concat(x, empty) = x"),
    Rule("slice-of-concat", (m.SLICE,), _slice_of_concat, "concat(x, y)[within y] = y[...]"),
    Rule("whole-view", (m.AS_STRIDED,), _whole_view, "as_strided over all of x = reshape(x)"),
    Rule("reduce-one", _REDUCTIONS, _reduce_one, "max of one element = it, sum = 0.0 + it"),
    Rule("merge-reductions", _REDUCTIONS, _merged_exactly, "max(max(x)) = max(x)"),
    Rule(
        "merge-sums",
        (r.SUM, r.PROD),
        _merged,
        "sum(sum(x)) = sum(x)",
        Exactness.REASSOCIATING,
    ),
)
