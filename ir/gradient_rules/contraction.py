"""Derivatives of contractions: both gradients of each are contractions of the same form."""

from __future__ import annotations

from treadle.ir import build as b
from treadle.ir.gradient_rules import GradientRule
from treadle.ir.ops import contraction as ops
from treadle.ir.value import Op, Value

_Gradients = tuple[Value | None, ...]


def _dot(value: Value, upstream: Value, wanted: tuple[bool, ...]) -> _Gradients:
    x, y = value.inputs
    return (
        b.dot(upstream, b.transpose(y)) if wanted[0] else None,
        b.dot(b.transpose(x), upstream) if wanted[1] else None,
    )


def _dilated(extent: int, step: int) -> int:
    """Extent after spreading elements ``step`` apart."""
    return (extent - 1) * step + 1


def _conv_input(value: Value, upstream: Value) -> Value:
    """The upstream gradient spread by the stride, correlated with the mirrored kernel."""
    x, w = value.inputs
    stride, padding, dilation, base = value.attrs
    spatial = range(len(stride))
    pads = []
    for axis in spatial:
        reach = dilation[axis] * (w.shape[3 + axis] - 1)
        low = reach - padding[axis][0]
        # The last window ends at the last element of x, whatever the forward pass left over.
        spread = _dilated(upstream.shape[3 + axis], stride[axis])
        high = _dilated(x.shape[3 + axis], base[axis]) + reach - spread - low
        pads.append((low, high))
    mirrored = b.flip(w, [3 + axis for axis in spatial])
    swapped = b.permute(mirrored, (0, 2, 1, *(3 + axis for axis in spatial)))
    return b.conv(upstream, swapped, base, pads, dilation, stride)


def _conv_weight(value: Value, upstream: Value) -> Value:
    """The input correlated with the upstream gradient; the batch is what is summed over."""
    x, w = value.inputs
    stride, padding, dilation, base = value.attrs
    spatial = range(len(stride))
    pads = []
    for axis in spatial:
        low = padding[axis][0]
        # Exactly as many windows as the kernel has elements.
        window = _dilated(upstream.shape[3 + axis], stride[axis])
        spread = _dilated(x.shape[3 + axis], base[axis])
        pads.append((low, dilation[axis] * (w.shape[3 + axis] - 1) + window - spread - low))
    axes = tuple(3 + axis for axis in spatial)
    samples = b.permute(x, (2, 1, 0, *axes))  # [c, g, n, *s]
    kernel = b.permute(upstream, (1, 2, 0, *axes))  # [g, o, n, *out]
    by_channel = b.conv(samples, kernel, dilation, pads, stride, base)  # [c, g, o, *k]
    return b.permute(by_channel, (1, 2, 0, *axes))


def _conv(value: Value, upstream: Value, wanted: tuple[bool, ...]) -> _Gradients:
    if 0 in (*value.inputs[0].shape, *value.shape):
        return tuple(
            b.constant_like(operand, 0) if asked else None
            for operand, asked in zip(value.inputs, wanted, strict=True)
        )
    return (
        _conv_input(value, upstream) if wanted[0] else None,
        _conv_weight(value, upstream) if wanted[1] else None,
    )


RULES: dict[Op, GradientRule] = {ops.DOT: _dot, ops.CONV: _conv}
