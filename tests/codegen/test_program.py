"""Whole programs: assembled, compiled, run on this machine, and compared with the interpreter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tests.ir.passes import fuse_programs as programs
from tests.ir.random_graphs import arguments, graphs
from treadle.codegen import program
from treadle.codegen.artifact import Artifact, OutputPlan
from treadle.codegen.target import AVX2, BASELINE, CUDA, Target
from treadle.ir import build as b
from treadle.ir.errors import PassError
from treadle.ir.graph import Graph
from treadle.ir.interpreter import interpret
from treadle.ir.parser import parse_graph
from treadle.ir.pass_check import same
from treadle.ir.pass_manager import DEFAULT_PIPELINE, PassManager, parse_pipeline
from treadle.ir.passes.fuse import fuse
from treadle.ir.types import bool_, float32, int64
from treadle.runtime import cpu
from treadle.runtime.memory import Buffer
from treadle.runtime.target import host_target

Array = np.ndarray[Any, Any]

PIPELINE = parse_pipeline(DEFAULT_PIPELINE)


def host() -> Target:
    facts = host_target()
    return Target("cpu", facts.vector_bytes, facts.vector_registers, facts.has_fma)


def planned(graph: Graph) -> Graph:
    return PassManager(PIPELINE, verify=True).run(graph)[0]


def buffer_of(array: Array) -> Buffer:
    buffer = Buffer(array.nbytes)
    buffer.array(array.dtype, array.shape)[...] = array
    return buffer


def run(graph: Graph, arrays: Sequence[Array]) -> list[Array]:
    """The program's results; fails where it changes an input that is not donated."""
    loaded = cpu.load(program.assemble(planned(graph), host(), graph.name))
    buffers = [buffer_of(array) for array in arrays]
    outputs = loaded.run(buffers)
    found = [
        np.array(buffer.array(output.dtype.numpy, output.shape))
        for buffer, output in zip(outputs, graph.outputs, strict=True)
    ]
    for slot, (array, buffer) in enumerate(zip(arrays, buffers, strict=True)):
        if slot not in graph.donated:
            now = np.array(buffer.array(array.dtype, array.shape))
            assert same(array, now), f"input {slot} was overwritten"
    return found


def check(graph: Graph, arrays: Sequence[Array]) -> None:
    for number, (want, found) in enumerate(
        zip(interpret(graph, arrays), run(graph, arrays), strict=True)
    ):
        assert same(want, found, exact=False), f"output {number}"


def steps() -> list[Graph]:
    return [
        programs.two_layer_net(),
        programs.lenet(4),
        programs.dense_net(4),
        programs.attention(),
    ]


@pytest.mark.parametrize("number", range(4), ids=["two-layer net", "lenet", "dense", "attention"])
@pytest.mark.parametrize("donate", [True, False])
def test_steps_compute_what_the_interpreter_does(number: int, donate: bool) -> None:
    graph = steps()[number]
    if not donate:
        graph = replace(graph, donated=frozenset())
    arrays = arguments(graph)
    if number == 1:
        # Second moments are averages of squares.
        arrays = [np.abs(array) if array.ndim else array for array in arrays]
    check(graph, arrays)


# The same graphs every time: a comparison of two roundings of a sum may come out either way.
@settings(max_examples=60, deadline=None, derandomize=True)
@given(graphs(max_ops=12, dtypes=(float32, int64, bool_)), st.booleans())
def test_random_programs_compute_what_the_interpreter_does(graph: Graph, donate: bool) -> None:
    if donate:
        graph = replace(graph, donated=frozenset(range(len(graph.inputs))))
    check(graph, arguments(graph))


def test_a_large_sum_runs_in_tasks() -> None:
    inputs = programs.Inputs()
    x = inputs(1000003)
    graph = inputs.graph(b.sum(x * x))
    artifact = program.assemble(planned(graph), host(), "large")
    assert [kernel.parallel_tasks > 1 for kernel in artifact.kernels] == [True, False]
    check(graph, arguments(graph))


# --- what an artifact says ------------------------------------------------------------------------


def assembled(graph: Graph, target: Target = AVX2) -> Artifact:
    return program.assemble(planned(graph), target, graph.name)


def test_equal_layers_share_code() -> None:
    artifact = assembled(programs.dense_net(6))
    functions = re.findall(r"^define internal void @(\w+)", artifact.llvm, re.MULTILINE)
    assert len(artifact.kernels) == 6 + 5 + 12 + 2
    assert len(functions) < 12
    assert len(program.kernels(planned(programs.dense_net(6)), AVX2)) == len(functions)


def test_outputs_say_whose_memory_they_are() -> None:
    artifact = assembled(programs.two_layer_net())
    assert artifact.outputs == (
        OutputPlan(4, None),
        OutputPlan(400_000, 2),
        OutputPlan(400, 3),
        OutputPlan(4_000, 4),
        OutputPlan(40, 5),
    )
    assert artifact.inputs == (256_000, 2_560, 400_000, 400, 4_000, 40)
    assert artifact.arena_bytes % 64 == 0


def test_kernels_know_their_bytes_flops_and_lines() -> None:
    text = (
        "program @f(%0: f32[64,32], %1: f32[32,16], %2: f32[16]) {\n"
        "  %3: f32[64,16] = dot(%0, %1)  // model.py:4\n"
        "  %4: f32[1,16] = reshape(%2) {shape = [1, 16]}\n"
        "  %5: f32[64,16] = expand(%4) {shape = [64, 16]}\n"
        "  %6: f32[64,16] = add(%3, %5)  // model.py:5\n"
        "  return %6\n"
        "}\n"
    )
    (kernel,) = assembled(parse_graph(text)).kernels
    assert kernel.name == "k_dot_add"
    assert kernel.flops == 2 * 64 * 32 * 16 + 64 * 16
    assert kernel.bytes == 4 * (64 * 32 + 32 * 16 + 16 + 64 * 16)
    assert kernel.locations == ("model.py:4", "model.py:5")


def test_an_update_in_place_costs_the_part() -> None:
    inputs = programs.Inputs()
    x, part = inputs(1000, 8), inputs(1000)
    changed = b.view_update(x, part, (1000,), (8,), 3)
    (kernel,) = assembled(inputs.graph(changed, donated=frozenset({0}))).kernels
    assert kernel.bytes == 8_000
    (kernel,) = assembled(inputs.graph(changed)).kernels
    assert kernel.bytes == 32_000 + 32_000 + 4_000


def test_names_are_symbols_and_no_library_functions() -> None:
    inputs = programs.Inputs()
    x = inputs(8)
    artifact = program.assemble(planned(inputs.graph(b.exp(x))), AVX2, "my step: 1")
    assert artifact.entry == "program_my_step__1"
    assert "@exp(" not in artifact.llvm


def test_the_same_graph_gives_the_same_text() -> None:
    assert assembled(programs.lenet(2)) == assembled(programs.lenet(2))


@pytest.mark.parametrize("target", [BASELINE, AVX2, CUDA], ids=["baseline", "avx2", "cuda"])
def test_kernels_of_every_target_are_loops(target: Target) -> None:
    found = program.kernels(planned(programs.lenet(2)), target)
    assert len({kernel.name for kernel in found}) == len(found)


def test_errors_name_the_pass_that_is_missing() -> None:
    inputs = programs.Inputs()
    graph = inputs.graph(b.exp(inputs(8)))
    with pytest.raises(PassError, match="is not fused"):
        program.assemble(graph, AVX2, "f")
    with pytest.raises(PassError, match="program @step has no memory plan: run memory-plan"):
        program.assemble(fuse(graph)[0], AVX2, "f")
