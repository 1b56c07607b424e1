"""The functions of ``nn.functional`` that PyTorch also has at top level and as methods.

Where the two differ in their arguments, these are the forms of the top level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from treadle.functions.pointwise import convert
from treadle.ir.types import DType
from treadle.nn import functional as F
from treadle.nn.functional.activation import celu, celu_, selu, selu_
from treadle.nn.functional.adaptive_pooling import (
    adaptive_avg_pool1d,
    adaptive_max_pool1d_with_indices as adaptive_max_pool1d,
)
from treadle.nn.functional.convolution import conv1d, conv2d, conv3d, conv_tbc
from treadle.nn.functional.distance import cosine_similarity, pairwise_distance, pdist
from treadle.nn.functional.grid import affine_grid, grid_sampler
from treadle.nn.functional.linear import bilinear
from treadle.nn.functional.normalization import rms_norm
from treadle.nn.functional.padding import constant_pad_nd
from treadle.nn.functional.piecewise import (
    hardshrink,
    prelu,
    relu_,
    rrelu,
    rrelu_,
    threshold,
    threshold_,
)
from treadle.nn.functional.pooling import (
    avg_pool1d,
    max_pool1d,
    max_pool1d_with_indices,
    max_pool2d,
    max_pool3d,
)
from treadle.nn.functional.rearrangement import (
    channel_shuffle,
    native_channel_shuffle,
    pixel_shuffle,
    pixel_unshuffle,
)
from treadle.nn.functional.softmax import log_softmax_along, softmax_along
from treadle.nn.functional.transposed_convolution import (
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from treadle.tensor import Tensor

__all__ = [
    "adaptive_avg_pool1d", "adaptive_max_pool1d", "affine_grid_generator", "alpha_dropout",
    "alpha_dropout_", "avg_pool1d", "batch_norm", "bilinear", "binary_cross_entropy_with_logits",
    "celu", "celu_", "channel_shuffle", "constant_pad_nd", "conv1d", "conv2d", "conv3d", "conv_tbc",
    "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "cosine_embedding_loss",
    "cosine_similarity", "ctc_loss", "dropout", "dropout_", "embedding", "embedding_renorm_",
    "feature_alpha_dropout", "feature_alpha_dropout_", "feature_dropout", "feature_dropout_",
    "grid_sampler", "grid_sampler_2d", "grid_sampler_3d", "group_norm", "hardshrink",
    "hinge_embedding_loss", "instance_norm", "kl_div", "layer_norm", "log_softmax",
    "margin_ranking_loss", "max_pool1d", "max_pool1d_with_indices", "max_pool2d", "max_pool3d",
    "native_channel_shuffle", "pairwise_distance", "pdist", "pixel_shuffle", "pixel_unshuffle",
    "poisson_nll_loss", "prelu", "relu_", "rms_norm", "rrelu", "rrelu_", "selu", "selu_", "softmax",
    "threshold", "threshold_", "triplet_margin_loss",
]  # fmt: skip
METHODS = "hardshrink log_softmax prelu softmax"

grid_sampler_2d = grid_sampler_3d = grid_sampler
_REDUCTIONS = ("none", "mean", "sum")  # in the order of PyTorch's numbers for them


def softmax(input: Tensor, dim: int, dtype: DType | None = None) -> Tensor:
    """exp(input) over its sum along ``dim``; ``dtype`` converts the input first."""
    return softmax_along(input if dtype is None else convert(input, dtype), dim)


def log_softmax(input: Tensor, dim: int, dtype: DType | None = None) -> Tensor:
    """The logarithm of ``softmax``, computed without overflow."""
    return log_softmax_along(input if dtype is None else convert(input, dtype), dim)


# -- normalisations --------------------------------------------------------------------------


def batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Tensor:
    """``nn.functional.batch_norm`` with its arguments in the order of PyTorch's top level."""
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-05,
    cudnn_enable: bool = True,
) -> Tensor:
    """``nn.functional.layer_norm``."""
    return F.layer_norm(input, normalized_shape, weight, bias, eps)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-05,
    cudnn_enabled: bool = True,
) -> Tensor:
    """``nn.functional.group_norm``."""
    return F.group_norm(input, num_groups, weight, bias, eps)


def instance_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Tensor:
    """``nn.functional.instance_norm`` with its arguments in the order of PyTorch's top level."""
    return F.instance_norm(
        input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps
    )


# -- dropout ---------------------------------------------------------------------------------


def _dropouts(function: Callable[..., Tensor]) -> tuple[Callable[..., Tensor], ...]:
    """A dropout as (input, p, train), and in place."""

    def plain(input: Tensor, p: float, train: bool) -> Tensor:
        return function(input, p, train)

    def in_place(input: Tensor, p: float, train: bool) -> Tensor:
        return function(input, p, train, True)

    plain.__name__, in_place.__name__ = function.__name__, f"{function.__name__}_"
    plain.__doc__ = function.__doc__
    in_place.__doc__ = f"``{function.__name__}`` in place."
    return plain, in_place


dropout, dropout_ = _dropouts(F.dropout)
alpha_dropout, alpha_dropout_ = _dropouts(F.alpha_dropout)
feature_dropout, feature_dropout_ = _dropouts(F.feature_dropout)
feature_alpha_dropout, feature_alpha_dropout_ = _dropouts(F.feature_alpha_dropout)


# -- tables ----------------------------------------------------------------------------------


def embedding(
    weight: Tensor,
    indices: Tensor,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of ``weight`` at ``indices``; a ``padding_idx`` below 0 is none."""
    padding = None if padding_idx < 0 else padding_idx
    return F.embedding(indices, weight, padding, None, 2.0, scale_grad_by_freq, sparse)


def embedding_renorm_(input: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> Tensor:
    """Scales the rows of ``input`` at ``indices`` down to a norm of at most ``max_norm``."""
    F.renormalize_rows(input, indices, max_norm, norm_type)
    return input


# -- grids -----------------------------------------------------------------------------------


def affine_grid_generator(theta: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    """``nn.functional.affine_grid``."""
    return affine_grid(theta, size, align_corners)


# -- losses, whose reductions are numbers ----------------------------------------------------


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
    reduction: int = 1,
) -> Tensor:
    """``nn.functional.binary_cross_entropy_with_logits``; 0 is no reduction, 1 mean, 2 sum."""
    return F.binary_cross_entropy_with_logits(
        input, target, weight, reduction=_REDUCTIONS[reduction], pos_weight=pos_weight
    )


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 1
) -> Tensor:
    """``nn.functional.cosine_embedding_loss``; 0 is no reduction, 1 mean, 2 sum."""
    kind = _REDUCTIONS[reduction]
    return F.cosine_embedding_loss(input1, input2, target, margin, reduction=kind)


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: int = 1,
    zero_infinity: bool = False,
) -> Tensor:
    """``nn.functional.ctc_loss``; 0 is no reduction, 1 mean, 2 sum."""
    lengths = input_lengths, target_lengths
    return F.ctc_loss(log_probs, targets, *lengths, blank, _REDUCTIONS[reduction], zero_infinity)


def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, reduction: int = 1
) -> Tensor:
    """``nn.functional.hinge_embedding_loss``; 0 is no reduction, 1 mean, 2 sum."""
    return F.hinge_embedding_loss(input, target, margin, reduction=_REDUCTIONS[reduction])


def kl_div(
    input: Tensor, target: Tensor, reduction: int = 1, *, log_target: bool = False
) -> Tensor:
    """``nn.functional.kl_div``; 0 is no reduction, 1 mean, 2 sum."""
    return F.kl_div_of(_REDUCTIONS[reduction], input, target, log_target)


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 1
) -> Tensor:
    """``nn.functional.margin_ranking_loss``; 0 is no reduction, 1 mean, 2 sum."""
    return F.margin_ranking_loss(input1, input2, target, margin, reduction=_REDUCTIONS[reduction])


def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: int
) -> Tensor:
    """``nn.functional.poisson_nll_loss``; 0 is no reduction, 1 mean, 2 sum."""
    kind = _REDUCTIONS[reduction]
    return F.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=kind)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-06,
    swap: bool = False,
    reduction: int = 1,
) -> Tensor:
    """``nn.functional.triplet_margin_loss``; 0 is no reduction, 1 mean, 2 sum."""
    kind = _REDUCTIONS[reduction]
    return F.triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap, reduction=kind)
