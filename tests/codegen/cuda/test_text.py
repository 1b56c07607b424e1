"""The text of emitted CUDA C, read as a person would, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from tests.codegen.cuda.bodies import bodies, made
from treadle.codegen.cuda import emit_kernel, emit_source, threads_of
from treadle.codegen.cuda.types import literal
from treadle.codegen.loops import (
    AcrossLanes,
    Apply,
    Assign,
    Buffer,
    Const,
    Expression,
    For,
    Kernel,
    Load,
    LoopKind,
    Read,
    Register,
    Space,
    Statement,
    Store,
)
from treadle.codegen.target import CUDA
from treadle.ir import build as b
from treadle.ir.index import Bound, Var, constant, variable
from treadle.ir.types import float16, float32, float64, int8, int32, int64, uint32

SERIAL, UNROLL, LANES, TASKS = LoopKind.SERIAL, LoopKind.UNROLL, LoopKind.LANES, LoopKind.TASKS
X, Y = Buffer("in0", float32, 1000), Buffer("out0", float32, 900)


def test_a_padded_map_reads_where_it_may() -> None:
    body = made("pad", lambda i: b.exp(b.pad(i.of(3, 300), (1, 2), (0, 0), value=1.5)))
    assert emit_kernel(body.kernel(CUDA), CUDA) == PADDED


PADDED = """\
// 4 blocks of 256 threads
extern "C" __global__ void __launch_bounds__(256) k_pad(
    const float* __restrict__ in0,
    float* __restrict__ out0) {
  const int lane = threadIdx.x;
  const int t1 = blockIdx.x;
  out0[302 * t1 + lane] = exp_f32((t1 >= 1 && lane >= 2) ? in0[300 * t1 + lane - 302] : 1.5f);
  if (lane < 46) {
    out0[302 * t1 + lane + 256] = exp_f32((t1 >= 1) ? in0[300 * t1 + lane - 46] : 1.5f);
  }
}
"""


def test_a_row_sum_combines_the_lanes_of_a_block() -> None:
    assert emit_source([row_sums()], CUDA) == ROW_SUMS


def row_sums() -> Kernel:
    """Sums of 4 rows of 250 elements on blocks of 64 threads."""
    task, step, lane, last = Var("t", 4), Var("i", 3), Var("l", 64), Var("m", 58)
    total = Register("total", float32, 64)
    start = variable(task) * 250

    def add(at: Expression) -> Statement:
        return Assign(total, Apply("add", (Read(total), at), float32))

    body = (
        For(Var("l", 64), LANES, (Assign(total, Const(0.0, float32)),), 64),
        For(
            step,
            SERIAL,
            (For(lane, LANES, (add(Load(X, start + variable(step) * 64 + variable(lane))),), 64),),
        ),
        For(last, LANES, (add(Load(X, start + variable(last) + 192)),), 64),
        Store(Y, variable(task), AcrossLanes("add", total)),
    )
    return Kernel("row_sums", (X, Y), 1, (For(task, TASKS, body),), registers=(total,))


ROW_SUMS = """\
// Compile with -fmad=false -ftz=false -prec-div=true -prec-sqrt=true

__device__ __forceinline__ float across_add_f32_64(float value) {
  __shared__ float lanes[65];
  if (threadIdx.x < 64) lanes[threadIdx.x] = value;
  __syncthreads();
  if (threadIdx.x < 32) {
    float part[2];
    #pragma unroll
    for (int i = 0; i < 2; ++i) part[i] = lanes[threadIdx.x + 32 * i];
    #pragma unroll
    for (int half = 1; half > 0; half /= 2) {
      #pragma unroll
      for (int i = 0; i < half; ++i) part[i] = part[i] + part[i + half];
    }
    value = part[0];
    #pragma unroll
    for (int half = 16; half > 0; half /= 2) {
      const float other = __shfl_down_sync(0xffffffffu, value, half);
      value = value + other;
    }
    if (threadIdx.x == 0) lanes[64] = value;
  }
  __syncthreads();
  return lanes[64];
}

// 4 blocks of 64 threads
extern "C" __global__ void __launch_bounds__(64) row_sums(
    const float* __restrict__ in0,
    float* __restrict__ out0) {
  const int lane = threadIdx.x;
  float total;
  const int t = blockIdx.x;
  total = 0.0f;
  for (int i = 0; i < 3; ++i) {
    total = total + in0[250 * t + 64 * i + lane];
  }
  if (lane < 58) total = total + in0[250 * t + lane + 192];
  const float x1 = across_add_f32_64(total);
  if (lane == 0) out0[t] = x1;
}
"""


def test_the_text_is_the_same_every_time() -> None:
    some = bodies()[:40]
    texts = {emit_source([body.kernel(CUDA) for body in some], CUDA) for _ in range(2)}
    assert len(texts) == 1


def test_a_source_has_each_device_function_once_and_before_its_use() -> None:
    body = made("k", lambda i: b.exp(i.of(9)) + b.tanh(i.of(9)))
    first, second = body.kernel(CUDA), made("j", lambda i: b.exp(i.of(9))).kernel(CUDA)
    text = emit_source([first, second], CUDA)
    assert text.count("float exp_f32(float x) {") == 1
    assert text.index("float maximum_f32(") < text.index("float exp_f32(") < text.index("k_k(")


def test_two_kernels_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two kernels of one source are named row_sums"):
        emit_source([row_sums(), row_sums()], CUDA)


def test_threads_are_the_lanes_of_the_kernel() -> None:
    assert threads_of(row_sums()) == 64
    alone = Kernel("one", (Y,), 1, (Store(Y, constant(0), Const(1.0, float32)),))
    assert threads_of(alone) == 1
    assert "threadIdx" not in emit_kernel(alone, CUDA)


def test_inputs_that_a_result_may_overwrite_are_not_restricted() -> None:
    def signature(sizes: tuple[int, int]) -> str:
        body = made("k", lambda i: b.slice(i.of(sizes[0]), (0,), (sizes[1],)))
        return emit_kernel(body.kernel(CUDA), CUDA).partition("{")[0]

    assert "__restrict__" not in signature((20, 20))
    assert signature((20, 19)).count("* __restrict__ ") == 2


def test_addresses_beyond_32_bits_are_64_bits_wide() -> None:
    huge = Buffer("in0", float32, 1 << 33)
    task, lane = Var("t", 1 << 25), Var("l", 256)
    store = Store(Y, constant(0), Load(huge, variable(task) * 256 + variable(lane)))
    kernel = Kernel("wide", (huge, Y), 1, (For(task, TASKS, (For(lane, LANES, (store,), 256),)),))
    assert "in0[256 * (long long)t + lane]" in emit_kernel(kernel, CUDA)


def test_names_of_the_language_are_changed() -> None:
    register, var = Register("float", float32), Var("lane", 8)
    body = (
        Assign(register, Const(2.0, float32)),
        For(var, SERIAL, (Store(Y, variable(var), Read(register)),)),
    )
    text = emit_kernel(Kernel("named", (Y,), 1, body, registers=(register,)), CUDA)
    assert "for (int lane_ = 0; lane_ < 8; ++lane_) {\n    out0[lane_] = float_;" in text


def test_a_chain_of_thousands_of_operations_is_printed_in_lines() -> None:
    value: Expression = Load(X, constant(0))
    for _ in range(20_000):
        value = Apply("add", (value, Const(1.0, float32)), float32)
    text = emit_kernel(Kernel("deep", (X, Y), 1, (Store(Y, constant(0), value),)), CUDA)
    assert max(map(len, text.splitlines())) <= 110


def test_an_unrolled_loop_is_left_to_the_compiler() -> None:
    tile = Register("tile", float32, 0, (4,))
    var = Var("i", 4)
    body = (For(var, UNROLL, (Assign(tile, Load(X, variable(var)), (variable(var),)),)),)
    text = emit_kernel(Kernel("unrolled", (X, Y), 1, body, registers=(tile,)), CUDA)
    assert "  #pragma unroll\n  for (int i = 0; i < 4; ++i) {\n    tile[i] = in0[i];" in text


@pytest.mark.parametrize(
    "number, dtype, text",
    [
        (0.1, float32, "0.1f"),
        (1.0, float32, "1.0f"),
        (-0.0, float32, "-0.0f"),
        (1e-45, float32, "1e-45f"),
        (0.1, float64, "0.1"),
        (float("inf"), float32, "__uint_as_float(0x7f800000u)"),
        (float("nan"), float64, "__longlong_as_double(0x7ff8000000000000LL)"),
        (2.5, float16, "__float2half_rn(2.5f)"),
        (7, int64, "7LL"),
        (-1, uint32, "4294967295u"),
        (200, int8, "-56"),
        (-(2**31), int32, "-2147483647 - 1"),
    ],
)
def test_literals(number: float, dtype: object, text: str) -> None:
    assert literal(number, dtype).text == text  # type: ignore[arg-type]


def test_float_literals_survive_two_roundings() -> None:
    random = np.random.default_rng(0).integers(0, 0x7F800000, 20_000).astype(np.uint32)
    for number in random.view(np.float32):
        text = literal(float(number), float32).text.removesuffix("f")
        assert np.float32(text) == np.float32(float(text)) == number


def failing(*body: Statement, scratch: tuple[Buffer, ...] = ()) -> Kernel:
    return Kernel("failing", (X, Y), 1, body, scratch)


BLOCK = Buffer("block", float32, 20_000, Space.SCRATCH)
TOTAL = Register("total", float32, 256)


@pytest.mark.parametrize(
    "kernel, message",
    [
        (
            failing(For(Var("i", 4), SERIAL, (For(Var("t", 4), TASKS, ()),))),
            "a TASKS loop must be the outermost loop",
        ),
        (
            failing(For(Var("i", 4), LANES, (For(Var("j", 4), LANES, (), 8),), 8)),
            "LANES loop j is inside another",
        ),
        (failing(For(Var("i", 9), LANES, (), 8)), "LANES loop i of extent 9 has 8 lanes"),
        (
            failing(Assign(Register("r", float32), Const(1, int32))),
            "register r is set to a value of int32, not float32",
        ),
        (
            failing(Store(Y, constant(0), Apply("gamma", (Const(1, float32),), float32))),
            "no CUDA code for op 'gamma' on float32",
        ),
        (
            failing(Store(Y, variable(Var("k", 4)), Const(1, float32))),
            "no loop around runs k over 0..4",
        ),
        (
            failing(Store(BLOCK, constant(0), Const(1.0, float32)), scratch=(BLOCK,)),
            "kernel failing needs 80000 bytes of shared memory; a block has 49152",
        ),
        (
            failing(For(Var("l", 256), LANES, (Assign(TOTAL, AcrossLanes("add", TOTAL)),), 256)),
            "lanes are combined inside the LANES loop l",
        ),
        (
            failing(
                For(Var("l", 6), LANES, (), 6),
                Store(Y, constant(0), AcrossLanes("add", Register("r", float32, 6))),
            ),
            "6 lanes cannot be combined in halves",
        ),
    ],
)
def test_loop_ir_that_cannot_be_printed_is_refused(kernel: Kernel, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        emit_kernel(kernel, CUDA)


def test_a_guard_that_never_holds_stores_nothing() -> None:
    never = Bound(variable(Var("i", 4)), 7, 9)
    store = Store(Y, variable(Var("i", 4)), Const(1.0, float32), (never,))
    text = emit_kernel(failing(For(Var("i", 4), SERIAL, (store,))), CUDA)
    assert "out0[" not in text
