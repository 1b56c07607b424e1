"""Proves rewrite rules on examples: the text-book result, and equal bits on special values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from treadle.ir.graph import Graph, input_value
from treadle.ir.interpreter import interpret
from treadle.ir.pass_check import same
from treadle.ir.rewriter import Exactness, Rule, rewrite
from treadle.ir.types import DType, TensorType, bool_, float32, float64, int64
from treadle.ir.value import Value
from treadle.ir.verifier import verify

Array = np.ndarray[Any, Any]

F = TensorType(float32, (16, 16))
D = TensorType(float64, (16, 16))
N = TensorType(int64, (16, 16))
B = TensorType(bool_, (16, 16))


class Case(NamedTuple):
    """Input types, a function of the inputs, and what the rule makes of it (None: no match)."""

    types: Sequence[TensorType]
    before: Callable[..., Value]
    after: Callable[..., Value] | None


def special(type: TensorType, slot: int) -> Array:
    """Special values; those of slot 0 vary along rows, of slot 1 along columns: every pair."""
    listed = np.array(_listed(type.dtype), type.dtype.numpy)
    if type.shape == (16, 16):
        grid = np.broadcast_to(listed[np.arange(16) % len(listed)], (16, 16))
        return np.array(grid if slot % 2 else grid.T)
    count = max(type.numel, 1)
    ramp = (np.arange(count) * (slot + 1) + slot) % len(listed)
    return listed[ramp][: type.numel].reshape(type.shape)


def _listed(dtype: DType) -> list[Any]:
    if dtype is bool_:
        return [True, False, False]
    if dtype.kind in "iu":
        limits = np.iinfo(dtype.numpy)
        signed = [-1, -2, -3] if dtype.kind == "i" else []
        return [0, 1, 2, 3, 7, 100, *signed, limits.min, limits.max]
    info = np.finfo(dtype.numpy)
    tiny, least = float(info.tiny), float(info.smallest_subnormal)
    big = float(info.max)
    return [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 0.1, 3.0, -2.5, tiny, -least, big, 5e3]


def check(rule: Rule, case: Case) -> None:
    """The rule alone gives ``case.after``, and the same bits."""
    inputs = tuple(input_value(slot, type) for slot, type in enumerate(case.types))
    before = Graph("before", inputs, (case.before(*inputs),))
    after, counts = rewrite(before, [rule])
    verify(after)
    if case.after is None:
        assert after == Graph("before", inputs, before.outputs), "the rule must not match"
        return
    assert counts.get(rule.name), f"{rule.name} did not match"
    assert after.outputs == (case.after(*inputs),)
    arrays = [special(value.type, slot) for slot, value in enumerate(inputs)]
    (expected,), (found,) = interpret(before, arrays), interpret(after, arrays)
    if rule.exactness is Exactness.EXACT:
        assert same(expected, found), f"{rule.name} changed {expected} to {found}"
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-30)


def check_table(rules: Sequence[Rule], cases: dict[str, list[Case]]) -> None:
    """Every rule has cases, at least one of which it matches, and a law."""
    assert {rule.name for rule in rules} == set(cases)
    for rule in rules:
        assert rule.law
        assert any(case.after for case in cases[rule.name]), rule.name
