"""Rules about constants: what folds, to which form, and what is left to the target."""

from __future__ import annotations

import pytest

from tests.ir.rewrites.rule_cases import Case, F, check, check_table
from treadle.ir import build as b
from treadle.ir.rewriter import Rule
from treadle.ir.rewrites.constants import RULES
from treadle.ir.types import (
    DType,
    TensorType,
    bool_,
    float16,
    float32,
    float64,
    int8,
    int32,
    int64,
    uint8,
)
from treadle.ir.value import Value

NAN, INF = float("nan"), float("inf")
EMPTY = TensorType(float32, (0, 3))
SHORT = TensorType(int64, (2, 3))


def full(number: float, *shape: int, dtype: DType = float32) -> Value:
    return b.full(shape, number, dtype)


CASES: dict[str, list[Case]] = {
    "fold-empty": [
        Case([EMPTY], lambda x: b.exp(x), lambda x: full(0.0, 0, 3)),
        Case([EMPTY], lambda x: b.concat([x, x], 0), lambda x: full(0.0, 0, 3)),
        Case([F], lambda x: b.slice(x, (3, 0), (3, 16)), lambda x: full(0.0, 0, 16)),
        Case([EMPTY], lambda x: b.pad(x, (1, 0), (0, 0)), None),
    ],
    "fold-constants": [
        Case([], lambda: full(2.0, 3) * full(0.1, 3), lambda: full(0.20000000298023224, 3)),
        Case([], lambda: -full(0.0), lambda: full(-0.0)),
        Case([], lambda: full(1.0) / full(-0.0), lambda: full(-INF)),
        Case([], lambda: full(0.0) * full(INF), lambda: full(NAN)),
        Case([], lambda: b.sqrt(full(2.0, dtype=float16)), lambda: full(1.4140625, dtype=float16)),
        Case([], lambda: b.lt(full(NAN), full(1.0)), lambda: full(False, dtype=bool_)),
        Case(
            [], lambda: b.select(full(True, dtype=bool_), full(1.0), full(2.0)), lambda: full(1.0)
        ),
        Case([], lambda: b.cast(full(-1.0), uint8), lambda: full(0, dtype=uint8)),
        Case(
            [], lambda: full(127, dtype=int8) + full(1, dtype=int8), lambda: full(-128, dtype=int8)
        ),
        Case(
            [], lambda: full(-7, dtype=int64) / full(2, dtype=int64), lambda: full(-3, dtype=int64)
        ),
        Case([], lambda: full(3, dtype=int64) ** 4, lambda: full(81, dtype=int64)),
        Case([], lambda: b.bitcast(full(1.0), int32), lambda: full(0x3F800000, dtype=int32)),
        Case([], lambda: b.exp(full(1.0)), None),
        Case([], lambda: b.pow(full(3.0), full(0.5)), None),
        Case([], lambda: b.remainder(full(3.0), full(0.5)), None),
        Case([], lambda: b.maximum(full(0.0), full(-0.0)), None),
        Case([], lambda: b.bitcast(full(NAN), int32), None),
        Case([], lambda: b.shift_left(full(1, dtype=int64), full(64, dtype=int64)), None),
    ],
    "fold-short-iota": [
        Case([], lambda: b.iota((1,), 0, int64), lambda: full(0, 1, dtype=int64)),
        Case([], lambda: b.iota((2,), 0, int64), None),
    ],
    "move-constant": [
        Case([], lambda: b.permute(full(2.0, 2, 3), (1, 0)), lambda: full(2.0, 3, 2)),
        Case([], lambda: b.reshape(full(2.0, 2, 3), (6,)), lambda: full(2.0, 6)),
        Case([], lambda: b.slice(full(-0.0, 5), (1,), (3,)), lambda: full(-0.0, 2)),
        Case([], lambda: b.flip(full(2.0, 5), (0,)), lambda: full(2.0, 5)),
        Case([], lambda: b.broadcast_to(full(2.0, 5, 1), (2, 5, 3)), lambda: full(2.0, 2, 5, 3)),
        Case([], lambda: b.windows(full(2.0, 5), (0,), (2,), (1,), (1,)), lambda: full(2.0, 4, 2)),
        Case([], lambda: b.as_strided(full(2.0, 5), (2,), (2,), 1), lambda: full(2.0, 2)),
        Case([SHORT], lambda i: b.gather(full(2.0, 9, 9), i, 0), lambda i: full(2.0, 2, 3)),
        Case([], lambda: full(2.0, 3, 1), None),
    ],
    "pad-constant": [
        Case([], lambda: b.pad(full(1.0, 2), (1,), (2,), value=1), lambda: full(1.0, 5)),
        Case([], lambda: b.pad(full(NAN, 2), (1,), (2,), value=NAN), None),
        Case([], lambda: b.pad(full(-0.0, 2), (1,), (2,), value=0.0), None),
    ],
    "concat-constants": [
        Case([], lambda: b.concat([full(1.0, 2), full(1.0, 3)], 0), lambda: full(1.0, 5)),
        Case([], lambda: b.concat([full(0.0, 2), full(-0.0, 3)], 0), None),
    ],
    "update-constant": [
        Case(
            [],
            lambda: b.view_update(full(1.0, 4), full(1.0, 2), (2,), (2,), 0),
            lambda: full(1.0, 4),
        ),
        Case([], lambda: b.view_update(full(1.0, 4), full(2.0, 2), (2,), (2,), 0), None),
    ],
    "fold-empty-reduction": [
        Case([EMPTY], lambda x: b.sum(x, (0,)), lambda x: full(0.0, 3)),
        Case([EMPTY], lambda x: b.prod(x, (0,)), lambda x: full(1.0, 3)),
        Case([F], lambda x: b.sum(x, (0,)), None),
    ],
    "fold-sum": [
        Case([], lambda: b.sum(full(1.0, 4, 3), (0,)), lambda: full(4.0, 3)),
        Case([], lambda: b.sum(full(-0.0, 4), (0,)), lambda: full(0.0)),
        Case([], lambda: b.sum(full(0.375, 8), (0,)), lambda: full(3.0)),
        Case([], lambda: b.sum(full(100, 3, dtype=int8), (0,)), lambda: full(44, dtype=int8)),
        Case([], lambda: b.sum(full(200, 3, dtype=uint8), (0,)), lambda: full(88, dtype=uint8)),
        Case([], lambda: b.sum(full(0.1, 3), (0,)), None),
        Case([], lambda: b.sum(full(0.1, 3, dtype=float64), (0,)), None),
        Case([], lambda: b.sum(full(INF, 3), (0,)), None),
        Case([], lambda: b.sum(full(1.0, 2049, dtype=float16), (0,)), None),
        Case([], lambda: b.sum(full(2.0**127, 4), (0,)), None),
    ],
    "fold-extreme": [
        Case([], lambda: b.max(full(NAN, 4, 3), (0,)), lambda: full(NAN, 3)),
        Case([], lambda: b.min(full(-0.0, 4), (0,)), lambda: full(-0.0)),
    ],
    "fold-product-of-ones": [
        Case([], lambda: b.prod(full(1.0, 4), (0,)), lambda: full(1.0)),
        Case([], lambda: b.prod(full(2.0, 4), (0,)), None),
    ],
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_keeps_its_law(rule: Rule) -> None:
    for case in CASES[rule.name]:
        check(rule, case)


def test_every_rule_is_shown() -> None:
    check_table(RULES, CASES)
