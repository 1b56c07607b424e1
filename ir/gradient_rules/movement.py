"""Derivatives of movement ops: each is the transpose of a map that copies elements.

What was read from several places is added, what was dropped becomes zero.
"""

from __future__ import annotations

from treadle.ir import build as b
from treadle.ir.gradient_rules import GradientRule
from treadle.ir.ops import movement as ops
from treadle.ir.types import element_count, int64
from treadle.ir.value import Op, Value

_Gradients = tuple[Value | None, ...]


def _reshape(value: Value, upstream: Value, _wanted: tuple[bool, ...]) -> _Gradients:
    return (b.reshape(upstream, value.inputs[0].shape),)


def _permute(value: Value, upstream: Value, _wanted: tuple[bool, ...]) -> _Gradients:
    (dims,) = value.attrs
    return (b.permute(upstream, sorted(range(len(dims)), key=dims.__getitem__)),)


def _expand(value: Value, upstream: Value, _wanted: tuple[bool, ...]) -> _Gradients:
    source = value.inputs[0].shape
    grown = [axis for axis, extent in enumerate(source) if extent != value.shape[axis]]
    return (b.reshape(b.sum(upstream, grown), source),)


def _slice(value: Value, upstream: Value, _wanted: tuple[bool, ...]) -> _Gradients:
    starts, _stops, steps = value.attrs
    source, taken = value.inputs[0].shape, value.shape
    low, high = [], []
    for extent, count, start, step in zip(source, taken, starts, steps, strict=True):
        before = start if count else extent
        low.append(before)
        high.append(extent - before - ((count - 1) * step + 1 if count else 0))
    return (b.pad(upstream, low, high, [step - 1 for step in steps]),)


def _pad(value: Value, upstream: Value, _wanted: tuple[bool, ...]) -> _Gradients:
    low, high, interior, _number = value.attrs
    source = value.inputs[0].shape
    # What negative padding cropped gets zeros, then the operand's own positions are picked out.
    whole = b.pad(upstream, [max(-side, 0) for side in low], [max(-side, 0) for side in high])
    starts = [max(side, 0) if extent else 0 for side, extent in zip(low, source, strict=True)]
    steps = [between + 1 for between in interior]
    stops = [
        start + (extent - 1) * step + 1 if extent else 0
        for start, extent, step in zip(starts, source, steps, strict=True)
    ]
    return (b.slice(whole, starts, stops, steps),)


def _concat(value: Value, upstream: Value, wanted: tuple[bool, ...]) -> _Gradients:
    (axis,) = value.attrs
    gradients: list[Value | None] = []
    start = 0
    for part, asked in zip(value.inputs, wanted, strict=True):
        stop = start + part.shape[axis]
        if asked:
            starts, stops = [0] * value.ndim, list(value.shape)
            starts[axis], stops[axis] = start, stop
            gradients.append(b.slice(upstream, starts, stops))
        else:
            gradients.append(None)
        start = stop
    return tuple(gradients)


def _windows(value: Value, upstream: Value, _wanted: tuple[bool, ...]) -> _Gradients:
    return (b.fold(upstream, value.inputs[0].shape, *value.attrs),)


def _as_strided(value: Value, upstream: Value, _wanted: tuple[bool, ...]) -> _Gradients:
    size, stride, offset = value.attrs
    x = value.inputs[0]
    if element_count(size) == 0:
        return (b.constant_like(x, 0),)
    # Axes of stride 0 repeat elements, as expand does: their gradients are added.
    repeated = [axis for axis, step in enumerate(stride) if step == 0]
    part = b.sum(upstream, repeated)
    kept = [axis for axis, step in enumerate(stride) if step != 0]
    size, stride = tuple(size[axis] for axis in kept), tuple(stride[axis] for axis in kept)
    if ops.reads_once(size, stride):
        return (b.view_update(b.constant_like(x, 0), part, size, stride, offset),)
    # Overlapping views: add each element of the gradient to the position that was read.
    device = x.type.device
    position = b.full(size, offset, int64, device)
    for axis, step in enumerate(stride):
        position = position + b.iota(size, axis, int64, device) * step
    flat = b.full((x.type.numel,), 0, x.dtype, device)
    count = (element_count(size),)
    added = b.scatter_add(flat, b.reshape(position, count), b.reshape(part, count), 0)
    return (b.reshape(added, x.shape),)


RULES: dict[Op, GradientRule] = {
    ops.RESHAPE: _reshape,
    ops.PERMUTE: _permute,
    ops.EXPAND: _expand,
    ops.SLICE: _slice,
    ops.PAD: _pad,
    ops.FLIP: lambda value, upstream, _wanted: (b.flip(upstream, value.attrs[0]),),
    ops.CONCAT: _concat,
    ops.WINDOWS: _windows,
    ops.AS_STRIDED: _as_strided,
    # With dL/da + i dL/db as the gradient of a + ib, PyTorch's convention.
    ops.VIEW_AS_REAL: lambda value, upstream, _wanted: (b.view_as_complex(upstream),),
    ops.VIEW_AS_COMPLEX: lambda value, upstream, _wanted: (b.view_as_real(upstream),),
}
