"""Movement ops: results whose elements are elements of the operand at other positions.

They cost nothing on their own: code generation turns each into index arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from treadle.ir.types import Shape, TensorType, element_count, float32, float64
from treadle.ir.value import Array, Attributes, LoopClass, Op, device_of


def _reshape(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
    (shape,) = attrs
    if element_count(shape) != types[0].numel:
        raise ValueError(f"reshape cannot make {list(shape)} out of {types[0]}")
    return types[0]._replace(shape=shape)


def _permute(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
    (dims,) = attrs
    if sorted(dims) != list(range(types[0].ndim)):
        raise ValueError(f"permute of {types[0]} needs each axis once, found {dims}")
    return types[0]._replace(shape=tuple(types[0].shape[axis] for axis in dims))


def _expand(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
    (shape,) = attrs
    source = types[0].shape
    grows = len(shape) == len(source) and all(
        extent in (1, grown) for extent, grown in zip(source, shape, strict=True)
    )
    if not grows:
        raise ValueError(f"expand of {types[0]} to {list(shape)}: only extents of 1 can grow")
    return types[0]._replace(shape=shape)


def _slice(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
    starts, stops, steps = attrs
    shape = []
    for extent, start, stop, step in zip(types[0].shape, starts, stops, steps, strict=True):
        if not (0 <= start <= stop <= extent and step > 0):
            raise ValueError(f"slice {start}:{stop}:{step} does not fit in an extent of {extent}")
        shape.append(-(-(stop - start) // step))
    return types[0]._replace(shape=tuple(shape))


def _pad(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
    low, high, interior, _value = attrs
    shape = []
    for extent, before, after, between in zip(types[0].shape, low, high, interior, strict=True):
        grown = before + extent + max(extent - 1, 0) * between + after
        if grown < 0 or between < 0:
            raise ValueError(f"pad by ({before}, {after}, interior {between}) of extent {extent}")
        shape.append(grown)
    return types[0]._replace(shape=tuple(shape))


def _evaluate_pad(arrays: Sequence[Array], attrs: Attributes, result: TensorType) -> Array:
    low, _high, interior, value = attrs
    source = arrays[0]
    out = np.full(result.shape, value, source.dtype)
    target, taken = [], []
    for extent, before, between, grown in zip(source.shape, low, interior, out.shape, strict=True):
        # Negative padding crops: keep the elements whose new position lies inside.
        positions = before + np.arange(extent) * (between + 1)
        inside = (positions >= 0) & (positions < grown)
        target.append(positions[inside])
        taken.append(np.arange(extent)[inside])
    out[np.ix_(*target)] = source[np.ix_(*taken)]
    return out


def _flip(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
    if any(not 0 <= axis < types[0].ndim for axis in attrs[0]):
        raise ValueError(f"flip of {types[0]} along {attrs[0]}")
    return types[0]


def _concat(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
    (axis,) = attrs
    first = types[0]
    total = 0
    for part in types:
        rest = part.shape[:axis] + part.shape[axis + 1 :]
        if part.dtype is not first.dtype or rest != first.shape[:axis] + first.shape[axis + 1 :]:
            raise ValueError(f"concat along axis {axis} cannot join {first} and {part}")
        total += part.shape[axis]
    shape = (*first.shape[:axis], total, *first.shape[axis + 1 :])
    return first._replace(shape=shape, device=device_of(types))


def _windows(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
    axes, sizes, strides, dilations = attrs
    shape = list(types[0].shape)
    for axis, size, stride, dilation in zip(axes, sizes, strides, dilations, strict=True):
        span = dilation * (size - 1) + 1
        if size < 1 or stride < 1 or dilation < 1 or shape[axis] < span:
            raise ValueError(
                f"windows of size {size} (stride {stride}, dilation {dilation}) do not fit in "
                f"an extent of {shape[axis]}"
            )
        shape[axis] = (shape[axis] - span) // stride + 1
    return types[0]._replace(shape=(*shape, *sizes))


def windows_of(array: Array, attrs: Attributes) -> Array:
    """The sliding windows of an array as a strided view (also ``fold``'s reference)."""
    axes, sizes, strides, dilations = attrs
    shape, steps = list(array.shape), list(array.strides)
    for axis, size, stride, dilation in zip(axes, sizes, strides, dilations, strict=True):
        shape[axis] = (shape[axis] - dilation * (size - 1) - 1) // stride + 1
        shape.append(size)
        steps.append(steps[axis] * dilation)
        steps[axis] *= stride
    return np.lib.stride_tricks.as_strided(array, shape, steps)


def check_strided(name: str, numel: int, attrs: Attributes) -> None:
    """ValueError unless every position of (size, stride, offset) lies in ``numel`` elements."""
    size, stride, offset = attrs
    if element_count(size) == 0:
        return
    ends = [(extent - 1) * step for extent, step in zip(size, stride, strict=True)]
    low = offset + sum(end for end in ends if end < 0)
    high = offset + sum(end for end in ends if end > 0)
    if low < 0 or high >= numel:
        raise ValueError(
            f"{name}: size {list(size)}, stride {list(stride)} and offset {offset} reach elements "
            f"{low} to {high} of {numel}"
        )


def reads_once(size: Shape, stride: tuple[int, ...]) -> bool:
    """True where a strided view surely holds no element twice (sufficient, not necessary)."""
    reach = 0
    axes = sorted((abs(step), n) for n, step in zip(size, stride, strict=True) if n > 1)
    for step, extent in axes:
        if step <= reach:
            return False
        reach += (extent - 1) * step
    return True


def strided(array: Array, attrs: Attributes) -> Array:
    """A strided view of a contiguous array, with size, stride and offset in elements."""
    size, stride, offset = attrs
    flat = array.reshape(-1)
    if element_count(size) == 0:
        return np.empty(size, array.dtype)
    steps = [step * array.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(flat[offset:], size, steps)


def _view_as_real(types: Sequence[TensorType], _attrs: Attributes) -> TensorType:
    if types[0].dtype.kind != "c":
        raise TypeError(f"view_as_real needs a complex operand, found {types[0]}")
    return types[0]._replace(dtype=types[0].dtype.to_real(), shape=(*types[0].shape, 2))


def _view_as_complex(types: Sequence[TensorType], _attrs: Attributes) -> TensorType:
    shape, dtype = types[0].shape, types[0].dtype
    if not shape or shape[-1] != 2 or dtype not in (float32, float64):
        raise TypeError(f"view_as_complex needs pairs of f32 or f64, found {types[0]}")
    return types[0]._replace(dtype=dtype.to_complex(), shape=shape[:-1])


def _as_strided(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
    check_strided("as_strided", types[0].numel, attrs)
    return types[0]._replace(shape=attrs[0])


RESHAPE = Op(
    "reshape",
    ("x",),
    ("shape",),
    LoopClass.MOVEMENT,
    _reshape,
    lambda arrays, attrs, _type: arrays[0].reshape(attrs[0]),
)
PERMUTE = Op(
    "permute",
    ("x",),
    ("dims",),
    LoopClass.MOVEMENT,
    _permute,
    lambda arrays, attrs, _type: np.transpose(arrays[0], attrs[0]),
)
EXPAND = Op(
    "expand",
    ("x",),
    ("shape",),
    LoopClass.MOVEMENT,
    _expand,
    lambda arrays, attrs, _type: np.broadcast_to(arrays[0], attrs[0]),
)
SLICE = Op(
    "slice",
    ("x",),
    ("starts", "stops", "steps"),
    LoopClass.MOVEMENT,
    _slice,
    lambda arrays, attrs, _type: arrays[0][tuple(map(slice, *attrs))],
)
# ``interior`` elements go between neighbours; negative ``low`` and ``high`` crop.
PAD = Op(
    "pad",
    ("x",),
    ("low", "high", "interior", "value"),
    LoopClass.MOVEMENT,
    _pad,
    _evaluate_pad,
    scalar=3,
)
FLIP = Op(
    "flip",
    ("x",),
    ("dims",),
    LoopClass.MOVEMENT,
    _flip,
    lambda arrays, attrs, _type: np.flip(arrays[0], attrs[0]),
)
CONCAT = Op(
    "concat",
    ("*parts",),
    ("axis",),
    LoopClass.MOVEMENT,
    _concat,
    lambda arrays, attrs, _type: np.concatenate(arrays, attrs[0]),
)
# Sliding windows along ``axes``; the positions inside a window become new last axes.
WINDOWS = Op(
    "windows",
    ("x",),
    ("axes", "sizes", "strides", "dilations"),
    LoopClass.MOVEMENT,
    _windows,
    lambda arrays, attrs, _type: windows_of(arrays[0], attrs),
)
# Any view of the elements in row-major order; what a tensor that aliases a changed base reads.
AS_STRIDED = Op(
    "as_strided",
    ("x",),
    ("size", "stride", "offset"),
    LoopClass.MOVEMENT,
    _as_strided,
    lambda arrays, attrs, _type: strided(np.ascontiguousarray(arrays[0]), attrs),
)
# Complex elements as pairs (real part, imaginary part) along a new last axis, and back: the same
# bytes. These two are all that is done with complex values: builders compose the rest of the parts,
# and programs have pairs in their place (``ir.complex_values``).
VIEW_AS_REAL = Op(
    "view_as_real",
    ("x",),
    (),
    LoopClass.MOVEMENT,
    _view_as_real,
    lambda arrays, _attrs, type: (
        np.ascontiguousarray(arrays[0]).view(type.dtype.numpy).reshape(type.shape)
    ),
)
VIEW_AS_COMPLEX = Op(
    "view_as_complex",
    ("x",),
    (),
    LoopClass.MOVEMENT,
    _view_as_complex,
    lambda arrays, _attrs, type: (
        np.ascontiguousarray(arrays[0]).view(type.dtype.numpy).reshape(type.shape)
    ),
)
