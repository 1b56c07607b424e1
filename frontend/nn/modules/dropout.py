"""Dropout layers: random zeroing in training mode, the identity in evaluation mode.

The arithmetic is in ``functional.dropout``.
"""

from __future__ import annotations

from treadle.nn import functional as F
from treadle.nn.module import Module
from treadle.tensor import Tensor


class Dropout(Module):
    """Zeroes elements with probability ``p`` while training and divides the rest by 1 - p."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}, inplace={self.inplace}"
