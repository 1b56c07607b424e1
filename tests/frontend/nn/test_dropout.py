"""Dropout zeroes the right share and keeps the mean."""

from __future__ import annotations

import numpy as np
import pytest

import treadle
import treadle.nn.functional as F
from treadle import nn


def test_kept_elements_are_scaled_and_the_share_is_right() -> None:
    treadle.manual_seed(0)
    x = treadle.ones(100, 100, requires_grad=True)
    y = F.dropout(x, p=0.25)
    array = y.detach().numpy()
    np.testing.assert_allclose(np.unique(array), [0.0, 1 / 0.75], rtol=1e-6)
    assert (array == 0).mean() == pytest.approx(0.25, abs=0.02)
    y.backward(treadle.ones(100, 100))
    np.testing.assert_array_equal(x.grad.numpy(), array)


def test_each_call_draws_anew() -> None:
    x = treadle.ones(1000)
    assert F.dropout(x).tolist() != F.dropout(x).tolist()


def test_evaluation_and_zero_probability_return_the_input() -> None:
    x = treadle.ones(3)
    assert F.dropout(x, training=False) is x
    assert F.dropout(x, p=0.0) is x
    assert nn.Dropout().eval()(x) is x


def test_probability_one_drops_all() -> None:
    assert F.dropout(treadle.ones(4), p=1.0).tolist() == [0.0] * 4


def test_a_probability_outside_its_range_is_an_error() -> None:
    with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1"):
        F.dropout(treadle.ones(1), p=1.5)
    assert repr(nn.Dropout(0.1)) == "Dropout(p=0.1, inplace=False)"
