"""Sorting of integers along the last axis, and the merging of runs that long rows are sorted by.

Everything else is sorted through keys: ``ir.ordering`` makes them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from treadle.ir.types import TensorType, int32, int64
from treadle.ir.value import Array, Attributes, LoopClass, Op


def _infer(name: str, source: TensorType) -> TensorType:
    if source.dtype not in (int32, int64):
        raise TypeError(f"{name} is not defined for {source.dtype.name}")
    if not source.ndim:
        raise ValueError(f"{name} needs an axis, found {source}")
    return source


def _sort(types: Sequence[TensorType], _attrs: Attributes) -> TensorType:
    return _infer("sort", types[0])


def _merge(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
    if attrs[0] < 1:
        raise ValueError(f"merge needs runs of at least one element, found {attrs[0]}")
    return _infer("merge", types[0])


def _evaluate_merge(arrays: Sequence[Array], attrs: Attributes, _type: TensorType) -> Array:
    out = arrays[0].copy()
    for start in range(0, out.shape[-1], 2 * attrs[0]):
        out[..., start : start + 2 * attrs[0]].sort(-1)
    return out


# Rows in ascending order.
SORT = Op(
    "sort", ("x",), (), LoopClass.SORT, _sort, lambda arrays, _attrs, _type: np.sort(arrays[0], -1)
)
# Rows are runs of ``width`` ascending elements, the last one shorter; every two become one.
MERGE = Op("merge", ("x",), ("width",), LoopClass.SORT, _merge, _evaluate_merge)
