"""Copies of views: ``permute_copy`` is ``permute`` with memory of its own, and so on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from treadle.functions import complex_numbers, movement, slicing, striding
from treadle.ir.types import DType
from treadle.out_argument import accepts_out
from treadle.tensor import Tensor

__all__ = [
    "alias_copy", "as_strided_copy", "detach_copy", "diagonal_copy", "expand_copy",
    "permute_copy", "select_copy", "slice_copy", "split_copy", "split_with_sizes_copy",
    "squeeze_copy", "t_copy", "transpose_copy", "unbind_copy", "unfold_copy", "unsqueeze_copy",
    "view_as_complex_copy", "view_as_real_copy", "view_copy",
]  # fmt: skip


def _copy_of(name: str, view: Callable[..., Any]) -> Callable[..., Any]:
    def function(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        seen = view(input, *args, **kwargs)
        if isinstance(seen, tuple):
            return tuple(part.clone() for part in seen)
        return seen.clone()

    function.__name__ = function.__qualname__ = f"{name}_copy"
    function.__doc__ = f"``{name}`` with memory of its own."
    return accepts_out(function)


def _slice(
    input: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    return slicing.slice_axis(input, dim, start, end, step)


def _view(input: Tensor, size: Any = None, *, dtype: DType | None = None) -> Tensor:
    return movement.view(input, dtype=dtype) if dtype is not None else movement.view(input, size)


alias_copy = _copy_of("alias", movement.alias_of)
as_strided_copy = _copy_of("as_strided", striding.as_strided)
detach_copy = _copy_of("detach", Tensor.detach)
diagonal_copy = _copy_of("diagonal", slicing.diagonal)
expand_copy = _copy_of("expand", movement.expand)
permute_copy = _copy_of("permute", movement.permute)
select_copy = _copy_of("select", slicing.select)
slice_copy = _copy_of("slice", _slice)
split_copy = _copy_of("split", slicing.split)
split_with_sizes_copy = _copy_of("split_with_sizes", slicing.split_with_sizes)
squeeze_copy = _copy_of("squeeze", movement.squeeze)
t_copy = _copy_of("t", movement.t)
transpose_copy = _copy_of("transpose", movement.transpose)
unbind_copy = _copy_of("unbind", slicing.unbind)
unfold_copy = _copy_of("unfold", slicing.unfold)
unsqueeze_copy = _copy_of("unsqueeze", movement.unsqueeze)
view_as_complex_copy = _copy_of("view_as_complex", complex_numbers.view_as_complex)
view_as_real_copy = _copy_of("view_as_real", complex_numbers.view_as_real)
view_copy = _copy_of("view", _view)
