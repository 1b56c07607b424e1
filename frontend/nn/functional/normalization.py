"""Normalisations: batch, instance, layer and group norm, RMS norm, and division by a norm.

Statistics are sums over axes of one kernel; running statistics are updated outside autograd.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from treadle.functions.axes import axes_of
from treadle.ir import build as b
from treadle.ir.types import float32, float64
from treadle.ir.value import Value
from treadle.nn.functional.arguments import check_floating, shown
from treadle.nn.functional.distance import length
from treadle.nn.functional.precision import operation, widened
from treadle.operation import update
from treadle.out_argument import write_out
from treadle.promotion import as_float, promoted
from treadle.tensor import Tensor
from treadle.type_info import finfo

Values = tuple[Value, ...]
Ints = tuple[int, ...]


# -- statistics and gradients that all share -------------------------------------------------


def _mean(x: Value, axes: Ints) -> Value:
    """The mean over axes, which stay as extents of 1."""
    return b.sum(x, axes, keepdim=True) / float(math.prod(x.shape[axis] for axis in axes))


def _standardized(x: Value, axes: Ints, eps: float) -> tuple[Value, Value]:
    """x with mean 0 and variance 1 over axes, and the factor that it was scaled by."""
    centred = x - _mean(x, axes)
    factor = b.rsqrt(_mean(centred * centred, axes) + eps)
    return centred * factor, factor


def _standardized_gradient(g: Value, standard: Value, factor: Value, axes: Ints) -> Value:
    """The gradient of ``_standardized``'s argument from that of its result."""
    return factor * (g - _mean(g, axes) - standard * _mean(g * standard, axes))


def _summed_to(x: Value, shape: Ints) -> Value:
    """x added up over the axes that ``shape`` lacks or has as extents of 1."""
    lead = x.ndim - len(shape)
    axes = [*range(lead), *(lead + at for at, extent in enumerate(shape) if extent == 1)]
    return b.reshape(b.sum(x, axes), shape)


def _affine(x: Value, weight: Value | None, bias: Value | None, shape: Ints) -> Value:
    """x * weight + bias with both laid out as ``shape``."""
    if weight is not None:
        x = x * b.reshape(weight, shape)
    return x if bias is None else x + b.reshape(bias, shape)


def _affine_gradients(
    g: Value, standard: Value, weight: Value | None, bias: Value | None, shape: Ints
) -> tuple[Value, list[Value]]:
    """(gradient of the standardised input, gradients of weight and bias as far as they are)."""
    found = []
    inner = g
    if weight is not None:
        found.append(b.reshape(_summed_to(g * standard, shape), weight.shape))
        inner = g * b.reshape(weight, shape)
    if bias is not None:
        found.append(b.reshape(_summed_to(g, shape), bias.shape))
    return inner, found


def _parameters(inputs: Values, static: dict[str, Any]) -> tuple[Value, Value | None, Value | None]:
    """(input, weight, bias): a parameter among the static arguments is None."""
    rest = list(inputs[1:])
    weight = None if "weight" in static else rest.pop(0)
    bias = None if "bias" in static else rest.pop(0)
    return inputs[0], weight, bias


def _check_parameters(
    input: Value, weight: Value | None, bias: Value | None, shape: Ints, what: str
) -> None:
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and value.shape != shape:
            raise RuntimeError(
                f"Expected {name} to be {what}, but got {name} of shape {shown(value.shape)} and "
                f"input of shape {shown(input.shape)}"
            )


# -- batch and instance norm -----------------------------------------------------------------


def _channel_shape(input: Value) -> Ints:
    return tuple(input.shape[1] if axis == 1 else 1 for axis in range(input.ndim))


def _channel_norm_vjp(
    inputs: Values, outputs: Values, upstreams: Values, *, axes: Ints, eps: float, **static: Any
) -> tuple[Value | None, ...]:
    x, weight, bias = _parameters(inputs, static)
    standard, factor = _standardized(x, axes, eps)
    inner, rest = _affine_gradients(upstreams[0], standard, weight, bias, _channel_shape(x))
    return (_standardized_gradient(inner, standard, factor, axes), *rest)


def _channel_norm(
    input: Value, weight: Value | None, bias: Value | None, axes: Ints, eps: float
) -> Value:
    """[N, C, *S] standardised over axes, then scaled and shifted channel by channel."""
    check_floating("batch_norm", input)
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and value.type.numel != input.shape[1]:
            raise RuntimeError(
                f"{name} should contain {input.shape[1]} elements not {value.type.numel}"
            )
    return _affine(_standardized(input, axes, eps)[0], weight, bias, _channel_shape(input))


_batch_norm = operation("NativeBatchNormBackward0", vjp=_channel_norm_vjp)(_channel_norm)
_instance_norm = operation("ViewBackward0", vjp=_channel_norm_vjp)(_channel_norm)


def _running_norm(
    input: Value, mean: Value, variance: Value, weight: Value | None, bias: Value | None, eps: float
) -> Value:
    """[N, C, *S] scaled and shifted by running statistics."""
    check_floating("batch_norm", input)
    shape = _channel_shape(input)
    factor = b.rsqrt(b.reshape(b.cast(variance, input.dtype), shape) + eps)
    centred = input - b.reshape(b.cast(mean, input.dtype), shape)
    return _affine(centred * factor, weight, bias, shape)


_batch_norm_running = operation("NativeBatchNormBackward0")(_running_norm)
_instance_norm_running = operation("ViewBackward0")(_running_norm)


def _towards(running: Value, found: Value, momentum: float) -> Value:
    """The running statistic moved towards one that was found in the batch."""
    found = b.cast(b.reshape(found, running.shape), running.dtype)
    return running * (1.0 - momentum) + found * momentum


def _over_batch(statistic: Value) -> Value:
    """The mean over samples that were normalised by themselves."""
    return _mean(statistic, (0,)) if statistic.shape[0] != 1 else statistic


@update(mutates=1)
def _update_mean(running: Value, input: Value, axes: Ints, momentum: float) -> Value:
    return _towards(running, _over_batch(_mean(widened(input), axes)), momentum)


@update(mutates=1)
def _update_variance(running: Value, input: Value, axes: Ints, momentum: float) -> Value:
    count = math.prod(input.shape[axis] for axis in axes)
    wide = widened(input)
    centred = wide - _mean(wide, axes)
    spread = b.sum(centred * centred, axes, keepdim=True)
    unbiased = spread / float(count - 1) if count != 1 else b.div(spread, 0.0)
    return _towards(running, _over_batch(unbiased), momentum)


def _track(
    input: Tensor, mean: Tensor | None, variance: Tensor | None, axes: Ints, momentum: float
) -> None:
    if mean is not None:
        _update_mean(mean, input.detach(), axes, float(momentum))
    if variance is not None:
        _update_variance(variance, input.detach(), axes, float(momentum))


def _check_running(input: Tensor, statistics: dict[str, Tensor | None]) -> None:
    if input.ndim < 2:
        raise RuntimeError(
            f"Dimension out of range (expected to be in range of [{-input.ndim}, "
            f"{input.ndim - 1}], but got 1)"
        )
    for name, value in statistics.items():
        if value is not None and value.numel() != input.shape[1]:
            raise RuntimeError(
                f"{name} should contain {input.shape[1]} elements not {value.numel()}"
            )


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-05,
) -> Tensor:
    """[N, C, *S] standardised channel by channel, then scaled by ``weight`` and shifted.

    While training the statistics are the batch's own and the running ones move towards them by
    ``momentum`` (the variance unbiased); else the running ones are used.

    Raises:
        ValueError: training on a single value for each channel.
        RuntimeError: sizes do not match, or there are no running statistics to use.
    """
    if training:
        _check_batch(input.shape)
    if not input.numel():
        return _of_nothing(input, weight, bias)
    _check_running(input, {"running_mean": running_mean, "running_var": running_var})
    if not training:
        if running_mean is None or running_var is None:
            missing = "running_mean" if running_mean is None else "running_var"
            raise RuntimeError(f"Expected {missing} to be defined in evaluation mode")
        return _batch_norm_running(input, running_mean, running_var, weight, bias, float(eps))
    axes = (0, *range(2, input.ndim))
    result: Tensor = _batch_norm(input, weight, bias, axes, float(eps))
    _track(input, running_mean, running_var, axes, momentum)
    return result


@operation("CloneBackward0")
def _of_nothing(input: Value, weight: Value | None, bias: Value | None) -> Value:
    """Input without elements, which has no statistics."""
    check_floating("batch_norm", input)
    first = [b.sum(p, (0,)) for p in (weight, bias) if p is not None]
    for parameter in first:
        input = input + parameter
    return input


def _check_batch(size: Sequence[int]) -> None:
    if math.prod(size[:1]) * math.prod(size[2:]) == 1:
        raise ValueError(
            "Expected more than 1 value per channel when training, got input size "
            f"torch.Size({list(size)})"
        )


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-05,
) -> Tensor:
    """``batch_norm`` with statistics of each sample's own, while ``use_input_stats``."""
    if use_input_stats and math.prod(input.shape[2:]) == 1:
        raise ValueError(
            "Expected more than 1 spatial element when training, got input size "
            f"torch.Size({list(input.shape)})"
        )
    if not use_input_stats and (running_mean is None or running_var is None):
        raise RuntimeError(
            "Expected running_mean and running_var to be defined when use_input_stats is false"
        )
    _check_running(input, {"running_mean": running_mean, "running_var": running_var})
    if not use_input_stats:
        return _instance_norm_running(input, running_mean, running_var, weight, bias, float(eps))
    axes = tuple(range(2, input.ndim))
    result: Tensor = _instance_norm(input, weight, bias, axes, float(eps))
    _track(input, running_mean, running_var, axes, momentum)
    return result


# -- layer, group and RMS norm ---------------------------------------------------------------


def _last_axes(input: Value, shape: Ints) -> Ints:
    return tuple(range(input.ndim - len(shape), input.ndim))


def _check_normalized(input: Value, shape: Ints) -> None:
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least "
            "one element, but got normalized_shape = []"
        )
    if input.ndim < len(shape) or input.shape[input.ndim - len(shape) :] != shape:
        raise RuntimeError(
            f"Given normalized_shape={shown(shape)}, expected input with shape "
            f"[*, {', '.join(map(str, shape))}], but got input of size{shown(input.shape)}"
        )


def _layer_norm_vjp(
    inputs: Values, outputs: Values, upstreams: Values, *, shape: Ints, eps: float, **static: Any
) -> tuple[Value | None, ...]:
    x, weight, bias = _parameters(inputs, static)
    axes = _last_axes(x, shape)
    standard, factor = _standardized(x, axes, eps)
    inner, rest = _affine_gradients(upstreams[0], standard, weight, bias, shape)
    return (_standardized_gradient(inner, standard, factor, axes), *rest)


@operation("NativeLayerNormBackward0", vjp=_layer_norm_vjp)
def _layer_norm(
    input: Value, weight: Value | None, bias: Value | None, shape: Ints, eps: float
) -> Value:
    _check_normalized(input, shape)
    what = f"of same shape as normalized_shape {shown(shape)}"
    _check_parameters(input, weight, bias, shape, what)
    check_floating("LayerNormKernelImpl", input)
    return _affine(_standardized(input, _last_axes(input, shape), eps)[0], weight, bias, shape)


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-05,
) -> Tensor:
    """Standardised over the last axes, whose extents are ``normalized_shape``."""
    return _layer_norm(input, weight, bias, tuple(normalized_shape), float(eps))


@operation("MulBackward0")
def _rms_norm(input: Value, weight: Value | None, shape: Ints, eps: float) -> Value:
    _check_normalized(input, shape)
    what = f"of same shape as normalized_shape {shown(shape)}"
    _check_parameters(input, weight, None, shape, what)
    check_floating("rms_norm", input)
    axes = _last_axes(input, shape)
    scaled = input * b.rsqrt(_mean(input * input, axes) + eps)
    return scaled if weight is None else b.mul(*promoted(scaled, weight))


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Divided by the root of the mean square over the last axes (by default with the dtype's eps).

    B. Zhang and R. Sennrich, Root Mean Square Layer Normalization, 2019.
    """
    if eps is None:
        # A narrower input is normalised in float32.
        eps = finfo(float64 if input.dtype is float64 else float32).eps
    return _rms_norm(input, weight, tuple(normalized_shape), float(eps))


def _group_norm_vjp(
    inputs: Values, outputs: Values, upstreams: Values, *, groups: int, eps: float, **static: Any
) -> tuple[Value | None, ...]:
    x, weight, bias = _parameters(inputs, static)
    grouped = (x.shape[0], groups, x.type.numel // max(x.shape[0] * groups, 1))
    standard, factor = _standardized(b.reshape(x, grouped), (2,), eps)
    spread = b.reshape(standard, x.shape)
    inner, rest = _affine_gradients(upstreams[0], spread, weight, bias, _channel_shape(x))
    gradient = _standardized_gradient(b.reshape(inner, grouped), standard, factor, (2,))
    return (b.reshape(gradient, x.shape), *rest)


@operation("NativeGroupNormBackward0", vjp=_group_norm_vjp)
def _group_norm(
    input: Value, weight: Value | None, bias: Value | None, groups: int, eps: float
) -> Value:
    channels = input.shape[1]
    if channels % groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {shown(input.shape)} and num_groups={groups}"
        )
    what = "a vector of size equal to the number of channels in input"
    _check_parameters(input, weight, bias, (channels,), what)
    check_floating("GroupNormKernelImpl", input)
    grouped = (input.shape[0], groups, input.type.numel // max(input.shape[0] * groups, 1))
    standard = b.reshape(_standardized(b.reshape(input, grouped), (2,), eps)[0], input.shape)
    return _affine(standard, weight, bias, _channel_shape(input))


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-05,
) -> Tensor:
    """[N, C, *S] standardised over each sample's groups of channels."""
    if input.ndim < 2:
        raise RuntimeError(
            f"Expected at least 2 dimensions for input tensor but received {input.ndim}"
        )
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    size = input.shape
    _check_batch((size[0] * size[1] // num_groups, num_groups, *size[2:]))
    return _group_norm(input, weight, bias, int(num_groups), float(eps))


# -- over neighbouring channels, and by a norm -----------------------------------------------


@operation("DivBackward0")
def _local_response_norm(input: Value, size: int, alpha: float, beta: float, k: float) -> Value:
    if input.ndim < 3:
        raise ValueError(
            "Expected 3D or higher dimensionality                          input (got "
            f"{input.ndim} dimensions)"
        )
    squares = input * input
    low, high = [0] * input.ndim, [0] * input.ndim
    low[1], high[1] = size // 2, (size - 1) // 2
    near = b.windows(b.pad(squares, low, high), (1,), (size,), (1,), (1,))
    mean = b.sum(near, (input.ndim,)) / size
    scale = b.pow(as_float(mean) * alpha + k, beta)
    return as_float(input) / scale


def local_response_norm(
    input: Tensor, size: int, alpha: float = 0.0001, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """input / (k + alpha * mean of squares of ``size`` neighbouring channels) ** beta."""
    if not input.numel():
        return input
    return _local_response_norm(input, int(size), float(alpha), float(beta), float(k))


@operation("DivBackward0")
def _normalize(input: Value, p: float, dim: Any, eps: float) -> Value:
    size = length(input, p, axes_of(input, dim), keepdim=True)
    # Not a maximum, which would share the gradient at a tie.
    return input / b.select(b.ge(size, eps), size, eps)


def normalize(
    input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """input over its p-norm along ``dim``, or over ``eps`` where that is greater."""
    result: Tensor = _normalize(input, float(p), dim, float(eps))
    if out is None:
        return result
    written: Tensor = write_out(result, out)
    return written
