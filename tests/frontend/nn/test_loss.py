"""Losses agree with PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import treadle
import treadle.nn.functional as F
from treadle import nn

REDUCTIONS = ["none", "mean", "sum"]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss"])
def test_regression_losses_match(name: str, reduction: str, rng: Any, same_as_torch: Any) -> None:
    x, y = rng.standard_normal((4, 3)), rng.standard_normal((4, 3))
    x[0, 0] = y[0, 0]
    same_as_torch(
        lambda t, a, c: getattr(t.nn.functional, name)(a, c, reduction=reduction),
        x,
        y,
        rtol=1e-12,
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(6, 5), (3, 5, 2, 4), (3, 5, 7), (5,)])
def test_cross_entropy_of_classes_matches(
    shape: tuple[int, ...], weighted: bool, reduction: str, rng: Any, same_as_torch: Any
) -> None:
    x = rng.standard_normal(shape) * 3
    target = rng.integers(0, 5, (shape[0], *shape[2:]) if len(shape) > 1 else ())
    weight = rng.random(5)

    def loss(t: Any, a: Any, c: Any) -> Any:
        w = t.tensor(weight) if weighted else None
        return t.nn.functional.cross_entropy(a, c, weight=w, reduction=reduction)

    same_as_torch(loss, x, np.asarray(target), rtol=1e-11)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("ignored", [-100, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_ignored_classes_and_smoothing_match(
    weighted: bool,
    ignored: int,
    smoothing: float,
    reduction: str,
    rng: Any,
    same_as_torch: Any,
) -> None:
    x = rng.standard_normal((7, 4)) * 3
    target = np.array([0, ignored, 3, 1, ignored, 2 if ignored == -100 else 0, 1])
    weight = rng.random(4)

    def loss(t: Any, a: Any, c: Any) -> Any:
        w = t.tensor(weight) if weighted else None
        return t.nn.functional.cross_entropy(
            a,
            c,
            w,
            ignore_index=ignored,
            reduction=reduction,
            label_smoothing=smoothing,
        )

    same_as_torch(loss, x, target, rtol=1e-11)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_probabilities_matches(
    weighted: bool, smoothing: float, reduction: str, rng: Any, same_as_torch: Any
) -> None:
    x = rng.standard_normal((6, 5)) * 3
    target = rng.random((6, 5))
    weight = rng.random(5)

    def loss(t: Any, a: Any, c: Any) -> Any:
        w = t.tensor(weight) if weighted else None
        return t.nn.functional.cross_entropy(
            a, c, w, reduction=reduction, label_smoothing=smoothing
        )

    same_as_torch(loss, x, target, rtol=1e-11)


def test_all_targets_ignored_gives_nan_as_in_pytorch() -> None:
    loss = F.cross_entropy(treadle.zeros(2, 3), treadle.tensor([-100, -100]))
    assert np.isnan(loss.item())


def test_targets_of_uint8_are_classes(rng: Any, same_as_torch: Any) -> None:
    x = rng.standard_normal((3, 4))
    same_as_torch(lambda t, a, c: t.nn.functional.cross_entropy(a, c), x, np.uint8([1, 0, 3]))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_binary_cross_entropy_matches(reduction: str, rng: Any, same_as_torch: Any) -> None:
    x = rng.random((5, 4))
    x[0] = [0.0, 1.0, 0.0, 1.0]
    y = rng.random((5, 4))
    y[0] = [0.0, 1.0, 1.0, 0.0]
    same_as_torch(
        lambda t, a, c: t.nn.functional.binary_cross_entropy(a, c, reduction=reduction),
        x,
        y,
        rtol=1e-10,
    )
    weight = rng.random(4)
    same_as_torch(
        lambda t, a, c: t.nn.functional.binary_cross_entropy(
            a, c, t.tensor(weight), reduction=reduction
        ),
        x,
        y,
        rtol=1e-10,
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("positive", [False, True])
def test_binary_cross_entropy_with_logits_matches(
    positive: bool, weighted: bool, reduction: str, rng: Any, same_as_torch: Any
) -> None:
    x = np.concatenate([rng.standard_normal((5, 4)) * 5, [[-200.0, 200.0, 0.0, 90.0]]])
    y = rng.random((6, 4))
    weight, pos_weight = rng.random((6, 4)), rng.random(4) * 3

    def loss(t: Any, a: Any, c: Any) -> Any:
        return t.nn.functional.binary_cross_entropy_with_logits(
            a,
            c,
            t.tensor(weight) if weighted else None,
            pos_weight=t.tensor(pos_weight) if positive else None,
            reduction=reduction,
        )

    same_as_torch(loss, x, y, rtol=1e-10)


def test_small_logit_losses_keep_their_digits_in_float32() -> None:
    x = treadle.tensor([10.0, 30.0])
    losses = F.binary_cross_entropy_with_logits(x, treadle.ones(2), reduction="none").numpy()
    np.testing.assert_allclose(losses, np.log1p(np.exp([-10.0, -30.0])), rtol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.nn.functional.cross_entropy(t.ones(3, 5), t.tensor([1, 2])),
        lambda t: t.nn.functional.cross_entropy(t.ones(3, 5), t.tensor([[1, 2, 3]])),
        lambda t: t.nn.functional.cross_entropy(t.ones(3, 5), t.tensor([1.0, 2.0, 3.0])),
        lambda t: t.nn.functional.cross_entropy(t.ones(3, 5), t.tensor([1, 2, 3]).int()),
        lambda t: t.nn.functional.cross_entropy(t.ones(3, 5), t.ones(3, 4)),
        lambda t: t.nn.functional.cross_entropy(
            t.ones(3, 5), t.tensor([1, 2, 3]), weight=t.ones(4)
        ),
        lambda t: t.nn.functional.cross_entropy(
            t.ones(3, 5), t.tensor([1, 2, 3]), weight=t.ones(5).double()
        ),
        lambda t: t.nn.functional.cross_entropy(
            t.ones(3, 5), t.tensor([1, 2, 3]), label_smoothing=1.1
        ),
        lambda t: t.nn.functional.cross_entropy(
            t.ones(3, 5), t.tensor([1, 2, 3]), reduction="most"
        ),
        lambda t: t.nn.functional.cross_entropy(t.ones(3, 5), t.ones(3, 5), ignore_index=2),
        lambda t: t.nn.functional.cross_entropy(t.ones(3, 5, 2), t.ones(3, 3).long()),
        lambda t: t.nn.functional.nll_loss(t.ones(3, 5), t.tensor([1, 2, 3]).float()),
        lambda t: t.nn.functional.mse_loss(t.ones(3), t.ones(4)),
        lambda t: t.nn.functional.mse_loss(t.ones(3).long(), t.ones(3).long()),
        lambda t: t.nn.functional.binary_cross_entropy(t.ones(3), t.ones(4)),
        lambda t: t.nn.functional.binary_cross_entropy(t.ones(3), t.ones(3).double()),
        lambda t: t.nn.functional.binary_cross_entropy_with_logits(t.ones(3), t.ones(4)),
    ],
)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_bad_input_raises_what_pytorch_raises(call: Any, same_error_as_torch: Any) -> None:
    same_error_as_torch(call)


def test_different_sizes_warn_about_broadcasting() -> None:
    with pytest.warns(UserWarning, match=r"Using a target size \(torch.Size\(\[1\]\)\)"):
        F.mse_loss(treadle.ones(3), treadle.ones(1))


def test_loss_layers_hold_their_options() -> None:
    assert repr(nn.CrossEntropyLoss()) == "CrossEntropyLoss()"
    layer = nn.CrossEntropyLoss(weight=treadle.ones(3), ignore_index=1, label_smoothing=0.1)
    assert list(layer.state_dict()) == ["weight"]
    with pytest.warns(UserWarning, match="please use reduction='sum' instead"):
        assert nn.MSELoss(size_average=False).reduction == "sum"
