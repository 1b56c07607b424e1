"""Reductions over axes, and ``fold``, the adjoint of sliding windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from treadle.ir.errors import UnsupportedDTypeError
from treadle.ir.ops.movement import windows_of
from treadle.ir.types import TensorType, int64
from treadle.ir.value import Array, Attributes, LoopClass, Op


def _without(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(extent for axis, extent in enumerate(shape) if axis not in dims)


def _reduce(name: str, kinds: str, needs_elements: bool) -> Callable[..., TensorType]:
    def infer(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
        (dims,) = attrs
        source = types[0]
        if list(dims) != sorted(set(dims)) or any(not 0 <= axis < source.ndim for axis in dims):
            raise ValueError(f"{name} of {source} needs distinct sorted axes, found {dims}")
        if source.dtype.kind not in kinds:
            raise UnsupportedDTypeError(name, source.dtype)
        if needs_elements and any(source.shape[axis] == 0 for axis in dims):
            raise ValueError(f"{name} of {source} over {dims} has no elements to choose from")
        return source._replace(shape=_without(source.shape, dims))

    return infer


def _arg(name: str) -> Callable[..., TensorType]:
    def infer(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
        (axis,) = attrs
        source = types[0]
        if not 0 <= axis < source.ndim or source.shape[axis] == 0:
            raise ValueError(f"{name} of {source} along axis {axis}")
        return source._replace(dtype=int64, shape=_without(source.shape, (axis,)))

    return infer


def _row(name: str, kinds: str, evaluate: Callable[..., Any], needs_elements: bool = False) -> Op:
    def run(arrays: Sequence[Array], attrs: Attributes, result: TensorType) -> Array:
        with np.errstate(all="ignore"):
            reduced = evaluate(arrays[0], axis=attrs[0])
        return np.asarray(reduced).astype(result.dtype.numpy, copy=False)

    return Op(
        name,
        ("x",),
        ("dims",),
        LoopClass.REDUCTION,
        _reduce(name, kinds, needs_elements),
        run,
    )


def _arg_row(name: str, evaluate: Callable[..., Any]) -> Op:
    def run(arrays: Sequence[Array], attrs: Attributes, _type: TensorType) -> Array:
        return np.asarray(evaluate(arrays[0], axis=attrs[0])).astype(np.int64, copy=False)

    return Op(name, ("x",), ("axis",), LoopClass.REDUCTION, _arg(name), run)


SUM = _row("sum", "uif", np.sum)
PROD = _row("prod", "uif", np.prod)
MAX = _row("max", "buif", np.max, needs_elements=True)  # NaN wins; on bool: any
MIN = _row("min", "buif", np.min, needs_elements=True)  # NaN wins; on bool: all
# The first position of the greatest or least element; NaN counts as both.
ARGMAX = _arg_row("argmax", np.argmax)
ARGMIN = _arg_row("argmin", np.argmin)


def _fold(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
    shape, axes, sizes, strides, dilations = attrs
    expected = list(shape)
    for axis, size, stride, dilation in zip(axes, sizes, strides, dilations, strict=True):
        expected[axis] = (shape[axis] - dilation * (size - 1) - 1) // stride + 1
    if types[0].shape != (*expected, *sizes):
        raise ValueError(f"fold to {list(shape)} needs [{expected}, {sizes}], found {types[0]}")
    return types[0]._replace(shape=shape)


def _evaluate_fold(arrays: Sequence[Array], attrs: Attributes, result: TensorType) -> Array:
    out = np.zeros(result.shape, result.dtype.numpy)
    # Windows of the flat positions say where each element of the operand belongs.
    positions = windows_of(np.arange(out.size).reshape(out.shape), attrs[1:])
    np.add.at(out.reshape(-1), positions.reshape(-1), arrays[0].reshape(-1))
    return out


# Adds each window element back to the position that ``windows`` read it from.
FOLD = Op(
    "fold",
    ("x",),
    ("shape", "axes", "sizes", "strides", "dilations"),
    LoopClass.REDUCTION,
    _fold,
    _evaluate_fold,
)
