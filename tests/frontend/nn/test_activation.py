"""Activation functions agree with PyTorch in value, gradient, dtype and node name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import treadle
import treadle.nn.functional as F

EDGES = np.array([-100.0, -20.0, -1.5, -1e-3, -0.0, 0.0, 1e-3, 0.7, 3.0, 25.0, 100.0])

ELEMENTWISE: dict[str, Any] = {
    "relu": lambda t, x: t.nn.functional.relu(x),
    "sigmoid": lambda t, x: t.nn.functional.sigmoid(x),
    "tanh": lambda t, x: t.nn.functional.tanh(x),
    "gelu": lambda t, x: t.nn.functional.gelu(x),
    "gelu_tanh": lambda t, x: t.nn.functional.gelu(x, approximate="tanh"),
    "leaky_relu": lambda t, x: t.nn.functional.leaky_relu(x, 0.2),
    "elu": lambda t, x: t.nn.functional.elu(x, 1.3),
    "silu": lambda t, x: t.nn.functional.silu(x),
    "softplus": lambda t, x: t.nn.functional.softplus(x, 1.5, 18.0),
    "logsigmoid": lambda t, x: t.nn.functional.logsigmoid(x),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_elementwise_functions_match(name: str, dtype: str, rng: Any, same_as_torch: Any) -> None:
    x = np.concatenate([EDGES, rng.standard_normal(50) * 3]).astype(dtype)
    same_as_torch(ELEMENTWISE[name], x, rtol=1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("function", ["softmax", "log_softmax"])
@pytest.mark.parametrize(("shape", "dim"), [((4, 7), 1), ((4, 7), 0), ((2, 3, 5), -2), ((6,), 0)])
def test_softmax_matches(
    function: str, shape: tuple[int, ...], dim: int, rng: Any, same_as_torch: Any
) -> None:
    x = rng.standard_normal(shape).astype(np.float32) * 4
    same_as_torch(lambda t, v: getattr(t.nn.functional, function)(v, dim=dim), x)


def test_softmax_of_large_numbers_does_not_overflow() -> None:
    x = treadle.tensor([1000.0, 0.0, -1000.0])
    assert F.softmax(x, dim=0).tolist() == [1.0, 0.0, 0.0]
    assert F.log_softmax(x, dim=0).tolist() == [0.0, -1000.0, -2000.0]


def test_relu_keeps_nan_and_has_no_gradient_at_zero() -> None:
    x = treadle.tensor([float("nan"), 0.0, -1.0, 2.0], requires_grad=True)
    y = F.relu(x)
    assert np.isnan(y.tolist()[0])
    assert y.tolist()[1:] == [0.0, 0.0, 2.0]
    y.backward(treadle.ones(4))
    assert x.grad.tolist()[1:] == [0.0, 0.0, 1.0]


def test_relu_in_place_returns_its_input() -> None:
    x = treadle.tensor([-1.0, 2.0])
    assert F.relu(x, inplace=True) is x
    assert x.tolist() == [0.0, 2.0]


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.nn.functional.softmax(t.ones(2, 3), dim=2),
        lambda t: t.nn.functional.softmax(t.ones(3, dtype=t.int64), dim=0),
        lambda t: t.nn.functional.log_softmax(t.ones(3, dtype=t.int64), dim=0),
        lambda t: t.nn.functional.gelu(t.ones(3, dtype=t.int64)),
        lambda t: t.nn.functional.elu(t.ones(3, dtype=t.int64)),
        lambda t: t.nn.functional.gelu(t.ones(3), approximate="exact"),
    ],
)
def test_bad_input_raises_what_pytorch_raises(call: Any, same_error_as_torch: Any) -> None:
    same_error_as_torch(call)
