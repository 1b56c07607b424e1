"""The text of loop IR: what it looks like, and that it parses back to the same kernel."""

from __future__ import annotations

import math

import pytest

from treadle.codegen.loop_text import parse_kernel, print_kernel, print_statement
from treadle.codegen.loops import (
    AcrossLanes,
    Apply,
    Assign,
    Buffer,
    Const,
    Expression,
    For,
    Holds,
    Kernel,
    Let,
    Load,
    LoopKind,
    Position,
    Read,
    Register,
    Space,
    Store,
    When,
)
from treadle.ir.errors import ParseError
from treadle.ir.index import Bound, Var, constant, dynamic, variable
from treadle.ir.types import bool_, float32, float64, int32, int64

X = Buffer("in0", float32, 64)
Y = Buffer("in1", int64, 4)
OUT = Buffer("out0", float32, 32)
BLOCK = Buffer("block", float32, 16, Space.SCRATCH)
SUMS = Register("sums", float32, 8, (2,))
TOTAL = Register("total", float32, 8)
T, L, ROW = Var("t", 4), Var("l", 8), Var("i", 2)

TEXT = """\
kernel @sample(in0: f32[64], in1: i64[4], out0: f32[32]) writes 1 {
  scratch block: f32[16]
  register sums: f32[2] lanes 8
  tasks t in 0..4 {
    unroll i in 0..2 {
      lanes<8> l in 0..8 {
        sums[i] = 0.0:f32
      }
    }
    lanes<8> l in 0..5 {
      let total: f32 lanes 8 = in0[l + 16*t if 0 <= l < 3 and 0 <= t < 4 step 2 else -inf]
      %1 = exp(total)
      sums[0] = fma(total, %1, %1)
      out0[l + 8*t if 0 <= l < 4] = select(holds(0 <= t < 2), %1, position<f32>(l - 1))
    }
    when 0 <= (t)//2 < 1 {
      for s in 0..3 {
        block[(s + 7*t)%16] = across<add>(sums[1])
        out0[2*[in1[t] in 0..3] + 1] = cast<f32>(lt<bool>(block[s], nan:f32))
      }
    }
  }
}
"""


def sample() -> Kernel:
    """The kernel of ``TEXT``, which uses every kind of statement and expression."""
    lane, task, step = variable(L), variable(T), variable(Var("s", 3))
    total = Read(TOTAL)
    guard = (Bound(variable(Var("l", 5)), 0, 3), Bound(task, 0, 4, 2))
    short = variable(Var("l", 5))
    shared = Apply("exp", (total,), float32)
    chosen = Apply(
        "select",
        (Holds((Bound(task, 0, 2),), bool_), shared, Position(short - 1, float32)),
        float32,
    )
    clear = For(L, LoopKind.LANES, (Assign(SUMS, Const(0.0, float32), (variable(ROW),)),), 8)
    lanes = (
        Let(TOTAL, Load(X, task * 16 + short, guard, -math.inf)),
        Assign(SUMS, Apply("fma", (total, shared, shared), float32), (constant(0),)),
        Store(OUT, task * 8 + short, chosen, (Bound(short, 0, 4),)),
    )
    less = Apply("lt", (Load(BLOCK, step), Const(math.nan, float32)), bool_)
    place = dynamic(Load(Y, task), 0, 3)
    stores = (
        Store(BLOCK, (task * 7 + step) % 16, AcrossLanes("add", SUMS, (constant(1),))),
        Store(OUT, place * 2 + 1, Apply("cast", (less,), float32)),
    )
    assert lane.terms
    body = (
        For(ROW, LoopKind.UNROLL, (clear,)),
        For(Var("l", 5), LoopKind.LANES, lanes, 8),
        When((Bound(task // 2, 0, 1),), (For(Var("s", 3), LoopKind.SERIAL, stores),)),
    )
    tasks = For(T, LoopKind.TASKS, body)
    return Kernel("sample", (X, Y, OUT), 1, (tasks,), (BLOCK,), (SUMS,))


def test_every_statement_and_expression_as_text() -> None:
    assert print_kernel(sample()) == TEXT


def test_text_parses_back() -> None:
    kernel = parse_kernel(TEXT)
    assert print_kernel(kernel) == TEXT
    assert kernel.arguments == (X, Y, OUT)
    assert kernel.registers == (SUMS,) and kernel.scratch == (BLOCK,)
    tasks = kernel.body[0]
    assert isinstance(tasks, For) and tasks.kind is LoopKind.TASKS and kernel.tasks == 4


def test_what_has_no_named_operand_parses_back_equal() -> None:
    body = (
        When((Bound(constant(3), -2, 9),), (Store(OUT, constant(5), Load(X, constant(2))),)),
        Store(OUT, constant(1), Const(-1.5e-7, float32)),
    )
    kernel = Kernel("plain", (X, OUT), 1, body)
    assert parse_kernel(print_kernel(kernel)) == kernel


def test_a_shared_op_stays_one_object() -> None:
    kernel = parse_kernel(TEXT)
    tasks = kernel.body[0]
    assert isinstance(tasks, For)
    lanes = tasks.body[1]
    assert isinstance(lanes, For)
    assign, store = lanes.body[1:]
    assert isinstance(assign, Assign) and isinstance(store, Store)
    assert isinstance(assign.value, Apply) and isinstance(store.value, Apply)
    assert assign.value.args[1] is assign.value.args[2] is store.value.args[1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Const(True, bool_), "true:bool"),
        (Const(-3, int32), "-3:i32"),
        (Const(0.1, float64), "0.1:f64"),
        (Const(1e-30, float32), "1e-30:f32"),
        (Const(-0.0, float32), "-0.0:f32"),
        (Const(math.inf, float32), "inf:f32"),
    ],
)
def test_numbers(value: Const, text: str) -> None:
    buffer = Buffer("out0", value.dtype, 1)
    kernel = Kernel("numbers", (buffer,), 1, (Store(buffer, constant(0), value),))
    assert f"out0[0] = {text}" in print_kernel(kernel)
    store = parse_kernel(print_kernel(kernel)).body[0]
    assert isinstance(store, Store) and isinstance(store.value, Const)
    assert repr(store.value) == repr(value)


def test_a_long_chain_of_ops_is_printed_and_read_without_recursion() -> None:
    value: Expression = Load(X, constant(0))
    for _ in range(20_000):
        value = Apply("neg", (value,), float32)
    kernel = Kernel("chain", (X, OUT), 1, (Store(OUT, constant(0), value),))
    text = print_kernel(kernel)
    assert max(map(len, text.splitlines())) < 100
    assert print_kernel(parse_kernel(text)) == text


def test_one_statement_alone() -> None:
    store = Store(OUT, variable(L) * 2, Apply("neg", (Load(X, variable(L)),), float32))
    assert print_statement(store) == "out0[2*l] = neg(in0[l])"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("sums[0] = fma", "sum[0] = fma", "no buffer or register is named 'sum'"),
        ("in0[l + 16*t", "in0[m + 16*t", "no loop around has the variable 'm'"),
        ("fma(total, %1, %1)", "fma(total, %1, %2)", "%2 is not defined"),
        ("register sums: f32", "register sums: f31", "expected a dtype"),
        ("lanes<8> l in 0..8", "lanes 8 l in 0..8", "expected '<'"),
        ("in 0..4 {", "in 1..4 {", "loops start at 0"),
        ("writes 1", "writes 1.5", "expected a whole number, found 1.5"),
        ("let total", "let ?", "unexpected character '?'"),
    ],
)
def test_errors_say_where_and_what(old: str, new: str, message: str) -> None:
    broken = TEXT.replace(old, new, 1)
    line = next(n for n, text in enumerate(TEXT.splitlines(), 1) if old in text)
    with pytest.raises(ParseError) as error:
        parse_kernel(broken)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{line}:")
