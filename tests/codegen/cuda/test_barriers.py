"""Threads of a block wait for each other where they must, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.codegen.cuda.emulation import COMPILER, Library
from tests.codegen.loop_machine import LoopMachine
from treadle.codegen.cuda import emit_kernel
from treadle.codegen.loops import (
    Apply,
    Assign,
    Buffer,
    Const,
    Expression,
    For,
    Kernel,
    Let,
    Load,
    LoopKind,
    Read,
    Register,
    Space,
    Statement,
    Store,
    When,
)
from treadle.codegen.target import CUDA
from treadle.ir.index import Bound, Index, Var, constant, variable
from treadle.ir.types import float32

SERIAL, LANES = LoopKind.SERIAL, LoopKind.LANES
X, Y = Buffer("in0", float32, 64), Buffer("out0", float32, 96)
BLOCK = Buffer("block", float32, 64, Space.SCRATCH)
LANE = Var("l", 8)
AT = variable(LANE)
MIRRORED = constant(7) - AT


def lanes(*body: Statement, var: Var = LANE) -> For:
    return For(var, LANES, body, 8)


def add(x: Expression, y: Expression) -> Expression:
    return Apply("add", (x, y), float32)


def check(
    folder: Path, barriers: int, *body: Statement, registers: tuple[Register, ...] = ()
) -> str:
    """The text of a kernel with so many barriers that gives what the loop machine gives."""
    kernel = Kernel("waits", (X, Y), 1, body, (BLOCK,), registers)
    text = emit_kernel(kernel, CUDA)
    assert text.count("__syncthreads") == barriers, text
    if COMPILER is not None:
        library = Library([kernel], folder)
        memory = [np.arange(64, dtype="f"), np.zeros(96, "f")]
        LoopMachine(kernel, memory).run()
        for descending in (False, True):
            found = [np.arange(64, dtype="f"), np.zeros(96, "f")]
            library.run(kernel, found, descending)
            np.testing.assert_array_equal(found[1], memory[1])
    return text


def test_what_other_threads_wrote_is_waited_for(tmp_path: Path) -> None:
    check(
        tmp_path,
        1,
        lanes(Store(BLOCK, AT, Load(X, AT))),
        lanes(Store(Y, AT, Load(BLOCK, MIRRORED))),
    )


def test_what_the_same_thread_wrote_is_not(tmp_path: Path) -> None:
    check(
        tmp_path,
        0,
        lanes(Store(BLOCK, AT, Load(X, AT))),
        lanes(Store(Y, MIRRORED, Load(BLOCK, AT))),
    )


def test_other_parts_of_a_buffer_are_not_waited_for(tmp_path: Path) -> None:
    check(
        tmp_path,
        0,
        lanes(Store(BLOCK, AT, Load(X, AT)), Store(BLOCK, AT + 8, Load(X, AT))),
        lanes(Store(BLOCK, MIRRORED + 16, Load(X, AT))),
    )


def test_strips_of_whole_blocks_belong_to_the_same_threads(tmp_path: Path) -> None:
    first, second = Var("i", 4), Var("j", 4)
    check(
        tmp_path,
        0,
        For(first, SERIAL, (lanes(Store(BLOCK, variable(first) * 8 + AT, Load(X, AT))),)),
        For(second, SERIAL, (lanes(Store(Y, AT, Load(BLOCK, variable(second) * 8 + AT))),)),
    )


def test_strips_that_do_not_start_at_a_block_do_not(tmp_path: Path) -> None:
    first, second = Var("i", 4), Var("j", 3)
    text = check(
        tmp_path,
        1,
        For(first, SERIAL, (lanes(Store(BLOCK, variable(first) * 8 + AT, Load(X, AT))),)),
        For(second, SERIAL, (lanes(Store(Y, AT, Load(BLOCK, variable(second) * 8 + AT + 4))),)),
    )
    # Once before the loop, not in each iteration.
    assert "  __syncthreads();\n  for (int j = 0" in text


def test_a_buffer_that_is_used_again_is_waited_for_twice(tmp_path: Path) -> None:
    step = Var("i", 4)
    place = variable(step) * 8
    check(
        tmp_path,
        2,
        For(
            step,
            SERIAL,
            (
                lanes(Store(BLOCK, AT, Load(X, place + AT))),
                lanes(Store(Y, place + AT, Load(BLOCK, MIRRORED))),
            ),
        ),
    )


def test_all_threads_wait_for_what_the_first_stored(tmp_path: Path) -> None:
    text = check(
        tmp_path,
        1,
        lanes(Store(Y, AT + 8, Load(X, AT))),
        Store(BLOCK, constant(3), Load(X, constant(5))),
        lanes(Store(Y, AT, Load(BLOCK, constant(3)))),
    )
    assert "if (lane == 0) block[3] = in0[5];" in text


def test_the_first_thread_does_not_wait_for_itself(tmp_path: Path) -> None:
    step = Var("i", 4)
    place = constant(0)
    check(
        tmp_path,
        0,
        lanes(Store(Y, AT + 8, Load(X, AT))),
        Store(BLOCK, place, Const(0.0, float32)),
        For(
            step,
            SERIAL,
            (Store(BLOCK, place, add(Load(BLOCK, place), Load(X, variable(step)))),),
        ),
        Store(Y, place, Load(BLOCK, place)),
    )


def test_inactive_lanes_take_part_in_a_barrier_inside_their_loop(tmp_path: Path) -> None:
    var, value = Var("l", 5), Register("value", float32, 8)
    at = variable(var)
    text = check(
        tmp_path,
        1,
        lanes(Store(Y, AT + 8, Load(X, AT))),
        lanes(
            Let(value, Load(X, at + 3)),
            Store(BLOCK, at, Read(value)),
            Store(Y, at, add(Load(BLOCK, constant(4) - at), Read(value))),
            var=var,
        ),
    )
    assert "\n    if (lane < 5) block[lane] = value;\n    __syncthreads();\n" in text


def test_registers_that_all_threads_share_are_set_by_inactive_lanes_too(tmp_path: Path) -> None:
    shared, var = Register("shared", float32), Var("l", 5)
    check(
        tmp_path,
        0,
        Assign(shared, Const(1.0, float32)),
        lanes(Assign(shared, Const(2.0, float32)), Store(Y, variable(var), Read(shared)), var=var),
        lanes(Store(Y, AT + 8, Read(shared))),
        registers=(shared,),
    )


def test_a_barrier_in_a_condition_is_none_without_it(tmp_path: Path) -> None:
    step = Var("i", 3)
    inside = (
        lanes(Store(BLOCK, AT + 8, Load(X, AT))),
        lanes(Store(Y, AT, Load(BLOCK, MIRRORED + 8))),
    )
    text = check(
        tmp_path,
        3,
        For(
            step,
            SERIAL,
            (
                lanes(Store(BLOCK, AT, Load(X, variable(step) * 8 + AT))),
                When((Bound(variable(step), 1, 2),), inside),
                lanes(Store(Y, variable(step) * 8 + AT + 8, Load(BLOCK, MIRRORED))),
            ),
        ),
    )
    assert "    }\n    __syncthreads();\n    out0[8 * i + lane + 8]" in text


@pytest.mark.parametrize("index", [MIRRORED, AT - 1])
def test_lanes_that_store_what_others_read_at_once_are_refused(index: Index) -> None:
    guard = (Bound(index, 0, 8),)
    body = (lanes(Store(Y, AT, Load(Y, index, guard))),)
    with pytest.raises(ValueError, match="what other lanes read in the same statement"):
        emit_kernel(Kernel("swaps", (X, Y), 1, body), CUDA)
