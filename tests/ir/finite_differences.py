"""Checks derivatives against central differences in float64; not a test file itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from treadle.ir import build as b
from treadle.ir.gradients import vjp
from treadle.ir.graph import input_value
from treadle.ir.interpreter import evaluate
from treadle.ir.types import TensorType, dtype_of, float64
from treadle.ir.value import Value

Array = np.ndarray[Any, Any]
STEP = 1e-5


def inputs_for(arrays: Sequence[Array]) -> list[Value]:
    """One program input for each array."""
    return [
        input_value(slot, TensorType(dtype_of(array.dtype), array.shape))
        for slot, array in enumerate(arrays)
    ]


def check_gradient(
    build: Callable[..., Value], *arrays: Array, second: bool = False, seed: int = 0
) -> None:
    """Compares ``vjp`` of ``build(*inputs)`` with differences along every float64 element.

    With ``second`` the gradient itself is differentiated and checked as well.
    """
    inputs = inputs_for(arrays)
    output = build(*inputs)
    assert output.dtype is float64
    cotangent = np.random.default_rng(seed).standard_normal(output.shape)
    upstream = input_value(len(arrays), TensorType(float64, output.shape))
    gradients = vjp([output], inputs, [upstream])
    bindings = {**dict(zip(inputs, arrays, strict=True)), upstream: cotangent}
    for slot, (array, gradient) in enumerate(zip(arrays, gradients, strict=True)):
        if array.dtype != np.float64:
            assert gradient is None, f"input {slot} is {array.dtype} and got a gradient"
            continue
        expected = _differences(output, inputs, list(arrays), slot, cotangent)
        if gradient is None:
            np.testing.assert_array_equal(expected, 0)
            continue
        assert gradient.type == inputs[slot].type
        found = evaluate([gradient], bindings)[0]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    if second:
        _check_second(build, arrays, cotangent)


def _differences(
    output: Value, inputs: list[Value], arrays: list[Array], slot: int, cotangent: Array
) -> Array:
    expected = np.zeros_like(arrays[slot])
    for position in np.ndindex(expected.shape):
        sides = []
        for step in (STEP, -STEP):
            moved = arrays[slot].copy()
            moved[position] += step
            bound = [*arrays[:slot], moved, *arrays[slot + 1 :]]
            result = evaluate([output], dict(zip(inputs, bound, strict=True)))[0]
            sides.append(np.sum(result * cotangent))
        expected[position] = (sides[0] - sides[1]) / (2 * STEP)
    return expected


def _check_second(build: Callable[..., Value], arrays: Sequence[Array], cotangent: Array) -> None:
    def gradient(*values: Value) -> Value:
        inputs, upstream = values[:-1], values[-1]
        parts = vjp([build(*inputs)], inputs, [upstream])
        return b.concat([b.reshape(part, (part.type.numel,)) for part in parts if part], 0)

    check_gradient(gradient, *arrays, cotangent, seed=1)
