"""The checks that the test modules of this folder share: operators, their samples, their errors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.frontend.opinfo import harness
from tests.frontend.opinfo.known_gaps import ERROR_GAPS, GAPS
from treadle import engine
from treadle.ir import settings

# Compiled samples an operator and dtype, and interpreted ones; the slow sweep runs them all.
COMPILED = 4
INTERPRETED = 60


def operators_named(wanted: Callable[[str], bool]) -> list[Any]:
    """Parameters for a test over the operators in scope whose names are wanted."""
    if not harness.available():
        return [pytest.param(None, marks=pytest.mark.skip(reason="PyTorch is not installed"))]
    found = [op for op in harness.operators() if wanted(op.name)]
    return [pytest.param(op, id=harness.label(op)) for op in found]


@contextmanager
def interpreter() -> Iterator[None]:
    """Programs run through the interpreter: the semantics of what was recorded, uncompiled."""
    usual = settings.current
    engine.forget_programs()
    settings.current = lambda: dataclasses.replace(usual(), backend="interp")  # type: ignore[assignment]
    try:
        yield
    finally:
        settings.current = usual
        engine.forget_programs()


def failures(op: Any, limit: int | None) -> list[str]:
    """In what the samples of an operator differ, for every dtype of the measure."""
    found = []
    for dtype in harness.DTYPES:
        outcome = harness.compare(op, dtype, limit)
        for count in (outcome.forward, outcome.gradient, outcome.variants):
            found += count.failures
    return found


def check_meaning(op: Any) -> None:
    """Asserts that an operator's samples agree under the interpreter, but for known gaps."""
    with interpreter():
        _judge(op, failures(op, INTERPRETED), GAPS)


def check_compiled(op: Any) -> None:
    """Asserts that an operator's samples agree through compiled kernels, but for known gaps."""
    found = failures(op, COMPILED)
    if harness.label(op) not in GAPS:
        assert not found, "\n".join(found[:10])


def check_errors(op: Any) -> None:
    """Asserts that an operator's error inputs raise PyTorch's exceptions, but for known gaps."""
    _judge(op, harness.compare_errors(op).failures, ERROR_GAPS)


def _judge(op: Any, found: list[str], gaps: dict[str, tuple[int, str]]) -> None:
    allowed, _reason = gaps.get(harness.label(op), (0, ""))
    shown = "\n".join(found[:10])
    assert len(found) <= allowed, f"{len(found)} failures, {allowed} known:\n{shown}"
    assert len(found) == allowed, f"only {len(found)} of {allowed} fail now: mend known_gaps.py"
