"""The normal distribution of vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import treadle
from treadle.distributions import constraints
from treadle.distributions.distribution import Distribution
from treadle.distributions.parameters import lazy_property
from treadle.tensor import Tensor

__all__ = ["MultivariateNormal"]


class MultivariateNormal(Distribution):
    """Vectors with a mean and a covariance.

    Args:
        loc: the mean.
        covariance_matrix: positive definite; or one of the two that follow in its place.
        precision_matrix: the inverse of the covariance.
        scale_tril: its lower triangular factor, with a positive diagonal.
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True
    _event_axes = {"loc": 1, "covariance_matrix": 2, "precision_matrix": 2, "scale_tril": 2}

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.ndim < 1:
            raise ValueError("loc must be at least one-dimensional.")
        matrices = {
            "covariance_matrix": covariance_matrix, "scale_tril": scale_tril,
            "precision_matrix": precision_matrix,
        }  # fmt: skip
        given = [(name, matrix) for name, matrix in matrices.items() if matrix is not None]
        if len(given) != 1:
            raise ValueError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be "
                "specified."
            )
        name, matrix = given[0]
        if matrix.ndim < 2:
            raise ValueError(
                f"{name} must be at least two-dimensional, with optional leading batch dimensions"
            )
        batch = treadle.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        setattr(self, name, matrix.expand((*batch, *matrix.shape[-2:])))
        self.loc = loc.expand((*batch, loc.shape[-1]))
        super().__init__(batch, self.loc.shape[-1:], validate_args=validate_args)
        if name == "precision_matrix":
            # The factor of an inverse, by factoring the matrix read backwards.
            factor = treadle.linalg.cholesky(matrix.flip((-2, -1)))
            turned = factor.flip((-2, -1)).transpose(-2, -1)
            identity = treadle.eye(matrix.shape[-1], dtype=matrix.dtype)
            self._factor = treadle.linalg.solve_triangular(turned, identity, upper=False)
        else:
            self._factor = matrix if name == "scale_tril" else treadle.linalg.cholesky(matrix)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        """The same distribution with its batch expanded to a shape."""
        kept = vars(self).pop("_factor")
        try:
            new = super().expand(batch_shape, _instance)
        finally:
            self._factor = kept
        new._factor = kept
        return new

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The lower triangular factor of the covariance."""
        shape = self._batch_shape + self._event_shape + self._event_shape
        return self._factor.expand(shape)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """The covariance."""
        shape = self._batch_shape + self._event_shape + self._event_shape
        return (self._factor @ self._factor.mT).expand(shape)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariance."""
        shape = self._batch_shape + self._event_shape + self._event_shape
        return treadle.cholesky_inverse(self._factor).expand(shape)

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """The mean."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The variance of each element."""
        shape = self._batch_shape + self._event_shape
        return self._factor.pow(2).sum(-1).expand(shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Samples through which gradients flow to the parameters."""
        shape = self._extended_shape(sample_shape)
        noise = treadle.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + (self._factor @ noise.unsqueeze(-1)).squeeze(-1)

    def _half_log_det(self) -> Tensor:
        return self._factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        difference = (self._checked(value) - self.loc).unsqueeze(-1)
        solved = treadle.linalg.solve_triangular(self._factor, difference, upper=False)
        squared = solved.squeeze(-1).pow(2).sum(-1)
        constant = self._event_shape[0] * math.log(2 * math.pi)
        return -0.5 * (constant + squared) - self._half_log_det()

    def entropy(self) -> Tensor:
        """The entropy in nats."""
        constant = 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi))
        return (constant + self._half_log_det()).expand(self._batch_shape)
