"""Rules of algebra: each on an example, with special values, and where they must not match."""

from __future__ import annotations

import pytest

from tests.ir.rewrites.rule_cases import B, Case, D, F, N, check, check_table
from treadle.ir import build as b
from treadle.ir.ops.elementwise import CAST
from treadle.ir.rewriter import Rule
from treadle.ir.rewrites.algebra import RULES, holds_exactly
from treadle.ir.types import (
    DType,
    TensorType,
    bfloat16,
    bool_,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
)
from treadle.ir.value import Value, make

BYTES = TensorType(int8, (16, 16))
UNSIGNED = TensorType(uint8, (16, 16))


def truth(like: Value, value: bool) -> Value:
    return b.full(like.shape, value, bool_)


def chain(x: Value, *dtypes: DType) -> Value:
    for dtype in dtypes:
        x = b.cast(x, dtype)
    return x


CASES: dict[str, list[Case]] = {
    "constant-right": [
        Case([F], lambda x: 2.0 + x, lambda x: x + 2.0),
        Case([F], lambda x: 2.0 * x, lambda x: x * 2.0),
        Case([F], lambda x: b.eq(2.0, x), lambda x: b.eq(x, 2.0)),
        Case([F], lambda x: 2.0 - x, None),
    ],
    "add-zero": [
        Case([F], lambda x: x - 0.0, lambda x: x),
        Case([F], lambda x: x + -0.0, lambda x: x),
        Case([N], lambda x: x + 0, lambda x: x),
        Case([N], lambda x: x - 0, lambda x: x),
        Case([B], lambda x: b.add(x, False), lambda x: x),
        Case([F], lambda x: x + 0.0, None),
        Case([F], lambda x: x - -0.0, None),
    ],
    "multiply-by-one": [
        Case([F], lambda x: x * 1.0, lambda x: x),
        Case([D], lambda x: x / 1.0, lambda x: x),
        Case([N], lambda x: x / 1, lambda x: x),
        Case([F], lambda x: x * 0.0, None),
    ],
    "undo-twice": [
        Case([F], lambda x: b.neg(b.neg(x)), lambda x: x),
        Case([B], lambda x: b.logical_not(b.logical_not(x)), lambda x: x),
        Case([N], lambda x: b.logical_not(b.logical_not(x)), lambda x: x),
    ],
    "absolute-of-negative": [
        Case([F], lambda x: b.abs(-x), b.abs),
        Case([BYTES], lambda x: b.abs(-x), b.abs),
        Case([F], lambda x: b.abs(b.abs(x)), b.abs),
        Case([UNSIGNED], lambda x: b.abs(-x), None),
    ],
    "add-negative": [
        Case([F, F], lambda x, y: x + -y, lambda x, y: x - y),
        Case([F, F], lambda x, y: -x + y, lambda x, y: y - x),
        Case([F, F], lambda x, y: x - -y, lambda x, y: x + y),
        Case([BYTES, BYTES], lambda x, y: x + -y, lambda x, y: x - y),
    ],
    "negatives-cancel": [
        Case([F, F], lambda x, y: -x * -y, lambda x, y: x * y),
        Case([F, F], lambda x, y: -x / -y, lambda x, y: x / y),
        Case([BYTES, BYTES], lambda x, y: -x * -y, lambda x, y: x * y),
        Case([BYTES, BYTES], lambda x, y: -x / -y, None),
    ],
    "idempotent": [
        Case([F], lambda x: b.maximum(x, x), lambda x: x),
        Case([F], lambda x: b.minimum(x, x), lambda x: x),
        Case([N], lambda x: b.logical_and(x, x), lambda x: x),
        Case([B], lambda x: b.logical_or(x, x), lambda x: x),
    ],
    "known-truth": [
        Case([B], lambda x: b.logical_and(x, True), lambda x: x),
        Case([B], lambda x: b.logical_and(x, False), lambda x: truth(x, False)),
        Case([B], lambda x: b.logical_or(x, True), lambda x: truth(x, True)),
        Case([B], lambda x: b.logical_or(x, False), lambda x: x),
        Case([N], lambda x: b.logical_and(x, 1), None),
    ],
    "power-as-product": [
        Case([F], lambda x: x**2, lambda x: x * x),
        Case([D], lambda x: x**2, lambda x: x * x),
        Case([BYTES], lambda x: x**2, lambda x: x * x),
        Case([F], lambda x: x**1, lambda x: x),
        Case([F], lambda x: x**0, lambda x: b.constant_like(x, 1.0)),
        Case([N], lambda x: x**0, lambda x: b.constant_like(x, 1)),
        Case([F], lambda x: x**0.5, None),
    ],
    "divide-by-power-of-two": [
        Case([F], lambda x: x / 8.0, lambda x: x * 0.125),
        Case([F], lambda x: x / -0.25, lambda x: x * -4.0),
        Case([F], lambda x: x / 3.0, None),
        Case([F], lambda x: x / 2.0**127, None),
        Case([F], lambda x: x / 0.0, None),
        Case([F], lambda x: x / float("inf"), None),
        Case([N], lambda x: x / 4, None),
    ],
    "select-same": [Case([B, F], lambda c, x: b.select(c, x, x), lambda c, x: x)],
    "select-known": [
        Case([F, F], lambda x, y: b.select(truth(x, True), x, y), lambda x, y: x),
        Case([F, F], lambda x, y: b.select(truth(x, False), x, y), lambda x, y: y),
    ],
    "select-inverted": [
        Case(
            [B, F, F],
            lambda c, x, y: b.select(b.logical_not(c), x, y),
            lambda c, x, y: b.select(c, y, x),
        )
    ],
    "select-truth": [
        Case([B], lambda c: b.select(c, truth(c, True), truth(c, False)), lambda c: c),
        Case([B], lambda c: b.select(c, truth(c, False), truth(c, True)), b.logical_not),
    ],
    "select-nested": [
        Case(
            [B, F, F],
            lambda c, x, y: b.select(c, b.select(c, x, 1.0), y),
            lambda c, x, y: b.select(c, x, y),
        ),
        Case(
            [B, F, F],
            lambda c, x, y: b.select(c, x, b.select(c, 1.0, y)),
            lambda c, x, y: b.select(c, x, y),
        ),
    ],
    "cast-twice": [
        Case([F], lambda x: chain(x, float64, float32), lambda x: x),
        Case([F], lambda x: chain(x, float64, float16), lambda x: b.cast(x, float16)),
        Case([F], lambda x: chain(x, float64, int8), lambda x: b.cast(x, int8)),
        Case([B], lambda x: chain(x, int64, float32), lambda x: b.cast(x, float32)),
        Case([BYTES], lambda x: chain(x, int64, uint8), lambda x: b.cast(x, uint8)),
        Case([UNSIGNED], lambda x: chain(x, float32, int64), lambda x: b.cast(x, int64)),
        Case([BYTES], lambda x: chain(x, float32, uint8), None),
        Case([F], lambda x: chain(x, float16, float32), None),
        Case([N], lambda x: chain(x, float64, int64), None),
        Case([F], lambda x: chain(x, int64, float32), None),
    ],
    "cast-to-itself": [Case([F], lambda x: make(CAST, (x,), (x.dtype,)), lambda x: x)],
    "truth-of-cast": [
        Case([B], lambda x: chain(x, float32, bool_), lambda x: x),
        Case([B], lambda x: b.ne(b.cast(x, int64), 1), None),
    ],
    "scale-twice": [
        Case([TensorType(float32, (2,))], lambda x: x * 3.0 * 0.1, lambda x: x * scaled(x)),
    ],
    "divide-by-constant": [
        Case([TensorType(float32, (2,))], lambda x: x / 3.0, lambda x: x * 0.3333333432674408),
        Case([F], lambda x: x / 0.0, None),
        Case([F], lambda x: x / 1e-45, None),
        Case([N], lambda x: x / 3, None),
    ],
}


def scaled(x: Value) -> Value:
    return b.mul(b.constant_like(x, 3.0), b.constant_like(x, 0.1))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_keeps_its_law(rule: Rule) -> None:
    for case in CASES[rule.name]:
        check(rule, case)


def test_every_rule_is_shown() -> None:
    check_table(RULES, CASES)


def test_which_dtype_holds_which() -> None:
    assert holds_exactly(float64, int32)
    assert not holds_exactly(float32, int32)
    assert holds_exactly(float16, uint8)
    assert not holds_exactly(uint8, int8)
    assert not holds_exactly(int8, uint8)
    assert holds_exactly(int64, uint8)
    assert not holds_exactly(int64, float16)
    assert holds_exactly(float32, bfloat16) and holds_exactly(bfloat16, uint8)
    assert not holds_exactly(bfloat16, float16) and not holds_exactly(float16, bfloat16)
    assert not holds_exactly(bfloat16, int16)
    assert not holds_exactly(bool_, int8)
