"""What functions of several families do with their arguments: checks, axes, working in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from treadle.inplace import assign
from treadle.ir.value import Value
from treadle.nn.functional.precision import operation
from treadle.operation import Function
from treadle.tensor import Tensor
from treadle.utils.typename import scalar_type


def check_floating(name: str, x: Value) -> None:
    """NotImplementedError in PyTorch's words for integer and bool input."""
    if x.dtype.kind not in "fc":
        raise NotImplementedError(f"\"{name}\" not implemented for '{scalar_type(x.dtype)}'")


def axis_of(dim: int, ndim: int) -> int:
    """``dim`` counted from the front; IndexError in PyTorch's words out of range."""
    extent = max(ndim, 1)
    if not -extent <= dim < extent:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-extent}, {extent - 1}], "
            f"but got {dim})"
        )
    return dim % extent


class Forms(NamedTuple):
    """One operation under the names of its usual and its in-place node."""

    plain: Function
    over: Function


def forms(name: str, **options: Any) -> Callable[[Callable[..., Value]], Forms]:
    """As ``operation``, for those whose in-place form shows as ``<name>Backward1``."""

    def decorate(body: Callable[..., Value]) -> Forms:
        names = f"{name}Backward0", f"{name}Backward1"
        return Forms(*(operation(one, **options)(body) for one in names))

    return decorate


def applied(function: Function | Forms, inplace: bool, input: Tensor, *arguments: Any) -> Tensor:
    """An operation's result, which becomes the contents of ``input`` when ``inplace``."""
    plain, over = function if isinstance(function, Forms) else (function, function)
    if inplace:
        return assign(input, over.operation, (input, *arguments), {})
    result: Tensor = plain(input, *arguments)
    return result


def shown(sizes: Any) -> str:
    """``[2, 3]``: sizes as PyTorch's C++ messages write them."""
    return f"[{', '.join(map(str, sizes))}]"
