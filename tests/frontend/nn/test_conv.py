"""Convolutions agree with PyTorch."""

from __future__ import annotations

from typing import Any

import pytest

from treadle import nn

OPTIONS: list[dict[str, Any]] = [
    {},
    {"stride": 2},
    {"padding": 1},
    {"stride": (2, 1), "padding": (0, 2), "dilation": (1, 2)},
    {"dilation": 2, "padding": 2},
    {"padding": "same"},
    {"padding": "same", "dilation": 2},
    {"padding": "valid"},
]


@pytest.mark.filterwarnings("ignore:Using padding=.same.")
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_conv2d_matches(options: dict[str, Any], rng: Any, same_as_torch: Any) -> None:
    arrays = [rng.standard_normal(s) for s in ((2, 3, 9, 8), (4, 3, 3, 2), (4,))]
    same_as_torch(
        lambda t, x, w, c: t.nn.functional.conv2d(x, w, c, **options),
        *arrays,
        rtol=1e-11,
    )


@pytest.mark.parametrize("groups", [2, 4])
def test_grouped_conv2d_matches(groups: int, rng: Any, same_as_torch: Any) -> None:
    arrays = [rng.standard_normal(s) for s in ((2, 4, 6, 6), (8, 4 // groups, 3, 3))]
    same_as_torch(
        lambda t, x, w: t.nn.functional.conv2d(x, w, groups=groups, padding=1),
        *arrays,
        rtol=1e-11,
    )


def test_conv1d_and_conv3d_match(rng: Any, same_as_torch: Any) -> None:
    arrays = [rng.standard_normal(s) for s in ((2, 3, 9), (4, 3, 3), (4,))]
    same_as_torch(
        lambda t, x, w, c: t.nn.functional.conv1d(x, w, c, stride=2, padding=1),
        *arrays,
        rtol=1e-11,
    )
    arrays = [rng.standard_normal(s) for s in ((1, 2, 5, 4, 4), (3, 2, 2, 3, 2), (3,))]
    same_as_torch(
        lambda t, x, w, c: t.nn.functional.conv3d(x, w, c, padding=1),
        *arrays,
        rtol=1e-11,
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.nn.functional.conv2d(t.ones(2, 3, 8, 8), t.ones(6, 1, 5, 5)),
        lambda t: t.nn.functional.conv2d(t.ones(2, 3), t.ones(6, 1, 5, 5)),
        lambda t: t.nn.functional.conv2d(t.ones(2, 1, 3, 3), t.ones(6, 1, 5, 5)),
        lambda t: t.nn.functional.conv2d(
            t.ones(2, 1, 8, 8).double(), t.ones(6, 1, 5, 5), t.ones(6)
        ),
        lambda t: t.nn.functional.conv2d(t.ones(2, 1, 8, 8), t.ones(6, 1, 5, 5), t.ones(5)),
        lambda t: t.nn.functional.conv2d(t.ones(2, 1, 8, 8), t.ones(6, 1, 5, 5), stride=0),
        lambda t: t.nn.functional.conv2d(t.ones(2, 1, 8, 8), t.ones(6, 1, 5, 5), dilation=0),
        lambda t: t.nn.functional.conv2d(t.ones(2, 1, 8, 8), t.ones(6, 1, 5, 5), padding=-1),
        lambda t: t.nn.functional.conv2d(
            t.ones(2, 1, 8, 8), t.ones(6, 1, 5, 5), padding="same", stride=2
        ),
        lambda t: t.nn.functional.conv2d(t.ones(2, 1, 8, 8), t.ones(6, 1, 5, 5), padding="all"),
        lambda t: t.nn.functional.conv2d(t.ones(2, 4, 8, 8), t.ones(6, 2, 5, 5), groups=0),
        lambda t: t.nn.Conv2d(3, 4, 3, groups=2),
        lambda t: t.nn.Conv2d(4, 3, 3, groups=2),
        lambda t: t.nn.Conv2d(4, 4, 3, groups=0),
        lambda t: t.nn.Conv2d(4, 4, 3, padding="same", stride=2),
    ],
)
def test_bad_input_raises_what_pytorch_raises(call: Any, same_error_as_torch: Any) -> None:
    same_error_as_torch(call)


def test_conv_layers_print_what_differs_from_the_defaults() -> None:
    assert repr(nn.Conv2d(1, 6, 5)) == "Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))"
    assert repr(nn.Conv2d(2, 6, (3, 5), stride=2, padding=1, dilation=2, groups=2, bias=False)) == (
        "Conv2d(2, 6, kernel_size=(3, 5), stride=(2, 2), padding=(1, 1), dilation=(2, 2), "
        "groups=2, bias=False)"
    )
    assert repr(nn.Conv1d(1, 2, 3, padding="same")) == (
        "Conv1d(1, 2, kernel_size=(3,), stride=(1,), padding=same)"
    )


def test_conv_parameters_have_pytorchs_shapes() -> None:
    layer = nn.Conv2d(4, 8, 3, groups=2)
    assert tuple(layer.weight.shape) == (8, 2, 3, 3)
    assert tuple(layer.bias.shape) == (8,)


def test_a_padding_mode_that_is_unknown_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="'circular' is not supported yet"):
        nn.Conv2d(1, 1, 3, padding_mode="circular")
