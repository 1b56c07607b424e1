"""Ops whose addresses come from data, and updates of a part of a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from treadle.ir.ops.movement import check_strided
from treadle.ir.types import TensorType, bool_, int64
from treadle.ir.value import Array, Attributes, LoopClass, Op, device_of

# How a scattered element meets the one in its place, as a function of arrays; None replaces it.
COMBINES: dict[str, Any] = {
    "set": None,
    "add": np.add,
    "mul": np.multiply,
    "min": np.minimum,
    "max": np.maximum,
}


def _check_axes(name: str, data: TensorType, index: TensorType, axis: int) -> None:
    if index.dtype is not int64 or index.ndim != data.ndim or not 0 <= axis < data.ndim:
        raise ValueError(f"{name} along axis {axis} needs i64 indices of {data}'s rank: {index}")
    for other, (have, want) in enumerate(zip(data.shape, index.shape, strict=True)):
        if other != axis and want > have:
            raise ValueError(f"{name} along axis {axis}: indices {index} exceed {data}")


def _gather(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
    data, index = types
    _check_axes("gather", data, index, attrs[0])
    if index.numel and not data.shape[attrs[0]]:
        raise ValueError(f"gather from {data} along axis {attrs[0]}, which is empty")
    return data._replace(shape=index.shape, device=device_of(types))


def _evaluate_gather(arrays: Sequence[Array], attrs: Attributes, _type: TensorType) -> Array:
    data, index = arrays
    (axis,) = attrs
    taken = data[tuple(slice(None) if a == axis else slice(n) for a, n in enumerate(index.shape))]
    if index.size == 0:
        return np.empty(index.shape, data.dtype)
    return np.take_along_axis(taken, np.clip(index, 0, data.shape[axis] - 1), axis)


def _scatter(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
    data, index, source = types
    axis, combine = attrs
    _check_axes("scatter", data, index, axis)
    if source.dtype is not data.dtype or source.shape != index.shape:
        raise ValueError(f"scatter needs {data.dtype.short}{list(index.shape)}: {source}")
    if combine not in COMBINES:
        raise ValueError(f"scatter combines by {', '.join(COMBINES)}, found {combine!r}")
    if data.dtype is bool_ and combine != "set":
        raise TypeError(f"scatter of bool has no {combine!r}")
    return data._replace(device=device_of(types))


def _evaluate_scatter(arrays: Sequence[Array], attrs: Attributes, _type: TensorType) -> Array:
    data, index, source = arrays
    axis, combine = attrs
    out = data.copy()
    inside = (index >= 0) & (index < data.shape[axis])
    positions: list[Array] = list(np.indices(index.shape))
    positions[axis] = index
    places = tuple(position[inside] for position in positions)
    if combine == "set":
        out[places] = source[inside]
    else:
        COMBINES[combine].at(out, places, source[inside])
    return out


def _view_update(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
    base, part = types
    check_strided("view_update", base.numel, attrs)
    if part.shape != attrs[0] or part.dtype is not base.dtype:
        raise ValueError(f"view_update of {base} by {part}: the view is {list(attrs[0])}")
    return base._replace(device=device_of(types))


def _evaluate_view_update(arrays: Sequence[Array], attrs: Attributes, _type: TensorType) -> Array:
    base, part = arrays
    size, stride, offset = attrs
    out = np.array(base, order="C", copy=True)
    if part.size:
        steps = [step * out.itemsize for step in stride]
        view = np.lib.stride_tricks.as_strided(out.reshape(-1)[offset:], size, steps)
        view[...] = part
    return out


# torch.gather: result[i][j] = data[index[i][j]][j] for axis 0. Indices are clamped into range, so
# that no kernel reads outside its buffers; the API checks them where PyTorch does.
GATHER = Op("gather", ("data", "index"), ("axis",), LoopClass.INDEXING, _gather, _evaluate_gather)
# result = data; result[index[i][j]][j] = combine(result[index[i][j]][j], source[i][j]) for axis 0,
# for the elements of source in row-major order: with ``set``, the last one wins. Indices out of
# range are skipped.
SCATTER = Op(
    "scatter",
    ("data", "index", "source"),
    ("axis", "combine"),
    LoopClass.INDEXING,
    _scatter,
    _evaluate_scatter,
)
# The base with the elements of a strided view (over its row-major elements) replaced by ``part``.
VIEW_UPDATE = Op(
    "view_update",
    ("base", "part"),
    ("size", "stride", "offset"),
    LoopClass.UPDATE,
    _view_update,
    _evaluate_view_update,
)
