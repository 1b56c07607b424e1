"""Samples of distributions follow them, and gradients flow through those that say so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

import treadle as torch
from tests.frontend.agreement import check
from tests.frontend.opinfo.agreement_of_operators import interpreter

D = torch.distributions
SAMPLED: dict[str, tuple[Any, Any]] = {
    "Normal": (D.Normal(1.0, 2.0), stats.norm(1, 2)),
    "Laplace": (D.Laplace(1.0, 2.0), stats.laplace(1, 2)),
    "Cauchy": (D.Cauchy(1.0, 2.0), stats.cauchy(1, 2)),
    "Gumbel": (D.Gumbel(1.0, 2.0), stats.gumbel_r(1, 2)),
    "HalfNormal": (D.HalfNormal(2.0), stats.halfnorm(scale=2)),
    "Uniform": (D.Uniform(-1.0, 2.0), stats.uniform(-1, 3)),
    "Exponential": (D.Exponential(2.0), stats.expon(scale=0.5)),
    "LogNormal": (D.LogNormal(0.5, 0.7), stats.lognorm(0.7, scale=np.exp(0.5))),
    "transformed": (
        D.TransformedDistribution(D.Normal(0.0, 1.0), D.AffineTransform(1.0, -2.0)),
        stats.norm(1, 2),
    ),
}


@pytest.mark.parametrize("name", SAMPLED)
def test_samples_follow_their_distribution(name: str) -> None:
    distribution, expected = SAMPLED[name]
    with interpreter():
        torch.manual_seed(1)
        found = distribution.sample((20_000,)).numpy()
    assert stats.kstest(found, expected.cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", SAMPLED)
def test_icdf_undoes_cdf(name: str) -> None:
    distribution, expected = SAMPLED[name]
    chances = np.array([0.1, 0.5, 0.8])
    found = distribution.icdf(torch.tensor(chances, dtype=torch.float32))
    np.testing.assert_allclose(found.numpy(), expected.ppf(chances), rtol=1e-4, atol=1e-5)


def test_categories_come_up_as_often_as_they_are_likely() -> None:
    torch.manual_seed(1)
    drawn = D.Categorical(torch.tensor([0.2, 0.0, 0.8])).sample((20_000,)).numpy()
    shares = np.bincount(drawn, minlength=3) / drawn.size
    np.testing.assert_allclose(shares, [0.2, 0.0, 0.8], atol=0.01)


@pytest.mark.oracle
def test_gradients_flow_through_samples_to_the_parameters() -> None:
    def program(torch: Any) -> Any:
        loc = torch.tensor([0.5, 1.0], requires_grad=True)
        scale = torch.tensor([1.0, 2.0], requires_grad=True)
        distribution = torch.distributions.Normal(loc, scale)
        sample = distribution.rsample()
        noise = ((sample - loc) / scale).detach()
        (sample.sum() - (scale * noise).sum()).backward()
        return [loc.grad, scale.grad]

    check(program)


def test_samples_have_no_gradient() -> None:
    loc = torch.tensor(0.5, requires_grad=True)
    assert not D.Normal(loc, 1.0).sample().requires_grad
    assert D.Normal(loc, 1.0).rsample().requires_grad


def test_a_policy_gradient_step_raises_the_chance_of_what_was_rewarded() -> None:
    logits = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.SGD([logits], lr=1.0)
    torch.manual_seed(0)
    for _ in range(20):
        policy = D.Categorical(logits=logits)
        action = policy.sample()
        loss = -policy.log_prob(action) * float(action.item() == 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert D.Categorical(logits=logits).probs.argmax().item() == 2


def test_a_step_without_validation_is_one_program() -> None:
    loc = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.SGD([loc], lr=0.1)

    def step() -> None:
        policy = D.Normal(loc, 1.0, validate_args=False)
        loss = policy.log_prob(policy.rsample().detach() + 1.0).sum().neg()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for _ in range(4):
        step()
    torch.synchronize()
    before = torch.statistics()
    for _ in range(5):
        step()
    torch.synchronize()
    after = torch.statistics()
    assert after.programs_compiled == before.programs_compiled
    assert after.program_runs - before.program_runs <= 6
