"""``torch.gradient``: slopes of sampled functions by finite differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from treadle.functions import joining, movement, slicing
from treadle.functions.axes import axis_of, distinct_axes
from treadle.out_argument import takes_tensor
from treadle.promotion import default_dtype
from treadle.tensor import Tensor

__all__ = ["gradient"]


@takes_tensor
def gradient(
    input: Tensor, *, spacing: Any = None, dim: Any = None, edge_order: int = 1
) -> tuple[Tensor, ...]:
    """Slopes along axes by central differences of second order, one-sided at the ends.

    ``spacing`` is the distance between samples: a number, one an axis, or their coordinates (a
    tensor an axis). ``edge_order`` is the order of accuracy at the ends, 1 or 2.
    """
    axes = _axes(input, spacing, dim)
    steps = _steps(spacing, len(axes))
    _check(input, axes, steps, edge_order)
    slope = _with_coordinates if isinstance(steps[0], Tensor) else _evenly
    work = input if input.dtype.kind in "fc" else input.to(default_dtype())
    if not isinstance(steps[0], Tensor):
        work = input
    return tuple(
        slope(work, axis_of(axis, input.ndim), step, edge_order)
        for axis, step in zip(axes, steps, strict=True)
    )


def _axes(input: Tensor, spacing: Any, dim: Any) -> list[int]:
    if dim is None:
        return list(range(input.ndim))
    axes = [dim] if isinstance(dim, int) else list(dim)
    distinct_axes(axes, input.ndim)
    return axes


def _steps(spacing: Any, count: int) -> list[Any]:
    if spacing is None:
        return [1.0] * count
    given = list(spacing) if isinstance(spacing, (tuple, list)) else None
    if given is None:
        return [spacing] * count
    if len(given) != count:
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and dim "
            f"arguments to have the same length, but got a spacing argument of length {len(given)} "
            f"and a dim argument of length {count}."
        )
    return given


def _check(input: Tensor, axes: Sequence[int], steps: Sequence[Any], edge_order: int) -> None:
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    for axis, step in zip(axes, steps, strict=True):
        extent = input.shape[axis]
        if extent < edge_order + 1:
            raise RuntimeError(
                "torch.gradient expected each dimension size to be at least edge_order+1"
            )
        if isinstance(step, Tensor) and tuple(step.shape) != (extent,):
            raise RuntimeError(
                "torch.gradient expected each element of spacing to have one dimension, and as "
                "many elements as the input has along that axis"
            )


def _part(input: Tensor, axis: int, start: int | None, stop: int | None) -> Tensor:
    return slicing.slice_axis(input, axis, start, stop, 1)


def _evenly(input: Tensor, axis: int, step: Any, edge_order: int) -> Tensor:
    """Slopes of samples ``step`` apart."""
    inner = (_part(input, axis, 2, None) - _part(input, axis, None, -2)) / (2 * step)
    if edge_order == 1:
        first = (_part(input, axis, 1, 2) - _part(input, axis, 0, 1)) / step
        last = (_part(input, axis, -1, None) - _part(input, axis, -2, -1)) / step
    else:
        first = _one_sided([_part(input, axis, n, n + 1) for n in range(3)], step)
        ends = [_part(input, axis, -1, None), _part(input, axis, -2, -1)]
        last = _one_sided([*ends, _part(input, axis, -3, -2)], -step)
    joined: Tensor = joining.cat([first, inner, last], axis)
    return joined


def _one_sided(samples: Sequence[Tensor], step: Any) -> Tensor:
    near, next_one, far = samples
    slope: Tensor = (near * -3.0 + next_one * 4.0 - far) / (2 * step)
    return slope


def _with_coordinates(input: Tensor, axis: int, at: Tensor, edge_order: int) -> Tensor:
    """Slopes of samples at given coordinates: derivatives of the parabola through three."""
    shape = [-1 if number == axis else 1 for number in range(input.ndim)]
    step = movement.reshape(_part(at, 0, 1, None) - _part(at, 0, None, -1), shape)
    before, after = _part(step, axis, None, -1), _part(step, axis, 1, None)
    inner = (
        _part(input, axis, None, -2) * (-after / (before * (before + after)))
        + _part(input, axis, 1, -1) * ((after - before) / (before * after))
        + _part(input, axis, 2, None) * (before / (after * (before + after)))
    )
    first, last = _part(step, axis, 0, 1), _part(step, axis, -1, None)
    if edge_order == 1:
        start = (_part(input, axis, 1, 2) - _part(input, axis, 0, 1)) / first
        end = (_part(input, axis, -1, None) - _part(input, axis, -2, -1)) / last
    else:
        second, previous = _part(step, axis, 1, 2), _part(step, axis, -2, -1)
        start = _parabola_end([_part(input, axis, n, n + 1) for n in range(3)], first, second)
        ends = [_part(input, axis, -1, None), _part(input, axis, -2, -1)]
        end = -_parabola_end([*ends, _part(input, axis, -3, -2)], last, previous)
    joined: Tensor = joining.cat([start, inner, end], axis)
    return joined


def _parabola_end(samples: Sequence[Tensor], near: Tensor, far: Tensor) -> Tensor:
    """The slope at the first of three samples that are ``near`` and then ``far`` apart."""
    one, two, three = samples
    slope: Tensor = (
        one * (-(near * 2.0 + far) / (near * (near + far)))
        + two * ((near + far) / (near * far))
        - three * (near / (far * (near + far)))
    )
    return slope
