"""Products: every layout, dtype, target and edge, against the interpreter in float64."""

from __future__ import annotations

import numpy as np
import pytest

from tests.codegen.contraction_runs import (
    TARGETS,
    Case,
    arrays_of,
    assert_close,
    case_of,
    check,
    expected,
    kernel_of,
    run_native,
)
from treadle.codegen.schedules.contraction import schedule
from treadle.codegen.schedules.contraction_problem import problem_of
from treadle.codegen.target import AVX2, AVX512, BASELINE, Target
from treadle.ir import build as b
from treadle.ir.graph import Graph, input_value
from treadle.ir.types import DType, TensorType, float16, float32, float64, int32, int64
from treadle.ir.value import Value

CPU_TARGETS = (AVX2, AVX512, BASELINE)


def product(m: int, n: int, k: int, layout: str = "NN") -> Case:
    """x @ y where ``T`` marks an operand that is stored transposed."""
    left, right = layout

    def build(x: Value, y: Value) -> Value:
        return b.dot(b.transpose(x) if left == "T" else x, b.transpose(y) if right == "T" else y)

    return case_of(build, (k, m) if left == "T" else (m, k), (n, k) if right == "T" else (k, n))


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: f"{t.kind}{t.lane_bytes}")
@pytest.mark.parametrize("layout", ["NN", "NT", "TN", "TT"])
@pytest.mark.parametrize("shape", [(5, 7, 6), (13, 19, 21), (1, 9, 33), (9, 1, 33), (1, 1, 17)])
def test_every_layout_on_every_target(
    shape: tuple[int, int, int], layout: str, target: Target
) -> None:
    check(product(*shape, layout), target)


@pytest.mark.parametrize("layout", ["NN", "NT", "TN", "TT"])
@pytest.mark.parametrize("size", range(1, 21))
def test_edges_of_every_size(size: int, layout: str) -> None:
    check(product(size, 21 - size, 1 + size % 11, layout), native=True)
    check(product(7, size, 18, layout), native=True)
    check(product(size, 17, 9, layout), native=True)
    check(product(6, 16, size, layout), native=True)


@pytest.mark.parametrize("target", CPU_TARGETS, ids=lambda t: str(t.lane_bytes))
@pytest.mark.parametrize("layout", ["NN", "NT", "TN", "TT"])
@pytest.mark.parametrize("shape", [(64, 120, 400), (130, 70, 90), (97, 101, 513), (128, 128, 128)])
def test_products_of_many_tasks(shape: tuple[int, int, int], layout: str, target: Target) -> None:
    check(product(*shape, layout), target, native=True)


@pytest.mark.parametrize("dtype", [float64, int32, int64], ids=lambda d: d.short)
@pytest.mark.parametrize("layout", ["NN", "NT", "TN", "TT"])
def test_other_dtypes(dtype: DType, layout: str) -> None:
    check(product(11, 13, 19, layout), dtype=dtype)
    check(product(41, 33, 70, layout), dtype=dtype, native=True)


def test_float16_is_summed_in_float32() -> None:
    case = case_of(b.dot, (3, 3000), (3000, 4))
    ones = [np.ones(value.shape, np.float16) for value in case(float16).inputs]
    (found,) = run_native(case(float16), AVX2, ones)
    np.testing.assert_array_equal(found, np.full(12, 3000, np.float16))


@pytest.mark.parametrize("native", [False, True])
def test_batched_products(native: bool) -> None:
    check(case_of(b.dot, (3, 2, 5, 7), (3, 2, 7, 9)), native=native)
    check(case_of(lambda x, y: b.dot(x, b.transpose(y)), (4, 6, 33), (4, 10, 33)), native=native)
    heads = (2, 5, 3, 8)  # [batch, time, head, width], as attention has them

    def scores(q: Value, k: Value) -> Value:
        return b.dot(b.permute(q, (0, 2, 1, 3)), b.permute(k, (0, 2, 3, 1)))

    check(case_of(scores, heads, heads), native=native)


def test_a_batch_that_one_operand_lacks_becomes_rows() -> None:
    def build(x: Value, y: Value) -> Value:
        return b.dot(x, b.broadcast_to(y, (6, 8, 9)))

    case = case_of(build, (6, 5, 8), (8, 9))
    check(case)
    check(case, native=True)
    problem = problem_of(case(float32))
    assert problem.grid == ()
    assert problem.row is not None and problem.row.extent == 30


def test_operands_seen_through_slices_and_flips() -> None:
    def build(x: Value, y: Value) -> Value:
        return b.dot(b.slice(x, (1, 0), (9, 12), (2, 3)), b.flip(y, (0, 1)))

    check(case_of(build, (9, 12), (4, 7)))


def test_operands_that_are_computed_are_packed() -> None:
    def build(x: Value, y: Value) -> Value:
        return b.dot(b.maximum(x, 0.0), b.pad(b.mul(y, y), (1, 0), (2, 3)))

    check(case_of(build, (7, 12), (9, 7)))
    check(case_of(build, (7, 12), (9, 7)), native=True)


def test_rows_that_are_crowded_in_memory_are_packed() -> None:
    kernel = kernel_of(product(512, 512, 512, "TN")(float32), AVX2)
    assert [buffer.name for buffer in kernel.scratch] == ["left", "panel"]
    for shape in ((100, 64, 512), (101, 40, 512)):
        graph = product(*shape, "TT")
        check(graph, native=True)
        check(graph, dtype=float64, native=True)


def test_long_panels_use_bounded_scratch() -> None:
    for target in CPU_TARGETS:
        kernel = kernel_of(product(64, 64, 40_000, "TT")(float32), target)
        assert sum(b.size * b.dtype.itemsize for b in kernel.scratch) <= target.max_scratch


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0)])
def test_empty_extents(shape: tuple[int, int, int]) -> None:
    for native in (False, True):
        check(product(*shape), native=native)


def test_tasks_depend_on_work_alone() -> None:
    assert kernel_of(product(16, 16, 16)(float32), AVX2).tasks == 1
    for size in (128, 256, 1024):
        tasks = kernel_of(product(size, size, size)(float32), AVX2).tasks
        assert 8 <= tasks <= 64, size


def test_register_tiles_fit_the_registers() -> None:
    for target in CPU_TARGETS:
        for layout in ("NN", "NT"):
            kernel = kernel_of(product(129, 257, 300, layout)(float32), target)
            vectors = sum(int(np.prod(register.shape)) for register in kernel.registers)
            assert vectors + 1 <= target.registers - 1


def test_inf_and_nan_stay_in_their_rows() -> None:
    case = product(9, 21, 13, "NN")
    arrays = arrays_of(case(float32))
    arrays[0][2, 3], arrays[0][4, 1] = np.inf, np.nan
    (found,) = run_native(case(float32), AVX2, arrays)
    rows = ~np.isfinite(found.reshape(9, 21))
    assert rows[[2, 4]].all() and not rows[[0, 1, 3, 5, 6, 7, 8]].any()


def test_results_are_the_same_bits_each_time() -> None:
    case = product(65, 43, 200, "NT")
    arrays = arrays_of(case(float32))
    first, second = (run_native(case(float32), AVX2, arrays)[0] for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert_close([first], expected(case, arrays, float32), float32)


def test_a_body_without_a_contraction_is_refused() -> None:
    x = input_value(0, TensorType(float32, (3, 3)))
    with pytest.raises(ValueError, match="holds one contraction, g has 0"):
        schedule(Graph("g", (x,), (b.exp(x),)), AVX2, "k", {})
    with pytest.raises(ValueError, match="sum after a contraction does not keep its elements"):
        schedule(Graph("g", (x,), (b.sum(b.dot(x, x)),)), AVX2, "k", {})
