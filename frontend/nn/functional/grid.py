"""Sampling images and volumes at the places of a grid, and grids of affine maps."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence

from treadle.ir import build as b
from treadle.ir.gradients import vjp
from treadle.ir.types import int64
from treadle.ir.value import Value
from treadle.nn.functional.arguments import check_floating, shown
from treadle.nn.functional.interpolation import cubic_weights
from treadle.nn.functional.precision import operation
from treadle.tensor import Tensor

Values = tuple[Value, ...]
_MODES = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")


# -- coordinates -----------------------------------------------------------------------------


def _clipped(x: Value, extent: int) -> Value:
    """x between the first and the last element; flat at both ends and beyond."""
    last = float(extent - 1)
    return b.select(b.le(x, 0.0), 0.0, b.select(b.ge(x, last), last, x))


def _reflected(x: Value, extent: int, align: bool) -> Value:
    """x mirrored at the border until it lies inside."""
    low, span = (0.0, float(extent - 1)) if align else (-0.5, float(extent))
    if span == 0.0:
        return x * 0.0
    away = x - low
    away = b.select(b.lt(away, 0.0), -away, away)
    extra = b.remainder(away, span)
    odd = b.ne(b.remainder(b.floor(away / span), 2.0), 0.0)
    return b.select(odd, span - extra, extra) + low


def _padded(x: Value, extent: int, padding: str, align: bool) -> Value:
    """The coordinate that is read instead of x."""
    if padding == "zeros":
        return x
    return _clipped(_reflected(x, extent, align) if padding == "reflection" else x, extent)


def _unnormalized(x: Value, extent: int, align: bool) -> Value:
    """From -1..1 to element numbers; -1 and 1 are centres of the corners with ``align``."""
    if align:
        return (x + 1.0) * ((extent - 1) / 2.0)
    return ((x + 1.0) * float(extent) - 1.0) * 0.5


def _read(input: Value, places: Sequence[Value]) -> Value:
    """Elements [N, C, P] at whole-numbered coordinates [N, P] of each axis; 0 outside."""
    batch, channels, *extents = input.shape
    flat = b.reshape(input, (batch, channels, math.prod(extents)))
    index: Value | None = None
    inside: Value | None = None
    for place, extent in zip(places, extents, strict=True):
        here = b.logical_and(b.ge(place, 0.0), b.lt(place, float(extent)))
        inside = here if inside is None else b.logical_and(inside, here)
        number = b.cast(place, int64)
        index = number if index is None else index * extent + number
    assert index is not None and inside is not None
    shape = (batch, channels, index.shape[1])
    safe = b.reshape(b.select(inside, index, 0), (batch, 1, index.shape[1]))
    found = b.gather(flat, b.broadcast_to(safe, shape), 2)
    return b.select(b.reshape(inside, (batch, 1, index.shape[1])), found, 0.0)


def _weighted(found: Value, weight: Value) -> Value:
    return found * b.reshape(weight, (weight.shape[0], 1, weight.shape[1]))


# -- sampling --------------------------------------------------------------------------------


def _linear(input: Value, coordinates: Sequence[Value]) -> Value:
    floors = [b.floor(x) for x in coordinates]
    parts = [x - low for x, low in zip(coordinates, floors, strict=True)]
    result: Value | None = None
    for corner in itertools.product((0, 1), repeat=len(floors)):
        weight: Value | None = None
        for side, part in zip(corner, parts, strict=True):
            factor = part if side else 1.0 - part
            weight = factor if weight is None else weight * factor
        assert weight is not None
        places = [low + float(side) for low, side in zip(floors, corner, strict=True)]
        term = _weighted(_read(input, places), weight)
        result = term if result is None else result + term
    assert result is not None
    return result


def _cubic(input: Value, coordinates: Sequence[Value], padding: str, align: bool) -> Value:
    extents = input.shape[2:]
    floors = [b.floor(x) for x in coordinates]
    rows, columns = (cubic_weights(x - low) for x, low in zip(coordinates, floors, strict=True))
    result: Value | None = None
    for (down, by_row), (right, by_column) in itertools.product(
        enumerate(rows, -1), enumerate(columns, -1)
    ):
        steps = zip(floors, (down, right), extents, strict=True)
        places = [_padded(low + float(step), e, padding, align) for low, step, e in steps]
        term = _weighted(_read(input, places), by_row * by_column)
        result = term if result is None else result + term
    assert result is not None
    return result


def _sampled(input: Value, grid: Value, mode: str, padding: str, align: bool) -> Value:
    """[N, C, *S] at grid [N, *O, d] -> [N, C, *O]; the last axis of the grid is x, y (, z)."""
    _check(input, grid, mode)
    batch, channels, *extents = input.shape
    out = grid.shape[1:-1]
    count = math.prod(out)
    coordinates = []
    for axis, extent in enumerate(extents):
        at = len(extents) - 1 - axis
        starts, stops = (0,) * grid.ndim, grid.shape
        x = b.slice(grid, (*starts[:-1], at), (*stops[:-1], at + 1))
        x = _unnormalized(b.reshape(x, (batch, count)), extent, align)
        coordinates.append(x if mode == "bicubic" else _padded(x, extent, padding, align))
    if mode == "bilinear":
        result = _linear(input, coordinates)
    elif mode == "nearest":
        result = _read(input, [b.round(x) for x in coordinates])
    else:
        result = _cubic(input, coordinates, padding, align)
    return b.reshape(result, (batch, channels, *out))


def _sample_vjp(
    inputs: Values, outputs: Values, upstreams: Values, *, mode: str, padding: str, align: bool
) -> Sequence[Value | None]:
    body = _sampled(inputs[0], inputs[1], mode, padding, align)
    to_input, to_grid = vjp([body], inputs, upstreams)
    # The nearest element stays the same under small moves.
    return (to_input, b.constant_like(inputs[1], 0.0) if to_grid is None else to_grid)


_samplers = {
    4: operation("GridSampler2DBackward0", vjp=_sample_vjp)(_sampled),
    5: operation("GridSampler3DBackward0", vjp=_sample_vjp)(_sampled),
}


def _check(input: Value, grid: Value, mode: str) -> None:
    if input.ndim not in (4, 5) or input.ndim != grid.ndim:
        raise RuntimeError(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but "
            f"got input with sizes {shown(input.shape)} and grid with sizes {shown(grid.shape)}"
        )
    if input.shape[0] != grid.shape[0]:
        raise RuntimeError(
            "grid_sampler(): expected grid and input to have same batch size, but got input with "
            f"sizes {shown(input.shape)} and grid with sizes {shown(grid.shape)}"
        )
    if grid.shape[-1] != input.ndim - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {input.ndim - 2} in last dimension, but "
            f"got grid with sizes {shown(grid.shape)}"
        )
    if 0 in input.shape[2:]:
        raise RuntimeError(
            "grid_sampler(): expected input to have non-empty spatial dimensions, but input has "
            f"sizes {shown(input.shape)} with dimension {input.shape.index(0, 2)} being empty"
        )
    if input.dtype is not grid.dtype:
        raise RuntimeError(
            "grid_sampler(): expected input and grid to have same dtype, but input has "
            f"{input.dtype.name} and grid has {grid.dtype.name}"
        )
    if mode == "bicubic" and input.ndim == 5:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    check_floating("grid_sampler_2d_cpu_kernel_impl", input)


def grid_sampler(
    input: Tensor,
    grid: Tensor,
    interpolation_mode: int,
    padding_mode: int,
    align_corners: bool,
) -> Tensor:
    """``grid_sample`` with PyTorch's numbers of its modes."""
    run = _samplers.get(input.ndim, _samplers[4])
    mode, padding = _MODES[interpolation_mode], _PADDINGS[padding_mode]
    result: Tensor = run(input, grid, mode, padding, bool(align_corners))
    return result


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Samples [N, C, H, W] (or [N, C, D, H, W]) at places [N, *O, 2] between -1 and 1.

    Args:
        mode: ``bilinear``, ``nearest`` or ``bicubic``.
        padding_mode: what lies outside: ``zeros``, the ``border``, or its ``reflection``.
        align_corners: -1 and 1 are the centres of the corner elements, not their outer edges.
    """
    if mode not in _MODES:
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', "
            f"but got: '{mode}'"
        )
    if padding_mode not in _PADDINGS:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or "
            f"'reflection', but got: '{padding_mode}'"
        )
    if align_corners is None:
        _warn_default("grid_sample")
    numbers = _MODES.index(mode), _PADDINGS.index(padding_mode)
    return grid_sampler(input, grid, *numbers, bool(align_corners))


def _warn_default(name: str) -> None:
    warnings.warn(
        "Default grid_sample and affine_grid behavior has changed to align_corners=False since "
        "1.3.0. Please specify align_corners=True if the old behavior is desired. See the "
        f"documentation of {name} for details.",
        stacklevel=3,
    )


# -- grids of affine maps --------------------------------------------------------------------


@operation("AffineGridGeneratorBackward0")
def _affine_grid(theta: Value, extents: tuple[int, ...], align: bool) -> Value:
    """theta [N, d, d + 1] applied to every place of a grid -> [N, *extents, d]."""
    batch, count, _ = theta.shape
    shape = (batch, *extents, count)

    def column(number: int) -> Value:
        part = b.slice(theta, (0, 0, number), (batch, count, number + 1))
        return b.broadcast_to(b.reshape(part, (batch, *(1 for _ in extents), count)), shape)

    result = column(count)
    for number in range(count):
        axis = count - 1 - number  # x runs along the last axis
        extent = extents[axis]
        place = b.iota(shape, 1 + axis, theta.dtype, theta.type.device)
        if align:
            place = place * (2.0 / (extent - 1)) - 1.0 if extent > 1 else place * 0.0
        else:
            place = (place * 2.0 + 1.0) / float(extent) - 1.0
        result = result + place * column(number)
    return result


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The places that affine maps [N, 2, 3] give to the elements of an image [N, C, H, W].

    Volumes [N, C, D, H, W] take maps [N, 3, 4]; the result is for ``grid_sample``.
    """
    if align_corners is None:
        _warn_default("affine_grid")
    if not theta.dtype.is_floating_point:
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    size = tuple(size)
    count = len(size) - 2
    if count not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, "
            f"respectively. Got size {size}."
        )
    if theta.ndim != 3 or tuple(theta.shape[-2:]) != (count, count + 1):
        raise ValueError(
            f"Expected a batch of {count}D affine matrices of shape Nx{count}x{count + 1} for "
            f"size {size}. Got {theta.shape}."
        )
    if align_corners and min(size[2:]) == 1:
        warnings.warn(
            "Since version 1.3.0, affine_grid behavior has changed for unit-size grids when "
            "align_corners=True. This is not an intended use case of affine_grid. See the "
            "documentation of affine_grid for details.",
            stacklevel=2,
        )
    elif min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    if theta.shape[0] != size[0]:
        raise RuntimeError(f"Expected theta to have batch size {size[0]}, got {theta.shape[0]}")
    return _affine_grid(theta, size[2:], bool(align_corners))
