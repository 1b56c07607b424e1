"""Distributions of whole numbers: Bernoulli, binomial, geometric, Poisson."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Number
from typing import Any

import treadle
from treadle.autograd.grad_mode import no_grad
from treadle.distributions import constraints
from treadle.distributions.constraints import Constraint
from treadle.distributions.distribution import Distribution
from treadle.distributions.parameters import (
    LogitsAndProbs,
    broadcast_all,
)
from treadle.nn import functional
from treadle.size import Size
from treadle.tensor import Tensor

__all__ = ["Bernoulli", "Binomial", "Geometric", "Poisson"]


class _OfTrials(LogitsAndProbs, Distribution):
    """A distribution given by the probability of success, or its log-odds."""

    _is_binary = True

    def _set(self, probs: Any, logits: Any, *others: Any) -> tuple[Tensor, ...]:
        """Keeps the given parameter broadcast with others, which are returned."""
        name = self._give(probs, logits)
        parameter, *rest = broadcast_all(logits if probs is None else probs, *others)
        setattr(self, name, parameter)
        return tuple(rest)

    def _shape(self, probs: Any, logits: Any) -> Size:
        given = logits if probs is None else probs
        return Size() if isinstance(given, Number) else self._param.shape


class Bernoulli(_OfTrials):
    """1 with probability ``probs`` (or log-odds ``logits``), else 0."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.boolean
    has_enumerate_support = True

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        self._set(probs, logits)
        super().__init__(self._shape(probs, logits), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """The probability of 1."""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """The likelier of 0 and 1, NaN where neither is."""
        mode = (self.probs >= 0.5).to(self.probs.dtype)
        return mode.masked_fill(self.probs.eq(0.5), math.nan)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Zeros and ones."""
        with no_grad():
            return self.probs.expand(self._extended_shape(sample_shape)).bernoulli()

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability."""
        self._checked(value)
        logits, value = broadcast_all(self.logits, value)
        return -functional.binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        return functional.binary_cross_entropy_with_logits(
            self.logits, self.probs, reduction="none"
        )

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """0 and 1."""
        values = treadle.arange(2, dtype=self._param.dtype)
        values = values.view((-1, *(1,) * len(self._batch_shape)))
        return values.expand((-1, *self._batch_shape)) if expand else values


class Binomial(_OfTrials):
    """How many of ``total_count`` trials succeed."""

    arg_constraints = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True

    def __init__(
        self,
        total_count: Any = 1,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        (count,) = self._set(probs, logits, total_count)
        self.total_count = count.type_as(self._param)
        super().__init__(self._param.shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Constraint:
        """0 to the number of trials."""
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Tensor:
        """The expected number."""
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        """The likeliest number."""
        return ((self.total_count + 1) * self.probs).floor().clamp(max=self.total_count)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Numbers of successes."""
        shape = self._extended_shape(sample_shape)
        with no_grad():
            return treadle.binomial(self.total_count.expand(shape), self.probs.expand(shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability."""
        self._checked(value)
        factorials = ((value + 1).lgamma(), (self.total_count - value + 1).lgamma())
        # log(1 - p) without overflow of exp(logits).
        normalised = (
            self.total_count * self.logits.clamp(min=0)
            + self.total_count * (-self.logits.abs()).exp().log1p()
            - (self.total_count + 1).lgamma()
        )
        return value * self.logits - factorials[0] - factorials[1] - normalised

    def entropy(self) -> Tensor:
        """The entropy in nats, summed over all numbers of successes.

        NotImplementedError for different numbers of trials in one batch.
        """
        total = int(self.total_count.max())
        if not self.total_count.min() == total:
            raise NotImplementedError("Inhomogeneous total count not supported by `entropy`.")
        log_prob = self.log_prob(self.enumerate_support(False))
        return -(log_prob.exp() * log_prob).sum(0)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """0 to the number of trials."""
        total = int(self.total_count.max())
        if not self.total_count.min() == total:
            raise NotImplementedError(
                "Inhomogeneous total count not supported by `enumerate_support`."
            )
        values = treadle.arange(1 + total, dtype=self._param.dtype)
        values = values.view((-1, *(1,) * len(self._batch_shape)))
        return values.expand((-1, *self._batch_shape)) if expand else values


class Geometric(_OfTrials):
    """How many trials fail before the first success."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        self._set(probs, logits)
        super().__init__(self._shape(probs, logits), validate_args=validate_args)
        if self._validate_args and probs is not None and not (self.probs > 0).all():
            raise ValueError(
                f"Expected parameter probs ({type(self.probs).__name__} of shape "
                f"{tuple(self.probs.shape)}) of distribution {self!r} to be positive but found "
                f"invalid values:\n{self.probs}"
            )

    @property
    def mean(self) -> Tensor:
        """The expected number."""
        return 1.0 / self.probs - 1.0

    @property
    def mode(self) -> Tensor:
        """Zero."""
        return treadle.zeros_like(self.probs)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Numbers of failures."""
        shape = self._extended_shape(sample_shape)
        with no_grad():
            tiny = treadle.finfo(self.probs.dtype).tiny
            uniform = treadle.rand(shape, dtype=self.probs.dtype).clamp(min=tiny)
            return (uniform.log() / (-self.probs).log1p()).floor()

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability."""
        value, probs = broadcast_all(self._checked(value), self.probs)
        probs = probs.masked_fill(probs.eq(1) & value.eq(0), 0)
        return value * (-probs).log1p() + self.probs.log()

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        crossed = functional.binary_cross_entropy_with_logits(
            self.logits, self.probs, reduction="none"
        )
        return crossed / self.probs


class Poisson(Distribution):
    """How many events happen where ``rate`` are expected."""

    arg_constraints = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast_all(rate)
        shape = Size() if isinstance(rate, Number) else self.rate.shape
        super().__init__(shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """The rate."""
        return self.rate

    @property
    def mode(self) -> Tensor:
        """The rate rounded down."""
        return self.rate.floor()

    @property
    def variance(self) -> Tensor:
        """The rate."""
        return self.rate

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Numbers of events."""
        with no_grad():
            return treadle.poisson(self.rate.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability."""
        rate, value = broadcast_all(self.rate, self._checked(value))
        return treadle.xlogy(value, rate) - rate - (value + 1).lgamma()
