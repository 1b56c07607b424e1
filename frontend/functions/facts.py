"""Questions about tensors that need no computing, and one that does."""

from __future__ import annotations

from typing import Any

from treadle.out_argument import accepts_out, takes_tensor
from treadle.tensor import Tensor

__all__ = [
    "detach", "detach_", "get_device", "is_inference", "is_nonzero", "is_same_size", "is_signed",
    "is_tensor", "numel",
]  # fmt: skip
METHODS = "is_nonzero is_same_size"


def is_tensor(obj: Any, /) -> bool:
    """Whether an object is a tensor."""
    return isinstance(obj, Tensor)


@takes_tensor
def detach(input: Tensor) -> Tensor:
    """The same memory outside autograd."""
    return input.detach()


@takes_tensor
def detach_(input: Tensor) -> Tensor:
    """Takes a tensor out of the autograd graph."""
    taken: Tensor = input.detach_()
    return taken


@takes_tensor
def get_device(input: Tensor) -> int:
    """The number of the CUDA device that holds a tensor, -1 for the CPU."""
    number: int = input.get_device()
    return number


@takes_tensor
def is_inference(input: Tensor) -> bool:
    """Whether a tensor was made where autograd can never record it."""
    made: bool = input.is_inference()
    return made


@takes_tensor
def is_signed(input: Tensor) -> bool:
    """Whether a tensor's dtype has negative numbers."""
    return input.dtype.is_signed


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
