"""Distributions over categories: categorical, one-hot, multinomial."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import treadle
from treadle.autograd.grad_mode import no_grad
from treadle.distributions import constraints
from treadle.distributions.constraints import Constraint
from treadle.distributions.distribution import Distribution
from treadle.distributions.parameters import LogitsAndProbs, broadcast_all, clamp_probs
from treadle.nn import functional
from treadle.size import Size
from treadle.tensor import Tensor

__all__ = ["Categorical", "Multinomial", "OneHotCategorical", "OneHotCategoricalStraightThrough"]


class Categorical(LogitsAndProbs, Distribution):
    """One of the categories 0 to K - 1.

    Args:
        probs: their weights along the last axis, which are normalised.
        logits: the logarithms of weights, in place of ``probs``.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True
    _event_axes = {"probs": 1, "logits": 1}

    def __init__(
        self,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        name = self._give(probs, logits)
        given: Any = logits if probs is None else probs
        if given.ndim < 1:
            raise ValueError(f"`{name}` parameter must be at least one-dimensional.")
        if name == "probs":
            self.probs = given / given.sum(-1, keepdim=True)
        else:
            self.logits = given - given.logsumexp(dim=-1, keepdim=True)
        self._num_events = given.shape[-1]
        super().__init__(given.shape[:-1], validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Constraint:
        """0 to the number of categories, exclusive."""
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def param_shape(self) -> Size:
        """The shape of the weights."""
        return self._param.shape

    @property
    def mean(self) -> Tensor:
        """NaN: categories have no order."""
        return treadle.full(self._extended_shape(), math.nan, dtype=self.probs.dtype)

    @property
    def mode(self) -> Tensor:
        """The likeliest category."""
        return self.probs.argmax(dim=-1)

    @property
    def variance(self) -> Tensor:
        """NaN: categories have no order."""
        return treadle.full(self._extended_shape(), math.nan, dtype=self.probs.dtype)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Categories, as int64."""
        count = Size(sample_shape).numel()
        with no_grad():
            flat = self.probs.reshape(-1, self._num_events)
            drawn = treadle.multinomial(flat, count, True) if count else flat.new_empty(0).long()
            return drawn.T.reshape(self._extended_shape(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of a category."""
        index = self._checked(value).long().unsqueeze(-1)
        shape = treadle.broadcast_shapes(index.shape[:-1], self.logits.shape[:-1])
        logits = self.logits.expand((*shape, self._num_events))
        return logits.gather(-1, index.expand((*shape, 1))).squeeze(-1)

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        least = treadle.finfo(self.logits.dtype).min
        return -(self.logits.clamp(min=least) * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All categories."""
        values = treadle.arange(self._num_events, dtype=treadle.int64)
        values = values.view((-1, *(1,) * len(self._batch_shape)))
        return values.expand((-1, *self._batch_shape)) if expand else values


class _OverCategories(Distribution):
    """A distribution whose parameters are those of a ``Categorical`` inside."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    _categorical: Categorical

    @property
    def probs(self) -> Tensor:
        """Probabilities of the categories."""
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        """Their logarithms."""
        return self._categorical.logits

    @property
    def _param(self) -> Tensor:
        return self._categorical._param

    @property
    def param_shape(self) -> Size:
        """The shape of the weights."""
        return self._categorical.param_shape

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        """The same distribution with its batch expanded to a shape."""
        new = super().expand(batch_shape, _instance)
        new._categorical = self._categorical.expand(batch_shape)
        return new


class OneHotCategorical(_OverCategories):
    """One of K categories as a vector of zeros with a single 1."""

    support = constraints.one_hot
    has_enumerate_support = True

    def __init__(
        self,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._categorical = Categorical(probs, logits)
        shape = self._categorical.param_shape
        super().__init__(self._categorical.batch_shape, shape[-1:], validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """The probabilities."""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """The likeliest category."""
        mode = self.probs.argmax(dim=-1)
        return functional.one_hot(mode, num_classes=self.probs.shape[-1]).to(self.probs.dtype)

    @property
    def variance(self) -> Tensor:
        """The variance of each element."""
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Vectors with a single 1."""
        drawn = self._categorical.sample(sample_shape)
        return functional.one_hot(drawn, self._event_shape[0]).to(self.probs.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of a vector."""
        return self._categorical.log_prob(self._checked(value).max(-1)[1])

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        return self._categorical.entropy()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All vectors with a single 1."""
        count = self._event_shape[0]
        values = treadle.eye(count, dtype=self._param.dtype)
        values = values.view((count, *(1,) * len(self._batch_shape), count))
        return values.expand((count, *self._batch_shape, count)) if expand else values


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """One-hot samples through which the gradient goes as if they were the probabilities."""

    has_rsample = True

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Vectors with a single 1 and the gradient of the probabilities."""
        return self.sample(sample_shape) + (self.probs - self.probs.detach())


class Multinomial(_OverCategories):
    """How often each of K categories comes up in ``total_count`` draws."""

    def __init__(
        self,
        total_count: int = 1,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._categorical = Categorical(probs, logits)
        shape = self._categorical.param_shape
        super().__init__(self._categorical.batch_shape, shape[-1:], validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Constraint:
        """Counts that sum up to the number of draws."""
        return constraints.multinomial(self.total_count)

    @property
    def mean(self) -> Tensor:
        """The expected counts."""
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        """The variance of each count."""
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Counts, as numbers of the weights' dtype."""
        drawn = self._categorical.sample((self.total_count, *sample_shape))
        counted = functional.one_hot(drawn, self._event_shape[0]).sum(0)
        return counted.to(self.probs.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of counts."""
        self._checked(value)
        logits, value = broadcast_all(self.logits, value)
        # An impossible category that did not come up counts nothing.
        impossible = value.eq(0) & logits.eq(-math.inf)
        logits = logits.masked_fill(impossible, 0)
        ways = (value.sum(-1) + 1).lgamma() - (value + 1).lgamma().sum(-1)
        return ways + (logits * value).sum(-1)

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        n = treadle.tensor(self.total_count)
        cross = self.total_count * self._categorical.entropy() - (n + 1.0).lgamma()
        binomial = treadle.distributions.Binomial(self.total_count, probs=clamp_probs(self.probs))
        counts = binomial.enumerate_support(expand=False)[1:]
        weights = binomial.log_prob(counts).exp()
        return cross + (weights * (counts + 1).lgamma()).sum([0, -1])
