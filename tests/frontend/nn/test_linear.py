"""Linear layers and the affine function agree with PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from treadle import nn


@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 5), (5,), (2, 2, 2, 5)])
def test_linear_with_bias_matches(shape: tuple[int, ...], rng: Any, same_as_torch: Any) -> None:
    arrays = [rng.standard_normal(s) for s in (shape, (4, 5), (4,))]
    same_as_torch(lambda t, x, w, c: t.nn.functional.linear(x, w, c), *arrays, rtol=1e-12)


@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 5)])
def test_linear_without_bias_matches(shape: tuple[int, ...], rng: Any, same_as_torch: Any) -> None:
    arrays = [rng.standard_normal(s) for s in (shape, (4, 5))]
    same_as_torch(lambda t, x, w: t.nn.functional.linear(x, w), *arrays, rtol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.nn.functional.linear(t.ones(2, 3), t.ones(4, 5), t.ones(4)),
        lambda t: t.nn.functional.linear(t.ones(2, 3), t.ones(4, 5)),
        lambda t: t.nn.functional.linear(t.ones(6, 2, 3), t.ones(4, 5)),
        lambda t: t.nn.functional.linear(t.ones(2, 3), t.ones(4, 3), t.ones(5)),
        lambda t: t.nn.functional.linear(t.ones(6, 2, 3), t.ones(4, 3), t.ones(5)),
        lambda t: t.nn.functional.linear(t.ones(2, 3).double(), t.ones(4, 3), t.ones(4)),
        lambda t: t.nn.functional.linear(t.ones(2, 3), t.ones(4, 3), t.ones(4).double()),
        lambda t: t.nn.functional.linear(t.ones(2, 3).double(), t.ones(4, 3)),
    ],
)
def test_bad_input_raises_what_pytorch_raises(call: Any, same_error_as_torch: Any) -> None:
    same_error_as_torch(call)


def test_parameters_start_uniform_within_one_over_root_of_inputs() -> None:
    layer = nn.Linear(400, 300)
    bound = 1 / np.sqrt(400)
    for array in (layer.weight.detach().numpy(), layer.bias.detach().numpy()):
        assert np.abs(array).max() <= bound
        assert np.abs(array).max() > 0.95 * bound
        assert np.std(array) == pytest.approx(bound / np.sqrt(3), rel=0.1)


def test_linear_prints_its_extents() -> None:
    assert repr(nn.Linear(3, 4, bias=False)) == (
        "Linear(in_features=3, out_features=4, bias=False)"
    )


def test_identity_returns_its_input() -> None:
    value = object()
    assert nn.Identity(1, 2, unused=3)(value) is value
