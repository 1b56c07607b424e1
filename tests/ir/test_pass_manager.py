"""Passes and pipelines: their text, errors, verification, checking and reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from treadle.ir import build as b, pass_manager
from treadle.ir.errors import PassError, VerificationError
from treadle.ir.graph import Graph, input_value
from treadle.ir.pass_check import same
from treadle.ir.pass_manager import Pass, PassManager, parse_pipeline, print_pipeline, register
from treadle.ir.passes.simplify import Simplify
from treadle.ir.rewriter import Exactness
from treadle.ir.types import TensorType, float32

X = input_value(0, TensorType(float32, (64,)))
GRAPH = Graph("f", (X,), (b.neg(b.neg(X)), b.exp(X)))


@dataclass(frozen=True)
class Sample:
    """A pass with an option of every kind."""

    name: ClassVar[str] = "sample"
    exactness: ClassVar[Exactness] = Exactness.EXACT
    max_inputs: int = 8
    ratio: float = 0.5
    loud: bool = False

    def run(self, graph: Graph) -> Graph:
        return graph


@dataclass(frozen=True)
class Break:
    """A pass that gives whatever results it was made with."""

    name: ClassVar[str] = "break"
    exactness: ClassVar[Exactness] = Exactness.EXACT
    outputs: Any = ()

    def run(self, graph: Graph) -> Graph:
        return graph.with_outputs(self.outputs)


@pytest.fixture(autouse=True)
def sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pass_manager, "_registry", dict(pass_manager._registry))
    register(Sample)


def test_pipelines_read_and_print() -> None:
    text = " simplify , sample{ max-inputs=16, loud=true }, sample{ratio=2.5},sample{}"
    passes = parse_pipeline(text)
    assert passes == (Simplify(), Sample(16, loud=True), Sample(ratio=2.5), Sample())
    printed = print_pipeline(passes)
    assert printed == "simplify,sample{max-inputs=16,loud=true},sample{ratio=2.5},sample"
    assert parse_pipeline(printed) == passes
    assert parse_pipeline("") == ()
    assert print_pipeline(parse_pipeline("simplify{level=approximate}")) == (
        "simplify{level=approximate}"
    )


ERRORS = [
    ("nonsense", "unknown pass 'nonsense'; known: .*sample, simplify"),
    ("sample{width=3}", "'sample' has no option 'width'; its options: max-inputs, ratio, loud"),
    ("sample{max-inputs=x}", "option 'max-inputs' of pass 'sample' must be a int, found 'x'"),
    ("sample{loud=1}", "option 'loud' of pass 'sample' must be a bool, found '1'"),
    ("sample{loud}", "expected option=value for pass 'sample', found 'loud'"),
    ("simplify,,sample", r"expected a pass .* at column 10 of pipeline 'simplify,,sample'"),
    ("simplify{level=wild}", "level is one of exact, reassociating, contracting, approximate"),
    ("simplify sample", "expected a pass .* at column 1 "),
]


@pytest.mark.parametrize(("text", "message"), ERRORS, ids=[text for text, _ in ERRORS])
def test_wrong_pipelines_say_what_is_valid(text: str, message: str) -> None:
    with pytest.raises(PassError, match=message):
        parse_pipeline(text)


def test_names_are_registered_once() -> None:
    @dataclass(frozen=True)
    class Other(Sample):
        pass

    with pytest.raises(PassError, match="pass 'sample' is registered already"):
        register(Other)


def test_the_manager_reports_before_and_after() -> None:
    events: list[tuple[str, str, Graph]] = []

    def before(step: Pass, graph: Graph) -> None:
        events.append(("before", step.name, graph))

    def after(step: Pass, graph: Graph) -> None:
        events.append(("after", step.name, graph))

    passes = parse_pipeline("simplify,sample{max-inputs=2}")
    result, records = PassManager(passes, before=before, after=after).run(GRAPH)
    assert [event[:2] for event in events] == [
        ("before", "simplify"),
        ("after", "simplify"),
        ("before", "sample"),
        ("after", "sample"),
    ]
    assert events[0][2] is GRAPH
    assert events[-1][2] == result
    assert result.outputs == (X, b.exp(X))
    assert [record.text for record in records] == ["simplify", "sample{max-inputs=2}"]
    assert (records[0].values_before, records[0].values_after) == (4, 2)
    assert all(record.seconds >= 0 for record in records)


def test_verification_names_the_pass_that_broke_the_graph() -> None:
    stranger = input_value(3, X.type)
    broken = (Simplify(), Break((stranger, stranger)))
    with pytest.raises(VerificationError, match="after pass break: program @f: input 3 is read"):
        PassManager(broken, verify=True).run(GRAPH)
    assert PassManager(broken, verify=False, check=False).run(GRAPH)[0].outputs[0] is stranger


def test_checking_names_the_first_pass_that_changed_a_result() -> None:
    wrong = (Simplify(), Break((X, b.exp(X) + 1.0)), Sample())
    with pytest.raises(PassError, match=r"pass break\{.* changed output 1 of program @f at \[0\]"):
        PassManager(wrong, check=True).run(GRAPH)
    # x + 0.0 differs from x in the sign of a zero alone.
    zero = Graph("f", (X,), (X + 0.0,))
    with pytest.raises(PassError, match=r"changed output 0 .* expected 0\.0, found -0\.0"):
        PassManager((Break((X,)),), check=True).run(zero)
    PassManager((Simplify(), Sample()), check=True).run(GRAPH)


def test_passes_that_are_not_exact_may_round_otherwise() -> None:
    graph = Graph("f", (X,), (X / 3.0,))
    result, _ = PassManager(parse_pipeline("simplify{level=approximate}"), check=True).run(graph)
    assert result.outputs == (X * float(np.float32(1) / np.float32(3)),)


def test_results_are_compared_by_their_bits() -> None:
    zeros, nan = np.array([0.0, np.nan]), np.array([-0.0, np.nan])
    assert same(zeros, zeros.copy())
    assert not same(zeros, nan)
    assert same(zeros, nan, exact=False)
    assert not same(zeros, zeros.astype(np.float32))
    assert not same(np.array([1.0]), np.array([1.0 + 1e-15]))
    assert same(np.array([1.0]), np.array([1.0 + 1e-15]), exact=False)
    assert not same(np.array([1.0]), np.array([1.1]), exact=False)
