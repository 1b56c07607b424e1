"""The pass ``memory-plan``: nothing live is overwritten, donated inputs serve, scratch is tight.

Plans are checked by running programs in the memory that they name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tests.ir.passes import fuse_programs as programs
from tests.ir.random_graphs import arguments, graphs
from treadle.ir import build as b
from treadle.ir.errors import PassError
from treadle.ir.fusion.costs import without_reshapes
from treadle.ir.fusion.in_place import overwritable
from treadle.ir.graph import Graph
from treadle.ir.interpreter import interpret
from treadle.ir.memory.arena import ALIGNMENT, Block, arranged, peak
from treadle.ir.memory.launches import Launches
from treadle.ir.ops.kernel import Place
from treadle.ir.parser import parse_graph
from treadle.ir.pass_check import same
from treadle.ir.passes.fuse import fuse
from treadle.ir.passes.memory_plan import MemoryPlan, arena_bytes, live_bytes
from treadle.ir.passes.simplify import Simplify
from treadle.ir.printer import print_graph
from treadle.ir.types import TensorType, int64
from treadle.ir.value import Value
from treadle.ir.verifier import verify

Array = np.ndarray[Any, Any]


def planned(graph: Graph) -> Graph:
    """Simplified, fused and planned."""
    result = MemoryPlan().run(fuse(Simplify().run(graph))[0])
    verify(result)
    return result


def places(graph: Graph) -> list[Place]:
    """Of every result of every kernel, in the order of launches."""
    return [place for kernel in Launches(graph).kernels for place in kernel.attrs[1]]


class Machine:
    """Memory as the runtime lays it out; runs each kernel with the interpreter.

    Scratch memory starts as bytes that are neither zero nor small numbers.
    """

    def __init__(self, graph: Graph, arrays: Sequence[Array]) -> None:
        self.graph = graph
        self.inputs = [bytearray(array.tobytes()) for array in arrays]
        self.outputs = [bytearray(output.type.nbytes) for output in graph.outputs]
        self.arena = bytearray(b"\xa5" * arena_bytes(graph))

    def memory(self, value: Value) -> memoryview:
        """The bytes that hold a value."""
        source = without_reshapes(value)
        size = value.type.nbytes
        if source.op.name == "input":
            return memoryview(self.inputs[source.attrs[0]])
        place = source.inputs[0].attrs[1][source.attrs[0]]
        if place.kind == "donated":
            return memoryview(self.inputs[place.number])
        if place.kind == "output":
            return memoryview(self.outputs[place.number])
        assert place.number % ALIGNMENT == 0
        return memoryview(self.arena)[place.number : place.number + size]

    def array(self, value: Value) -> Array:
        """A copy of a value's elements."""
        flat = np.frombuffer(bytes(self.memory(value)), value.dtype.numpy)
        return flat.reshape(value.shape).copy()

    def run(self) -> list[Array]:
        """The program's results."""
        launches = Launches(self.graph)
        for kernel in launches.kernels:
            operands = [self.array(operand) for operand in kernel.inputs]
            results = interpret(kernel.attrs[0], operands)
            for item, result in zip(launches.results[kernel], results, strict=True):
                self.memory(item)[:] = result.tobytes()
        return [self.array(output) for output in self.graph.outputs]


def check(graph: Graph) -> Graph:
    """Plans a graph and runs it on memory; results must be the interpreter's, bit for bit."""
    result = planned(graph)
    assert arena_bytes(result) >= live_bytes(result)
    arrays = arguments(graph)
    machine = Machine(result, arrays)
    for before, after in zip(interpret(result, arrays), machine.run(), strict=True):
        assert same(before, after)
    for slot, (array, memory) in enumerate(zip(arrays, machine.inputs, strict=True)):
        if slot not in graph.donated:
            assert array.tobytes() == bytes(memory), f"input {slot} was overwritten"
    return result


# --- nothing live is overwritten ------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(graphs(max_ops=16, elementary=True), st.data())
def test_random_programs_run_in_the_memory_planned(graph: Graph, data: st.DataObject) -> None:
    slots = range(len(graph.inputs))
    donated = data.draw(st.frozensets(st.sampled_from(slots)))
    check(replace(graph, donated=donated))


@pytest.mark.parametrize(
    "graph",
    [programs.two_layer_net(), programs.lenet(2), programs.dense_net(8), programs.attention()],
    ids=["two-layer net", "lenet", "dense net", "attention"],
)
def test_training_steps_run_in_the_memory_planned(graph: Graph) -> None:
    check(graph)


@given(
    st.lists(
        st.tuples(st.integers(0, 500), st.integers(0, 12), st.integers(0, 12)).map(
            lambda t: Block(t[0], min(t[1:]), max(t[1:]))
        ),
        max_size=24,
    )
)
def test_blocks_in_use_together_do_not_overlap(blocks: list[Block]) -> None:
    offsets = arranged(blocks)
    for number, (one, start) in enumerate(zip(blocks, offsets, strict=True)):
        assert start % ALIGNMENT == 0
        for other, begin in zip(blocks[:number], offsets[:number], strict=True):
            together = one.first <= other.last and other.first <= one.last
            apart = start + one.size <= begin or begin + other.size <= start
            assert apart or not together
    top = max((at + block.size for at, block in zip(offsets, blocks, strict=True)), default=0)
    assert top <= sum(-(-block.size // ALIGNMENT) * ALIGNMENT for block in blocks)
    assert peak(blocks) <= -(-top // ALIGNMENT) * ALIGNMENT


def test_gaps_are_reused_best_fit_first() -> None:
    blocks = [Block(256, 0, 9), Block(128, 0, 2), Block(64, 0, 9), Block(128, 3, 9)]
    assert arranged(blocks) == [0, 256, 384, 256]


# --- scratch memory -------------------------------------------------------------------------------


def test_a_deep_net_needs_no_more_scratch_than_is_live() -> None:
    graph = planned(programs.dense_net(12))
    assert arena_bytes(graph) <= 1.1 * live_bytes(graph)
    # Activations, masks and the first gradients; not all gradients at once.
    assert live_bytes(graph) < 12 * 16 * 32 * 5 + 4 * 16 * 32 * 4


def test_an_update_is_made_in_the_memory_it_starts_from() -> None:
    inputs = programs.Inputs()
    x, part = inputs(6, 4), inputs(6)
    changed = b.view_update(b.exp(x), part, (6,), (4,), 2)
    graph = check(inputs.graph(b.sum(b.sin(changed), (1,))))
    assert [place.kind for place in places(graph)] == ["arena", "arena", "output"]
    assert len(set(places(graph)[:2])) == 1, "both results are one block"


def test_an_update_of_what_is_read_later_is_a_copy() -> None:
    inputs = programs.Inputs()
    x, part, w = inputs(6, 4), inputs(6), inputs(4, 4)
    base = b.exp(x)
    changed = b.view_update(base, part, (6,), (4,), 2)
    graph = check(inputs.graph(b.dot(changed, w), b.dot(base, w)))
    kernels = Launches(graph).kernels
    update = next(k for k in kernels if "view_update" in k.attrs[0].name)
    reader = next(k for k in kernels if k.inputs[0] is update.inputs[0] and k is not update)
    if kernels.index(reader) > kernels.index(update):
        assert update.attrs[1] != update.inputs[0].inputs[0].attrs[1]


# --- donated inputs -------------------------------------------------------------------------------


def test_optimizer_state_is_updated_in_place() -> None:
    graph = planned(programs.lenet(2))
    donated = {place.number for place in places(graph) if place.kind == "donated"}
    assert donated == graph.donated
    outputs = [place for place in places(graph) if place.kind == "output"]
    assert outputs == [Place("output", 0)], "only the loss has memory of its own"


def test_updates_take_their_own_input() -> None:
    inputs = programs.Inputs()
    x, y = inputs(8), inputs(8)
    # Both results have the size of both inputs.
    graph = check(inputs.graph(b.exp(y), b.sin(x), donated=frozenset({0, 1})))
    found = {k.attrs[0].name: k.attrs[1] for k in Launches(graph).kernels}
    assert found == {"exp": (Place("donated", 1),), "sin": (Place("donated", 0),)}


def test_readers_run_before_an_input_is_overwritten() -> None:
    inputs = programs.Inputs()
    x, w = inputs(5, 4), inputs(4, 4)
    # Listed first, the update would run first if nothing else were asked.
    graph = check(inputs.graph(w * 2.0, b.dot(b.dot(x, w), w), donated=frozenset({1})))
    assert [k.attrs[0].name for k in Launches(graph).kernels] == ["dot", "dot", "mul"]
    assert places(graph)[-1] == Place("donated", 1)


def test_an_input_read_at_other_positions_is_not_overwritten() -> None:
    inputs = programs.Inputs()
    x = inputs(4, 4)
    graph = check(inputs.graph(x + b.transpose(x), donated=frozenset({0})))
    assert places(graph) == [Place("output", 0)]


def test_an_input_that_must_be_read_later_is_not_overwritten() -> None:
    inputs = programs.Inputs()
    x, w = inputs(4, 4), inputs(4, 4)
    first = b.exp(x) * b.dot(x, w)
    graph = check(inputs.graph(first, b.dot(first, x), donated=frozenset({0})))
    assert [place.kind for place in places(graph)] == ["output", "output"]


def test_a_donated_input_serves_one_result() -> None:
    inputs = programs.Inputs()
    x = inputs(16)
    graph = check(inputs.graph(b.exp(x), b.sin(x), donated=frozenset({0})))
    assert sorted(place.kind for place in places(graph)) == ["donated", "output"]


def test_an_input_of_the_right_size_serves_a_result_that_does_not_update_it() -> None:
    inputs = programs.Inputs()
    x, w = inputs(4, 4), inputs(4, 4)
    product = b.dot(b.dot(x, w), w)
    graph = check(inputs.graph(product, donated=frozenset({0})))
    assert places(graph) == [Place("arena", 0), Place("donated", 0)]
    small = inputs.graph(b.sum(product, (1,)), donated=frozenset({0}))
    assert all(place.kind != "donated" for place in places(check(small)))


def test_chains_of_updates_stay_in_the_donated_memory() -> None:
    inputs = programs.Inputs()
    value = x = inputs(6, 4)
    for column in range(3):
        value = b.view_update(value, inputs(6), (6,), (4,), column)
    graph = check(inputs.graph(value, donated=frozenset({0})))
    assert places(graph) == [Place("donated", 0)] * 3
    # What reads the input in between keeps it as it is.
    other = inputs.graph(value, b.dot(b.transpose(value), x), donated=frozenset({0}))
    assert Place("donated", 0) not in places(check(other))


def test_a_scatter_is_added_in_place() -> None:
    inputs = programs.Inputs()
    table, index, part = inputs(9, 4), inputs(5, 4, dtype=int64), inputs(5, 4)
    graph = check(inputs.graph(b.scatter_add(table, index, part * 2.0, 0), donated=frozenset({0})))
    assert places(graph) == [Place("donated", 0)]
    # Its own elements are what is added: they would change while they are read.
    own = b.scatter_add(table, index, b.slice(table, (0, 0), (5, 4)), 0)
    assert places(check(inputs.graph(own, donated=frozenset({0})))) == [Place("output", 0)]


def test_an_update_that_is_several_results_is_made_once_and_copied() -> None:
    inputs = programs.Inputs()
    table, index, part = inputs(9, 1), inputs(5, 1, dtype=int64), inputs(5, 1)
    changed = b.scatter(table, index, part, 0, "max")
    graph = check(inputs.graph(changed, b.reshape(changed, (9,)), b.reshape(changed, (3, 3))))
    assert sorted(place.number for place in places(graph)) == [0, 1, 2]
    assert [len(kernel.attrs[1]) for kernel in Launches(graph).kernels] == [1, 2]


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("%2: f32[4,4] = add(%0, %1)\n  return %2", {(0, 0), (0, 1)}),
        ("%2: f32[4,4] = permute(%1) {dims = [1, 0]}\n  %3: f32[4,4] = add(%0, %2)\n  return %3",
         {(0, 0)}),
        ("%2: f32[4,4] = dot(%0, %1)\n  %3: f32[4,4] = add(%2, %0)\n  return %3", set()),
        ("%2: f32[4,4] = dot(%0, %0)\n  %3: f32[4,4] = add(%2, %1)\n  return %3, %2",
         {(0, 1), (1, 1)}),
        ("%2: f32[4,4] = dot(%0, %0)\n  %3: f32[4,4] = permute(%2) {dims = [1, 0]}\n"
         "  %4: f32[4,4] = add(%3, %1)\n  return %4, %2", {(0, 1)}),
        ("%2: f32[4] = sum(%0) {dims = [0]}\n  return %2", set()),
        ("%2: f32[4,4] = mul(%0, %0)\n  %3: bool[4,4] = lt(%2, %1)\n  return %3, %2",
         {(1, 0), (1, 1)}),
    ],
)  # fmt: skip
def test_which_inputs_a_kernel_may_overwrite(text: str, pairs: set[tuple[int, int]]) -> None:
    body = parse_graph(f"program @f(%0: f32[4,4], %1: f32[4,4]) {{\n  {text}\n}}\n")
    assert overwritable(body) == pairs


def test_rows_may_overwrite_what_they_read_once() -> None:
    inputs = programs.Inputs()
    gradient, bias = inputs(8, 4), inputs(4)
    body = inputs.graph(bias - b.sum(gradient, (0,)) * 0.1)
    assert overwritable(body) == {(0, 1)}
    shared = inputs.graph(bias - b.sum(gradient * bias, (0,)) * 0.1)
    assert overwritable(shared) == set()


# --- text and errors ------------------------------------------------------------------------------


def test_the_text_after_the_pass() -> None:
    inputs = programs.Inputs()
    x, w = inputs(4, 8), inputs(8, 8)
    graph = planned(inputs.graph(b.dot(b.exp(x), w), w + 1.0, donated=frozenset({1})))
    lines = print_graph(graph).splitlines()
    assert [line for line in lines if "memory" in line or "kernel" in line] == [
        "  %2: (f32[4,8]) = kernel(%0) {memory = [arena 0]} body @exp(%0: f32[4,8]) {",
        "  %4: (f32[4,8]) = kernel(%3, %1) {memory = [output 0]} body "
        "@dot(%0: f32[4,8], %1: f32[8,8]) {",
        "  %6: (f32[8,8]) = kernel(%1) {memory = [donated 1]} body @add(%0: f32[8,8]) {",
    ]


def test_planning_again_changes_nothing() -> None:
    graph = planned(programs.lenet(2))
    assert MemoryPlan().run(graph) == graph


def test_errors_name_what_is_missing() -> None:
    inputs = programs.Inputs()
    x = inputs(4)
    with pytest.raises(PassError, match="program @step is not fused: exp is in no kernel"):
        MemoryPlan().run(inputs.graph(b.exp(x)))
    with pytest.raises(PassError, match="output 0 of program @step is the memory of input"):
        MemoryPlan().run(inputs.graph(x))
    fused = fuse(inputs.graph(b.exp(x)))[0]
    twice = fused.with_outputs([fused.outputs[0], b.reshape(fused.outputs[0], (2, 2))])
    with pytest.raises(PassError, match="outputs 0 and 1 of program @step are the same result"):
        MemoryPlan().run(twice)


def test_values_without_elements_are_planned() -> None:
    inputs = programs.Inputs()
    x = inputs(0, 3)
    graph = check(inputs.graph(b.exp(x), b.sum(x, (1,)), donated=frozenset({0})))
    assert arena_bytes(graph) == 0
    assert all(isinstance(output.type, TensorType) for output in graph.outputs)
