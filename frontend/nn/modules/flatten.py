"""Layers that change shapes only.

Views where the strides allow it, as the tensor method decides.
"""

from __future__ import annotations

from treadle.nn.module import Module
from treadle.tensor import Tensor


class Flatten(Module):
    """Joins the axes from ``start_dim`` to ``end_dim`` into one."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        """[N, *S] -> [N, prod(S)] by default."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The range of axes."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
