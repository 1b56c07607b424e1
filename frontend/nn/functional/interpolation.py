"""Resizing images, sequences and volumes: nearest, linear, cubic, area and antialiased.

Axes are resized one after the other; where an output element reads from is computed by PyTorch's
formulas (ATen/native/UpSample.h) in the dtype of the input.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from treadle.ir import build as b
from treadle.ir.types import float32, int64
from treadle.ir.value import Value
from treadle.nn.functional.adaptive_pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
)
from treadle.nn.functional.arguments import check_floating
from treadle.nn.functional.precision import operation
from treadle.tensor import Tensor

Ints = tuple[int, ...]
Scales = tuple[float | None, ...]
# (value, axis, output extent, input elements an output element, corners are aligned) -> value
Resize = Callable[[Value, int, int, float, bool], Value]


# -- along one axis --------------------------------------------------------------------------


def _positions(x: Value, shape: Ints) -> Value:
    """0, 1, ... out - 1 along the first axis of ``shape``, in the dtype of positions."""
    kind = x.dtype if x.dtype.kind == "f" and x.dtype.itemsize >= 4 else float32
    return b.iota(shape, 0, kind, x.type.device)


def _picked(x: Value, axis: int, index: Value) -> Value:
    """The elements of an axis at positions [out, ...]; further axes follow it."""
    count = index.type.numel
    aligned = tuple(count if at == axis else 1 for at in range(x.ndim))
    shape = tuple(count if at == axis else extent for at, extent in enumerate(x.shape))
    found = b.gather(x, b.broadcast_to(b.reshape(index, aligned), shape), axis)
    return b.reshape(found, (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]))


def _aligned(weight: Value, x: Value, axis: int) -> Value:
    """Weights [out] laid along an axis of x."""
    shape = tuple(weight.shape[0] if at == axis else 1 for at in range(x.ndim))
    return b.reshape(b.cast(weight, x.dtype), shape)


def _bounded(index: Value, extent: int) -> Value:
    return b.minimum(b.maximum(index, 0), extent - 1)


def _nearest(x: Value, axis: int, out: int, scale: float, centred: bool) -> Value:
    extent = x.shape[axis]
    if extent and out % extent == 0 and scale == extent / out:
        # A whole factor repeats elements, which is no gather.
        shape = (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :])
        wide = (*x.shape[: axis + 1], out // extent, *x.shape[axis + 1 :])
        repeated = b.broadcast_to(b.reshape(x, shape), wide)
        return b.reshape(repeated, (*x.shape[:axis], out, *x.shape[axis + 1 :]))
    number = _positions(x, (out,))
    source = (number + 0.5) * scale if centred else number * scale
    return _picked(x, axis, b.minimum(b.cast(b.floor(source), int64), extent - 1))


def _linear(x: Value, axis: int, out: int, scale: float, align: bool) -> Value:
    extent = x.shape[axis]
    if extent == out:
        return x
    number = _positions(x, (out,))
    source = number * scale if align else b.maximum((number + 0.5) * scale - 0.5, 0.0)
    first = b.minimum(b.cast(source, int64), extent - 1)
    part = b.minimum(b.maximum(source - b.cast(first, source.dtype), 0.0), 1.0)
    low, high = _picked(x, axis, first), _picked(x, axis, b.minimum(first + 1, extent - 1))
    return low * _aligned(1.0 - part, low, axis) + high * _aligned(part, high, axis)


def _linear_adjoint(g: Value, axis: int, extent: int, scale: float, align: bool) -> Value:
    """The gradient of ``_linear``'s argument: for each input element a sum over output elements.

    Those that read an element lie side by side, at most two input elements' worth of them and the
    ones that are clamped at the border: gathering them needs no scatter.
    """
    out = g.shape[axis]
    if extent == out:
        return g
    taps = min(math.ceil(2.0 / scale) + 2 if scale else out, out)

    def sources(number: Value) -> Value:
        place = b.cast(number, positions.dtype)
        source = place * scale if align else b.maximum((place + 0.5) * scale - 0.5, 0.0)
        return b.minimum(source, float(extent - 1))

    positions = _positions(g, (extent, taps))
    if scale:
        reached = (positions - 1.0) / scale if align else (positions - 0.5) / scale - 0.5
        first = b.maximum(b.cast(b.floor(reached), int64), 0)
        # Nothing is read before the first output element, nor behind the last.
        first = b.minimum(first, out - taps)
    else:
        first = b.full((extent, taps), 0, int64, g.type.device)
    place = first + b.iota((extent, taps), 1, int64, g.type.device)
    weight = b.maximum(1.0 - b.abs(sources(place) - positions), 0.0)
    found = _picked(g, axis, place)
    spread = tuple(e if at in (axis, axis + 1) else 1 for at, e in enumerate(found.shape))
    return b.sum(found * b.reshape(b.cast(weight, g.dtype), spread), (axis + 1,))


def _linear_vjp(
    inputs: tuple[Value, ...],
    outputs: tuple[Value, ...],
    upstreams: tuple[Value, ...],
    *,
    out: Ints,
    factors: Scales,
    align: bool,
) -> tuple[Value]:
    x, g = inputs[0], upstreams[0]
    for axis, (extent, factor) in enumerate(zip(out, factors, strict=True), 2):
        scale = _scale(x.shape[axis], extent, factor, align)
        g = _linear_adjoint(g, axis, x.shape[axis], scale, align)
    return (g,)


def cubic_weights(t: Value) -> list[Value]:
    """Weights of the four neighbours at -1, 0, 1, 2 for a position t between 0 and 1.

    R. Keys, Cubic convolution interpolation for digital image processing, 1981, with a = -0.75.
    """
    a = -0.75

    def near(x: Value) -> Value:
        return ((x * (a + 2.0)) - (a + 3.0)) * x * x + 1.0

    def far(x: Value) -> Value:
        return ((x * a - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a

    return [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]


def _cubic(x: Value, axis: int, out: int, scale: float, align: bool) -> Value:
    extent = x.shape[axis]
    if extent == out and scale == 1.0:
        return x
    number = _positions(x, (out,))
    source = number * scale if align else (number + 0.5) * scale - 0.5
    whole = b.floor(source)
    first = b.cast(whole, int64)
    result: Value | None = None
    for tap, weight in enumerate(cubic_weights(source - whole), -1):
        found = _picked(x, axis, _bounded(first + tap, extent))
        term = found * _aligned(weight, found, axis)
        result = term if result is None else result + term
    assert result is not None
    return result


# -- antialiased: filters as wide as what an output element covers ---------------------------


def _triangle(x: Value) -> Value:
    return b.maximum(1.0 - b.abs(x), 0.0)


def _cubic_filter(x: Value) -> Value:
    a, x = -0.5, b.abs(x)
    near = ((x * (a + 2.0)) - (a + 3.0)) * x * x + 1.0
    far = (((x - 5.0) * x + 8.0) * x - 4.0) * a
    return b.select(b.lt(x, 1.0), near, b.select(b.lt(x, 2.0), far, 0.0))


def _lanczos(x: Value) -> Value:
    def sinc(y: Value) -> Value:
        zero = b.eq(y, 0.0)
        angle = b.select(zero, 1.0, y * math.pi)
        return b.select(zero, 1.0, b.sin(angle) / angle)

    return b.select(b.lt(b.abs(x), 3.0), sinc(x) * sinc(x / 3.0), 0.0)


_FILTERS = {
    "bilinear": (_triangle, 1.0),
    "bicubic": (_cubic_filter, 2.0),
    "lanczos": (_lanczos, 3.0),
}


def _antialiased(mode: str) -> Resize:
    weigh, radius = _FILTERS[mode]

    def resize(x: Value, axis: int, out: int, scale: float, align: bool) -> Value:
        extent = x.shape[axis]
        support = radius * max(scale, 1.0)
        taps = min(math.ceil(support) * 2 + 1, extent)
        centre = (_positions(x, (out, taps)) + 0.5) * scale
        low = b.maximum(b.cast(centre - support + 0.5, int64), 0)
        high = b.minimum(b.cast(centre + support + 0.5, int64), extent)
        place = low + b.iota((out, taps), 1, int64, x.type.device)
        distance = b.cast(place, centre.dtype) - centre + 0.5
        weight = b.select(b.lt(place, high), weigh(distance / max(scale, 1.0)), 0.0)
        weight = b.cast(weight / b.sum(weight, (1,), keepdim=True), x.dtype)
        found = _picked(x, axis, b.minimum(place, extent - 1))
        spread = tuple(e if at in (axis, axis + 1) else 1 for at, e in enumerate(found.shape))
        return b.sum(found * b.reshape(weight, spread), (axis + 1,))

    return resize


# -- operations ------------------------------------------------------------------------------


def _check_sizes(input: Value, out: Ints) -> None:
    extents = input.shape[2:]
    if 0 in extents or any(extent <= 0 for extent in out):
        raise RuntimeError(
            "Input and output sizes should be greater than 0, but got input (sizes: "
            f"{list(extents)}) output (sizes: {list(out)})"
        )
    if 0 in input.shape[1:]:
        raise RuntimeError(
            "Non-empty data tensor expected but got a tensor with sizes "
            f"[{', '.join(map(str, input.shape))}]"
        )


def _scale(extent: int, out: int, factor: float | None, align: bool) -> float:
    """Input elements for each output element (ATen's ``area_pixel_compute_scale``)."""
    if align:
        return (extent - 1) / (out - 1) if out > 1 else 0.0
    return 1.0 / factor if factor is not None and factor > 0 else extent / out


def _resized(resize: Resize, smooth: bool) -> Any:
    def body(input: Value, out: Ints, factors: Scales, align: bool) -> Value:
        _check_sizes(input, out)
        if smooth:
            check_floating("compute_indices_weights_linear", input)
        x = input
        for axis, (extent, factor) in enumerate(zip(out, factors, strict=True), 2):
            # Nearest neighbours know no corners: there the flag says where pixels are read.
            scale = _scale(x.shape[axis], extent, factor, align and smooth)
            x = resize(x, axis, extent, scale, align)
        return x

    return body


def _rows() -> dict[tuple[str, int], Any]:
    names = {1: "linear", 2: "bilinear", 3: "trilinear"}
    rows: dict[tuple[str, int], Any] = {}
    for n in (1, 2, 3):
        nearest = _resized(_nearest, smooth=False)
        rows["nearest", n] = operation(f"UpsampleNearest{n}DBackward0")(nearest)
        rows["nearest-exact", n] = operation(f"UpsampleNearestExact{n}DBackward0")(nearest)
        name = f"Upsample{names[n].capitalize()}{n}DBackward0"
        rows[names[n], n] = operation(name, vjp=_linear_vjp)(_resized(_linear, smooth=True))
    rows["bicubic", 2] = operation("UpsampleBicubic2DBackward0")(_resized(_cubic, smooth=True))
    for mode in _FILTERS:
        name = f"Upsample{mode.capitalize()}2DAaBackward0"
        rows[f"{mode}, antialiased", 2] = operation(name)(_resized(_antialiased(mode), smooth=True))
    return rows


_ROWS = _rows()
_AREAS = {3: adaptive_avg_pool1d, 4: adaptive_avg_pool2d, 5: adaptive_avg_pool3d}
_RANKS = {"linear": 3, "bilinear": 4, "trilinear": 5}


# -- arguments -------------------------------------------------------------------------------


def _listed(what: Any, input: Tensor, name: str) -> tuple[Any, ...]:
    """One entry an axis of a size or scale factor; ValueError in PyTorch's words."""
    count = input.ndim - 2
    if not isinstance(what, (list, tuple)):
        return (what,) * count
    if len(what) != count:
        spatial = f"input with spatial dimensions of {list(input.shape[2:])}"
        if name == "size":
            raise ValueError(
                "Input and output must have the same number of spatial dimensions, but got "
                f"{spatial} and output size of {what}. Please provide input tensor in "
                "(N, C, d1, d2, ...,dK) format and output size in (o1, o2, ...,oK) format."
            )
        raise ValueError(
            f"Input and scale_factor must have the same number of spatial dimensions, but got "
            f"{spatial} and scale_factor of shape {what}. Please provide input tensor in "
            "(N, C, d1, d2, ...,dK) format and scale_factor in (s1, s2, ...,sK) format."
        )
    return tuple(what)


def _sizes(
    input: Tensor, size: Any, scale_factor: Any, recompute: bool | None
) -> tuple[Ints, Scales]:
    """(output extents, scale factors that positions are computed with)."""
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        wanted = _listed(size, input, "size")
        if any(not isinstance(extent, int) for extent in wanted):
            raise TypeError(
                "expected size to be one of int or Tuple[int] or Tuple[int, int] or "
                f"Tuple[int, int, int], but got size with types {[type(x) for x in wanted]}"
            )
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        return wanted, (None,) * len(wanted)
    if scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    factors = tuple(float(f) for f in _listed(scale_factor, input, "scale_factor"))
    out = tuple(int(e * f) for e, f in zip(input.shape[2:], factors, strict=True))
    return out, ((None,) * len(out) if recompute else factors)


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resizes [N, C, L], [N, C, H, W] or [N, C, D, H, W] to a size or by a factor.

    Args:
        mode: ``nearest``, ``nearest-exact``, ``linear`` (3-D), ``bilinear`` or ``bicubic`` (4-D),
            ``trilinear`` (5-D), ``area`` or ``lanczos`` (4-D, antialiased).
        align_corners: the corners' centres keep their places, instead of the corners.
        recompute_scale_factor: positions follow from the sizes rather than from the factor.
        antialias: filters as wide as what an output element covers.

    Raises:
        ValueError: options that do not go together.
        NotImplementedError: a mode that does not take input of this rank.
    """
    stepped = mode in ("nearest", "area", "nearest-exact")
    if stepped and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear "
            "| bicubic | trilinear"
        )
    recompute = bool(recompute_scale_factor) or (mode == "area" and size is None)
    out, factors = _sizes(input, size, scale_factor, recompute)
    if antialias and not (mode in _FILTERS and input.ndim == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires "
            "a 4-D tensor as input"
        )
    if mode == "area" and input.ndim in _AREAS:
        return _AREAS[input.ndim](input, out)
    _check_mode(input, mode, bool(align_corners), antialias)
    run = _ROWS[f"{mode}, antialiased" if antialias else mode, input.ndim - 2]
    flag = mode == "nearest-exact" if stepped else bool(align_corners)
    result: Tensor = run(input, out, factors, flag)
    return result


def _check_mode(input: Tensor, mode: str, align: bool, antialias: bool) -> None:
    if mode == "lanczos" and input.ndim == 4:
        if align:
            raise ValueError("Lanczos mode does not support align_corners=True")
        if not antialias:
            raise ValueError("Lanczos mode requires antialias=True")
        return
    if (mode, input.ndim - 2) in _ROWS:
        return
    if mode in _RANKS and input.ndim in (3, 4, 5):
        raise NotImplementedError(
            f"Got {input.ndim}D input, but {mode} mode needs {_RANKS[mode]}D input"
        )
    raise NotImplementedError(
        f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {input.ndim}D) for the "
        "modes: nearest | linear | bilinear | bicubic | trilinear | lanczos | area | "
        f"nearest-exact (got {mode})"
    )


def upsample(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """The deprecated name of ``interpolate``."""
    _deprecated("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """The deprecated name of ``interpolate`` with ``mode="nearest"``."""
    _deprecated("upsample_nearest")
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """The deprecated name of ``interpolate`` with ``mode="bilinear"`` and aligned corners."""
    _deprecated("upsample_bilinear")
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


def _deprecated(name: str) -> None:
    warnings.warn(
        f"`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=3,
    )
