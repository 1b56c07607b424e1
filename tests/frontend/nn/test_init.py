"""Initialisers draw from PyTorch's distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import treadle
from treadle.nn import init

SHAPE = (60, 40, 3, 3)
FAN_IN, FAN_OUT = 40 * 9, 60 * 9


@pytest.mark.parametrize(
    ("fill", "std"),
    [
        (
            lambda x: init.xavier_uniform_(x, gain=2.0),
            2 * np.sqrt(2 / (FAN_IN + FAN_OUT)),
        ),
        (init.xavier_normal_, np.sqrt(2 / (FAN_IN + FAN_OUT))),
        (lambda x: init.kaiming_uniform_(x, a=1.0), np.sqrt(1 / FAN_IN)),
        (lambda x: init.kaiming_normal_(x, mode="fan_out"), np.sqrt(2 / FAN_OUT)),
        (
            lambda x: init.kaiming_normal_(x, nonlinearity="tanh"),
            5 / 3 / np.sqrt(FAN_IN),
        ),
        (lambda x: init.uniform_(x, -2.0, 2.0), 4 / np.sqrt(12)),
        (lambda x: init.normal_(x, 0.0, 3.0), 3.0),
    ],
)
def test_the_spread_is_the_formulas(fill: Any, std: float) -> None:
    x = treadle.empty(SHAPE, requires_grad=True)
    assert fill(x) is x
    array = x.detach().numpy()
    assert np.std(array) == pytest.approx(std, rel=0.03)
    assert abs(np.mean(array)) < 0.03 * std
    assert x.grad_fn is None


def test_uniform_fills_stay_within_their_bound() -> None:
    bound = np.sqrt(6 / FAN_IN)
    array = init.kaiming_uniform_(treadle.empty(SHAPE)).numpy()
    assert np.abs(array).max() <= bound
    assert np.abs(array).max() > 0.99 * bound


def test_constant_fills() -> None:
    x = treadle.empty(3, requires_grad=True)
    assert init.constant_(x, 2.5).tolist() == [2.5] * 3
    assert init.ones_(x).tolist() == [1.0] * 3
    assert init.zeros_(x).tolist() == [0.0] * 3
    assert x.requires_grad


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.nn.init.calculate_gain("relu6x"),
        lambda t: t.nn.init.calculate_gain("leaky_relu", "a"),
        lambda t: t.nn.init.xavier_uniform_(t.empty(3)),
        lambda t: t.nn.init.kaiming_uniform_(t.empty(3, 3), mode="fan"),
    ],
)
def test_bad_input_raises_what_pytorch_raises(call: Any, same_error_as_torch: Any) -> None:
    same_error_as_torch(call)


def test_gains() -> None:
    assert init.calculate_gain("linear") == 1.0
    assert init.calculate_gain("relu") == pytest.approx(np.sqrt(2))
    assert init.calculate_gain("tanh") == pytest.approx(5 / 3)
    assert init.calculate_gain("leaky_relu", 1.0) == pytest.approx(1.0)
