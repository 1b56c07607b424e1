"""Contractions: products of two operands summed over shared axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from treadle.ir.ops.movement import PAD, windows_of
from treadle.ir.types import TensorType, element_count
from treadle.ir.value import Array, Attributes, LoopClass, Op, device_of


def _dot(types: Sequence[TensorType], _attrs: Attributes) -> TensorType:
    a, b = types
    if (
        a.ndim < 2
        or a.ndim != b.ndim
        or a.shape[:-2] != b.shape[:-2]
        or a.shape[-1] != b.shape[-2]
        or a.dtype is not b.dtype
        or a.dtype.kind == "b"
    ):
        raise ValueError(f"dot needs [..., m, k] and [..., k, n] of one dtype, found {a} and {b}")
    return a._replace(shape=(*a.shape[:-1], b.shape[-1]), device=device_of(types))


# Products over the last axis of x and the last but one of y; leading axes are a batch.
DOT = Op(
    "dot",
    ("x", "y"),
    (),
    LoopClass.CONTRACTION,
    _dot,
    lambda arrays, _attrs, _type: np.matmul(arrays[0], arrays[1]),
)


def convolution_extent(
    extent: int, size: int, stride: int, padding: tuple[int, int], dilation: int, base: int
) -> int:
    """Output extent of a convolution along one axis; may be below 1 for a window too large."""
    dilated = (extent - 1) * base + 1 if extent else 0
    return (dilated + padding[0] + padding[1] - dilation * (size - 1) - 1) // stride + 1


def _conv(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
    x, w = types
    stride, padding, dilation, base = attrs
    spatial = x.ndim - 3
    if (
        spatial < 1
        or w.ndim != x.ndim
        or w.shape[0] != x.shape[1]
        or w.shape[2] != x.shape[2]
        or x.dtype is not w.dtype
        or any(len(option) != spatial for option in attrs)
    ):
        raise ValueError(f"conv needs [n, g, c, *s] and [g, o, c, *k] of one dtype, found {x}, {w}")
    extents = tuple(
        convolution_extent(*axis)
        for axis in zip(x.shape[3:], w.shape[3:], stride, padding, dilation, base, strict=True)
    )
    if any(extent < 1 for extent in extents):
        raise ValueError(f"conv of {x} by {w} leaves no output: {list(extents)}")
    shape = (x.shape[0], x.shape[1], w.shape[1], *extents)
    return x._replace(shape=shape, device=device_of(types))


def _evaluate_conv(arrays: Sequence[Array], attrs: Attributes, result: TensorType) -> Array:
    x, w = arrays
    stride, padding, dilation, base = attrs
    spatial = x.ndim - 3
    low = (0, 0, 0, *(before for before, _after in padding))
    high = (0, 0, 0, *(after for _before, after in padding))
    interior = (0, 0, 0, *(step - 1 for step in base))
    source = TensorType(result.dtype, x.shape)
    options = (low, high, interior, 0)
    padded = PAD.evaluate([x], options, PAD.infer([source], options))  # type: ignore[arg-type]
    axes = tuple(range(3, 3 + spatial))
    patches = windows_of(padded, (axes, w.shape[3:], stride, dilation))
    # patches: [n, g, c, *out, *k]; sum over c and k for each group g.
    n, g, o = result.shape[0], result.shape[1], result.shape[2]
    moved = np.moveaxis(patches, 2, 2 + spatial)  # [n, g, *out, c, *k]
    positions = element_count(result.shape[3:])
    terms = element_count(w.shape[2:])
    columns = moved.reshape(n, g, positions, terms)
    kernels = w.reshape(g, o, terms).transpose(0, 2, 1)
    flat: Array = np.matmul(columns, kernels)  # [n, g, out, o]
    return flat.transpose(0, 1, 3, 2).reshape(result.shape)


# Cross-correlation with the groups as an axis of their own: x [n, g, c, *s], w [g, o, c, *k] give
# [n, g, o, *out]. ``padding`` is a (low, high) pair an axis, negative crops; ``base_dilation``
# spreads x apart. Both gradients of a convolution are convolutions of this form.
CONV = Op(
    "conv",
    ("x", "w"),
    ("stride", "padding", "dilation", "base_dilation"),
    LoopClass.CONTRACTION,
    _conv,
    _evaluate_conv,
)
