"""Work after a contraction: biases, activations, residuals, several results, results in place."""

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
    run_machine,
    run_native,
)
from treadle.codegen.target import AVX2, Target
from treadle.ir import build as b
from treadle.ir.types import float32, int32
from treadle.ir.value import Value


def linear_relu(x: Value, w: Value, bias: Value) -> Value:
    """Rows of x by a stored-transposed weight, a bias, and relu."""
    return b.maximum(b.add(b.dot(x, b.transpose(w)), bias), 0.0)


def tanh_and_product(x: Value, y: Value) -> tuple[Value, Value]:
    """Both a product and what is computed from it."""
    found = b.dot(x, y)
    return found, b.tanh(found)


def residual(x: Value, y: Value, z: Value) -> Value:
    """A product added to a value of its shape."""
    return b.add(b.mul(b.dot(x, y), 0.5), z)


def convolution_relu(x: Value, w: Value, bias: Value) -> Value:
    """A convolution with a bias for each output channel."""
    found = b.conv(x, w, (1, 1), ((0, 0),) * 2, (1, 1), (1, 1))
    return b.maximum(b.add(found, b.reshape(bias, (1, 1, bias.shape[0], 1, 1))), 0.0)


def masked(x: Value, y: Value, z: Value) -> Value:
    """relu's gradient: the product where another value is positive."""
    found = b.dot(x, b.transpose(y))
    return b.select(b.gt(z, 0.0), found, 0.0)


def adam(x: Value, dy: Value, p: Value, m: Value, v: Value) -> tuple[Value, Value, Value]:
    """A weight gradient and the three updates made from it, stored transposed."""
    gradient = b.permute(b.dot(b.transpose(x), dy), (1, 0))
    m = b.add(b.mul(m, 0.9), b.mul(gradient, 0.1))
    v = b.add(b.mul(v, 0.99), b.mul(b.mul(gradient, gradient), 0.01))
    return b.sub(p, b.div(m, b.add(b.sqrt(v), 1.0))), m, v


def flattened(x: Value, y: Value) -> Value:
    """A reshape of the result is only another name of it."""
    found = b.dot(x, y)
    return b.mul(b.reshape(found, (found.type.numel,)), 2.0)


def ramp(x: Value, y: Value) -> Value:
    """Positions as numbers beside the product."""
    found = b.dot(x, y)
    return b.add(found, b.iota(found.shape, 1, found.dtype))


CASES: dict[str, Case] = {
    "linear and relu": case_of(linear_relu, (9, 33), (11, 33), (11,)),
    "two results": case_of(tanh_and_product, (7, 9), (9, 13)),
    "residual": case_of(residual, (7, 9), (9, 13), (7, 13)),
    "convolution and relu": case_of(convolution_relu, (2, 1, 3, 6, 9), (1, 5, 3, 3, 3), (5,)),
    "masked": case_of(masked, (9, 20), (13, 20), (9, 13)),
    "adam": case_of(adam, (9, 7), (9, 10), (10, 7), (10, 7), (10, 7)),
    "flattened": case_of(flattened, (5, 6), (6, 11)),
    "ramp": case_of(ramp, (5, 6), (6, 11)),
}


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: f"{t.kind}{t.lane_bytes}")
@pytest.mark.parametrize("name", [name for name in CASES if name != "adam"])
def test_work_after_a_contraction(name: str, target: Target) -> None:
    check(CASES[name], target)


@pytest.mark.parametrize("name", [name for name in CASES if name != "adam"])
def test_work_after_a_contraction_natively(name: str) -> None:
    check(CASES[name], native=True)


@pytest.mark.parametrize("native", [False, True])
def test_results_may_overwrite_what_they_update(native: bool) -> None:
    shapes = ((40, 50), (50, 60), (40, 60)) if native else ((13, 5), (5, 21), (13, 21))
    check(case_of(residual, *shapes), aliases={0: 2}, native=native)


@pytest.mark.parametrize("native", [False, True])
def test_updates_made_in_place_read_the_old_values(native: bool) -> None:
    graph = CASES["adam"](float32)
    arrays = arrays_of(graph)
    arrays[4] = np.abs(arrays[4])  # a mean of squares
    wanted = expected(CASES["adam"], arrays, float32)
    run = run_native if native else run_machine
    assert_close(run(graph, AVX2, arrays), wanted, float32)
    assert_close(run(graph, AVX2, arrays, {0: 2, 1: 3, 2: 4}), wanted, float32)


def test_large_results_after_depth_lanes_fit_the_scratch() -> None:
    check(case_of(linear_relu, (70, 600), (200, 600), (200,)), native=True)
    check(case_of(linear_relu, (2, 300), (900, 300), (900,)), native=True)


def test_integers_after_a_contraction() -> None:
    check(case_of(residual_of_integers, (7, 9), (9, 13), (7, 13)), dtype=int32, native=True)


def residual_of_integers(x: Value, y: Value, z: Value) -> Value:
    """A product of integers and a sum."""
    return b.add(b.dot(x, y), z)
