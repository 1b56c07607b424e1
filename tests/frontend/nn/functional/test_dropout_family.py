"""Dropout of elements and channels: what is dropped, what is kept, and its scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import treadle
import treadle.nn.functional as F


@pytest.mark.parametrize(("name", "extents"), [("1d", (5,)), ("2d", (4, 5)), ("3d", (2, 3, 4))])
@pytest.mark.parametrize("batched", [True, False])
def test_whole_channels_are_dropped(batched: bool, name: str, extents: tuple[int, ...]) -> None:
    if name == "2d" and not batched:
        pytest.skip("three axes are read as [N, C, L]")
    shape = (*((4,) if batched else ()), 50, *extents)
    found = getattr(F, f"dropout{name}")(treadle.ones(*shape), 0.4).numpy()
    channels = found.reshape(*shape[: len(shape) - len(extents)], -1)
    assert (channels == channels[..., :1]).all()
    assert set(np.unique(found)) == {np.float32(0.0), np.float32(1.0 / 0.6)}


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    treadle.manual_seed(1)
    x = treadle.randn(200_000)
    found = F.alpha_dropout(x, 0.3, training=True)
    assert abs(float(found.mean())) < 0.02
    assert abs(float(found.std()) - 1.0) < 0.02


def test_feature_alpha_dropout_drops_whole_channels() -> None:
    x = treadle.ones(8, 20, 3, 3)
    found = F.feature_alpha_dropout(x, 0.5, training=True).numpy().reshape(160, 9)
    assert (found == found[:, :1]).all()
    assert len(np.unique(found)) == 2


@pytest.mark.parametrize("name", ["dropout", "alpha_dropout", "feature_alpha_dropout", "dropout2d"])
def test_evaluation_changes_nothing(name: str) -> None:
    x = treadle.randn(2, 3, 4, 4)
    assert getattr(F, name)(x, 0.5, training=False) is x


@pytest.mark.parametrize("name", ["dropout", "alpha_dropout", "dropout1d"])
def test_in_place_forms_write_over_their_input(name: str) -> None:
    x = treadle.ones(4, 5, 6)
    assert getattr(F, name)(x, 0.5, training=True, inplace=True) is x
    assert float((x != 1.0).sum()) == 120.0


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.nn.functional.dropout(t.ones(3), 1.5),
        lambda t: t.nn.functional.dropout1d(t.ones(3)),
        lambda t: t.nn.functional.alpha_dropout(t.ones(3), -0.1),
    ],
)
def test_bad_input_raises_what_pytorch_raises(call: Any, same_error_as_torch: Any) -> None:
    same_error_as_torch(call)
