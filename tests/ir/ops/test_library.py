"""The op that calls library functions: its types, its text and what it says of unknown names."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ir.finite_differences import inputs_for
from treadle.ir import build as b
from treadle.ir.errors import VerificationError
from treadle.ir.graph import Graph, input_value
from treadle.ir.interpreter import interpret
from treadle.ir.library import FUNCTIONS
from treadle.ir.ops.library import LIBRARY
from treadle.ir.parser import parse_graph
from treadle.ir.printer import print_graph
from treadle.ir.types import TensorType, TupleType, float32, int64
from treadle.ir.value import make
from treadle.ir.verifier import verify


def test_a_call_has_a_tuple_of_results_and_prints_as_it_parses() -> None:
    x = input_value(0, TensorType(float32, (3, 2)))
    q, r = b.library("qr", [x], "reduced")
    graph = Graph("f", (x,), (q, r))
    text = print_graph(graph)
    assert '%1: (f32[3,2], f32[2,2]) = library(%0) {name = "qr", options = ["reduced"]}' in text
    assert parse_graph(text) == graph
    verify(graph)


def test_an_unknown_function_is_refused_with_the_nearest_name() -> None:
    x = input_value(0, TensorType(float32, (3, 3)))
    with pytest.raises(
        ValueError, match=r"no library function 'cholesk' \(did you mean 'cholesky'"
    ):
        b.library("cholesk", [x])


@pytest.mark.parametrize("name", ["cholesky", "inverse", "det", "slogdet", "lu_factor"])
def test_only_floating_point_matrices_are_taken(name: str) -> None:
    options = (True,) if name in ("lu_factor", "cholesky") else ()
    for wrong in (TensorType(int64, (3, 3)), TensorType(float32, (3,))):
        with pytest.raises(ValueError, match="expected matrices of float32"):
            make(LIBRARY, (input_value(0, wrong),), (name, options, ()))


def test_the_verifier_refuses_to_read_a_call_without_item() -> None:
    x = input_value(0, TensorType(float32, (3, 3)))
    call = make(LIBRARY, (x,), ("inverse", (), ()))
    assert isinstance(call.type, TupleType)
    with pytest.raises(VerificationError, match="only item reads"):
        verify(Graph("f", (x,), (call,)))


def test_complex_operands_and_results_are_pairs_of_parts() -> None:
    pairs = np.random.default_rng(0).standard_normal((4, 2)).astype(np.float32)
    (x,) = inputs_for([pairs])
    found = b.view_as_real(b.library("fft", [b.view_as_complex(x)], (0,), False)[0])
    assert found.op.name == "item"
    expected = np.fft.fft(pairs.view(np.complex64)[:, 0])
    (array,) = interpret(Graph("f", (x,), (found,)), [pairs])
    np.testing.assert_allclose(array, np.stack([expected.real, expected.imag], -1), rtol=1e-5)


def test_rows_are_named_as_they_are_listed() -> None:
    assert all(name == row.name for name, row in FUNCTIONS.items())
