"""Losses agree with PyTorch under every reduction, also at ties and margins."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import treadle
import treadle.nn.functional as F

REDUCTIONS = ["none", "mean", "sum"]
SIGNS = np.array([1.0, -1.0, 1.0, -1.0])
# Functions of (functional, input, a second tensor like it, reduction).
CALLS = {
    "huber": lambda f, x, y, r: f.huber_loss(x, y, r, 0.7),
    "kl_div": lambda f, x, y, r: f.kl_div(x, y.exp(), reduction=r),
    "kl_div of logarithms": lambda f, x, y, r: f.kl_div(x, y, reduction=r, log_target=True),
    "gaussian_nll": lambda f, x, y, r: f.gaussian_nll_loss(x, y, (x * y).abs(), reduction=r),
    "full gaussian_nll": lambda f, x, y, r: f.gaussian_nll_loss(x, y, 0.5, True, reduction=r),
    "poisson_nll": lambda f, x, y, r: f.poisson_nll_loss(x, y.exp(), reduction=r),
    "poisson_nll of rates": lambda f, x, y, r: f.poisson_nll_loss(
        x.exp(), y.exp(), False, reduction=r
    ),
    "smooth_l1": lambda f, x, y, r: f.smooth_l1_loss(x, y, reduction=r, beta=0.8),
    "smooth_l1 without beta": lambda f, x, y, r: f.smooth_l1_loss(x, y, reduction=r, beta=0.0),
    "soft_margin": lambda f, x, y, r: f.soft_margin_loss(x, y.detach(), reduction=r),
    "multilabel_soft_margin": lambda f, x, y, r: f.multilabel_soft_margin_loss(
        x, y.exp(), reduction=r
    ),
    "triplet_margin": lambda f, x, y, r: f.triplet_margin_loss(x, y, x * y, reduction=r),
    "swapped triplet_margin": lambda f, x, y, r: f.triplet_margin_loss(
        x, y, x * y, 2.0, 3, swap=True, reduction=r
    ),
    "triplet of a distance": lambda f, x, y, r: f.triplet_margin_with_distance_loss(
        x, y, x * y, distance_function=lambda a, b: (a - b).abs().sum(-1), reduction=r
    ),
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
def test_losses_of_pairs_match(name: str, reduction: str, rng: Any, same_as_torch: Any) -> None:
    x, y = rng.standard_normal((4, 5)), rng.standard_normal((4, 5))
    y[0] = x[0]
    same_as_torch(lambda t, x, y: CALLS[name](t.nn.functional, x, y, reduction), x, y, rtol=1e-9)


SIGNED = {
    "margin_ranking": lambda f, x, y, s, r: f.margin_ranking_loss(x[0], y[0], s, 0.5, reduction=r),
    "hinge_embedding": lambda f, x, y, s, r: f.hinge_embedding_loss(x[0], s, 0.5, reduction=r),
    "cosine_embedding": lambda f, x, y, s, r: f.cosine_embedding_loss(
        x.t(), y.t(), s, 0.1, reduction=r
    ),
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", SIGNED)
def test_losses_of_signs_match(name: str, reduction: str, rng: Any, same_as_torch: Any) -> None:
    x, y = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    same_as_torch(
        lambda t, x, y: SIGNED[name](t.nn.functional, x, y, t.tensor(SIGNS), reduction),
        x,
        y,
        rtol=1e-9,
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_multi_margin_loss_matches(
    weighted: bool, p: int, reduction: str, rng: Any, same_as_torch: Any
) -> None:
    x, target, weight = rng.standard_normal((4, 5)), np.array([0, 4, 2, 2]), rng.random(5)

    def call(t: Any, x: Any) -> Any:
        w = t.tensor(weight) if weighted else None
        return t.nn.functional.multi_margin_loss(
            x, t.tensor(target), p, 0.7, w, reduction=reduction
        )

    same_as_torch(call, x, rtol=1e-10)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_multilabel_margin_loss_reads_labels_up_to_the_first_negative(
    reduction: str, rng: Any, same_as_torch: Any
) -> None:
    target = np.array([[0, 3, -1, 1], [2, -1, 0, 0], [-1, 1, 1, 1], [3, 1, 0, 2]])

    def call(t: Any, x: Any) -> Any:
        return t.nn.functional.multilabel_margin_loss(x, t.tensor(target), reduction=reduction)

    same_as_torch(call, rng.standard_normal((4, 4)), rtol=1e-10)


def test_batchmean_divides_by_the_batch_alone(rng: Any, same_as_torch: Any) -> None:
    x, y = rng.standard_normal((4, 5)), rng.random((4, 5))
    same_as_torch(
        lambda t, x, y: t.nn.functional.kl_div(x, y, reduction="batchmean"), x, y, rtol=1e-10
    )


# -- connectionist temporal classification -----------------------------------------------------


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("form", ["padded", "in a row", "one sample"])
def test_ctc_loss_matches(form: str, reduction: str, rng: Any, same_as_torch: Any) -> None:
    steps, batch, classes = 7, 3, 5
    lengths, heard = [3, 1, 2], [7, 5, 6]
    targets = rng.integers(1, classes, (batch, 3))
    targets[0] = [2, 2, 1]  # repeated labels need a blank between them
    if form == "in a row":
        targets = np.concatenate([row[:n] for row, n in zip(targets, lengths, strict=True)])
    if form == "one sample":
        targets, lengths, heard = targets[0], [3], [7]
    shape = (steps, classes) if form == "one sample" else (steps, batch, classes)

    def call(t: Any, x: Any) -> Any:
        sizes = t.tensor(heard), t.tensor(lengths)
        if form == "one sample":
            sizes = sizes[0][0], sizes[1][0]
        scores = x.log_softmax(-1)
        return t.nn.functional.ctc_loss(scores, t.tensor(targets), *sizes, reduction=reduction)

    same_as_torch(call, rng.standard_normal(shape), rtol=1e-8)


def test_inputs_too_short_for_their_targets_cost_infinity_or_nothing() -> None:
    scores = treadle.zeros(2, 1, 3).log_softmax(-1).requires_grad_()
    target = treadle.tensor([[1, 1]])
    assert F.ctc_loss(scores, target, (2,), (2,), reduction="sum").item() == math.inf
    loss = F.ctc_loss(scores, target, (2,), (2,), reduction="sum", zero_infinity=True)
    assert loss.item() == 0.0


def test_the_blank_may_be_any_class(rng: Any, same_as_torch: Any) -> None:
    targets = np.array([[0, 1], [1, 0]])

    def call(t: Any, x: Any) -> Any:
        scores = x.log_softmax(-1)
        return t.nn.functional.ctc_loss(scores, t.tensor(targets), (5, 5), (2, 1), blank=3)

    same_as_torch(call, rng.standard_normal((5, 2, 4)), rtol=1e-8)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.nn.functional.huber_loss(t.ones(3), t.ones(3), delta=0.0),
        lambda t: t.nn.functional.smooth_l1_loss(t.ones(3), t.ones(3), beta=-1.0),
        lambda t: t.nn.functional.smooth_l1_loss(t.ones(3), t.ones(3), reduction="most"),
        lambda t: t.nn.functional.gaussian_nll_loss(t.ones(3), t.ones(3), t.tensor([-1.0])),
        lambda t: t.nn.functional.gaussian_nll_loss(t.ones(3), t.ones(3), t.ones(2)),
        lambda t: t.nn.functional.margin_ranking_loss(t.ones(3), t.ones(3), t.ones(1, 3)),
        lambda t: t.nn.functional.triplet_margin_loss(t.ones(3), t.ones(3), t.ones(1, 3)),
        lambda t: t.nn.functional.triplet_margin_loss(t.ones(3), t.ones(3), t.ones(3), -1.0),
        lambda t: t.nn.functional.multi_margin_loss(t.ones(2, 3), t.tensor([0, 1]), p=3),
        lambda t: t.nn.functional.multilabel_soft_margin_loss(
            t.ones(2, 3), t.ones(2, 3), reduction="most"
        ),
    ],
)
def test_bad_input_raises_what_pytorch_raises(call: Any, same_error_as_torch: Any) -> None:
    same_error_as_torch(call)
