"""The ``out=`` argument: a function's results become the contents of tensors the caller gives."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from treadle.promotion import scalar_name
from treadle.tensor import Tensor
from treadle.tracer.segment import recorder

_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}

F = TypeVar("F", bound=Callable[..., Any])


def accepts_out(function: F) -> F:
    """Gives a function of tensors the keyword argument ``out``: a tensor, or one for each result.

    As in PyTorch the results are converted to the dtypes of ``out`` where its category allows,
    and an ``out`` of another shape is resized, with a warning unless it is empty.
    """

    @functools.wraps(function)
    def call(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is None:
            return function(*args, **kwargs)
        return write_out(function(*args, **kwargs), out, args)

    return call  # type: ignore[return-value]


def write_out(results: Any, out: Any, arguments: Any = ()) -> Any:
    """Makes results the contents of ``out``, which is returned (in the results' named tuple)."""
    if isinstance(results, Tensor):
        if not isinstance(out, Tensor):
            raise TypeError(f"argument 'out' must be Tensor, not {type(out).__name__}")
        _write(results, out, arguments)
        return out
    if not isinstance(out, (tuple, list)) or len(out) != len(results):
        raise TypeError(f"argument 'out' must be tuple of {len(results)} Tensors")
    for result, target in zip(results, out, strict=True):
        _write(result, target, arguments)
    return type(results)(*out) if hasattr(results, "_fields") else tuple(out)


def _write(result: Tensor, out: Tensor, arguments: Any) -> None:
    _check(result, out, arguments)
    if tuple(out.shape) != tuple(result.shape):
        if out.shape.numel():
            warnings.warn(
                f"An output with one or more elements was resized since it had shape "
                f"{list(out.shape)}, which does not match the required output shape "
                f"{list(result.shape)}. This behavior is deprecated, and in a future PyTorch "
                "release outputs will not be resized unless they have zero elements. You can "
                "explicitly reuse an out tensor t by resizing it, inplace, to zero elements with "
                "t.resize_(0).",
                UserWarning,
                stacklevel=5,
            )
        out.resize_(result.shape)
    enabled = recorder.grad_enabled
    recorder.grad_enabled = False
    try:
        out.copy_(result)
    finally:
        recorder.grad_enabled = enabled


def _check(result: Tensor, out: Tensor, arguments: Any) -> None:
    if recorder.grad_enabled and (result.requires_grad or out.requires_grad):
        raise RuntimeError(
            "functions with out=... arguments don't support automatic differentiation, but one of "
            "the arguments requires grad."
        )
    if _CATEGORY[result.dtype.kind] > _CATEGORY[out.dtype.kind]:
        raise RuntimeError(
            f"result type {scalar_name(result.dtype)} can't be cast to the desired output type "
            f"{scalar_name(out.dtype)}"
        )
    if result.device != out.device:
        raise RuntimeError(
            f"Expected out tensor to have device {result.device}, but got {out.device} instead"
        )
