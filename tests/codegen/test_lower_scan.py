"""Scans along any axis, in both directions, with work before and after them; on every target."""

from __future__ import annotations

import pytest

from tests.codegen.lowering import TARGETS, Inputs, Make, check, run
from treadle.codegen.loops import Kernel, LoopKind
from treadle.codegen.lower import lower
from treadle.codegen.target import AVX2
from treadle.ir import build as b
from treadle.ir.errors import CompilationError
from treadle.ir.graph import Graph
from treadle.ir.types import bool_, float16, int64
from treadle.ir.value import Value


def _with_results(i: Inputs) -> list[Value]:
    x = i.of(20, 33)
    y = b.cumsum(x, 0)
    return [y, b.reshape(y * 2.0, (660,)), x + y]


BODIES: dict[str, Make] = {
    "scan rows": lambda i: b.cumsum(i.of(5, 37), 1),
    "scan rows from the end": lambda i: b.cumprod(i.of(5, 37), 1, True),
    "scan columns": lambda i: b.cummax(i.of(9, 37), 0),
    "scan columns from the end": lambda i: b.cummin(i.of(9, 37), 0, True),
    "scan between axes": lambda i: b.cumsum(i.of(3, 9, 21), 1),
    "scan one row": lambda i: b.cummax(i.of(300), 0),
    "scan one element": lambda i: b.cumprod(i.of(1, 7), 0),
    "scan integers": lambda i: b.cumsum(i.of(20, 33, dtype=int64), 0),
    "scan truth values": lambda i: b.cummax(i.of(20, 33, dtype=bool_), 0),
    "scan after and before work": lambda i: b.exp(b.neg(b.abs(b.cumsum(b.sin(i.of(20, 33)), 1)))),
    "scan after movement": lambda i: b.cumsum(
        b.broadcast_to(i.of(20, 1), (20, 33)) * b.permute(i.of(33, 20), (1, 0)), 1
    ),
    "scan with results": _with_results,
    "recurrence along rows": lambda i: b.recurrence(i.of(6, 9), i.of(6, 9), 1),
    "recurrence along columns": lambda i: b.recurrence(i.of(6, 9), i.of(6, 9), 0, True),
    "recurrence of one element": lambda i: b.recurrence(i.of(6, 1), i.of(6, 1), 1),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", BODIES)
def test_a_scan_gives_what_the_interpreter_gives(name: str, target: str) -> None:
    run(BODIES[name], TARGETS[target])


@pytest.mark.parametrize("target", TARGETS)
def test_narrow_floats_add_up_in_float32(target: str) -> None:
    run(lambda i: b.cumsum(i.of(20, 133, dtype=float16), 1), TARGETS[target], tolerance=1e-3)


def test_a_result_may_lie_in_the_memory_of_the_operand() -> None:
    inputs = Inputs()
    x = inputs.of(20, 33)
    check(inputs, [b.cumsum(x, 0) * 2.0], AVX2, aliases={0: 0})


def kinds(kernel: Kernel) -> str:
    return str(kernel.body)


def test_a_cpu_takes_rows_element_by_element_but_for_expensive_work_and_columns() -> None:
    rows = run(lambda i: b.cumsum(i.of(50, 400), 1), AVX2)
    expensive = run(lambda i: b.cumsum(b.tanh(b.exp(i.of(50, 40))), 1), AVX2)
    columns = run(lambda i: b.cumsum(i.of(400, 50), 0), AVX2)
    assert str(LoopKind.LANES) not in kinds(rows)
    assert str(LoopKind.UNROLL) in kinds(rows)
    assert str(LoopKind.LANES) in kinds(expensive)
    assert str(LoopKind.LANES) in kinds(columns)


@pytest.mark.parametrize("target", ["avx2", "cuda"])
def test_rows_are_shared_out_to_tasks(target: str) -> None:
    assert run(lambda i: b.cumsum(i.of(64, 3000), 1), TARGETS[target], 1e-3).tasks > 1 or (
        target == "cuda"
    )


def test_two_scans_do_not_fit_one_kernel() -> None:
    inputs = Inputs()
    x = inputs.of(5)
    body = Graph("body", tuple(inputs.values), (b.cumsum(x, 0), b.cumprod(x, 0)))
    with pytest.raises(CompilationError, match="one scan"):
        lower(body, AVX2, "body")
