"""Derivatives of reductions: the gradient of a result spread over the elements it came from."""

from __future__ import annotations

from collections.abc import Sequence

from treadle.ir import build as b
from treadle.ir.gradient_rules import GradientRule
from treadle.ir.ops import reduction as ops
from treadle.ir.types import element_count
from treadle.ir.value import Op, Value

_Gradients = tuple[Value | None, ...]


def _spread(reduced: Value, shape: tuple[int, ...], dims: Sequence[int]) -> Value:
    """A reduction's result repeated along the axes that it lacks."""
    kept = [1 if axis in dims else extent for axis, extent in enumerate(shape)]
    return b.broadcast_to(b.reshape(reduced, kept), shape)


def _sum(value: Value, upstream: Value, _wanted: tuple[bool, ...]) -> _Gradients:
    return (_spread(upstream, value.inputs[0].shape, value.attrs[0]),)


def _products_before(x: Value, backwards: bool) -> Value:
    """For each element of the last axis, the product of those before it (or after it).

    Shifted copies are multiplied in doubling steps (Hillis and Steele, 1986): no division, so
    zeros need no case of their own and derivatives of every order are right.
    """

    def shifted(y: Value, by: int) -> Value:
        low, high = [0] * y.ndim, [0] * y.ndim
        low[-1], high[-1] = (-by, by) if backwards else (by, -by)
        return b.pad(y, low, high, value=1)

    products = shifted(x, 1)
    reach = 1
    while reach < x.shape[-1] - 1:
        products = products * shifted(products, reach)
        reach *= 2
    return products


def _prod(value: Value, upstream: Value, _wanted: tuple[bool, ...]) -> _Gradients:
    (dims,) = value.attrs
    x = value.inputs[0]
    if x.type.numel == 0:
        return (b.constant_like(x, 0),)
    order = [axis for axis in range(x.ndim) if axis not in dims] + list(dims)
    moved = b.permute(x, order)
    rows = b.reshape(moved, (*value.shape, element_count(tuple(x.shape[axis] for axis in dims))))
    others = _products_before(rows, False) * _products_before(rows, True)
    back = sorted(range(x.ndim), key=order.__getitem__)
    others = b.permute(b.reshape(others, moved.shape), back)
    return (_spread(upstream, x.shape, dims) * others,)


def _extreme(value: Value, upstream: Value, _wanted: tuple[bool, ...]) -> _Gradients:
    # PyTorch's amax: elements that tie share the gradient evenly.
    (dims,) = value.attrs
    x = value.inputs[0]
    chosen = b.cast(b.eq(x, _spread(value, x.shape, dims)), x.dtype)
    count = _spread(b.sum(chosen, dims), x.shape, dims)
    return (_spread(upstream, x.shape, dims) * chosen / count,)


def _fold(value: Value, upstream: Value, _wanted: tuple[bool, ...]) -> _Gradients:
    return (b.windows(upstream, *value.attrs[1:]),)


RULES: dict[Op, GradientRule] = {
    ops.SUM: _sum,
    ops.PROD: _prod,
    ops.MAX: _extreme,
    ops.MIN: _extreme,
    ops.FOLD: _fold,
}

NOT_DIFFERENTIABLE: dict[Op, str] = dict.fromkeys(
    (ops.ARGMAX, ops.ARGMIN), "its result is a position"
)
