"""The text form: exact text, determinism, names and attributes of every kind."""

from __future__ import annotations

import textwrap

from treadle.ir import build as b
from treadle.ir.graph import Graph, input_value
from treadle.ir.ops.kernel import ITEM, KERNEL, Place
from treadle.ir.printer import describe, print_graph
from treadle.ir.types import Device, TensorType, bool_, float16, float32, int64
from treadle.ir.value import make


def test_a_program_with_a_kernel_prints_as_documented() -> None:
    x = input_value(0, TensorType(float32, (4, 3)))
    w = input_value(1, TensorType(float32, (3, 2)))
    product = b.dot(x, w)
    body = Graph("mm", (x, w), (product, b.sum(product)), {product: (("net.py", 12),)})
    kernel = make(KERNEL, (x, w), (body, (Place("arena", 0), Place("donated", 1))))
    item = make(ITEM, (kernel,), (1,))
    lines = {kernel: (("net.py", 12), ("my model.py", 3))}
    graph = Graph("step", (x, w), (item, x), lines, frozenset({1}))
    assert print_graph(graph) == (
        "program @step(%0: f32[4,3], %1: f32[3,2] donated) {\n"
        "  %2: (f32[4,2], f32[]) = kernel(%0, %1) {memory = [arena 0, donated 1]} "
        "body @mm(%0: f32[4,3], %1: f32[3,2]) {\n"
        "    %2: f32[4,2] = dot(%0, %1)  // net.py:12\n"
        "    %3: f32[] = sum(%2) {dims = [0, 1]}\n"
        "    return %2, %3\n"
        '  }  // net.py:12, "my model.py":3\n'
        "  %3: f32[] = item(%2) {index = 1}\n"
        "  return %3, %0\n"
        "}\n"
    )


def test_inputs_with_user_lines_print_one_a_line() -> None:
    x = input_value(0, TensorType(float32, ()))
    y = input_value(1, TensorType(bool_, (2,)))
    graph = Graph("my program", (x, y), (), {y: (("a.py", 4),)}, frozenset({0}))
    assert print_graph(graph) == textwrap.dedent(
        """\
        program @"my program"(
          %0: f32[] donated,
          %1: bool[2]  // a.py:4
        ) {
          return
        }
        """
    )


def test_attributes_are_readable() -> None:
    x = input_value(0, TensorType(float32, (2,)))
    assert describe(b.constant(float("-inf"), float16)).startswith(
        "constant() {value = -inf, dtype = f16}"
    )
    assert "value = -0.0," in describe(b.constant(-0.0, float32))
    assert "value = nan," in describe(b.constant(float("nan"), float32))
    assert "value = true, dtype = bool" in describe(b.constant(True, bool_))
    assert "value = 1, dtype = i64, device = cuda:1}" in describe(
        b.constant(1, int64, Device("cuda", 1))
    )
    assert describe(b.pad(x, (1,), (-1,), value=0.1)) == (
        "pad(f32[2]) {low = [1], high = [-1], interior = [0], value = 0.1}: f32[2]"
    )
    assert "padding = [[0, 1]]" in describe(
        b.conv(b.reshape(x, (1, 1, 1, 2)), b.reshape(x, (1, 2, 1, 1)), (1,), ((0, 1),), (1,), (1,))
    )


def test_numbering_does_not_depend_on_how_a_graph_was_recorded() -> None:
    x = input_value(0, TensorType(float32, (2,)))
    first, second = b.exp(x), b.log(x)
    text = print_graph(Graph("f", (x,), (second * first,)))
    assert text.index("log") < text.index("exp")
