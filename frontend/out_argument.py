"""The ``out=`` argument: a function's results become the contents of tensors the caller gives."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from treadle.ir.types import int64
from treadle.memory_overlap import refuse_overlap
from treadle.promotion import cpp_name, scalar_name
from treadle.tensor import Tensor
from treadle.tracer.segment import recorder

_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
# NumPy's names of arguments, which PyTorch takes too.
NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "x1": "input", "x2": "other"}

F = TypeVar("F", bound=Callable[..., Any])


def accepts_out(function: F) -> F:
    """Gives a function of tensors the keyword argument ``out``: a tensor, or one for each result.

    As in PyTorch the results are converted to the dtypes of ``out`` where its category allows,
    and an ``out`` of another shape is resized, with a warning unless it is empty. NumPy's names
    of arguments work too, and a first argument that is no tensor is a TypeError.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        out = None
        if kwargs:
            out = kwargs.pop("out", None)
            kwargs = {NUMPY_NAMES.get(name, name): item for name, item in kwargs.items()}
        try:
            results = function(*args, **kwargs)
        except AttributeError:
            refuse_other_than_tensor(function, args)
            raise
        return results if out is None else write_out(results, out, args, function.__name__)

    return call  # type: ignore[return-value]


def takes_tensor(function: F) -> F:
    """As ``accepts_out`` for functions without ``out``: views, and what reads no elements."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            kwargs = {NUMPY_NAMES.get(name, name): item for name, item in kwargs.items()}
        try:
            return function(*args, **kwargs)
        except AttributeError:
            refuse_other_than_tensor(function, args)
            raise

    return call  # type: ignore[return-value]


def refuse_other_than_tensor(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """TypeError where the first argument of a function of tensors is something else."""
    if args and not isinstance(args[0], (Tensor, tuple, list)):
        first = next(iter(inspect.signature(function).parameters))
        raise TypeError(
            f"{function.__name__}(): argument '{first}' (position 1) must be Tensor, not "
            f"{type(args[0]).__name__}"
        ) from None


def write_out(results: Any, out: Any, arguments: Any = (), name: str = "") -> Any:
    """Makes results the contents of ``out``, which is returned (in the results' named tuple).

    ``name`` is the function's, for errors.
    """
    if isinstance(results, Tensor):
        if not isinstance(out, Tensor):
            raise TypeError(f"argument 'out' must be Tensor, not {type(out).__name__}")
        _write(results, out, arguments, name)
        return out
    if not isinstance(out, (tuple, list)) or len(out) != len(results):
        raise TypeError(f"argument 'out' must be tuple of {len(results)} Tensors")
    for number, (result, target) in enumerate(zip(results, out, strict=True)):
        if number and result.dtype is int64 and target.dtype is not int64:
            raise RuntimeError(
                f"Expected out tensor to have dtype long int, but got {cpp_name(target.dtype)} "
                "instead"
            )
        _write(result, target, arguments, name)
    return type(results)(*out) if hasattr(results, "_fields") else tuple(out)


def _write(result: Tensor, out: Tensor, arguments: Any, name: str) -> None:
    _check(result, out, name)
    refuse_overlap(out, _tensors(arguments), same=out.shape == result.shape)
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
                stacklevel=4,
            )
        out.resize_(result.shape)
    enabled = recorder.grad_enabled
    recorder.grad_enabled = False
    try:
        out.copy_(result)
    finally:
        recorder.grad_enabled = enabled


def _check(result: Tensor, out: Tensor, name: str) -> None:
    if recorder.grad_enabled and (result.requires_grad or out.requires_grad):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, "
            "but one of the arguments requires grad."
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


def _tensors(arguments: Any) -> Iterator[Tensor]:
    for argument in arguments:
        if isinstance(argument, Tensor):
            yield argument
        elif isinstance(argument, (tuple, list)):
            yield from _tensors(argument)
