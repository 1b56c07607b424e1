"""The rules of loop IR: each breach is named, with the statement that commits it."""

from __future__ import annotations

import pytest

from treadle.codegen.loop_text import parse_kernel
from treadle.codegen.loop_verifier import interval, verify_kernel
from treadle.codegen.loops import Buffer, Const, For, Kernel, LoopKind, Space, Store
from treadle.ir.errors import VerificationError
from treadle.ir.index import Bound, Var, constant, variable
from treadle.ir.types import float32

SOUND = """\
kernel @sound(in0: f32[60], in1: i64[4], out0: f32[60]) writes 1 {
  scratch block: f32[16]
  register sums: f32[2] lanes 8
  register number: f32
  tasks t in 0..4 {
    unroll i in 0..2 {
      lanes<8> l in 0..8 {
        sums[i] = in0[16*t + 8*i + l if 0 <= 16*t + 8*i + l < 60 else 0.0]
      }
    }
    number = across<add>(sums[1])
    lanes<8> l in 0..5 {
      let x: f32 lanes 8 = mul(sums[0], number)
      block[l] = add(x, 1.0:f32)
    }
    when 0 <= t < 3 {
      for s in 0..16 {
        out0[16*t + s] = add(block[s], in0[[in1[t] in 0..59]])
      }
    }
  }
}
"""


def test_a_sound_kernel_passes() -> None:
    verify_kernel(parse_kernel(SOUND))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("if 0 <= 16*t + 8*i + l < 60 else 0.0", "", "in0 has 60 elements, found positions 0..63"),
        ("out0[16*t + s]", "out0[16*t + s + 13]", "out0 has 60 elements, found positions 13..60"),
        ("out0[16*t + s]", "in0[16*t + s]", "in0 is not written by this kernel"),
        ("block[l] =", "block[4*l] =", "block has 16 elements, found positions 0..16"),
        ("in1[t] in", "in1[t + 2] in", "in1 has 4 elements, found positions 2..4"),
        ("number = across", "lanes<8> l in 0..8 { number = sums[0] } number = across",
         "number is one number, its value differs between lanes"),
        ("across<add>(sums[1])", "sums[1]", "sums has 8 lanes and is used in no lanes loop"),
        ("across<add>", "across<sub>", "across<sub> of sums is not defined"),
        ("lanes<8> l in 0..5", "lanes<4> l in 0..4", "sums has 8 lanes and is used in a loop of 4"),
        ("lanes<8> l in 0..5", "lanes<8> l in 0..9", "9 lanes run of 8"),
        ("sums[0], number", "sums[2], number", "sums has 2 elements, found 2..2"),
        ("sums[0], number", "sums, number", "sums has 1 axes, found 0"),
        ("unroll i", "for i", "sums is addressed by i, which is not unrolled"),
        ("mul(sums[0], number)", "lt<bool>(sums[0], number)", "x is f32, its value bool"),
        ("add(x, 1.0:f32)", "add(x, 1:i32)", "operands of one dtype"),
        ("add(x, 1.0:f32)", "fma(x, 1.0:f32)", "fma is not defined on f32, f32"),
        ("add(x, 1.0:f32)", "sum(x)", "sum is not a scalar op"),
        ("add(x, 1.0:f32)", "lt(x, x)", "lt gives bool, but is declared as f32"),
        ("add(x, 1.0:f32)", "cast<f64>(x)", "block is f32, not f64"),
        ("for s in 0..16 {", "for s in 0..16 { for s in 0..2 {}",
         "a loop around has the variable s too"),
        ("for s in 0..16", "tasks s in 0..16", "a tasks loop must be the outermost statement"),
        ("[in1[t] in", "[in0[t] in", "a position of dtype f32"),
        ("let x: f32 lanes 8", "let x: f32", "x is one number, its value differs between lanes"),
        ("block[l] =", "x = x block[l] =", "x is named by let and cannot be set again"),
        ("when 0 <= t < 3", "lanes<8> l in 0..8 { when 0 <= l < 3 { number = 1.0:f32 } } "
         "when 0 <= t < 3", "the guard of a when differs between lanes"),
        ("1.0:f32", "true:f32", "True is not a number of float32"),
    ],
)  # fmt: skip
def test_each_breach_is_named(old: str, new: str, message: str) -> None:
    assert old in SOUND
    with pytest.raises(VerificationError) as error:
        verify_kernel(parse_kernel(SOUND.replace(old, new, 1)))
    assert message in str(error.value)
    assert "kernel @sound" in str(error.value)


def test_the_error_shows_the_statement() -> None:
    broken = SOUND.replace("out0[16*t + s]", "out0[16*t + s + 13]")
    with pytest.raises(VerificationError) as error:
        verify_kernel(parse_kernel(broken))
    assert str(error.value) == (
        "out0 has 60 elements, found positions 13..60\n"
        "  kernel @sound, in\n"
        "  out0[16*t + s + 13] = add(block[s], in0[[in1[t] in 0..59]])"
    )


OUT = Buffer("out0", float32, 8)
ONE = Const(1.0, float32)


def test_undeclared_names() -> None:
    other = Buffer("out1", float32, 8)
    with pytest.raises(VerificationError, match="out1 is not a buffer of this kernel"):
        verify_kernel(Kernel("k", (OUT,), 1, (Store(other, constant(0), ONE),)))
    store = Store(OUT, variable(Var("x", 8)), ONE)
    with pytest.raises(VerificationError, match=r"no loop around runs x over 0\.\.8"):
        verify_kernel(Kernel("k", (OUT,), 1, (store,)))
    shadow = For(Var("x", 4), LoopKind.SERIAL, (store,))
    with pytest.raises(VerificationError, match=r"no loop around runs x over 0\.\.8"):
        verify_kernel(Kernel("k", (OUT,), 1, (shadow,)))


def test_declarations() -> None:
    with pytest.raises(VerificationError, match="out0 is declared more than once"):
        verify_kernel(Kernel("k", (OUT, OUT), 1, ()))
    with pytest.raises(VerificationError, match="writes 2 of 1 arguments"):
        verify_kernel(Kernel("k", (OUT,), 2, ()))
    scratch = Buffer("block", float32, 8)
    with pytest.raises(VerificationError, match="block is declared as scratch but is argument"):
        verify_kernel(Kernel("k", (OUT,), 1, (), (scratch,)))
    sound = Buffer("block", float32, 8, Space.SCRATCH)
    verify_kernel(Kernel("k", (OUT,), 1, (Store(sound, constant(7), ONE),), (sound,)))


def test_tasks_are_alone() -> None:
    tasks = For(Var("t", 8), LoopKind.TASKS, (Store(OUT, variable(Var("t", 8)), ONE),))
    verify_kernel(Kernel("k", (OUT,), 1, (tasks,)))
    with pytest.raises(VerificationError, match="a tasks loop must be alone in its kernel"):
        verify_kernel(Kernel("k", (OUT,), 1, (tasks, Store(OUT, constant(0), ONE))))


def test_intervals_use_guards() -> None:
    t, u = variable(Var("t", 5)), variable(Var("u", 6))
    tile = t * 6 + u
    assert interval(tile * 12, ()) == (0, 348)
    assert interval(tile * 12, (Bound(tile, 0, 26),)) == (0, 300)
    assert interval(tile * 12 + 3, (Bound(tile, 26, 27),)) == (315, 315)
    assert interval(t * 72 + 5, (Bound(tile, 0, 7),)) == (5, 77)
    assert interval((tile + 1) // 5, (Bound(tile, 4, 9),)) == (1, 1)
    assert interval(tile % 10, (Bound(tile, 12, 15),)) == (2, 4)
    low, high = interval(tile, (Bound(tile, 9, 9),))
    assert low > high  # never runs
