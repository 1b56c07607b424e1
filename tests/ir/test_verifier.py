"""The verifier finds planted faults and shows the op that has them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings

from tests.ir.random_graphs import graphs
from treadle.ir import build as b
from treadle.ir.errors import VerificationError
from treadle.ir.graph import Graph, input_value
from treadle.ir.ops import elementwise, movement, reduction
from treadle.ir.ops.kernel import ITEM, KERNEL, Place
from treadle.ir.types import TensorType, float32, float64
from treadle.ir.value import Op, Value, make
from treadle.ir.verifier import verify

X = input_value(0, TensorType(float32, (2, 3)))
Y = input_value(1, TensorType(float32, (2, 3)))
BODY = Graph("body", (X,), (b.neg(X), X * 2.0))


def planted(op: Op, inputs: tuple[Value, ...], attrs: tuple[Any, ...], type: Any) -> Value:
    """A value made past ``make``, as a broken pass might."""
    value = Value.__new__(Value)
    value.op, value.inputs, value.attrs, value.type = op, inputs, attrs, type
    return value


def kernel(*places: Any, body: Graph = BODY) -> Value:
    return make(KERNEL, (X,), (body, places))


def fault(*outputs: Value, inputs: tuple[Value, ...] = (X, Y), **options: Any) -> str:
    with pytest.raises(VerificationError) as caught:
        verify(Graph("f", inputs, outputs, **options))
    return str(caught.value)


@settings(max_examples=50, deadline=None)
@given(graphs(elementary=True))
def test_random_graphs_verify(graph: Graph) -> None:
    verify(graph)


def test_a_planned_program_verifies() -> None:
    planned = kernel(Place("output", 0), Place("donated", 1))
    items = [make(ITEM, (planned,), (k,)) for k in (0, 1)]
    verify(Graph("f", (X, Y), (items[0],), donated=frozenset({1})))


def test_a_wrong_type_is_shown_with_its_user_line() -> None:
    bad = planted(elementwise.EXP, (X,), (), TensorType(float64, (2, 3)))
    text = fault(bad, locations={bad: (("net.py", 7),)})
    assert text == (
        "program @f: its type is f64[2,3], but exp gives f32[2,3]\n"
        "  %2: f64[2,3] = exp(%0)  // net.py:7"
    )


def test_values_must_be_interned() -> None:
    same = planted(elementwise.EXP, (X,), (), X.type)
    b.exp(X)
    assert "it is not the interned value of its op\n  %2: f32[2,3] = exp(%0)" in fault(same)


def test_operands_and_attributes_are_counted() -> None:
    bad = planted(elementwise.NEG, (X, Y), (), X.type)
    assert "neg takes 1 operands, found 2" in fault(bad)
    bad = planted(reduction.SUM, (X,), (), X.type)
    assert "sum has 1 attributes, found 0\n  %2: sum ()" in fault(bad)
    bad = planted(reduction.SUM, (X,), ([0],), TensorType(float32, (3,)))
    assert "its attributes cannot be compared" in fault(bad)
    bad = planted(movement.RESHAPE, (X,), ((7,),), TensorType(float32, (7,)))
    assert "reshape cannot make [7] out of f32[2,3]" in fault(bad)


def test_an_op_must_be_in_the_table() -> None:
    row = elementwise.EXP
    stranger = Op("exp", row.operands, (), row.loop_class, row.infer, row.evaluate)
    assert "exp is not in the op table" in fault(planted(stranger, (X,), (), X.type))


def test_inputs_stand_at_their_slots() -> None:
    assert "slot 0 must hold input 0, found input 1" in fault(X, inputs=(Y, X))
    assert "slot 1 must hold input 1, found neg" in fault(X, inputs=(X, b.neg(X)))
    assert "input 1 is read, but the program does not list it" in fault(X + Y, inputs=(X,))
    assert "donated slot 2 is not one of 2 inputs" in fault(X, donated=frozenset({2}))


def test_only_item_reads_a_kernel() -> None:
    whole = kernel()
    assert "output 0 is a kernel; only item reads a kernel's results" in fault(whole)
    bad = planted(elementwise.NEG, (whole,), (), X.type)
    assert "neg cannot read kernel: (f32[2,3], f32[2,3])" in fault(bad)
    assert "item 2 of (f32[2,3], f32[2,3])" in fault(planted(ITEM, (whole,), (2,), X.type))
    assert "item cannot read input: f32[2,3]" in fault(planted(ITEM, (X,), (0,), X.type))


def test_bodies_are_verified_too() -> None:
    bad = planted(elementwise.EXP, (X,), (), TensorType(float64, (2, 3)))
    inner = make(KERNEL, (X,), (Graph("broken", (X,), (bad,)), ()))
    assert "program @broken: its type is f64[2,3]" in fault(make(ITEM, (inner,), (0,)))


PLACES: list[tuple[tuple[Any, ...], str]] = [
    ((Place("arena", 0),), "2 results need as many places, found 1"),
    ((Place("arena", 0), Place("output", 3)), "output 3 is not one of 1 outputs"),
    ((Place("output", 0), Place("output", 0)), "output 0 already belongs to another result"),
    ((Place("arena", 0), Place("donated", 0)), "input 0 is not donated"),
    ((Place("arena", -8), Place("arena", 0)), "arena offset -8 is below 0"),
    ((Place("heap", 0), Place("arena", 0)), "a place is one of arena, output, donated"),
    (((0, 1), Place("arena", 0)), "a place is one of arena, output, donated"),
]


@pytest.mark.parametrize(("places", "message"), PLACES, ids=[m for _, m in PLACES])
def test_places_must_exist(places: tuple[Any, ...], message: str) -> None:
    assert re.search(re.escape(message), fault(make(ITEM, (kernel(*places),), (0,))))
