"""Dropout: zeroing elements, or whole channels, at random while training.

The random draw is a tensor of its own, so that it shows in the recorded graph.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import treadle
from treadle.ir import build as b
from treadle.ir.value import Value
from treadle.nn.functional.activation import SELU_ALPHA, SELU_SCALE
from treadle.nn.functional.arguments import applied
from treadle.operation import operation
from treadle.tensor import Tensor


@operation("MulBackward0")
def _dropout(input: Value, noise: Value, keep: float) -> Value:
    kept = b.cast(b.lt(noise, keep), input.dtype)
    # Scaled at training time, so that evaluation needs no scaling. All is dropped at keep = 0.
    return input * (kept * (1.0 / keep if keep else 0.0))


@operation("AddBackward0")
def _alpha_dropout(input: Value, noise: Value, keep: float) -> Value:
    """Drops to SELU's limit and rescales, which keeps mean and variance."""
    kept = b.cast(b.lt(noise, keep), input.dtype)
    if not keep:
        return input * (kept * 0.0)
    limit = -SELU_ALPHA * SELU_SCALE
    scale = 1.0 / math.sqrt((limit * limit * (1.0 - keep) + 1.0) * keep)
    shift = (kept - 1.0) * (-limit * scale) + (1.0 - keep) * -limit * scale
    return input * (kept * scale) + shift


def _check_probability(p: float) -> None:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _dropped(
    run: Any, input: Tensor, p: float, training: bool, inplace: bool, size: tuple[int, ...]
) -> Tensor:
    """The input with what a draw of ``size`` chooses dropped; itself where nothing is."""
    _check_probability(p)
    if not training or p == 0.0 or not input.numel():
        return input
    noise = treadle.rand(size, dtype=input.dtype, device=input.device)
    return applied(run, inplace, input, noise, 1.0 - float(p))


def _channels(input: Tensor) -> tuple[int, ...]:
    """One draw for each channel of each sample."""
    if input.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return (*input.shape[:2], *(1 for _ in input.shape[2:]))


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeroes each element with probability ``p`` and divides the others by ``1 - p``.

    Returns ``input`` itself when not training or when ``p`` is 0.
    """
    return _dropped(_dropout, input, p, training, inplace, tuple(input.shape))


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Dropout that keeps the mean and variance of SELU's outputs (Klambauer et al., 2017)."""
    return _dropped(_alpha_dropout, input, p, training, inplace, tuple(input.shape))


def feature_dropout(input: Tensor, p: float, train: bool, inplace: bool = False) -> Tensor:
    """Zeroes whole channels [N, C, ...] with probability ``p``."""
    return _dropped(_dropout, input, p, train, inplace, _channels(input))


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """``alpha_dropout`` of whole channels."""
    _check_probability(p)
    if not training or p == 0.0 or not input.numel():
        return input
    return _dropped(_alpha_dropout, input, p, training, inplace, _channels(input))


def _feature_dropout_of(
    name: str, spatial: int, input: Tensor, p: float, training: bool, inplace: bool
) -> Tensor:
    """Channel-wise dropout of [C, *S] or [N, C, *S]; other ranks as PyTorch takes them."""
    _check_probability(p)
    if input.ndim not in (spatial + 1, spatial + 2):
        warnings.warn(
            f"{name}: Received a {input.ndim}-D input to {name}, which is deprecated and will "
            "result in an error in a future release. To retain the behavior and silence this "
            f"warning, please use dropout instead. Note that {name} exists to provide "
            f"channel-wise dropout on inputs with {spatial} spatial dimensions, a channel "
            f"dimension, and an optional batch dimension (i.e. {spatial + 1}D or {spatial + 2}D "
            "inputs).",
            stacklevel=3,
        )
    # PyTorch reads the two leading axes of everything but whole batches, also of 2d's [C, H, W].
    size = _channels(input if input.ndim == spatial + 2 or spatial == 2 else input.unsqueeze(0))
    return _dropped(_dropout, input, p, training, inplace, size[-input.ndim :])


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Zeroes whole channels of [N, C, L] or [C, L] with probability ``p``."""
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input. Note that "
            "dropout1d exists to provide channel-wise dropout on inputs with 1 spatial dimension, "
            "a channel dimension, and an optional batch dimension (i.e. 2D or 3D inputs)."
        )
    return _feature_dropout_of("dropout1d", 1, input, p, training, inplace)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Zeroes whole channels of [N, C, H, W] with probability ``p``.

    Three axes are read as [N, C, L], with PyTorch's warning.
    """
    if input.ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D "
            "dropout behavior is desired - input is interpreted as shape (N, C, L), where C is "
            "the channel dim. This behavior will change in a future release to interpret the "
            "input as one without a batch dimension, i.e. shape (C, H, W). To maintain the 1D "
            "channel-wise dropout behavior, please switch to using dropout1d instead.",
            stacklevel=2,
        )
    return _feature_dropout_of("dropout2d", 2, input, p, training, inplace)


def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Zeroes whole channels of [N, C, D, H, W] or [C, D, H, W] with probability ``p``."""
    return _feature_dropout_of("dropout3d", 3, input, p, training, inplace)
