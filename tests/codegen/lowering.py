"""Bodies lowered and run statement by statement, compared with the interpreter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tests.codegen.llvm.conftest import execute
from tests.codegen.loop_machine import LoopMachine
from treadle.codegen.loop_verifier import verify_kernel
from treadle.codegen.loops import Kernel
from treadle.codegen.lower import lower
from treadle.codegen.target import AVX2, AVX512, BASELINE, CUDA, Target
from treadle.ir.graph import Graph, input_value
from treadle.ir.interpreter import interpret
from treadle.ir.types import DType, TensorType, dtype_of, float32
from treadle.ir.value import Value

TARGETS = {"avx512": AVX512, "avx2": AVX2, "baseline": BASELINE, "cuda": CUDA}


class Inputs:
    """Random arrays and the input values that stand for them."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.values: list[Value] = []
        self.arrays: list[np.ndarray] = []

    def array(self, array: np.ndarray) -> Value:
        value = input_value(len(self.values), TensorType(dtype_of(array.dtype), array.shape))
        self.values.append(value)
        self.arrays.append(array)
        return value

    def of(self, *shape: int, dtype: DType = float32) -> Value:
        if dtype.kind == "f":
            return self.array(self.random.standard_normal(shape).astype(dtype.numpy))
        if dtype.kind == "b":
            return self.array(self.random.random(shape) < 0.5)
        low = 0 if dtype.kind == "u" else -50
        return self.array(self.random.integers(low, 50, shape).astype(dtype.numpy))

    def index(self, bound: int, *shape: int) -> Value:
        return self.array(self.random.integers(0, bound, shape))


def check(
    inputs: Inputs,
    outputs: Sequence[Value],
    target: Target = AVX2,
    tolerance: float = 1e-5,
    aliases: Mapping[int, int] | None = None,
) -> Kernel:
    """Lowers the body, runs it both ways, and compares every result with the interpreter's."""
    body = Graph("body", tuple(inputs.values), tuple(outputs))
    kernel = lower(body, target, "body", aliases or {})
    verify_kernel(kernel)
    expected = interpret(body, inputs.arrays)
    ways: list[Callable[[list[np.ndarray]], object]] = [
        lambda arguments: LoopMachine(kernel, arguments).run()
    ]
    if target.kind == "cpu" and kernel.body:
        ways.append(lambda arguments: execute(kernel, *arguments, target=target))
    for way in ways:
        arguments = _arguments(inputs, outputs, aliases or {})
        way(arguments)
        for nth, want in enumerate(expected):
            have = arguments[len(inputs.arrays) + nth].reshape(want.shape)
            if want.dtype.kind == "f":
                np.testing.assert_allclose(have, want, rtol=tolerance, atol=tolerance)
            else:
                np.testing.assert_array_equal(have, want)
    return kernel


def _arguments(
    inputs: Inputs, outputs: Sequence[Value], aliases: Mapping[int, int]
) -> list[np.ndarray]:
    """Flat copies of the inputs, then memory of the outputs with numbers that no one computes."""
    arguments = [array.reshape(-1).copy() for array in inputs.arrays]
    for nth, output in enumerate(outputs):
        if nth in aliases:
            arguments.append(arguments[aliases[nth]])
        else:
            arguments.append(np.full(output.type.numel, 99).astype(output.dtype.numpy))
    return arguments


Make = Callable[[Inputs], "Value | Sequence[Value]"]


def run(make: Make, target: Target, tolerance: float = 1e-5) -> Kernel:
    """Checks the body that a function of inputs makes."""
    inputs = Inputs()
    made = make(inputs)
    return check(inputs, [made] if isinstance(made, Value) else list(made), target, tolerance)
