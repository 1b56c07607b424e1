"""Activation functions agree with PyTorch, in place too, and at the kinks between their pieces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import treadle
import treadle.nn.functional as F

CALLS = {
    "celu": lambda f, x: f.celu(x, 2.0),
    "elu": lambda f, x: f.elu(x, 0.7),
    "gelu": lambda f, x: f.gelu(x),
    "gelu tanh": lambda f, x: f.gelu(x, approximate="tanh"),
    "glu": lambda f, x: f.glu(x, 0),
    "hardshrink": lambda f, x: f.hardshrink(x, 0.5),
    "hardsigmoid": lambda f, x: f.hardsigmoid(x),
    "hardswish": lambda f, x: f.hardswish(x),
    "hardtanh": lambda f, x: f.hardtanh(x, -0.5, 1.0),
    "leaky_relu": lambda f, x: f.leaky_relu(x, 0.2),
    "log_softmax": lambda f, x: f.log_softmax(x, 1),
    "logsigmoid": lambda f, x: f.logsigmoid(x),
    "mish": lambda f, x: f.mish(x),
    "relu": lambda f, x: f.relu(x),
    "relu6": lambda f, x: f.relu6(x),
    "rrelu": lambda f, x: f.rrelu(x),
    "selu": lambda f, x: f.selu(x),
    "silu": lambda f, x: f.silu(x),
    "softmax": lambda f, x: f.softmax(x, 0),
    "softmin": lambda f, x: f.softmin(x, -1),
    "softplus": lambda f, x: f.softplus(x, 2.0, 3.0),
    "softshrink": lambda f, x: f.softshrink(x, 0.5),
    "softsign": lambda f, x: f.softsign(x),
    "tanhshrink": lambda f, x: f.tanhshrink(x),
    "threshold": lambda f, x: f.threshold(x, 0.5, -2.0),
}
# PyTorch computes their slopes with single-precision constants.
ROUGH = {"hardsigmoid": 1e-7}
POINTS = np.array(
    [[-30.0, -6.0, -3.0, -1.0, -0.5, -1e-3, 0.0], [1e-3, 0.5, 1.0, 2.0, 3.0, 6.0, 30.0]]
)


@pytest.mark.parametrize("name", CALLS)
def test_values_and_slopes_match_also_at_kinks(name: str, same_as_torch: Any) -> None:
    tolerance = ROUGH.get(name, 1e-11)
    same_as_torch(lambda t, x: CALLS[name](t.nn.functional, x), POINTS, rtol=tolerance)


@pytest.mark.parametrize("name", ["softmax", "softplus", "hardtanh", "relu6", "softshrink", "mish"])
def test_nan_stays_nan(name: str) -> None:
    torch = pytest.importorskip("torch")
    x = np.array([[np.nan, 1.0], [0.25, np.nan]], np.float32)
    expected = CALLS[name](torch.nn.functional, torch.tensor(x)).numpy()
    found = CALLS[name](F, treadle.tensor(x)).numpy()
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))


INPLACE = {
    "celu": lambda f, x: f.celu(x, inplace=True),
    "celu_": lambda f, x: f.celu_(x),
    "elu": lambda f, x: f.elu(x, inplace=True),
    "elu_": lambda f, x: f.elu_(x, 0.5),
    "hardsigmoid": lambda f, x: f.hardsigmoid(x, inplace=True),
    "hardswish": lambda f, x: f.hardswish(x, inplace=True),
    "hardtanh": lambda f, x: f.hardtanh(x, inplace=True),
    "hardtanh_": lambda f, x: f.hardtanh_(x),
    "leaky_relu": lambda f, x: f.leaky_relu(x, inplace=True),
    "leaky_relu_": lambda f, x: f.leaky_relu_(x, 0.1),
    "mish": lambda f, x: f.mish(x, inplace=True),
    "relu": lambda f, x: f.relu(x, inplace=True),
    "relu_": lambda f, x: f.relu_(x),
    "relu6": lambda f, x: f.relu6(x, inplace=True),
    "rrelu": lambda f, x: f.rrelu(x, inplace=True),
    "selu": lambda f, x: f.selu(x, inplace=True),
    "silu": lambda f, x: f.silu(x, inplace=True),
    "threshold": lambda f, x: f.threshold(x, 0.1, 20.0, inplace=True),
    "threshold_": lambda f, x: f.threshold_(x, 0.1, 20.0),
}


@pytest.mark.parametrize("name", INPLACE)
def test_in_place_forms_write_over_their_input(name: str, rng: Any, same_as_torch: Any) -> None:
    def call(t: Any, x: Any) -> Any:
        y = x * 1.5
        result = INPLACE[name](t.nn.functional, y)
        assert result is y
        return result

    same_as_torch(call, rng.standard_normal((3, 4)), rtol=ROUGH.get(name, 1e-11))


@pytest.mark.parametrize("name", ["relu_", "elu", "threshold_"])
def test_a_leaf_that_requires_gradients_is_not_overwritten(
    name: str, same_error_as_torch: Any
) -> None:
    same_error_as_torch(lambda t: INPLACE[name](t.nn.functional, t.ones(3, requires_grad=True)))


@pytest.mark.parametrize("shape", [(3, 4), (3,), (2, 4, 3)])
@pytest.mark.parametrize("several", [False, True])
def test_prelu_takes_one_slope_or_one_for_each_channel(
    several: bool, shape: tuple[int, ...], rng: Any, same_as_torch: Any
) -> None:
    slopes = rng.random((shape[1] if len(shape) > 1 and several else 1,))
    same_as_torch(
        lambda t, x, w: t.nn.functional.prelu(x, w), rng.standard_normal(shape), slopes, rtol=1e-12
    )


def test_second_derivatives_match(rng: Any) -> None:
    torch = pytest.importorskip("torch")
    x = rng.standard_normal((4, 3))
    for name, call in CALLS.items():
        if name == "hardsigmoid":
            continue  # PyTorch has none
        found = []
        for library in (torch, treadle):
            leaf = library.tensor(x).requires_grad_()
            result = call(library.nn.functional, leaf)
            (first,) = library.autograd.grad((result * result).sum(), leaf, create_graph=True)
            (second,) = library.autograd.grad((first * first).sum(), leaf)
            found.append(second.numpy())
        np.testing.assert_allclose(found[1], found[0], rtol=1e-6, atol=1e-8, err_msg=name)


def test_rrelu_draws_slopes_between_its_bounds_while_training() -> None:
    x = treadle.full((1000,), -1.0)
    slopes = -F.rrelu(x, 0.25, 0.5, training=True).numpy()
    assert slopes.min() >= 0.25 and slopes.max() <= 0.5
    assert abs(slopes.mean() - 0.375) < 0.02


def test_hard_gumbel_softmax_is_one_hot_with_the_gradient_of_the_soft_one() -> None:
    logits = treadle.randn(6, 5).requires_grad_()
    sample = F.gumbel_softmax(logits, hard=True)
    np.testing.assert_array_equal(np.sort(sample.detach().numpy(), 1), np.eye(5)[[4] * 6])
    (sample * treadle.arange(5)).sum().backward()
    assert logits.grad is not None
    assert float(logits.grad.abs().sum()) > 0.0
    soft = F.gumbel_softmax(logits.detach(), tau=0.5, dim=0).sum(0).numpy()
    np.testing.assert_allclose(soft, np.ones(5), rtol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.nn.functional.glu(t.ones(3)),
        lambda t: t.nn.functional.glu(t.tensor(1.0)),
        lambda t: t.nn.functional.hardtanh(t.ones(3), 1.0, -1.0),
        lambda t: t.nn.functional.celu(t.ones(3), 0.0),
        lambda t: t.nn.functional.softshrink(t.ones(3), -0.5),
        lambda t: t.nn.functional.prelu(t.ones(2, 3), t.ones(2)),
        lambda t: t.nn.functional.prelu(t.ones(2, 3), t.ones(3, 1)),
        lambda t: t.nn.functional.rrelu(t.ones(3), 0.5, 0.1),
        lambda t: t.nn.functional.gelu(t.ones(3), approximate="erf"),
        lambda t: t.nn.functional.softmax(t.ones(3), 1),
    ],
)
def test_bad_input_raises_what_pytorch_raises(call: Any, same_error_as_torch: Any) -> None:
    same_error_as_torch(call)
