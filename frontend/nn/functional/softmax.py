"""Softmax and its relatives: rows that are normalised by their exponentials."""

from __future__ import annotations

import warnings
from typing import Any

import treadle
from treadle.functions import pointwise
from treadle.ir import build as b
from treadle.ir.types import DType, int64
from treadle.ir.value import Value
from treadle.nn.functional.arguments import axis_of, check_floating
from treadle.nn.functional.precision import operation
from treadle.tensor import Tensor

Values = tuple[Value, ...]


def _softmax_vjp(inputs: Values, outputs: Values, upstreams: Values, *, dim: int) -> Values:
    (y,), (g,) = outputs, upstreams
    axis = (axis_of(dim, y.ndim),) if y.ndim else ()
    return (y * (g - b.sum(g * y, axis, keepdim=True)),)


def softmax_value(x: Value, axis: int) -> Value:
    """exp(x) over its sum along an axis, shifted by the maximum so that nothing overflows."""
    scaled = b.exp(x - b.max(x, (axis,), keepdim=True))
    return scaled / b.sum(scaled, (axis,), keepdim=True)


@operation("SoftmaxBackward0", vjp=_softmax_vjp, saves="outputs")
def softmax_along(input: Value, dim: int) -> Value:
    """Softmax of a floating tensor along an axis."""
    check_floating("softmax_lastdim_kernel_impl", input)
    axis = axis_of(dim, input.ndim)
    if not input.type.numel:
        return input
    return softmax_value(input, axis) if input.ndim else b.exp(input - input)


def _log_softmax_vjp(inputs: Values, outputs: Values, upstreams: Values, *, dim: int) -> Values:
    (y,), (g,) = outputs, upstreams
    axis = (axis_of(dim, y.ndim),) if y.ndim else ()
    return (g - b.exp(y) * b.sum(g, axis, keepdim=True),)


def log_softmax_value(x: Value, axis: int) -> Value:
    """x - log(sum(exp(x))) along an axis, shifted by the maximum so that nothing overflows."""
    shifted = x - b.max(x, (axis,), keepdim=True)
    return shifted - b.log(b.sum(b.exp(shifted), (axis,), keepdim=True))


@operation("LogSoftmaxBackward0", vjp=_log_softmax_vjp, saves="outputs")
def log_softmax_along(input: Value, dim: int) -> Value:
    """Log-softmax of a floating tensor along an axis."""
    check_floating("log_softmax_lastdim_kernel_impl", input)
    axis = axis_of(dim, input.ndim)
    if not input.type.numel:
        return input
    return log_softmax_value(input, axis) if input.ndim else input - input


def softmax(
    input: Tensor,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: DType | None = None,
) -> Tensor:
    """exp(input) over its sum along ``dim``; ``dtype`` converts the input first."""
    axis = implicit_dim("softmax", input, dim, _stacklevel)
    return softmax_along(_converted(input, dtype), axis)


def softmin(
    input: Tensor,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: DType | None = None,
) -> Tensor:
    """``softmax`` of minus the input."""
    axis = implicit_dim("softmin", input, dim, _stacklevel)
    return softmax_along(_converted(-input, dtype), axis)


def log_softmax(
    input: Tensor,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: DType | None = None,
) -> Tensor:
    """The logarithm of ``softmax``, computed without overflow."""
    axis = implicit_dim("log_softmax", input, dim, _stacklevel)
    return log_softmax_along(_converted(input, dtype), axis)


def _converted(input: Tensor, dtype: Any) -> Tensor:
    return input if dtype is None else input.to(dtype=dtype)


def implicit_dim(name: str, input: Tensor, dim: int | None, stacklevel: int) -> int:
    """``dim``, or PyTorch's deprecated choice of one, with its warning."""
    if dim is not None:
        return dim
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include "
        "dim=X as an argument.",
        stacklevel=stacklevel,
    )
    return 0 if input.ndim in (0, 1, 3) else 1


@operation("AddBackward0", vjp=lambda inputs, outputs, upstreams, **_: upstreams)
def _one_hot_of(soft: Value, dim: int) -> Value:
    """1 at the first maximum along an axis; its gradient is taken as that of ``soft`` itself."""
    axis = axis_of(dim, soft.ndim)
    if not soft.type.numel or not soft.ndim:
        return b.constant_like(soft, 1)
    kept = tuple(1 if at == axis else extent for at, extent in enumerate(soft.shape))
    chosen = b.reshape(b.argmax(soft, axis), kept)
    return b.cast(b.eq(b.iota(soft.shape, axis, int64, soft.type.device), chosen), soft.dtype)


def gumbel_softmax(
    logits: Tensor,
    tau: float = 1,
    hard: bool = False,
    eps: float = 1e-10,
    dim: int = -1,
) -> Tensor:
    """A sample of the Gumbel-softmax distribution (Jang, Gu and Poole, 2017).

    With ``hard`` it is one-hot, and its gradient is that of the soft sample.
    """
    uniform = 1.0 - treadle.rand(tuple(logits.shape), dtype=logits.dtype, device=logits.device)
    gumbels = -pointwise.log(-pointwise.log(uniform))
    soft = softmax_along((logits + gumbels) / tau, dim)
    return _one_hot_of(soft, dim) if hard else soft
