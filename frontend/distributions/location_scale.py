"""Distributions of a location and a scale: normal, Laplace, Cauchy, Gumbel, uniform."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Number
from typing import Any

import treadle
from treadle.distributions import constraints
from treadle.distributions.constraints import Constraint
from treadle.distributions.distribution import Distribution
from treadle.distributions.parameters import broadcast_all
from treadle.size import Size
from treadle.tensor import Tensor

__all__ = ["Cauchy", "Gumbel", "HalfCauchy", "HalfNormal", "Laplace", "Normal", "Uniform"]

_EULER = 0.57721566490153286060


def _batch_shape(parameter: Tensor, *given: Any) -> Size:
    """No batch for Python numbers, else the parameters' shape."""
    return Size() if all(isinstance(item, Number) for item in given) else parameter.shape


class LocationScale(Distribution):
    """A standard distribution, scaled and moved.

    Args:
        loc: location.
        scale: positive scale.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(_batch_shape(self.loc, loc, scale), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """The location."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """The location."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self.stddev.pow(2)

    def _standard(self, shape: Size) -> Tensor:
        """Samples at location 0 with scale 1."""
        raise NotImplementedError

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Samples through which gradients flow to the parameters."""
        return self.loc + self._standard(self._extended_shape(sample_shape)) * self.scale

    def _centred(self, value: Tensor) -> Tensor:
        """A value in terms of the standard distribution."""
        return (self._checked(value) - self.loc) / self.scale


class Normal(LocationScale):
    """The normal distribution with mean ``loc`` and standard deviation ``scale``."""

    @property
    def stddev(self) -> Tensor:
        """The scale."""
        return self.scale

    def _standard(self, shape: Size) -> Tensor:
        return treadle.randn(shape, dtype=self.loc.dtype, device=self.loc.device)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        squares = (self._checked(value) - self.loc) ** 2
        return -squares / (2 * self.scale**2) - self.scale.log() - math.log(math.sqrt(2 * math.pi))

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a sample up to a value."""
        distance = (self._checked(value) - self.loc) * self.scale.reciprocal()
        return 0.5 * (1 + (distance / math.sqrt(2)).erf())

    def icdf(self, value: Tensor) -> Tensor:
        """The value up to which a sample lies with a probability."""
        return self.loc + self.scale * (2 * value - 1).erfinv() * math.sqrt(2)

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        return 0.5 + 0.5 * math.log(2 * math.pi) + self.scale.log()


class Laplace(LocationScale):
    """The Laplace distribution: exponential to both sides of ``loc``."""

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return 2**0.5 * self.scale

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return 2 * self.scale.pow(2)

    def _standard(self, shape: Size) -> Tensor:
        eps = treadle.finfo(self.loc.dtype).eps
        uniform = treadle.empty(shape, dtype=self.loc.dtype).uniform_(eps - 1, 1)
        return -uniform.sign() * (-uniform.abs()).log1p()

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        return -(2 * self.scale).log() - (self._checked(value) - self.loc).abs() / self.scale

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a sample up to a value."""
        distance = self._checked(value) - self.loc
        return 0.5 - 0.5 * distance.sign() * (-distance.abs() / self.scale).expm1()

    def icdf(self, value: Tensor) -> Tensor:
        """The value up to which a sample lies with a probability."""
        term = value - 0.5
        return self.loc - self.scale * term.sign() * (-2 * term.abs()).log1p()

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        return 1 + (2 * self.scale).log()


class Cauchy(LocationScale):
    """The Cauchy distribution, which has no mean."""

    @property
    def mean(self) -> Tensor:
        """NaN."""
        return treadle.full(self._extended_shape(), math.nan, dtype=self.loc.dtype)

    @property
    def variance(self) -> Tensor:
        """Infinity."""
        return treadle.full(self._extended_shape(), math.inf, dtype=self.loc.dtype)

    @property
    def stddev(self) -> Tensor:
        """Infinity."""
        return self.variance.sqrt()

    def _standard(self, shape: Size) -> Tensor:
        return treadle.empty(shape, dtype=self.loc.dtype).cauchy_()

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        return -math.log(math.pi) - self.scale.log() - (self._centred(value) ** 2).log1p()

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a sample up to a value."""
        return self._centred(value).atan() / math.pi + 0.5

    def icdf(self, value: Tensor) -> Tensor:
        """The value up to which a sample lies with a probability."""
        return (math.pi * (value - 0.5)).tan() * self.scale + self.loc

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        return math.log(4 * math.pi) + self.scale.log()


class Gumbel(LocationScale):
    """The Gumbel distribution, of the greatest of many samples."""

    @property
    def mean(self) -> Tensor:
        """The expected value."""
        return self.loc + self.scale * _EULER

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return (math.pi / math.sqrt(6)) * self.scale

    def _standard(self, shape: Size) -> Tensor:
        limits = treadle.finfo(self.loc.dtype)
        uniform = treadle.empty(shape, dtype=self.loc.dtype).uniform_(limits.tiny, 1 - limits.eps)
        return -(-(uniform.clamp(min=limits.tiny).log())).log()

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        distance = (self.loc - self._checked(value)) / self.scale
        return (distance - distance.exp()) - self.scale.log()

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a sample up to a value."""
        return (-(-self._centred(value)).exp()).exp()

    def icdf(self, value: Tensor) -> Tensor:
        """The value up to which a sample lies with a probability."""
        return self.loc - self.scale * (-value.log()).log()

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        return self.scale.log() + (1 + _EULER)


class _Half(Distribution):
    """The absolute value of a distribution around 0."""

    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True
    _kind: type[LocationScale]

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        self.base_dist = self._kind(0, scale, validate_args=False)
        super().__init__(self.base_dist.batch_shape, validate_args=validate_args)

    @property
    def scale(self) -> Tensor:
        """The scale."""
        return self.base_dist.scale

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        """The same distribution with its batch expanded to a shape."""
        new = super().expand(batch_shape, _instance)
        new.base_dist = self.base_dist.expand(batch_shape)
        return new

    @property
    def mode(self) -> Tensor:
        """Zero."""
        return treadle.zeros_like(self.scale)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Samples through which gradients flow to the scale."""
        return self.base_dist.rsample(sample_shape).abs()

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, minus infinity below 0."""
        found = self.base_dist.log_prob(self._checked(value)) + math.log(2)
        return found.masked_fill(value < 0, -math.inf)

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a sample up to a value."""
        return 2 * self.base_dist.cdf(self._checked(value)) - 1

    def icdf(self, prob: Tensor) -> Tensor:
        """The value up to which a sample lies with a probability."""
        return self.base_dist.icdf((prob + 1) / 2)

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        return self.base_dist.entropy() - math.log(2)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class HalfNormal(_Half):
    """The absolute value of a normal sample with mean 0."""

    _kind = Normal

    @property
    def mean(self) -> Tensor:
        """The expected value."""
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return self.scale.pow(2) * (1 - 2 / math.pi)


class HalfCauchy(_Half):
    """The absolute value of a Cauchy sample around 0."""

    _kind = Cauchy

    @property
    def mean(self) -> Tensor:
        """Infinity."""
        return treadle.full(self._extended_shape(), math.inf, dtype=self.scale.dtype)

    @property
    def variance(self) -> Tensor:
        """Infinity."""
        return self.base_dist.variance


class Uniform(Distribution):
    """The uniform distribution on [low, high).

    Args:
        low: lower bound.
        high: upper bound, greater than ``low``.
    """

    has_rsample = True

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None) -> None:
        self.low, self.high = broadcast_all(low, high)
        super().__init__(_batch_shape(self.low, low, high), validate_args=validate_args)

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        """The bounds are in order."""
        return {
            "low": constraints.less_than(self.high),
            "high": constraints.greater_than(self.low),
        }

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Constraint:
        """The interval between the bounds."""
        return constraints.interval(self.low, self.high)

    @property
    def mean(self) -> Tensor:
        """The middle."""
        return (self.high + self.low) / 2

    @property
    def mode(self) -> Tensor:
        """NaN: no value is likelier than another."""
        return math.nan * self.high

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return (self.high - self.low) / 12**0.5

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return (self.high - self.low).pow(2) / 12

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Samples through which gradients flow to the bounds."""
        unit = treadle.rand(self._extended_shape(sample_shape), dtype=self.low.dtype)
        return self.low + unit * (self.high - self.low)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, minus infinity outside."""
        self._checked(value)
        inside = self.low.le(value).type_as(self.low) * self.high.gt(value).type_as(self.low)
        return inside.log() - (self.high - self.low).log()

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a sample up to a value."""
        return ((self._checked(value) - self.low) / (self.high - self.low)).clamp(min=0, max=1)

    def icdf(self, value: Tensor) -> Tensor:
        """The value up to which a sample lies with a probability."""
        return value * (self.high - self.low) + self.low

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        return (self.high - self.low).log()
