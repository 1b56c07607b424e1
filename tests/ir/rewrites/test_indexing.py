"""Rules about indexing: each on an example, with indices out of range among them."""

from __future__ import annotations

import pytest

from tests.ir.rewrites.rule_cases import Case, check, check_table
from treadle.ir import build as b
from treadle.ir.rewriter import Rule
from treadle.ir.rewrites.indexing import RULES
from treadle.ir.types import TensorType, float32, int64
from treadle.ir.value import Value

DATA = TensorType(float32, (11, 4))
LABELS = TensorType(int64, (11, 1))
PART = TensorType(float32, (11, 1))
VIEW = ((2, 3), (1, 4), 5)


def zeros(number: float = 0.0) -> Value:
    return b.full((11, 4), number, float32)


def one_hot(index: Value, source: Value, data: Value, combine: str = "add") -> Value:
    position = b.iota((11, 4), 1, int64)
    chosen = b.eq(position, b.broadcast_to(index, (11, 4)))
    return b.select(chosen, b.COMBINE[combine](data, b.broadcast_to(source, (11, 4))), data)


CASES: dict[str, list[Case]] = {
    # The labels are special integers: below 0 and far above the extent among them.
    "scatter-one": [
        Case(
            [LABELS, PART],
            lambda i, x: b.scatter_add(zeros(), i, x, 1),
            lambda i, x: one_hot(i, x, zeros()),
        ),
        Case(
            [LABELS, PART],
            lambda i, x: b.scatter_add(zeros(-0.0), i, x, 1),
            lambda i, x: one_hot(i, x, zeros(-0.0)),
        ),
        *(
            Case(
                [LABELS, PART],
                lambda i, x, c=combine: b.scatter(zeros(2.0), i, x, 1, c),
                lambda i, x, c=combine: one_hot(i, x, zeros(2.0), c),
            )
            for combine in ("set", "mul", "min", "max")
        ),
        Case([LABELS, PART, DATA], lambda i, x, y: b.scatter_add(y, i, x, 1), None),
        Case([LABELS, PART], lambda i, x: b.scatter_add(zeros(), i, x, 0), None),
        Case(
            [TensorType(int64, (3, 1)), TensorType(float32, (3, 1))],
            lambda i, x: b.scatter_add(zeros(), i, x, 1),
            None,
        ),
    ],
    "gather-known": [
        Case(
            [PART, TensorType(int64, (9, 5))],
            lambda x, i: b.gather(x, i, 1),
            lambda x, i: b.broadcast_to(b.slice(x, (0, 0), (9, 1)), (9, 5)),
        ),
        Case(
            [DATA],
            lambda x: b.gather(x, b.full((11, 2), 7, int64), 1),
            lambda x: b.broadcast_to(b.slice(x, (0, 3), (11, 4)), (11, 2)),
        ),
        Case(
            [DATA],
            lambda x: b.gather(x, b.full((1, 4), -2, int64), 0),
            lambda x: b.slice(x, (0, 0), (1, 4)),
        ),
        Case([DATA, LABELS], lambda x, i: b.gather(x, i, 1), None),
    ],
    "read-back": [
        Case(
            [DATA, TensorType(float32, (2, 3))],
            lambda x, y: b.as_strided(b.view_update(x, y, *VIEW), *VIEW),
            lambda x, y: y,
        ),
        Case(
            [DATA, TensorType(float32, (2, 3))],
            lambda x, y: b.as_strided(b.view_update(x, y, *VIEW), (2, 3), (1, 4), 4),
            None,
        ),
        Case(
            [DATA, TensorType(float32, (2, 3))],
            lambda x, y: b.as_strided(b.view_update(x, y, (2, 3), (1, 1), 0), (2, 3), (1, 1), 0),
            None,
        ),
    ],
    "overwrite": [
        Case(
            [DATA, TensorType(float32, (2, 3))],
            lambda x, y: b.view_update(b.view_update(x, y, *VIEW), -y, *VIEW),
            lambda x, y: b.view_update(x, -y, *VIEW),
        ),
    ],
    "update-all": [
        Case(
            [DATA, TensorType(float32, (44,))],
            lambda x, y: b.view_update(x, y, (44,), (1,), 0),
            lambda x, y: b.reshape(y, (11, 4)),
        ),
        Case(
            [DATA, TensorType(float32, (4, 11))],
            lambda x, y: b.view_update(x, y, (4, 11), (1, 4), 0),
            None,
        ),
    ],
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_keeps_its_law(rule: Rule) -> None:
    for case in CASES[rule.name]:
        check(rule, case)


def test_every_rule_is_shown() -> None:
    check_table(RULES, CASES)
