"""Greatest and least elements over axes, and where they are.

Gradients: along one axis to the element that was found, otherwise shared evenly among equals.
"""

from __future__ import annotations

from typing import Any

from treadle.functions import pointwise
from treadle.functions.axes import Dim, axes_of, axis_of
from treadle.functions.reduction import kept_shape
from treadle.ir import build as b
from treadle.ir.types import bool_, int64, uint8
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.out_argument import accepts_out, write_out
from treadle.promotion import cpp_name
from treadle.return_types import return_type
from treadle.tensor import Tensor

__all__ = ["amax", "amin", "aminmax", "argmax", "argmin", "max", "min"]
METHODS = "amax amin aminmax argmax argmin max min"

_WITHOUT_DIM = (
    "(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim "
    "with the 'dim' argument."
)


def _position(input: Value, axis: int, position: Any) -> Value:
    numbers = b.cast(input, uint8) if input.dtype is bool_ else input
    found: Value = position(numbers, axis)
    return found


def _along(name: str, input: Value, dim: int, keepdim: bool, extremum: Any, position: Any) -> Any:
    if not isinstance(dim, int):
        raise TypeError(f"{name}(): argument 'dim' must be int, not {type(dim).__name__}")
    axis = axis_of(dim, input.ndim)
    if not input.ndim:
        return input, b.constant(0, int64, input.type.device)
    if not input.shape[axis]:
        raise IndexError(f"{name}(): Expected reduction dim {axis} to have non-zero size.")
    index = _position(input, axis, position)
    values = extremum(input, (axis,))
    if keepdim:
        kept = kept_shape(input.shape, (axis,))
        return b.reshape(values, kept), b.reshape(index, kept)
    return values, index


def _along_gradient(position: Any) -> Any:
    """The gradient goes to the first extremum along the axis, as PyTorch's does."""

    def gradient(
        inputs: Any, _outputs: Any, upstreams: Any, *, dim: int, keepdim: bool = False
    ) -> tuple[Value]:
        x, g = inputs[0], upstreams[0]
        if not x.ndim:
            return (g,)
        axis = dim % x.ndim
        kept = kept_shape(x.shape, (axis,))
        chosen = b.reshape(position(x, axis), kept)
        here = b.eq(b.iota(x.shape, axis, int64, x.type.device), chosen)
        return (b.select(here, b.reshape(g, kept), 0),)

    return gradient


@operation("MaxBackward0", vjp=_along_gradient(b.argmax))
def _max_along(input: Value, dim: int, keepdim: bool) -> Any:
    found = _along("max", input, dim, keepdim, b.max, b.argmax)
    return return_type("max", "values indices")(*found)


@operation("MinBackward0", vjp=_along_gradient(b.argmin))
def _min_along(input: Value, dim: int, keepdim: bool) -> Any:
    found = _along("min", input, dim, keepdim, b.min, b.argmin)
    return return_type("min", "values indices")(*found)


def _whole(name: str, build: Any) -> Any:
    def body(input: Value) -> Value:
        if not input.type.numel:
            raise RuntimeError(name + _WITHOUT_DIM)
        found: Value = build(input)
        return found

    return body


_max_all = operation("MaxBackward1")(_whole("max", b.max))
_min_all = operation("MinBackward1")(_whole("min", b.min))


def _extremum(name: str, whole: Any, along: Any, between: Any, words: str) -> Any:
    def function(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        if not isinstance(input, Tensor):
            raise TypeError(
                f"{name}(): argument 'input' (position 1) must be Tensor, not "
                f"{type(input).__name__}"
            )
        if other is not None or isinstance(dim, Tensor):
            return between(input, dim if other is None else other)
        return whole(input) if dim is None else along(input, dim=dim, keepdim=keepdim)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"The {words} element, (values, indices) along an axis, or the elementwise {name}imum."
    )
    return accepts_out(function)


max = _extremum("max", _max_all, _max_along, pointwise.maximum, "greatest")
min = _extremum("min", _min_all, _min_along, pointwise.minimum, "least")


def _check(name: str, input: Value, dim: Dim) -> None:
    """PyTorch's errors of an extremum of nothing, and of too many axes."""
    if input.ndim > 64:
        raise RuntimeError("only tensors with up to 64 dims are supported")
    if input.type.numel:
        return
    dims = () if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    if not dims:
        raise RuntimeError(name + _WITHOUT_DIM)
    for given, axis in zip(dims, axes_of(input, dims), strict=True):
        if not input.shape[axis]:
            raise IndexError(f"{name}(): Expected reduction dim {given} to have non-zero size.")


@operation("AmaxBackward0")
def amax(input: Value, dim: Dim = (), keepdim: bool = False) -> Value:
    """The greatest element over axes; the gradient is shared among equals."""
    _check("amax", input, dim)
    return b.max(input, axes_of(input, dim), keepdim)


@operation("AminBackward0")
def amin(input: Value, dim: Dim = (), keepdim: bool = False) -> Value:
    """The least element over axes; the gradient is shared among equals."""
    _check("amin", input, dim)
    return b.min(input, axes_of(input, dim), keepdim)


@operation("AminmaxBackward0")
def _aminmax(input: Value, dim: int | None, keepdim: bool) -> Any:
    if input.ndim > 64:
        raise RuntimeError("only tensors with up to 64 dims are supported")
    if dim is None and not input.type.numel:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no "
            "identity."
        )
    axes = axes_of(input, dim)
    if 0 in [input.shape[axis] for axis in axes]:
        raise IndexError(f"aminmax: Expected reduction dim {dim} to have non-zero size.")
    ends = b.min(input, axes, keepdim), b.max(input, axes, keepdim)
    return return_type("aminmax", "min max")(*ends)


def aminmax(input: Any, *, dim: int | None = None, keepdim: bool = False, out: Any = None) -> Any:
    """The least and the greatest element, over all or along an axis."""
    found = _aminmax(input, dim, keepdim)
    for result, target in zip(found, out or (), strict=False):
        if result.dtype is not target.dtype:
            raise RuntimeError(
                f"Expected out tensor to have dtype {cpp_name(result.dtype)}, but got "
                f"{cpp_name(target.dtype)} instead"
            )
    return found if out is None else write_out(found, out, (input,))


def _arg(name: str, build: Any) -> Any:
    def body(input: Value, dim: int | None = None, keepdim: bool = False) -> Value:
        if input.dtype is bool_:
            raise RuntimeError(f"{name}(): does not support bool input")
        if dim is None:
            if not input.type.numel:
                raise IndexError(
                    f"{name}(): Expected reduction dim to be specified for input.numel() == 0."
                )
            index: Value = build(b.reshape(input, (input.type.numel,)), 0)
            return b.reshape(index, (1,) * input.ndim) if keepdim else index
        if not isinstance(dim, int):
            raise TypeError(
                f"{name}(): argument 'dim' (position 2) must be int, not {type(dim).__name__}"
            )
        axis = axis_of(dim, input.ndim)
        if not input.ndim:
            return b.constant(0, int64, input.type.device)
        if not input.shape[axis]:
            raise IndexError(f"{name}(): Expected reduction dim {axis} to have non-zero size.")
        index = build(input, axis)
        return b.reshape(index, kept_shape(input.shape, (axis,))) if keepdim else index

    body.__name__ = body.__qualname__ = name
    body.__doc__ = "Position of the first extremum along an axis, or in the flat tensor."
    return operation()(body)


argmax = _arg("argmax", b.argmax)
argmin = _arg("argmin", b.argmin)
