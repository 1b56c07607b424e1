"""Questions about tensors that need no computing, and one that does."""

from __future__ import annotations

from typing import Any

from treadle.out_argument import accepts_out
from treadle.tensor import Tensor

__all__ = ["is_nonzero", "is_same_size", "is_tensor", "numel"]
METHODS = "is_nonzero is_same_size"


def is_tensor(obj: Any, /) -> bool:
    """Whether an object is a tensor."""
    return isinstance(obj, Tensor)


@accepts_out
def numel(input: Tensor) -> int:
    """The number of elements."""
    return input.shape.numel()


@accepts_out
def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one shape."""
    return input.shape == other.shape


@accepts_out
def is_nonzero(input: Tensor) -> bool:
    """Whether the only element is not zero; RuntimeError for any other number of elements."""
    return input.__bool__()
