"""Poolings agree with PyTorch; gradients go to the first maximum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import treadle
import treadle.nn.functional as F
from treadle import nn

MAX_OPTIONS: list[dict[str, Any]] = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2},
    {"kernel_size": 3, "stride": 1, "padding": 1},
    {"kernel_size": (3, 2), "stride": (1, 3), "padding": (1, 0), "dilation": (2, 1)},
    {"kernel_size": 3, "stride": 2, "ceil_mode": True},
    {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True},
    {"kernel_size": 2, "stride": 5},
]
AVG_OPTIONS: list[dict[str, Any]] = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False},
    {"kernel_size": 3, "stride": 2, "ceil_mode": True},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {
        "kernel_size": 3,
        "stride": 4,
        "padding": 1,
        "ceil_mode": True,
        "count_include_pad": False,
    },
    {"kernel_size": 2, "divisor_override": 3},
]


@pytest.mark.parametrize("options", MAX_OPTIONS, ids=str)
def test_max_pool2d_matches(options: dict[str, Any], rng: Any, same_as_torch: Any) -> None:
    x = rng.standard_normal((2, 3, 8, 9))
    same_as_torch(lambda t, v: t.nn.functional.max_pool2d(v, **options), x, rtol=1e-12)


@pytest.mark.parametrize("options", MAX_OPTIONS, ids=str)
def test_equal_maxima_send_the_gradient_to_the_first(
    options: dict[str, Any], rng: Any, same_as_torch: Any
) -> None:
    x = rng.integers(0, 2, (2, 3, 8, 9)).astype(np.float32)
    same_as_torch(lambda t, v: t.nn.functional.max_pool2d(v, **options), x)


@pytest.mark.parametrize("options", AVG_OPTIONS, ids=str)
def test_avg_pool2d_matches(options: dict[str, Any], rng: Any, same_as_torch: Any) -> None:
    x = rng.standard_normal((2, 3, 8, 9))
    same_as_torch(lambda t, v: t.nn.functional.avg_pool2d(v, **options), x, rtol=1e-11)


def test_other_ranks_match(rng: Any, same_as_torch: Any) -> None:
    x = rng.standard_normal((2, 3, 11))
    same_as_torch(lambda t, v: t.nn.functional.max_pool1d(v, 3, 2, 1), x)
    same_as_torch(lambda t, v: t.nn.functional.avg_pool1d(v, 3, 2, 1), x)
    x = rng.standard_normal((1, 2, 4, 6, 5))
    same_as_torch(lambda t, v: t.nn.functional.max_pool3d(v, 2), x)
    same_as_torch(lambda t, v: t.nn.functional.avg_pool3d(v, 2), x)


def test_indices_are_positions_in_the_plane(rng: Any, same_as_torch: Any) -> None:
    x = rng.integers(0, 4, (2, 3, 7, 6)).astype(np.int64)
    for options in MAX_OPTIONS:
        same_as_torch(
            lambda t, v, o=options: t.nn.functional.max_pool2d(
                v.double(), return_indices=True, **o
            )[1],
            x,
        )


def test_max_pool_of_a_known_plane() -> None:
    x = treadle.tensor([[[1.0, 1.0], [0.0, 1.0]]], requires_grad=True)
    y = F.max_pool2d(x, 2)
    assert y.tolist() == [[[1.0]]]
    y.backward(treadle.ones(1, 1, 1))
    assert x.grad.tolist() == [[[1.0, 0.0], [0.0, 0.0]]]


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.nn.functional.max_pool2d(t.ones(2, 4, 1, 1), 2),
        lambda t: t.nn.functional.max_pool2d(t.ones(2, 4, 8, 8), 2, padding=2),
        lambda t: t.nn.functional.max_pool2d(t.ones(2, 4, 8, 8), 2, stride=0),
        lambda t: t.nn.functional.max_pool2d(t.ones(2, 4, 8, 8), 2, padding=-1),
        lambda t: t.nn.functional.avg_pool2d(t.ones(2, 4, 1, 1), 2),
    ],
)
def test_bad_input_raises_what_pytorch_raises(call: Any, same_error_as_torch: Any) -> None:
    same_error_as_torch(call)


def test_pooling_layers_print_their_window() -> None:
    assert repr(nn.MaxPool2d(2)) == (
        "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)"
    )
    assert repr(nn.AvgPool2d((2, 3))) == ("AvgPool2d(kernel_size=(2, 3), stride=(2, 3), padding=0)")
    assert repr(nn.AvgPool1d(2)) == "AvgPool1d(kernel_size=(2,), stride=(2,), padding=(0,))"
