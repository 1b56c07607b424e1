"""Distributions of transformed samples, and the log-normal distribution made that way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from treadle.autograd.grad_mode import no_grad
from treadle.distributions import constraints
from treadle.distributions.constraints import Constraint
from treadle.distributions.distribution import Distribution
from treadle.distributions.independent import Independent
from treadle.distributions.location_scale import Normal
from treadle.distributions.parameters import sum_rightmost
from treadle.distributions.transforms import ComposeTransform, ExpTransform, Transform
from treadle.tensor import Tensor

__all__ = ["LogNormal", "TransformedDistribution"]


class TransformedDistribution(Distribution):
    """The distribution of a base distribution's samples after transformations.

    Args:
        base_distribution: where samples come from.
        transforms: one transformation or a list of them, the first applied first.
    """

    def __init__(
        self,
        base_distribution: Distribution,
        transforms: Transform | list[Transform],
        validate_args: bool | None = None,
    ) -> None:
        self.transforms = [transforms] if isinstance(transforms, Transform) else transforms
        if not isinstance(self.transforms, list):
            raise ValueError(f"transforms must be a Transform or list, but was {transforms}")
        if not all(isinstance(transform, Transform) for transform in self.transforms):
            raise ValueError("transforms must be a Transform or a list of Transforms")
        transform = ComposeTransform(self.transforms)
        base_events = len(base_distribution.event_shape)
        shape = base_distribution.batch_shape + base_distribution.event_shape
        forward = transform.forward_shape(shape)
        expanded = transform.inverse_shape(forward)
        if expanded != shape:
            base_distribution = base_distribution.expand(expanded[: len(expanded) - base_events])
        extra = transform.domain.event_dim - base_events
        self.base_dist = Independent(base_distribution, extra) if extra > 0 else base_distribution
        change = transform.codomain.event_dim - transform.domain.event_dim
        kept = len(forward) - max(transform.codomain.event_dim, base_events + change)
        super().__init__(forward[:kept], forward[kept:], validate_args=validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        """The same distribution with its batch expanded to a shape."""
        new = super().expand(batch_shape, _instance)
        shape = ComposeTransform(self.transforms).inverse_shape((*batch_shape, *self.event_shape))
        new.base_dist = self.base_dist.expand(shape[: len(shape) - len(self.base_dist.event_shape)])
        return new

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether gradients flow through samples."""
        return self.base_dist.has_rsample

    @constraints.dependent_property(is_discrete=False)
    def support(self) -> Constraint:
        """What the last transformation gives."""
        if not self.transforms:
            return self.base_dist.support
        support = self.transforms[-1].codomain
        extra = len(self.event_shape) - support.event_dim
        return constraints.independent(support, extra) if extra > 0 else support

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Transformed samples, without gradients."""
        with no_grad():
            return ComposeTransform(self.transforms)(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Transformed samples through which gradients flow."""
        return ComposeTransform(self.transforms)(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        y = self._checked(value)
        events = len(self.event_shape)
        total: Any = 0.0
        for transform in reversed(self.transforms):
            x = transform._inverse(y)
            events += transform.domain.event_dim - transform.codomain.event_dim
            stretched = transform.log_abs_det_jacobian(x, y)
            total = total - sum_rightmost(stretched, events - transform.domain.event_dim)
            y = x
        base = self.base_dist.log_prob(y)
        return total + sum_rightmost(base, events - len(self.base_dist.event_shape))

    def _by_sign(self, value: Tensor) -> Tensor:
        """1 - value where the transformations reverse the order."""
        sign = ComposeTransform(self.transforms).sign
        if isinstance(sign, int) and sign == 1:
            return value
        return sign * (value - 0.5) + 0.5

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a sample up to a value."""
        self._checked(value)
        inverse = ComposeTransform(self.transforms)._inverse(value)
        return self._by_sign(self.base_dist.cdf(inverse))

    def icdf(self, value: Tensor) -> Tensor:
        """The value up to which a sample lies with a probability."""
        return ComposeTransform(self.transforms)(self.base_dist.icdf(self._by_sign(value)))


class LogNormal(TransformedDistribution):
    """The exponential of normal samples with mean ``loc`` and standard deviation ``scale``."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.positive
    base_dist: Normal

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        base = Normal(loc, scale, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)

    @property
    def loc(self) -> Tensor:
        """The mean of the logarithm."""
        return self.base_dist.loc

    @property
    def scale(self) -> Tensor:
        """The standard deviation of the logarithm."""
        return self.base_dist.scale

    @property
    def mean(self) -> Tensor:
        """The expected value."""
        return (self.loc + self.scale.pow(2) / 2).exp()

    @property
    def mode(self) -> Tensor:
        """The likeliest value."""
        return (self.loc - self.scale.square()).exp()

    @property
    def variance(self) -> Tensor:
        """The variance."""
        squared = self.scale.pow(2)
        return squared.expm1() * (2 * self.loc + squared).exp()

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        return self.base_dist.entropy() + self.loc
