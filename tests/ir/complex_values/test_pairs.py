"""Programs have pairs of reals where complex values were recorded."""

from __future__ import annotations

import numpy as np

from treadle.ir import build as b
from treadle.ir.complex_values.pairs import with_pairs
from treadle.ir.graph import Graph, input_value
from treadle.ir.interpreter import interpret
from treadle.ir.printer import print_graph
from treadle.ir.types import TensorType, complex64, float32

Z = input_value(0, TensorType(complex64, (3, 4)))
X = input_value(1, TensorType(float32, (3, 4)))


def test_a_program_without_complex_values_is_left_alone() -> None:
    graph = Graph("real", (input_value(0, TensorType(float32, (2,))),), (b.exp(X),))
    assert with_pairs(graph) is graph


def test_moving_complex_values_is_one_movement_of_pairs() -> None:
    graph = with_pairs(Graph("moved", (Z,), (b.permute(Z, (1, 0)),)))
    assert print_graph(graph).strip() == (
        "program @moved(%0: f32[3,4,2]) {\n"
        "  %1: f32[4,3,2] = permute(%0) {dims = [1, 0, 2]}\n"
        "  return %1\n"
        "}"
    )


def test_a_write_through_a_view_stays_one_update() -> None:
    part = b.slice(Z, (0, 0), (1, 4))
    graph = with_pairs(Graph("update", (Z,), (b.view_update(Z, part, (1, 4), (4, 1), 8),)))
    (result,) = graph.outputs
    assert result.op.name == "view_update"
    assert result.attrs == ((1, 4, 2), (8, 2, 1), 16)
    assert result.inputs[0] is graph.inputs[0]


def test_no_complex_dtype_is_left_and_the_bytes_are_the_same() -> None:
    graph = Graph("mixed", (Z, X), (b.exp(Z) * 2j, b.abs(Z) + X), donated=frozenset((0,)))
    real = with_pairs(graph)
    assert all(value.dtype.kind != "c" for value in (*real.values(), *real.inputs))
    assert real.donated == graph.donated
    rng = np.random.default_rng(0)
    z = (rng.random((3, 4)) + 1j * rng.random((3, 4))).astype(np.complex64)
    x = rng.random((3, 4)).astype(np.float32)
    expected = interpret(graph, [z, x])
    found = interpret(real, [z.view(np.float32).reshape(3, 4, 2), x])
    assert [array.tobytes() for array in found] == [array.tobytes() for array in expected]


def test_lines_follow_their_values() -> None:
    value = b.exp(Z)
    graph = with_pairs(Graph("lines", (Z,), (value,), {value: (("model.py", 3),)}))
    assert graph.locations[graph.outputs[0]] == (("model.py", 3),)
