"""The gamma function's relatives: polygamma, the multivariate logarithm, zeta."""

from __future__ import annotations

import math
from typing import Any

from treadle.functions.pointwise.arguments import need_signature
from treadle.functions.pointwise.elementary import digamma
from treadle.functions.pointwise.gradients import reduced_to
from treadle.inplace import assign
from treadle.ir import build as b, zeta as series
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import as_float, promoted
from treadle.tensor import Tensor

__all__ = ["mvlgamma", "polygamma", "zeta"]


def _polygamma_gradient(inputs: Any, _outputs: Any, upstreams: Any, *, n: int) -> tuple[Value]:
    return (upstreams[0] * series.polygamma(n + 1, as_float(inputs[0])),)


@operation("PolygammaBackward0", vjp=_polygamma_gradient)
def _polygamma(input: Value, n: int) -> Value:
    return series.polygamma(n, as_float(input))


def _order(n: int) -> None:
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")


def polygamma(n: Any, input: Any, *, out: Any = None) -> Any:
    """The n-th derivative of digamma. As a method the tensor comes first."""
    if isinstance(n, Tensor):
        n, input = input, n
    _order(n)
    found = {} if out is None else {"out": out}
    return _polygamma(input, n, **found) if n else digamma(input, **found)


def polygamma_method(input: Tensor, n: int) -> Any:
    """``polygamma`` as the method: the tensor comes first."""
    return polygamma(n, input)


def polygamma_(input: Tensor, n: int) -> Tensor:
    """In-place ``polygamma``."""
    _order(n)
    row = _polygamma.operation if n else digamma.operation
    return assign(input, row, (input, n) if n else (input,), {})


@operation("MvlgammaBackward0")
def mvlgamma(input: Value, p: int) -> Value:
    """The logarithm of the multivariate gamma function of dimension p."""
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    x = as_float(input)
    shape = (*x.shape, p)
    halves = b.iota(shape, x.ndim, x.dtype, x.type.device) * -0.5
    wide = b.broadcast_to(b.reshape(x, (*x.shape, 1)), shape)
    total = b.sum(b.lgamma(wide + halves), (x.ndim,))
    return total + p * (p - 1) / 4.0 * math.log(math.pi)


def _zeta_gradient(inputs: Any, _outputs: Any, upstreams: Any, **static: Any) -> Any:
    if "input" not in static:
        raise NotImplementedError("the derivative for 'zeta' is not implemented.")
    (q,) = inputs
    x, y = promoted(static["input"], q, to_float=True)
    return (reduced_to(upstreams[0] * -x * series.zeta(x + 1.0, y), q),)


@operation("SpecialZetaBackward0", vjp=_zeta_gradient)
def zeta(input: Any, other: Any) -> Value:
    """Hurwitz's zeta function: the sum of (other + k) ** -input over k >= 0."""
    need_signature("special_zeta", input, other, first=True)
    x, q = promoted(input, other, to_float=True)
    shape = b.broadcast_shapes(x.shape, q.shape)
    return series.zeta(b.broadcast_to(x, shape), b.broadcast_to(q, shape))
