"""The parser: round trips on random graphs, and the text of every kind of error."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from tests.ir.random_graphs import graphs
from treadle.ir import build as b
from treadle.ir.errors import ParseError
from treadle.ir.graph import Graph, input_value
from treadle.ir.ops.kernel import ITEM, KERNEL, Place
from treadle.ir.parser import parse_graph
from treadle.ir.printer import print_graph
from treadle.ir.types import Device, TensorType, float16, float32
from treadle.ir.value import make


def round_trip(graph: Graph) -> None:
    text = print_graph(graph)
    again = parse_graph(text)
    assert again == graph
    reached = {*graph.inputs, *graph.values()}
    assert again.locations == {v: ls for v, ls in graph.locations.items() if v in reached}
    assert print_graph(again) == text


@settings(max_examples=150, deadline=None)
@given(graphs(elementary=True))
def test_random_graphs_come_back_identical(graph: Graph) -> None:
    values = [*graph.inputs, *graph.values()]
    lines = {v: (("a.py", k), ('odd, "name".py', 2))[: 1 + k % 2] for k, v in enumerate(values)}
    round_trip(graph)
    round_trip(Graph('a "name"', graph.inputs, graph.outputs, lines, frozenset({0})))


def test_kernels_devices_and_special_numbers_come_back_identical() -> None:
    cuda = Device("cuda", 0)
    x = input_value(0, TensorType(float32, (4, 3), cuda))
    body = Graph("body", (x,), (b.neg(x), x * 2.0), {b.neg(x): (("k.py", 1),)})
    kernel = make(KERNEL, (x,), (body, (Place("output", 0), Place("arena", 64))))
    plain = make(KERNEL, (x,), (body, ()))
    numbers = [b.constant(n, float16) for n in (float("inf"), float("nan"), -0.0, 1e-5, 1e16)]
    outputs = (make(ITEM, (kernel,), (0,)), make(ITEM, (plain,), (1,)), *numbers)
    round_trip(Graph("f", (x,), outputs, {kernel: (("k.py", 9),)}))


def test_text_written_by_hand_parses() -> None:
    graph = parse_graph(
        """
        // A comment that is no user line.
        program @f(%0: f32[2], %1: f32[2],) {
          %7: f32[2] = add(%0, %1)  // see the paper
          %9: f32[2] = mul(%7, %7)
          return %9
        }
        """
    )
    x, y = graph.inputs
    assert graph.outputs == ((x + y) * (x + y),)
    assert graph.locations == {}


def program(*lines: str, head: str = "program @f(%0: f32[2,4]) {") -> str:
    return "\n".join([head, *lines, "}"])


ERRORS = [
    ("", "1:1: error: expected 'program', found the end of the text\n\n^"),
    (
        program("  %1: f32[3] = neg(%0)", "  return %1"),
        "2:7: error: expected f32[2,4], found f32[3]\n  %1: f32[3] = neg(%0)\n      ^",
    ),
    (
        program("  %1: f32[2,4] = nag(%0)"),
        (
            "2:18: error: expected an op (did you mean 'neg'?), found 'nag'\n"
            "  %1: f32[2,4] = nag(%0)\n                 ^"
        ),
    ),
    (
        program("  %1: f32[2,4] = neg(%3)"),
        (
            "2:22: error: expected a value defined above, found '%3'\n"
            "  %1: f32[2,4] = neg(%3)\n                     ^"
        ),
    ),
    (
        program("  %1: f32[2,4] = neg(%0, %0)"),
        (
            "2:18: error: expected 1 operands of neg, found 2\n"
            "  %1: f32[2,4] = neg(%0, %0)\n                 ^"
        ),
    ),
    (
        program("  %1: f32[] = constant() {valu = 3}"),
        (
            "2:27: error: expected an attribute of constant (value, dtype, device), found 'valu'\n"
            "  %1: f32[] = constant() {valu = 3}\n                          ^"
        ),
    ),
    (
        program("  %1: f32[] = constant() {value = 3.0}"),
        (
            "2:15: error: expected constant with attribute dtype, found none\n"
            "  %1: f32[] = constant() {value = 3.0}\n              ^"
        ),
    ),
    (
        program("  %1: f32[8] = reshape(%0) {shape = [9]}"),
        (
            "2:16: error: expected a valid reshape, found one that is not: "
            "reshape cannot make [9] out of f32[2,4]\n"
            "  %1: f32[8] = reshape(%0) {shape = [9]}\n               ^"
        ),
    ),
    (
        program("  %0: f32[2,4] = neg(%0)"),
        "2:3: error: expected a new value, found %0 a second time\n  %0: f32[2,4] = neg(%0)\n  ^",
    ),
    (
        program("\t%1: f33[2] = neg(%0)"),
        (
            "2:6: error: expected a dtype (bool, u8, u32, i8, i16, i32, i64, f16, bf16, f32, f64, "
            "c64, c128), found 'f33'\n\t%1: f33[2] = neg(%0)\n\t    ^"
        ),
    ),
    (program(head="program f() {"), "1:9: error: expected a program's name (@name), found 'f'"),
    (program(head="program @f(%0: f32[-1]) {"), "expected an extent of at least 0, found '-1'"),
    (program(head="program @f(%0: f32[1] %1) {"), "1:23: error: expected ',' or ')', found '%1'"),
    (program(head="program @f(%0: f32[]@tpu) {"), "expected a device (cpu, cuda), found '@tpu'"),
    (program("  return %0") + "\nprogram", "4:1: error: expected the end of the program"),
    (program("  return ?"), "2:10: error: expected IR text, found '?'"),
    (program("  %1: f32[2,4] = neg %0"), "2:22: error: expected '(', found '%0'"),
    (
        program("  %1: f32[] = constant() {value = here, dtype = f32}"),
        "expected an attribute's value, found 'here'",
    ),
]


@pytest.mark.parametrize(("text", "message"), ERRORS, ids=[str(k) for k in range(len(ERRORS))])
def test_errors_point_at_the_place(text: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_graph(text)
    assert message in str(caught.value)
    if message[0].isdigit():
        assert str(caught.value).startswith(message)


def test_inputs_cannot_be_written_as_ops() -> None:
    with pytest.raises(ParseError, match="expected an op"):
        parse_graph(program("  %1: f32[] = input() {slot = 1}"))
