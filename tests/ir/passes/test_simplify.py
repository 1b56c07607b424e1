"""The pass ``simplify``: exact text before and after, and equal bits and gradients on any graph."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from tests.ir.random_graphs import arguments, graphs
from treadle.ir import build as b
from treadle.ir.gradients import vjp
from treadle.ir.graph import Graph
from treadle.ir.interpreter import interpret
from treadle.ir.parser import parse_graph
from treadle.ir.pass_check import same
from treadle.ir.pass_manager import PassManager
from treadle.ir.passes.simplify import RULES, Simplify
from treadle.ir.printer import print_graph
from treadle.ir.types import float64
from treadle.ir.verifier import verify

SECTION = re.compile(r"^// (before|after): ([^\n]*)\n", re.MULTILINE)


def sections() -> list[tuple[str, str, str]]:
    """(what it shows, text before, text after) of each pair in the file."""
    text = (Path(__file__).parent / "simplify.tir").read_text()
    _, *parts = SECTION.split(text)
    kinds, titles, programs = parts[::3], parts[1::3], parts[2::3]
    assert kinds == ["before", "after"] * (len(kinds) // 2)
    return list(zip(titles[::2], programs[::2], programs[1::2], strict=True))


@pytest.mark.parametrize(
    ("title", "before", "after"), sections(), ids=[title for title, *_ in sections()]
)
def test_text_before_and_after(title: str, before: str, after: str) -> None:
    graph = parse_graph(before)
    assert print_graph(graph) == before, title
    assert print_graph(Simplify().run(graph)) == after, title


@settings(max_examples=250, deadline=None)
@given(graphs(elementary=True))
def test_every_bit_of_random_graphs_is_kept(graph: Graph) -> None:
    simple, _ = PassManager((Simplify(),), verify=True, check=True).run(graph)
    again = Simplify().run(simple)
    assert again == simple, "simplifying twice is simplifying once"


@settings(max_examples=60, deadline=None)
@given(graphs(dtypes=(float64,), max_ops=6))
def test_gradients_of_random_graphs_are_kept(graph: Graph) -> None:
    simple = Simplify().run(graph)
    for before, after in zip(_gradients(graph, graph), _gradients(simple, graph), strict=True):
        # Simplified away, x ** 0 no longer multiplies an infinite derivative by zero.
        if np.isfinite(before) and np.isfinite(after):
            assert before == pytest.approx(after, rel=1e-6, abs=1e-6)


def _gradients(graph: Graph, like: Graph) -> list[float]:
    upstreams = [b.constant_like(output, 1.0) for output in graph.outputs]
    found = vjp(graph.outputs, graph.inputs, upstreams)
    values = [b.sum(part) if part is not None else b.constant(0.0, float64) for part in found]
    backward = Graph("gradients", graph.inputs, tuple(values))
    verify(backward)
    return [float(array) for array in interpret(backward, arguments(like))]


@settings(max_examples=60, deadline=None)
@given(graphs(dtypes=(float64,), max_ops=6))
def test_gradient_programs_simplify_exactly(graph: Graph) -> None:
    upstreams = [b.constant_like(output, 1.0) for output in graph.outputs]
    found = vjp(graph.outputs, graph.inputs, upstreams)
    backward = graph.with_outputs([part for part in found if part is not None])
    PassManager((Simplify(),), verify=True, check=True).run(backward)


def test_rule_names_are_unique() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)


def test_looser_levels_only_add_rules() -> None:
    graph = parse_graph(
        "program @f(%0: f32[2,4]) {\n"
        "  %1: f32[4] = sum(%0) {dims = [0]}\n"
        "  %2: f32[] = sum(%1) {dims = [0]}\n"
        "  return %2\n"
        "}\n"
    )
    assert Simplify().run(graph) == graph
    merged = Simplify("reassociating").run(graph)
    assert merged.outputs == (b.sum(graph.inputs[0]),)
    arrays = arguments(graph)
    np.testing.assert_allclose(interpret(merged, arrays)[0], interpret(graph, arrays)[0], rtol=1e-6)
    assert same(interpret(merged, arrays)[0], interpret(graph, arrays)[0], exact=False)
