"""Distances between pairs of vectors as layers."""

from __future__ import annotations

from treadle.nn import functional as F
from treadle.nn.module import Module
from treadle.tensor import Tensor


class PairwiseDistance(Module):
    """The p-norm of differences of rows, with ``eps`` added to them."""

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """[N, D] and [N, D] -> [N], or [N, 1] with ``keepdim``."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along ``dim``."""

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """[..., D, ...] and [..., D, ...] -> [..., ...]."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)
