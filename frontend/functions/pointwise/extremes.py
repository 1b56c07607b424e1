"""Greater and lesser elements, and limits."""

from __future__ import annotations

from typing import Any

from treadle.functions.pointwise.arguments import need_tensors
from treadle.functions.pointwise.gradients import reduced_to
from treadle.inplace import assign
from treadle.ir import build as b
from treadle.ir.types import bool_
from treadle.ir.value import Value
from treadle.operation import Function, operation
from treadle.promotion import promoted
from treadle.tensor import Tensor

__all__ = [
    "clamp", "clamp_", "clamp_max", "clamp_max_", "clamp_min", "clamp_min_", "clip", "clip_",
    "fmax", "fmin", "maximum", "minimum", "relu", "threshold", "threshold_",
]  # fmt: skip
METHODS = " ".join(name for name in __all__ if not name.startswith("threshold"))
INPLACE = "relu"


def _extreme(name: str, build: Any, function: str, text: str) -> Any:
    def body(input: Value, other: Value) -> Value:
        need_tensors(function, input=input, other=other)
        if "c" in (input.dtype.kind, other.dtype.kind):
            raise RuntimeError(f"{function} not implemented for complex tensors.")
        return build(*promoted(input, other))

    body.__name__, body.__doc__ = function, text
    return operation(name)(body)


def _without_nan(keep: Any, build: Any) -> Any:
    def extreme(x: Value, y: Value) -> Value:
        if not x.dtype.is_floating_point:
            return build(x, y)
        # A tie or a NaN in the second takes the first, whole: PyTorch halves nothing here.
        first = b.logical_or(keep(x, y), b.ne(y, y))
        return b.select(first, x, y)

    return extreme


maximum = _extreme("MaximumBackward0", b.maximum, "maximum", "The greater element; NaN wins.")
minimum = _extreme("MinimumBackward0", b.minimum, "minimum", "The lesser element; NaN wins.")
fmax = _extreme(
    "FmaxBackward0", _without_nan(b.ge, b.maximum), "fmax", "The greater element; NaN loses."
)
fmin = _extreme(
    "FminBackward0", _without_nan(b.le, b.minimum), "fmin", "The lesser element; NaN loses."
)


def _relu_gradient(_inputs: Any, outputs: Any, upstreams: Any) -> tuple[Value]:
    (y,), (g,) = outputs, upstreams
    return (b.select(b.le(y, 0), 0, g),)  # NaN passes the gradient on


@operation("ReluBackward0", vjp=_relu_gradient, saves="outputs")
def relu(input: Value) -> Value:
    """max(x, 0)."""
    if input.dtype is bool_:
        raise RuntimeError("Boolean inputs not supported for relu")
    return b.maximum(input, 0)


def _threshold_gradient(
    inputs: Any, _outputs: Any, upstreams: Any, *, threshold: float, value: float
) -> tuple[Value]:
    return (b.select(b.le(inputs[0], threshold), 0, upstreams[0]),)


@operation("ThresholdBackward0", vjp=_threshold_gradient, saves="inputs")
def threshold(input: Value, threshold: float, value: float) -> Value:
    """The elements above a threshold, and a number in the place of the others."""
    if input.dtype is bool_:
        raise NotImplementedError("\"threshold_cpu\" not implemented for 'Bool'")
    return b.select(b.le(input, threshold), value, input)


# -- limits --------------------------------------------------------------------------------------


def _clamp(input: Value, min: Any = None, max: Any = None) -> Value:
    bounds = [bound for bound in (min, max) if bound is not None]
    x, *limits = promoted(input, *bounds)
    if x.dtype is bool_ and len(limits) == 2:
        raise NotImplementedError("\"clamp_cpu\" not implemented for 'Bool'")
    if min is not None:
        x = b.maximum(x, limits[0])
    return x if max is None else b.minimum(x, limits[-1])


def _clamp_gradient(
    inputs: Any, _outputs: Any, upstreams: Any, **static: Any
) -> tuple[Value | None, ...]:
    """``clamp`` gives its bounds by name, first the lower, so that their order is known."""
    x, g = inputs[0], upstreams[0]
    tensors = list(inputs[1:])
    low, high = (
        static[name] if name in static else b.cast(tensors.pop(0), x.dtype)
        for name in ("min", "max")
    )
    passed = g
    if low is not None:
        passed = b.select(b.ge(x, low), passed, 0)
    if high is not None:
        passed = b.select(b.le(x, high), passed, 0)
    found = [reduced_to(passed, x)]
    if "min" not in static:
        below = b.lt(x, low) if high is None else b.logical_and(b.lt(low, high), b.lt(x, low))
        found.append(reduced_to(b.select(below, g, 0), inputs[1]))
    if "max" not in static:
        above = b.gt(x, high) if low is None else b.logical_or(b.gt(x, high), b.lt(high, low))
        found.append(reduced_to(b.select(above, g, 0), inputs[-1]))
    return tuple(found)


_clamp_numbers = operation("ClampBackward1", vjp=_clamp_gradient, saves="inputs", numbers=True)(
    _clamp
)
_clamp_tensors = operation("ClampBackward0", vjp=_clamp_gradient, saves="inputs")(_clamp)


def _row(input: Any, min: Any, max: Any) -> Function:
    """The operation for these bounds; PyTorch's errors where they do not fit."""
    if not isinstance(input, Tensor):
        raise TypeError(
            f"clamp(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}"
        )
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    tensors = [isinstance(bound, Tensor) for bound in (min, max) if bound is not None]
    if any(tensors) and not all(tensors):
        raise TypeError(
            "clamp() received an invalid combination of arguments - got "
            f"(Tensor, min={type(min).__name__}, max={type(max).__name__}), but expected one of:\n"
            " * (Tensor input, Tensor min = None, Tensor max = None, *, Tensor out = None)\n"
            " * (Tensor input, Number min = None, Number max = None, *, Tensor out = None)\n"
        )
    return _clamp_tensors if any(tensors) else _clamp_numbers


def clamp(input: Any, min: Any = None, max: Any = None, *, out: Any = None) -> Any:
    """Limits elements to [min, max], two numbers or two tensors; either may be None."""
    row = _row(input, min, max)
    return row(input, min=min, max=max) if out is None else row(input, min=min, max=max, out=out)


def clamp_min(input: Any, min: Any, *, out: Any = None) -> Any:
    """Limits elements from below by a number or a tensor."""
    return clamp(input, min, None, out=out)


def clamp_max(input: Any, max: Any, *, out: Any = None) -> Any:
    """Limits elements from above by a number or a tensor."""
    return clamp(input, None, max, out=out)


def clamp_(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """In-place ``clamp``."""
    row = _row(input, min, max).operation
    return assign(input, row, (input,), {"min": min, "max": max})


def clamp_min_(input: Tensor, min: Any) -> Tensor:
    """In-place ``clamp_min``."""
    return clamp_(input, min)


def clamp_max_(input: Tensor, max: Any) -> Tensor:
    """In-place ``clamp_max``."""
    return clamp_(input, None, max)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """In-place ``threshold``."""
    return assign(input, _threshold_row, (input, threshold, value), {})


_threshold_row = threshold.operation
clip, clip_ = clamp, clamp_
