"""Library calls in compiled programs: launches among the kernels, in memory that was planned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.codegen.test_program import buffer_of, check, host, planned
from tests.ir.passes import fuse_programs as programs
from treadle.codegen import program
from treadle.codegen.target import CUDA
from treadle.ir import build as b, matrices as m
from treadle.ir.graph import Graph
from treadle.ir.ops.kernel import KERNEL
from treadle.runtime import cpu

Array = np.ndarray[Any, Any]


def step() -> tuple[Graph, list[Array]]:
    """A factorisation in the middle of other work."""
    inputs = programs.Inputs()
    x, y = inputs(3, 4, 4), inputs(3, 4, 4)
    spd = b.add(m.dot(x, b.transpose(x)), m.unit_like(x) * 2.0)
    factor, info = b.library("cholesky", [spd], False)
    q, r = b.library("qr", [b.transpose(y)], "reduced")
    solved = m.solve_triangular(factor, m.dot(q, r) * 0.5, upper=False)
    graph = inputs.graph(b.exp(solved) * factor, info, b.sum(r * r), solved)
    draw = np.random.default_rng(0)
    return graph, [draw.standard_normal((3, 4, 4)).astype(np.float32) for _ in range(2)]


def test_a_step_with_factorisations_is_one_program() -> None:
    graph, arrays = step()
    artifact = program.assemble(planned(graph), host(), "step")
    names = [kernel.name for kernel in artifact.kernels]
    assert [name for name in names if name.startswith("library_")] == [
        call.symbol for call in artifact.library
    ]
    assert {call.name for call in artifact.library} == {"cholesky", "qr", "solve_triangular"}
    assert artifact.llvm.count("call void @library_") == 3
    check(graph, arrays)


def test_a_stored_program_finds_its_functions_by_name() -> None:
    graph, arrays = step()
    loaded = cpu.load(program.assemble(planned(graph), host(), "step"))
    again = cpu.load_serialized(loaded.serialize())
    assert again is not None and again.plan == loaded.plan
    buffers = [buffer_of(array) for array in arrays]
    for first, second in zip(loaded.run(buffers), again.run(buffers), strict=True):
        assert bytes(first.array(np.uint8, (first.nbytes,))) == bytes(
            second.array(np.uint8, (second.nbytes,))
        )


def test_equal_calls_are_one_symbol_and_repeated_operands_one_argument() -> None:
    inputs = programs.Inputs()
    x, y = inputs(4, 4), inputs(4, 4)
    both = [b.library("solve", [value, value])[0] for value in (x, y)]
    graph = inputs.graph(*both)
    artifact = program.assemble(planned(graph), host(), "f")
    (call,) = artifact.library
    assert [slot for _type, slot in call.operands] == [0, 0]
    assert len(artifact.kernels) == 2
    draw = np.random.default_rng(0)
    check(graph, [draw.standard_normal((4, 4)).astype(np.float32) for _ in range(2)])


def test_a_call_reads_memory_and_shares_no_kernel() -> None:
    graph, _arrays = step()
    for value in planned(graph).values():
        if value.op is KERNEL and program.library_call_of(value.attrs[0]) is not None:
            names = {inner.op.name for inner in value.attrs[0].values()}
            assert names <= {"input", "library", "item"}


def test_a_result_wanted_twice_is_written_twice() -> None:
    inputs = programs.Inputs()
    x = inputs(4, 4)
    found = b.library("inverse", [x])[0]
    graph = inputs.graph(found, b.reshape(found, (16,)), x)
    check(graph, [np.random.default_rng(1).standard_normal((4, 4)).astype(np.float32)])


@pytest.mark.parametrize("shape", [(0, 3, 3), (2, 0, 0)])
def test_calls_on_nothing_run(shape: tuple[int, ...]) -> None:
    inputs = programs.Inputs()
    x = inputs(*shape)
    check(inputs.graph(b.library("det", [x])[0]), [np.zeros(shape, np.float32)])


def test_calls_are_steps_of_the_host_on_every_target() -> None:
    graph, _arrays = step()
    calls = program.host_steps(planned(graph), CUDA)
    assert [call.name for call in calls] == [
        call.name for call in program.host_steps(planned(graph), host())
    ]
    assert all(kernel.name.startswith("k_") for kernel in program.kernels(planned(graph), CUDA))
