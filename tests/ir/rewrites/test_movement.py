"""Rules about movement: each on an example, and where an element would change."""

from __future__ import annotations

import pytest

from tests.ir.rewrites.rule_cases import Case, F, N, check, check_table
from treadle.ir import build as b
from treadle.ir.ops import movement as m
from treadle.ir.rewriter import Rule
from treadle.ir.rewrites.movement import RULES
from treadle.ir.types import TensorType, bool_, float32
from treadle.ir.value import Value, make

ROW = TensorType(float32, (8,))
ONE = TensorType(float32, (1, 1))
TALL = TensorType(float32, (5, 1))


def pad(x: Value, low: int, high: int, interior: int = 0, value: float = 0.0) -> Value:
    return b.pad(x, (low,), (high,), (interior,), value)


def cut(x: Value, start: int, stop: int, step: int = 1) -> Value:
    return b.slice(x, (start,), (stop,), (step,))


CASES: dict[str, list[Case]] = {
    "reshape-chain": [
        Case(
            [F], lambda x: b.reshape(b.reshape(x, (256,)), (4, 64)), lambda x: b.reshape(x, (4, 64))
        ),
        Case([F], lambda x: b.reshape(b.reshape(x, (256,)), (16, 16)), lambda x: x),
    ],
    "permute-chain": [
        Case([F], lambda x: b.transpose(b.transpose(x)), lambda x: x),
        Case(
            [TensorType(float32, (2, 3, 4))],
            lambda x: b.permute(b.permute(x, (1, 2, 0)), (1, 0, 2)),
            lambda x: b.permute(x, (2, 1, 0)),
        ),
        Case([F], lambda x: make(m.PERMUTE, (x,), ((0, 1),)), lambda x: x),
    ],
    "expand-chain": [
        Case(
            [ONE],
            lambda x: b.broadcast_to(b.broadcast_to(x, (3, 1)), (3, 4)),
            lambda x: b.broadcast_to(x, (3, 4)),
        ),
        Case([F], lambda x: make(m.EXPAND, (x,), ((16, 16),)), lambda x: x),
    ],
    "move-one-element": [
        Case(
            [ONE],
            lambda x: b.reshape(b.broadcast_to(x, (2, 3)), (6,)),
            lambda x: b.broadcast_to(b.reshape(x, (1,)), (6,)),
        ),
        Case(
            [ONE],
            lambda x: b.flip(b.permute(b.broadcast_to(x, (2, 3)), (1, 0)), (0,)),
            lambda x: b.broadcast_to(x, (3, 2)),
        ),
        Case([TALL], lambda x: b.reshape(b.broadcast_to(x, (5, 3)), (15,)), None),
    ],
    "slice-chain": [
        Case([ROW], lambda x: cut(cut(x, 1, 8, 2), 1, 4, 2), lambda x: cut(x, 3, 8, 4)),
        Case([ROW], lambda x: cut(cut(x, 2, 8), 1, 4), lambda x: cut(x, 3, 6)),
        Case([ROW], lambda x: make(m.SLICE, (x,), ((0,), (8,), (1,))), lambda x: x),
    ],
    "flip-chain": [
        Case([F], lambda x: b.flip(b.flip(x, (0, 1)), (1,)), lambda x: b.flip(x, (0,))),
        Case([F], lambda x: b.flip(b.flip(x, (1,)), (1,)), lambda x: x),
        Case([TALL], lambda x: b.flip(x, (0, 1)), lambda x: b.flip(x, (0,))),
    ],
    "pad-chain": [
        Case([ROW], lambda x: pad(pad(x, 1, 2), 3, 0), lambda x: pad(x, 4, 2)),
        Case([ROW], lambda x: pad(pad(x, 1, 2, 1), -2, 1), lambda x: pad(x, -1, 3, 1)),
        Case([ROW], lambda x: pad(pad(x, -1, 0), -1, 1), lambda x: pad(x, -2, 1)),
        Case([ROW], lambda x: make(m.PAD, (x,), ((0,), (0,), (0,), 1.0)), lambda x: x),
        Case([ROW], lambda x: pad(pad(x, -1, 0), 1, 0), None),
        Case([ROW], lambda x: pad(pad(x, 1, 0), 1, 0, 1), None),
        Case([ROW], lambda x: pad(pad(x, 1, 0), 1, 0, 0, -0.0), None),
    ],
    "slice-of-pad": [
        Case([ROW], lambda x: cut(pad(x, 2, 3), 3, 9), lambda x: cut(x, 1, 7)),
        Case([ROW], lambda x: cut(pad(x, 2, 3, 1), 4, 12, 4), lambda x: cut(x, 1, 4, 2)),
        Case([ROW], lambda x: cut(pad(x, -2, 3), 0, 6), lambda x: cut(x, 2, 8)),
        Case(
            [ROW],
            lambda x: cut(pad(x, 2, 3, value=1.0), 0, 2),
            lambda x: b.full((2,), 1.0, float32),
        ),
        Case([ROW], lambda x: cut(pad(x, 2, 3), 10, 13), lambda x: b.full((3,), 0.0, float32)),
        Case([ROW], lambda x: cut(pad(x, 2, 3), 1, 4), None),
        Case([ROW], lambda x: cut(pad(x, 2, 3, 1), 4, 7), None),
    ],
    "concat-without-empty": [
        Case(
            [ROW, TensorType(float32, (0,))],
            lambda x, y: b.concat([y, x, y, x], 0),
            lambda x, y: b.concat([x, x], 0),
        ),
        Case([ROW, TensorType(float32, (0,))], lambda x, y: b.concat([x, y], 0), lambda x, y: x),
    ],
    "slice-of-concat": [
        Case(
            [ROW, ROW],
            lambda x, y: cut(b.concat([x, y], 0), 9, 16, 2),
            lambda x, y: cut(y, 1, 8, 2),
        ),
        Case([ROW, ROW], lambda x, y: cut(b.concat([x, y], 0), 0, 8), lambda x, y: x),
        Case([ROW, ROW], lambda x, y: cut(b.concat([x, y], 0), 7, 9), None),
    ],
    "whole-view": [
        Case([ROW], lambda x: b.as_strided(x, (2, 4), (4, 1), 0), lambda x: b.reshape(x, (2, 4))),
        Case([ROW], lambda x: b.as_strided(x, (4, 2), (1, 4), 0), None),
    ],
    "reduce-one": [
        Case([TALL], lambda x: b.max(x, (1,)), lambda x: b.reshape(x, (5,))),
        Case([TALL], lambda x: b.prod(x, (1,)), lambda x: b.reshape(x, (5,))),
        Case([TALL], lambda x: b.sum(x, (1,)), lambda x: b.reshape(x, (5,)) + 0.0),
        Case([TALL], lambda x: b.sum(x, (0,)), None),
    ],
    "merge-reductions": [
        Case([F], lambda x: b.max(b.max(x, (0,)), (0,)), lambda x: b.max(x)),
        Case([N], lambda x: b.sum(b.sum(x, (1,)), (0,)), lambda x: b.sum(x)),
        Case([TensorType(bool_, (2, 3, 2))], lambda x: b.min(b.min(x, (0, 2)), (0,)), b.min),
        Case([F], lambda x: b.sum(b.sum(x, (0,)), (0,)), None),
    ],
    "merge-sums": [
        Case(
            [TensorType(float32, (2, 2, 1))],
            lambda x: b.sum(b.sum(x, (1,)), (0,)),
            lambda x: b.sum(x, (0, 1)),
        ),
    ],
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_keeps_its_law(rule: Rule) -> None:
    for case in CASES[rule.name]:
        check(rule, case)


def test_every_rule_is_shown() -> None:
    check_table(RULES, CASES)
