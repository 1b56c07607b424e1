"""``view(dtype)``: the same memory seen as elements of another type, wider or narrower."""

from __future__ import annotations

from treadle.functions.aliasing import view_operation
from treadle.ir.bits import reinterpret
from treadle.ir.types import DType
from treadle.promotion import scalar_name
from treadle.tensor import Tensor
from treadle.views import TypedView, View

_reinterpreted = view_operation("")(reinterpret)


def reinterpreted(input: Tensor, dtype: DType) -> Tensor:
    """The bits of a tensor read as another dtype; the last axis grows or shrinks with its size.

    Raises RuntimeError in PyTorch's words where the memory does not lie as such elements do.
    """
    have, want = input.dtype.itemsize, dtype.itemsize
    if input.dtype is dtype:
        return input.view(tuple(input.shape))
    size, stride, offset = input._layout
    if have != want:
        _check(input, dtype)
    if have > want:
        ratio = have // want
        size, offset = (*size[:-1], size[-1] * ratio), offset * ratio
        stride = (*(step * ratio for step in stride[:-1]), 1)
    elif have < want:
        ratio = want // have
        size, offset = (*size[:-1], size[-1] // ratio), offset // ratio
        stride = (*(step // ratio for step in stride[:-1]), 1)
    return _reinterpreted(input, TypedView(View(size, stride, offset), dtype), dtype)


def _check(input: Tensor, dtype: DType) -> None:
    """Elements of another size must lie one after the other, and wider ones on their borders."""
    size, stride, offset = input._layout
    change = f"to view {scalar_name(input.dtype)} as {scalar_name(dtype)} (different element sizes)"
    ratio = dtype.itemsize // input.dtype.itemsize
    if not size:
        raise RuntimeError(f"self.dim() cannot be 0 {change}")
    if stride[-1] != 1:
        raise RuntimeError(f"self.stride(-1) must be 1 {change}, but got {stride[-1]}")
    if ratio <= 1:
        return
    if size[-1] % ratio:
        raise RuntimeError(
            f"self.size(-1) must be divisible by {ratio} {change}, but got {size[-1]}"
        )
    if offset % ratio:
        raise RuntimeError(
            f"self.storage_offset() must be divisible by {ratio} {change}, but got {offset}"
        )
    for axis, step in enumerate(stride[:-1]):
        if step % ratio:
            raise RuntimeError(
                f"self.stride({axis}) must be divisible by {ratio} {change}, but got {step}"
            )
