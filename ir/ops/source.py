"""Ops without operands: program inputs, constants and index ramps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from treadle.ir.types import TensorType
from treadle.ir.value import Array, Attributes, LoopClass, Op


def _declared(_types: Sequence[TensorType], attrs: Attributes) -> TensorType:
    declared: TensorType = attrs[1]
    return declared


def _unbound(_arrays: Sequence[Array], attrs: Attributes, _type: TensorType) -> Array:
    raise ValueError(f"program input {attrs[0]} has no array")


def _constant(_types: Sequence[TensorType], attrs: Attributes) -> TensorType:
    _value, dtype, device = attrs
    return TensorType(dtype, (), device)


def _iota(_types: Sequence[TensorType], attrs: Attributes) -> TensorType:
    length, dtype, device = attrs
    if length < 0:
        raise ValueError(f"iota needs a length of at least 0, found {length}")
    return TensorType(dtype, (length,), device)


# Inputs are numbered in the order in which a program first reads them, so that two recordings of
# the same step share every value.
INPUT = Op("input", (), ("slot", "type"), LoopClass.SOURCE, _declared, _unbound)

CONSTANT = Op(
    "constant",
    (),
    ("value", "dtype", "device"),
    LoopClass.SOURCE,
    _constant,
    lambda _arrays, attrs, _type: np.array(attrs[0]).astype(attrs[1].numpy),
    scalar=0,
)

IOTA = Op(
    "iota",
    (),
    ("length", "dtype", "device"),
    LoopClass.SOURCE,
    _iota,
    lambda _arrays, attrs, _type: np.arange(attrs[0]).astype(attrs[1].numpy),
)
