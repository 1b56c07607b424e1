"""Layers and losses under PyTorch's top level agree with it, in its order of arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import treadle

CALLS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "batch_norm": lambda t, x, y: t.batch_norm(
        x, y[0, :3, 0], None, None, None, True, 0.1, 1e-5, False
    ),
    "instance_norm": lambda t, x, y: t.instance_norm(
        x, y[0, :3, 0], None, None, None, True, 0.1, 1e-5, False
    ),
    "softmax": lambda t, x, y: t.softmax(x, 1, dtype=t.float64),
    "softmax method": lambda t, x, y: x.softmax(-1),
    "log_softmax method": lambda t, x, y: x.log_softmax(0),
    "prelu method": lambda t, x, y: x.prelu(y[0, 0, :1]),
    "hardshrink method": lambda t, x, y: x.hardshrink(0.3),
    "embedding": lambda t, x, y: t.embedding(x[0], t.tensor([[0, 2], [1, 1]]), 1),
    "kl_div": lambda t, x, y: t.kl_div(x, y, 2, log_target=True),
    "hinge_embedding_loss": lambda t, x, y: t.hinge_embedding_loss(x, y.sign(), 0.5, 0),
    "poisson_nll_loss": lambda t, x, y: t.poisson_nll_loss(x, y.abs(), True, False, 1e-8, 1),
    "margin_ranking_loss": lambda t, x, y: t.margin_ranking_loss(x, y, y.sign(), 0.1, 2),
    "triplet_margin_loss": lambda t, x, y: t.triplet_margin_loss(x, y, x * y, reduction=2),
    "binary_cross_entropy_with_logits": lambda t, x, y: t.binary_cross_entropy_with_logits(
        x, y, reduction=0
    ),
    "conv_tbc": lambda t, x, y: t.conv_tbc(x, y[:, :1].permute(0, 2, 1), y[0, :1, 0], 1),
    "adaptive_max_pool1d": lambda t, x, y: t.adaptive_max_pool1d(x, 2)[0],
    "max_pool1d_with_indices": lambda t, x, y: t.max_pool1d_with_indices(x, 2)[0],
    "dropout in evaluation": lambda t, x, y: t.dropout(x * 2.0, 0.5, False),
    "grid_sampler": lambda t, x, y: t.grid_sampler(x[None], y[None, :, :2, :2].tanh(), 0, 1, False),
}


@pytest.mark.oracle
@pytest.mark.parametrize("name", CALLS)
def test_top_level_forms_match(name: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 3, 4))
    if name == "conv_tbc":
        x, y = rng.standard_normal((5, 2, 4)), rng.standard_normal((3, 2, 4))
    results = []
    for library in (torch, treadle):
        leaf = library.tensor(x).requires_grad_()
        result = CALLS[name](library, leaf, library.tensor(y))
        (result**2).sum().backward()
        results.append((result.detach().numpy(), leaf.grad.numpy()))
    for found, expected in zip(results[1], results[0], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


def test_in_place_dropout_writes_over_its_input() -> None:
    x = treadle.ones(50, 4)
    assert treadle.dropout_(x, 0.5, True) is x
    assert set(np.unique(x.numpy())) == {np.float32(0.0), np.float32(2.0)}


def test_renormalising_a_table_changes_the_rows_that_are_used() -> None:
    table = treadle.full((3, 4), 2.0)
    assert treadle.embedding_renorm_(table, treadle.tensor([1]), 1.0, 2.0) is table
    np.testing.assert_allclose(np.linalg.norm(table.numpy(), axis=1), [4.0, 1.0, 4.0], rtol=1e-6)
