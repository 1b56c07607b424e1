"""Accesses of movement ops name the operand elements that the interpreter moves."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.ir.test_index import evaluate
from treadle.ir import build as b
from treadle.ir.access import Access, accesses
from treadle.ir.graph import input_value
from treadle.ir.index import Var, variable
from treadle.ir.types import TensorType, float32
from treadle.ir.value import Value


def source(slot: int, *shape: int) -> Value:
    return input_value(slot, TensorType(float32, shape))


MOVEMENTS = {
    "reshape": b.reshape(source(0, 4, 6), (3, 8)),
    "reshape to more axes": b.reshape(source(0, 4, 6), (2, 2, 3, 2)),
    "permute": b.permute(source(0, 2, 3, 4), (2, 0, 1)),
    "expand": b.broadcast_to(source(0, 3, 1), (3, 4)),
    "slice": b.slice(source(0, 9, 10), (1, 2), (8, 10), (3, 2)),
    "pad": b.pad(source(0, 3, 4), (1, 2), (2, 0), value=7.0),
    "pad crops": b.pad(source(0, 5, 6), (-1, 2), (1, -2), value=7.0),
    "pad interior": b.pad(source(0, 3, 4), (1, -2), (-1, 3), (2, 1), value=7.0),
    "pad of nothing": b.pad(source(0, 0, 4), (1, 0), (2, 0), (3, 0), value=7.0),
    "flip": b.flip(source(0, 3, 4), (1,)),
    "concat": b.concat([source(0, 2, 3), source(1, 2, 1), source(2, 2, 4)], 1),
    "concat with nothing": b.concat([source(0, 0, 3), source(1, 2, 3)], 0),
    "windows": b.windows(source(0, 2, 9, 7), (1, 2), (3, 2), (2, 1), (1, 3)),
    "as_strided": b.as_strided(source(0, 30), (3, 4), (7, 2), 1),
    "as_strided of a shape": b.as_strided(source(0, 5, 6), (3, 4), (7, 2), 1),
}


def holds(access: Access, at: dict[Var, int]) -> bool:
    numbers = [(evaluate(bound.index, at), bound) for bound in access.guard]
    return all(bound.low <= n < bound.high and n % bound.step == 0 for n, bound in numbers)


@pytest.mark.parametrize("name", MOVEMENTS)
def test_accesses_are_what_the_op_moves(name: str) -> None:
    value = MOVEMENTS[name]
    shapes = [operand.shape for operand in value.inputs]
    arrays = [np.random.default_rng(n).random(shape, np.float32) for n, shape in enumerate(shapes)]
    expected = value.op.evaluate(arrays, value.attrs, value.type)
    axes = [Var(f"i{nth}", extent) for nth, extent in enumerate(value.shape)]
    found = accesses(value, tuple(map(variable, axes)))
    for place in itertools.product(*map(range, value.shape)):
        at = dict(zip(axes, place, strict=True))
        chosen = next((access for access in found if holds(access, at)), None)
        if chosen is None:
            assert expected[place] == found[-1].default
            continue
        position = tuple(evaluate(index, at) for index in chosen.position)
        shape = shapes[chosen.operand]
        assert all(0 <= p < extent for p, extent in zip(position, shape, strict=True))
        assert expected[place] == arrays[chosen.operand][position]
