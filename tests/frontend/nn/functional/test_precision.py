"""16-bit tensors are computed in float32 and rounded once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import treadle
import treadle.nn.functional as F

CALLS = {
    "softmax": lambda f, x: f.softmax(x, 1),
    "layer_norm": lambda f, x: f.layer_norm(x, (500,)),
    "batch_norm": lambda f, x: f.batch_norm(x, None, None, training=True),
    "gelu": lambda f, x: f.gelu(x),
    "mse_loss": lambda f, x: f.mse_loss(x, x * 0.5, reduction="none"),
    "adaptive_avg_pool1d": lambda f, x: f.adaptive_avg_pool1d(x, 3),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_results_are_the_rounded_ones_of_float32(dtype: str, name: str, rng: Any) -> None:
    kind = getattr(treadle, dtype)
    x = treadle.tensor(rng.standard_normal((3, 500)) * 3).to(kind)
    found = CALLS[name](F, x)
    assert found.dtype is kind
    wide = CALLS[name](F, x.float())
    np.testing.assert_array_equal(found.float().numpy(), wide.to(kind).float().numpy())


@pytest.mark.parametrize("name", ["softmax", "layer_norm", "adaptive_avg_pool1d"])
def test_gradients_keep_the_dtype_of_their_tensors(name: str, rng: Any) -> None:
    x = treadle.tensor(rng.standard_normal((3, 500))).to(treadle.bfloat16).requires_grad_()
    (CALLS[name](F, x) ** 2).sum().backward()
    assert x.grad is not None
    assert x.grad.dtype is treadle.bfloat16


def test_statistics_of_a_narrow_batch_may_be_wide(rng: Any) -> None:
    x = treadle.tensor(rng.standard_normal((64, 3))).to(treadle.bfloat16)
    weight = treadle.ones(3).requires_grad_()
    mean, variance = treadle.zeros(3), treadle.ones(3)
    result = F.batch_norm(x, mean, variance, weight, training=True, momentum=1.0)
    assert result.dtype is treadle.bfloat16
    assert mean.dtype is treadle.float32
    np.testing.assert_allclose(mean.numpy(), x.float().numpy().mean(0), atol=1e-5)
    result.sum().backward()
    assert weight.grad is not None
    assert weight.grad.dtype is treadle.float32
