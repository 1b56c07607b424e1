"""The pass ``fuse``: exact text of classic cases, kernel counts, and equal bits on any graph.

The text of the cases is in ``fuse.tir``.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from tests.ir.passes import fuse_programs as programs
from tests.ir.random_graphs import arguments, graphs
from treadle.ir import build as b
from treadle.ir.errors import PassError
from treadle.ir.fusion.in_place import body_form, overwritable
from treadle.ir.graph import Graph, input_value
from treadle.ir.interpreter import interpret
from treadle.ir.parser import parse_graph
from treadle.ir.pass_check import same
from treadle.ir.passes.fuse import Fuse, Remark, fuse
from treadle.ir.passes.simplify import Simplify
from treadle.ir.printer import print_graph
from treadle.ir.types import TensorType, float32, int64
from treadle.ir.value import Value
from treadle.ir.verifier import verify

SECTION = re.compile(r"^// (before|after): ([^\n]*)\n", re.MULTILINE)


def sections() -> list[tuple[str, str, str]]:
    """(what it shows, text before, text after) of each pair in the file."""
    text = (Path(__file__).parent / "fuse.tir").read_text()
    _, *parts = SECTION.split(text)
    kinds, titles, bodies = parts[::3], parts[1::3], parts[2::3]
    assert kinds == ["before", "after"] * (len(kinds) // 2)
    return list(zip(titles[::2], bodies[::2], bodies[1::2], strict=True))


def kernels(graph: Graph) -> list[Value]:
    return [value for value in graph.values() if value.op.name == "kernel"]


def names(graph: Graph) -> list[str]:
    """Names of the kernels' bodies, sorted."""
    return sorted(kernel.attrs[0].name for kernel in kernels(graph))


def fused(graph: Graph) -> Graph:
    """Fused after the simplification that precedes it."""
    return fuse(Simplify().run(graph))[0]


def reasons(remarks: tuple[Remark, ...]) -> set[str]:
    return {remark.reason for remark in remarks}


@pytest.mark.parametrize(
    ("title", "before", "after"), sections(), ids=[title for title, *_ in sections()]
)
def test_text_before_and_after(title: str, before: str, after: str) -> None:
    graph = parse_graph(before)
    assert print_graph(graph) == before, title
    assert print_graph(Fuse().run(graph)) == after, title


# --- whole programs -------------------------------------------------------------------------------


def test_a_step_of_a_two_layer_net_is_eight_kernels() -> None:
    assert names(fused(programs.two_layer_net())) == [
        "dot_add_le_select",  # forward: relu and its mask
        "dot_add_sub",  # forward: the error, and its gradient
        "dot_mul_sub",  # a weight's gradient and update
        "dot_mul_sub",
        "dot_select",  # backward through relu
        "mul_sum",  # the loss
        "sum_mul_sub",  # a bias's gradient and update
        "sum_mul_sub",
    ]


def test_a_step_of_lenet_is_twenty_six_kernels() -> None:
    graph = fused(programs.lenet())
    found = names(graph)
    assert len(found) == 26
    assert found.count("max_argmax") == 2, "pooling keeps the positions for its gradient"
    assert found.count("conv_add_le_select") == 2, "bias, relu and its mask follow the convolution"
    adam = [name for name in found if name.endswith("_add_sqrt_div")]
    assert len(adam) == 10, "each parameter's gradient and Adam's update are one kernel"
    verify(graph)


def test_a_transformer_block_forward_is_eleven_kernels() -> None:
    found = names(fused(programs.attention()))
    assert len(found) == 11
    assert sum("dot" in name for name in found) == 8, "one for each product"
    assert sum("erf" in name for name in found) == 1, "gelu follows a product"


def test_equal_layers_have_one_body() -> None:
    found = kernels(fused(programs.dense_net(6)))
    bodies = {kernel.attrs[0] for kernel in found}
    # The first and the last layer differ, and there are scalars, the loss and biases.
    assert len(found) == 6 + 5 + 12 + 2
    assert len(bodies) == 7
    updates = [kernel for kernel in found if kernel.attrs[0].name == "mul_dot_add_sqrt_div"]
    assert len(updates) == 6
    assert len({id(value) for kernel in updates for value in kernel.attrs[0].outputs}) == 3


# --- what is stored -------------------------------------------------------------------------------


def test_a_transpose_is_never_a_kernel_of_its_own() -> None:
    inputs = programs.Inputs()
    x, y = inputs(4, 6), inputs(4, 5)
    graph = fused(inputs.graph(b.tanh(b.dot(b.transpose(x), y))))
    assert names(graph) == ["dot_tanh"]


def test_cheap_values_are_computed_again_and_expensive_ones_stored() -> None:
    inputs = programs.Inputs()
    x, y = inputs(8, 8), inputs(8, 8)

    def twice(value: Value) -> Graph:
        return inputs.graph(b.sum(value, (0,)), b.sum(value, (1,)))

    cheap, dear = fused(twice(x + y)), fused(twice(b.exp(x + y)))
    assert names(cheap) == ["add_sum", "add_sum"]
    assert names(dear) == ["add_exp_sum", "sum"]


def test_a_number_read_by_every_element_is_computed_once() -> None:
    inputs = programs.Inputs()
    x, rate = inputs(1000), inputs()
    assert names(fused(inputs.graph(x * b.sqrt(b.exp(rate))))) == ["exp_sqrt", "mul"]
    assert names(fused(inputs.graph(x * (rate + 1.0)))) == ["add_mul"]


def test_contractions_store_what_their_readers_want() -> None:
    inputs = programs.Inputs()
    x, w, c = inputs(8, 4), inputs(4, 6), inputs(6)
    biased = b.dot(x, w) + c
    graph = fused(inputs.graph(b.sum(biased, (0,)), b.sum(biased, (1,))))
    assert names(graph) == ["dot_add", "sum", "sum"]


def test_a_mask_is_stored_rather_than_what_it_is_made_of() -> None:
    inputs = programs.Inputs()
    x, w, v, upstream = inputs(8, 4), inputs(4, 6), inputs(6, 5), inputs(8, 5)
    hidden = b.dot(x, w)
    forward = b.dot(b.maximum(hidden, 0.0), v)
    backward = b.select(b.ge(hidden, 0.0), b.dot(upstream, b.transpose(v)), 0.0)
    graph = fused(inputs.graph(forward, backward))
    assert names(graph) == ["dot", "dot_maximum_ge", "dot_select"]
    found = next(k for k in kernels(graph) if k.attrs[0].name == "dot_maximum_ge")
    assert sorted(str(output.type) for output in found.attrs[0].outputs) == [
        "bool[8,6]",
        "f32[8,6]",
    ]


def test_log_softmax_what_is_picked_of_it_and_its_gradient_are_one_kernel() -> None:
    inputs = programs.Inputs()
    x, target, upstream = inputs(8, 10), inputs(8, dtype=int64), inputs(8)
    shifted = x - b.max(x, (1,), True)
    logarithms = shifted - b.log(b.sum(b.exp(shifted), (1,), True))
    index = b.reshape(target, (8, 1))
    picked = b.gather(logarithms, index, 1)
    hot = b.select(b.eq(b.iota((8, 10), 1, int64), index), b.reshape(upstream, (8, 1)), 0.0)
    gradient = hot - b.exp(logarithms) * b.sum(hot, (1,), True)
    graph = fused(inputs.graph(b.sum(picked), gradient))
    assert len(kernels(graph)) == 2
    rows = next(k for k in kernels(graph) if "max" in k.attrs[0].name)
    # The logarithms themselves are not stored, though two others read them.
    assert [str(output.type) for output in rows.attrs[0].outputs] == ["f32[8,1]", "f32[8,10]"]


def test_padding_before_a_contraction_is_stored_with_what_it_pads() -> None:
    inputs = programs.Inputs()
    x, w = inputs(1, 1, 1, 6, 6), inputs(1, 1, 1, 3, 3)
    padded = b.pad(programs.relu(x), (0, 0, 0, 1, 1), (0, 0, 0, 1, 1))
    value = b.conv(padded, w, (1, 1), ((0, 0), (0, 0)), (1, 1), (1, 1))
    assert names(fused(inputs.graph(value))) == ["conv", "le_select"]


def test_an_update_starts_from_memory_seen_through_a_reshape() -> None:
    inputs = programs.Inputs()
    x, part = inputs(12), inputs(3)
    base = b.reshape(b.exp(x), (4, 3))
    graph = fused(inputs.graph(b.view_update(base, part, (3,), (1,), 0)))
    update = kernels(graph)[-1]
    assert update.inputs[0].op.name == "reshape"
    assert update.attrs[0].outputs[0].inputs[0] is update.attrs[0].inputs[0]
    verify(graph)


# --- refusals -------------------------------------------------------------------------------------


def test_no_path_leads_out_of_a_kernel_and_back() -> None:
    inputs = programs.Inputs()
    x = inputs(6, 6)
    value = b.exp(x)
    down = b.sum(value, (0,))
    along = b.sum(value * down, (1,), True)
    last = b.sum(value * along, (0,))
    graph, remarks = fuse(Simplify().run(inputs.graph(last, value)))
    verify(graph)
    assert "a path leads out of the kernel and back through sum" in reasons(remarks)


def test_refusals_say_why_and_how_many_bytes() -> None:
    inputs = programs.Inputs()
    x, w, v = inputs(6, 6), inputs(6, 6), inputs(6, 6)
    product = b.dot(b.dot(b.tanh(x), w), v)
    result = b.sum(product, (0,)) + b.sum(b.exp(b.sum(x, (1,))), (0,))
    _, remarks = fuse(inputs.graph(result))
    by_reason = {remark.reason: remark for remark in remarks}
    assert by_reason["a contraction reads its operands from memory"].bytes == 144
    assert by_reason["no kernel holds a contraction and a row reduction"].producer is product
    found = by_reason["reductions differ: [6, 6] over axes [1] and [6] over axes [0]"]
    assert (found.producer.op.name, found.consumer.op.name) == ("exp", "sum")
    # What was refused and joined the kernel another way is no refusal.
    assert all(remark.producer is not remark.consumer for remark in remarks)


def test_a_reduction_read_at_other_positions_is_stored() -> None:
    inputs = programs.Inputs()
    x = inputs(6, 6)
    total = b.sum(x, (1,))
    along = b.broadcast_to(b.reshape(total, (1, 6)), (6, 6))
    graph, remarks = fuse(inputs.graph(x * along))
    assert names(graph) == ["mul", "sum"]
    assert "it is read at other positions than it is computed at" in reasons(remarks)


def test_limits_are_kept() -> None:
    inputs = programs.Inputs()
    values = [inputs(16) for _ in range(30)]
    total = values[0]
    for value in values[1:]:
        total = b.sin(total) * value
    graph = inputs.graph(total)
    for options in (Fuse(max_inputs=4), Fuse(max_ops=5)):
        for kernel in kernels(fuse(graph, options)[0]):
            assert len(kernel.inputs) <= options.max_inputs
            assert len(kernel.attrs[0].values()) - len(kernel.inputs) <= options.max_ops
    many = inputs.graph(*(b.exp(values[0] + float(n)) for n in range(20)))
    found = kernels(fuse(many, Fuse(max_outputs=3))[0])
    assert max(len(kernel.attrs[0].outputs) for kernel in found) == 3
    assert len(found) == 7


def test_a_fused_graph_is_not_fused_again() -> None:
    graph = fused(programs.two_layer_net())
    with pytest.raises(PassError, match="program @step is fused already: it has kernels"):
        Fuse().run(graph)


# --- any graph ------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(graphs(elementary=True), st.sampled_from([Fuse(), Fuse(3, 2, 4)]))
def test_every_bit_of_random_graphs_is_kept(graph: Graph, options: Fuse) -> None:
    result, _ = fuse(graph, options)
    verify(result)
    assert {v.op.name for v in result.values()} <= {"input", "kernel", "item", "reshape"}
    assert len({b.reshape(o, (o.type.numel,)) for o in result.outputs}) == len(graph.outputs)
    arrays = arguments(graph)
    for before, after in zip(interpret(graph, arrays), interpret(result, arrays), strict=True):
        assert same(before, after)


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_kernels_read_only_what_they_need_and_store_only_what_is_read(graph: Graph) -> None:
    result, _ = fuse(graph)
    for kernel in kernels(result):
        body = kernel.attrs[0]
        assert set(body.inputs) <= set(body.values())
        overwritable(body)
        body_form(body)
        if not set(body.outputs) & set(body.inputs):
            items = [v for v in result.values() if v.inputs[:1] == (kernel,)]
            assert len(items) == len(body.outputs)


def test_fusing_twice_gives_the_same_program() -> None:
    graph = Simplify().run(programs.lenet())
    assert fuse(graph)[0] == fuse(graph)[0]
    assert print_graph(fuse(graph)[0]) == print_graph(fuse(graph)[0])


def test_user_lines_reach_kernels() -> None:
    text = (
        "program @f(%0: f32[4]) {\n"
        "  %1: f32[4] = exp(%0)  // model.py:2\n"
        "  %2: f32[4] = mul(%1, %0)  // model.py:3\n"
        "  return %2\n"
        "}\n"
    )
    graph, _ = fuse(parse_graph(text))
    (kernel,) = kernels(graph)
    assert graph.locations == {kernel: (("model.py", 2), ("model.py", 3))}


def test_time_grows_about_linearly() -> None:
    inputs = programs.Inputs()
    x = inputs(100)
    value = x
    for step in range(20_000):
        value = b.sin(value) if step % 3 == 0 else value * x
    start = time.perf_counter()
    fuse(inputs.graph(value))
    fuse(programs.dense_net(150))
    # Seconds on any machine; a quadratic pass would take minutes.
    assert time.perf_counter() - start < 30


def test_index_arithmetic_stays_out_of_contractions() -> None:
    inputs = programs.Inputs()
    table, index, w = inputs(10, 8), inputs(5, 8, dtype=int64), inputs(8, 3)
    graph = fused(inputs.graph(b.dot(b.gather(table, index, 0), w)))
    assert names(graph) == ["dot", "gather"]


# --- scans and sorts ------------------------------------------------------------------------------


def matrix(slot: int = 0) -> Value:
    return input_value(slot, TensorType(float32, (80, 30)))


def test_work_before_and_after_a_scan_stays_in_its_kernel() -> None:
    x = matrix()
    running = b.cumsum(b.exp(x) * 2.0, 1)
    graph = Graph("f", (x,), (running, b.log(running) + x))
    result = fused(graph)
    assert names(result) == ["exp_mul_cumsum_log_add"]
    body = kernels(result)[0].attrs[0]
    assert overwritable(body) == {(0, 0), (1, 0)}


def test_scans_do_not_share_a_kernel() -> None:
    x = matrix()
    graph = Graph("f", (x,), (b.cumsum(x, 1), b.cumprod(x, 1), b.sum(x, (1,))))
    assert names(fused(graph)) == ["cumprod", "cumsum", "sum"]


def test_a_scan_read_at_other_positions_goes_through_memory() -> None:
    x = matrix()
    graph = Graph("f", (x,), (b.flip(b.cumsum(x, 1), (1,)) * 2.0,))
    result, remarks = fuse(Simplify().run(graph))
    assert names(result) == ["cumsum", "mul"]
    assert reasons(remarks) == {"it is read at other positions than it is computed at"}


def test_a_sort_takes_work_before_it_and_stores_nothing_else() -> None:
    x = input_value(0, TensorType(int64, (8, 300)))
    graph = Graph("f", (x,), (b.sort(b.neg(x)) + 1,))
    result, remarks = fuse(Simplify().run(graph))
    assert names(result) == ["add", "neg_sort"]
    assert reasons(remarks) == {"a sort stores nothing else"}
    assert not any(overwritable(kernel.attrs[0]) - {(0, 0)} for kernel in kernels(result))


def test_a_merge_reads_its_runs_from_memory() -> None:
    x = input_value(0, TensorType(int64, (300,)))
    graph = Graph("f", (x,), (b.merge(b.neg(x), 10),))
    assert names(fused(graph)) == ["merge", "neg"]
