"""Runs contraction kernels, in NumPy and natively, against the interpreter; not a test file."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tests.codegen.loop_machine import LoopMachine
from treadle.codegen.llvm import KernelCall, Module, emit_entry
from treadle.codegen.loop_text import parse_kernel, print_kernel
from treadle.codegen.loop_verifier import verify_kernel
from treadle.codegen.loops import Apply, Kernel
from treadle.codegen.schedules.contraction import schedule
from treadle.codegen.target import AVX2, AVX512, BASELINE, CUDA, Target
from treadle.ir.graph import Graph, input_value
from treadle.ir.interpreter import evaluate
from treadle.ir.types import DType, TensorType, float32, float64
from treadle.ir.value import Value
from treadle.runtime import jit

Array = np.ndarray[Any, Any]
Case = Callable[[DType], Graph]

TARGETS = (AVX2, AVX512, BASELINE, CUDA)
# Times the roundings of a sum, in norm; products of normal numbers stay far below.
TOLERANCE = {float32: 2e-6, float64: 1e-14}

# Every task one after the other, the last first: nothing may depend on their order.
_PARALLEL = """
define internal void @treadle_parallel(ptr %function, ptr %args, i64 %count) {
entry:
  br label %loop
loop:
  %left = phi i64 [%count, %entry], [%task, %loop]
  %task = sub i64 %left, 1
  call void %function(ptr %args, i64 %task)
  %more = icmp ne i64 %task, 0
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""


class Machine(LoopMachine):
    """The loop machine with fused multiply-add."""

    def _apply(self, node: Apply, args: list[Array]) -> Array:
        if node.op == "fma":
            return args[0] * args[1] + args[2]
        return super()._apply(node, args)


def graph_of(
    build: Callable[..., Value | Sequence[Value]], dtype: DType, *shapes: Sequence[int]
) -> Graph:
    """The graph of a function of inputs of these shapes."""
    inputs = [input_value(n, TensorType(dtype, tuple(s))) for n, s in enumerate(shapes)]
    outputs = build(*inputs)
    return Graph("g", tuple(inputs), (outputs,) if isinstance(outputs, Value) else tuple(outputs))


def case_of(build: Callable[..., Value | Sequence[Value]], *shapes: Sequence[int]) -> Case:
    """A case for every dtype."""
    return lambda dtype: graph_of(build, dtype, *shapes)


def arrays_of(graph: Graph) -> list[Array]:
    """Numbers for a graph's inputs: small integers where the dtype is one."""
    random = np.random.default_rng(len(graph.inputs))
    arrays = []
    for value in graph.inputs:
        if value.dtype.is_floating_point:
            arrays.append(random.standard_normal(value.shape).astype(value.dtype.numpy))
        else:
            arrays.append(random.integers(-9, 9, value.shape).astype(value.dtype.numpy))
    return arrays


def kernel_of(graph: Graph, target: Target, aliases: Mapping[int, int] | None = None) -> Kernel:
    """The verified kernel of a graph, after a round trip through its text."""
    kernel = schedule(graph, target, "contract", aliases or {})
    verify_kernel(kernel)
    text = print_kernel(kernel)
    again = parse_kernel(text)
    assert print_kernel(again) == text
    return again


def memory_of(graph: Graph, arrays: Sequence[Array], aliases: Mapping[int, int]) -> list[Array]:
    """Flat arguments of a kernel; results start as garbage or are the memory of an input."""
    memory = [np.ascontiguousarray(array).reshape(-1).copy() for array in arrays]
    for number, value in enumerate(graph.outputs):
        if number in aliases:
            memory.append(memory[aliases[number]])
        else:
            memory.append(np.full(value.type.numel, 99, value.dtype.numpy))
    return memory


def run_machine(
    graph: Graph, target: Target, arrays: Sequence[Array], aliases: Mapping[int, int] | None = None
) -> list[Array]:
    """Results by the loop machine."""
    memory = memory_of(graph, arrays, aliases or {})
    Machine(kernel_of(graph, target, aliases), memory).run()
    return memory[len(arrays) :]


def run_native(
    graph: Graph, target: Target, arrays: Sequence[Array], aliases: Mapping[int, int] | None = None
) -> list[Array]:
    """Results by machine code for this machine, from the code of a target."""
    kernel = kernel_of(graph, target, aliases)
    memory = memory_of(graph, arrays, aliases or {})
    module = Module(target)
    module.add_function(_PARALLEL)
    arguments = tuple((slot, 0) for slot in range(len(memory)))
    emit_entry(module, "main", [KernelCall(module.add_kernel(kernel), kernel.tasks, arguments)])
    text = module.text().replace("declare void @treadle_parallel(ptr, ptr, i64)", "")
    code = jit.load_object(jit.compile_object(text), ["main"])
    table = (ctypes.c_void_p * len(memory))(*(array.ctypes.data for array in memory))
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(code.addresses["main"])(ctypes.addressof(table))
    return memory[len(arrays) :]


def expected(case: Case, arrays: Sequence[Array], dtype: DType) -> list[Array]:
    """Results by the interpreter, in float64 for floating-point dtypes."""
    graph = case(float64 if dtype.is_floating_point else dtype)
    bindings = {
        value: array.astype(value.dtype.numpy)
        for value, array in zip(graph.inputs, arrays, strict=True)
    }
    return [result.reshape(-1) for result in evaluate(graph.outputs, bindings)]


def assert_close(found: Sequence[Array], wanted: Sequence[Array], dtype: DType) -> None:
    """Equal integers; floating-point numbers within rounding, in norm."""
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape
        if not dtype.is_floating_point or one.dtype.kind != "f":
            np.testing.assert_array_equal(one, other)
            continue
        error = np.linalg.norm(one.astype(np.float64) - other)
        assert error <= TOLERANCE[dtype] * max(np.linalg.norm(other), 1e-30), error


def check(
    case: Case,
    target: Target = AVX2,
    dtype: DType = float32,
    native: bool = False,
    aliases: Mapping[int, int] | None = None,
) -> None:
    """A case on one target: by the loop machine, or natively."""
    graph = case(dtype)
    arrays = arrays_of(graph)
    run = run_native if native else run_machine
    assert_close(run(graph, target, arrays, aliases), expected(case, arrays, dtype), dtype)
