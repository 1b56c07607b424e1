"""Random tensors follow their distributions, seeds repeat them, and each draw is a new one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

import treadle as torch
from tests.frontend.opinfo.agreement_of_operators import interpreter

COUNT = 20_000

CONTINUOUS: dict[str, tuple[Callable[[], Any], Any]] = {
    "rand": (lambda: torch.rand(COUNT), stats.uniform()),
    "rand float64": (lambda: torch.rand(COUNT, dtype=torch.float64), stats.uniform()),
    "uniform_": (lambda: torch.empty(COUNT).uniform_(-1, 3), stats.uniform(-1, 4)),
    "randn": (lambda: torch.randn(COUNT), stats.norm()),
    "randn float64": (lambda: torch.randn(COUNT, dtype=torch.float64), stats.norm()),
    "normal": (lambda: torch.normal(2.0, 3.0, (COUNT,)), stats.norm(2, 3)),
    "normal of tensors": (
        lambda: torch.normal(torch.full((COUNT,), 2.0), torch.full((1,), 3.0)), stats.norm(2, 3)
    ),
    "exponential_": (lambda: torch.empty(COUNT).exponential_(2.0), stats.expon(scale=0.5)),
    "cauchy_": (lambda: torch.empty(COUNT).cauchy_(1.0, 2.0), stats.cauchy(1, 2)),
    "log_normal_": (
        lambda: torch.empty(COUNT).log_normal_(0.5, 0.25), stats.lognorm(0.25, scale=np.exp(0.5))
    ),
    "complex randn": (
        lambda: torch.view_as_real(torch.randn(COUNT, dtype=torch.complex64))[:, 1],
        stats.norm(0, 0.5**0.5),
    ),
}  # fmt: skip

DISCRETE: dict[str, tuple[Callable[[], Any], Any]] = {
    "randint": (lambda: torch.randint(-3, 8, (COUNT,)), stats.randint(-3, 8)),
    "randint of a wide range": (
        lambda: torch.randint(0, 10 * 2**33, (COUNT,)) // 2**33, stats.randint(0, 10)
    ),
    "random_": (lambda: torch.empty(COUNT, dtype=torch.uint8).random_(), stats.randint(0, 256)),
    "bernoulli": (lambda: torch.bernoulli(torch.full((COUNT,), 0.3)), stats.bernoulli(0.3)),
    "bernoulli_": (lambda: torch.empty(COUNT).bernoulli_(0.7), stats.bernoulli(0.7)),
    "geometric_": (lambda: torch.empty(COUNT).geometric_(0.3), stats.geom(0.3)),
    "poisson of a small rate": (
        lambda: torch.poisson(torch.full((COUNT,), 0.7)), stats.poisson(0.7)
    ),
    "poisson just below rejection": (
        lambda: torch.poisson(torch.full((COUNT,), 9.9)), stats.poisson(9.9)
    ),
    "poisson just above": (lambda: torch.poisson(torch.full((COUNT,), 10.1)), stats.poisson(10.1)),
    "poisson of a large rate": (
        lambda: torch.poisson(torch.full((COUNT,), 400.0)), stats.poisson(400)
    ),
    "binomial of few trials": (
        lambda: torch.binomial(torch.full((COUNT,), 7.0), torch.tensor(0.4)), stats.binom(7, 0.4)
    ),
    "binomial of many": (
        lambda: torch.binomial(torch.full((COUNT,), 200.0), torch.tensor(0.3)),
        stats.binom(200, 0.3),
    ),
    "binomial of likely ones": (
        lambda: torch.binomial(torch.full((COUNT,), 50.0), torch.tensor(0.9)), stats.binom(50, 0.9)
    ),
    "multinomial": (
        lambda: torch.multinomial(torch.tensor([1.0, 0.0, 3.0, 4.0]), COUNT, True),
        stats.rv_discrete(values=([0, 2, 3], [0.125, 0.375, 0.5])),
    ),
    "the first of several without replacement": (
        lambda: torch.multinomial(torch.tensor([[1.0, 0.0, 3.0, 4.0]]).expand(COUNT, 4), 2)[:, 0],
        stats.rv_discrete(values=([0, 2, 3], [0.125, 0.375, 0.5])),
    ),
    "a place of randperm": (
        lambda: torch.stack([torch.randperm(5) for _ in range(1000)])[:, 2], stats.randint(0, 5)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_numbers_follow_their_distribution(name: str) -> None:
    draw, distribution = CONTINUOUS[name]
    with interpreter():
        torch.manual_seed(1)
        found = draw().numpy()
    assert stats.kstest(found, distribution.cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", DISCRETE)
def test_whole_numbers_follow_their_distribution(name: str) -> None:
    draw, distribution = DISCRETE[name]
    with interpreter():
        torch.manual_seed(1)
        found = draw().numpy().astype(np.int64)
    values, observed = np.unique(found, return_counts=True)
    expected = distribution.pmf(values) * found.size
    assert np.all(expected > 0)
    common = expected >= 5
    rest = max(found.size - expected[common].sum(), 1e-9)
    counts = [*observed[common], observed[~common].sum()]
    means = [*expected[common], rest]
    chi_squared = sum((o - e) ** 2 / e for o, e in zip(counts, means, strict=True) if e >= 1)
    assert stats.chi2.sf(chi_squared, max(int(common.sum()) - 1, 1)) > 1e-3


def test_rows_sampled_without_replacement_never_repeat_a_category() -> None:
    with interpreter():
        drawn = torch.multinomial(torch.rand(200, 9) + 0.01, 9).sort(-1).values
        assert (drawn == torch.arange(9)).all()


def test_categories_of_weight_zero_come_last() -> None:
    with interpreter():
        drawn = torch.multinomial(torch.tensor([0.0, 2.0, 0.0, 1.0]), 4)
        assert drawn[:2].sort().values.tolist() == [1, 3]


def test_a_permutation_has_every_number_once() -> None:
    for count in (1, 2, 3, 100, 1000):
        assert torch.randperm(count).sort().values.tolist() == list(range(count))


def test_a_seed_repeats_numbers_and_draws_differ() -> None:
    torch.manual_seed(5)
    first, second = torch.randn(4), torch.randn(4)
    torch.manual_seed(5)
    assert (torch.randn(4) == first).all()
    assert (first != second).any()


def test_a_loop_of_draws_is_one_program() -> None:
    torch.manual_seed(2)
    seen = set()
    torch.randn(3).sum().item()
    before = torch.statistics().programs_compiled
    for _ in range(5):
        seen.add(torch.randn(3).sum().item())
    assert torch.statistics().programs_compiled - before <= 1
    assert len(seen) == 5


def test_kernels_and_the_interpreter_draw_the_same_numbers() -> None:
    def draws() -> list[Any]:
        torch.manual_seed(3)
        rates = torch.tensor([0.5, 30.0, 8.0])
        return [
            torch.rand(5), torch.randint(0, 100, (5,)), torch.randperm(9),
            torch.poisson(rates), torch.binomial(rates.ceil(), torch.full((3,), 0.4)),
            torch.multinomial(rates, 2), torch.multinomial(rates, 4, True),
            torch.empty(4).geometric_(0.2), torch.empty(4, dtype=torch.int8).random_(),
        ]  # fmt: skip

    compiled = [drawn.tolist() for drawn in draws()]
    with interpreter():
        interpreted = [drawn.tolist() for drawn in draws()]
    assert compiled == interpreted


def test_a_generator_of_ones_own_leaves_the_default_one_alone() -> None:
    state = torch.get_rng_state()
    own = torch.Generator().manual_seed(9)
    first = torch.rand(3, generator=own)
    assert (torch.get_rng_state() == state).all()
    assert (torch.rand(3, generator=own.manual_seed(9)) == first).all()


def test_the_state_of_a_generator_goes_on_where_it_was_taken() -> None:
    torch.manual_seed(4)
    torch.rand(7)
    state = torch.get_rng_state()
    expected = torch.randn(3)
    torch.rand(100)
    torch.set_rng_state(state)
    assert (torch.randn(3) == expected).all()
    with torch.random.fork_rng():
        inside = torch.rand(2)
    assert (torch.rand(2) == inside).all()


def test_the_numbers_of_a_seed_stay_what_they_are() -> None:
    torch.manual_seed(0)
    assert torch.randint(0, 1000, (4,)).tolist() == [399, 880, 735, 605]
