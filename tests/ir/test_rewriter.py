"""The rewrite driver: fixpoints, sharing, user lines, limits, linear time."""

from __future__ import annotations

import time

import pytest

from treadle.ir import build as b
from treadle.ir.errors import PassError
from treadle.ir.graph import Graph, input_value
from treadle.ir.ops import elementwise as e
from treadle.ir.parser import parse_graph
from treadle.ir.passes.simplify import RULES
from treadle.ir.printer import print_graph
from treadle.ir.rewriter import Rule, rewrite
from treadle.ir.types import TensorType, float32, float64
from treadle.ir.value import Value
from treadle.ir.verifier import verify

X = input_value(0, TensorType(float32, (2,)))
EXP_TO_SIN = Rule("exp-to-sin", (e.EXP,), lambda v: b.sin(v.inputs[0]), "for tests")
SIN_TO_COS = Rule("sin-to-cos", (e.SIN,), lambda v: b.cos(v.inputs[0]) * 3.0, "for tests")


def program(*outputs: Value, **options: object) -> Graph:
    return Graph("f", (X,), outputs, **options)  # type: ignore[arg-type]


def test_rules_apply_to_the_results_of_rules() -> None:
    graph, counts = rewrite(program(b.exp(b.exp(X))), [EXP_TO_SIN, SIN_TO_COS])
    inner = b.cos(X) * 3.0
    assert graph.outputs == (b.cos(inner) * 3.0,)
    assert counts == {"exp-to-sin": 2, "sin-to-cos": 2}


def test_a_shared_value_is_rewritten_once() -> None:
    shared = b.exp(X)
    graph, counts = rewrite(program(shared + 1.0, shared), [EXP_TO_SIN])
    assert graph.outputs == (b.sin(X) + 1.0, b.sin(X))
    assert counts == {"exp-to-sin": 1}


def test_nothing_to_do_gives_an_equal_graph() -> None:
    graph = program(b.tanh(X), locations={b.tanh(X): (("a.py", 1),)})
    again, counts = rewrite(graph, [EXP_TO_SIN])
    assert again == graph
    assert again.locations == graph.locations
    assert counts == {}


def test_user_lines_go_to_the_replacement() -> None:
    first, second = b.exp(X), b.exp(X) + 1.0
    lines = {first: (("a.py", 1),), second: (("a.py", 2),), X: (("a.py", 0),)}
    graph, _ = rewrite(program(second, locations=lines), [EXP_TO_SIN, SIN_TO_COS])
    replaced = b.cos(X) * 3.0
    assert graph.locations[replaced] == (("a.py", 1),)
    assert graph.locations[b.cos(X)] == (("a.py", 1),), "values below it have the same line"
    assert graph.locations[replaced + 1.0] == (("a.py", 2),)
    assert graph.locations[X] == (("a.py", 0),)
    assert first not in graph.locations


def test_lines_of_equal_replacements_are_joined() -> None:
    first, second = b.exp(X), b.neg(b.neg(b.sin(X)))
    lines = {first: (("a.py", 1),), second: (("b.py", 2), ("a.py", 1))}
    graph, _ = rewrite(program(first, second, locations=lines), [EXP_TO_SIN, *RULES])
    assert graph.locations == {b.sin(X): (("a.py", 1), ("b.py", 2))}


def test_values_without_lines_do_not_take_their_readers() -> None:
    chain = b.log(b.exp(X))
    graph, _ = rewrite(program(chain, locations={chain: (("a.py", 1),)}), [EXP_TO_SIN])
    assert graph.locations == {b.log(b.sin(X)): (("a.py", 1),)}


def test_a_rule_must_keep_the_type() -> None:
    wrong = Rule("widen", (e.EXP,), lambda v: b.cast(v, float64), "wrong")
    message = r"rule widen must keep the type of exp\(f32\[2\]\): f32\[2\], found f64\[2\]"
    with pytest.raises(PassError, match=message):
        rewrite(program(b.exp(X)), [wrong])


def test_rules_that_lead_in_a_circle_are_found() -> None:
    back = Rule("sin-to-exp", (e.SIN,), lambda v: b.exp(v.inputs[0]), "wrong")
    with pytest.raises(
        PassError, match=r"rules lead from exp\(f32\[2\]\): f32\[2\] back to itself"
    ):
        rewrite(program(b.exp(X)), [EXP_TO_SIN, back])
    around = Rule("wrap", (e.EXP,), lambda v: b.neg(b.neg(v)), "wrong")
    with pytest.raises(PassError, match="back to itself"):
        rewrite(program(b.exp(X)), [around])


def test_rules_that_never_settle_are_stopped() -> None:
    grow = Rule("grow", (e.EXP,), lambda v: b.exp(v.inputs[0] + 1.0), "wrong")
    with pytest.raises(PassError, match=r"did not settle .* in 10000 steps"):
        rewrite(program(b.exp(X)), [grow])


def chain_of(length: int, seed: float) -> Graph:
    value: Value = X
    for step in range(length):
        value = b.tanh(value) if step % 2 else value * (1.0 if step % 4 else seed)
    return program(value)


def seconds_of_a_chain(length: int, seed: float) -> float:
    """Simplifying, verifying, printing and parsing a program, once."""
    graph = chain_of(length, seed)
    start = time.perf_counter()
    simple, _ = rewrite(graph, RULES)
    verify(simple)
    assert parse_graph(print_graph(simple)) == simple
    return time.perf_counter() - start


def test_long_chains_take_linear_time() -> None:
    short = seconds_of_a_chain(10_000, 3.0)
    assert seconds_of_a_chain(100_000, 5.0) < 40 * short
