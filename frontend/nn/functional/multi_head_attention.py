"""Multi-head attention as one function of its weights, in the steps and errors of PyTorch's."""

from __future__ import annotations

import math
import warnings
from typing import Any

import treadle
from treadle.ir.types import DType, bool_
from treadle.nn.functional.attention import scaled_dot_product_attention
from treadle.nn.functional.dropout import dropout
from treadle.nn.functional.linear import linear
from treadle.nn.functional.padding import pad
from treadle.nn.functional.softmax import softmax_along
from treadle.tensor import Tensor

Three = tuple[Tensor, Tensor, Tensor]


def _require(holds: bool, text: str) -> None:
    """AssertionError, which PyTorch raises for all of these."""
    if not holds:
        raise AssertionError(text)


def _is_batched(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    padding_mask: Tensor | None,
    attn_mask: Tensor | None,
    num_heads: int,
) -> bool:
    """Whether there is a batch axis; AssertionError where ranks do not fit."""
    rank = query.ndim
    _require(
        rank in (2, 3),
        f"query should be unbatched 2D or batched 3D tensor but received {rank}-D query tensor",
    )
    kind = "batched (3-D)" if rank == 3 else "unbatched (2-D)"
    _require(
        key.ndim == rank and value.ndim == rank,
        f"For {kind} `query`, expected `key` and `value` to be {rank}-D but found {key.ndim}-D "
        f"and {value.ndim}-D tensors respectively",
    )
    if padding_mask is not None:
        _require(
            padding_mask.ndim == rank - 1,
            f"For {kind} `query`, expected `key_padding_mask` to be `None` or {rank - 1}-D but "
            f"found {padding_mask.ndim}-D tensor instead",
        )
    if attn_mask is not None:
        _require(
            attn_mask.ndim in (2, 3),
            f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found "
            f"{attn_mask.ndim}-D tensor instead",
        )
        expected = (num_heads, query.shape[0], key.shape[0])
        _require(
            rank == 3 or attn_mask.ndim == 2 or tuple(attn_mask.shape) == expected,
            f"Expected `attn_mask` shape to be {expected} but got {attn_mask.shape}",
        )
    return rank == 3


def _as_numbers(mask: Tensor | None, name: str, other: Tensor | None, dtype: DType) -> Any:
    """A mask as numbers to add: -inf where a bool one holds."""
    if mask is None:
        return None
    floating = mask.dtype.is_floating_point
    _require(
        mask.dtype is bool_ or floating, f"only bool and floating types of {name} are supported"
    )
    if other is not None and other.dtype is not mask.dtype:
        warnings.warn(
            f"Support for mismatched {name} and attn_mask is deprecated. Use same type for both "
            "instead.",
            stacklevel=3,
        )
    if floating:
        return mask
    zeros = treadle.zeros(tuple(mask.shape), dtype=dtype, device=mask.device)
    return zeros.masked_fill(mask, -math.inf)


# -- projections -----------------------------------------------------------------------------


def _packed(q: Tensor, k: Tensor, v: Tensor, w: Tensor | None, bias: Tensor | None) -> Three:
    """The three projections by one weight [3 E, E]; equal arguments are projected together."""
    if w is None:
        raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
    extent = q.shape[-1]
    if k is v and q is k:
        parts = linear(q, w, bias).chunk(3, -1)
        return parts[0], parts[1], parts[2]
    if k is v:
        w_q, w_kv = w.split([extent, extent * 2])
        b_q, b_kv = (None, None) if bias is None else bias.split([extent, extent * 2])
        keys, values = linear(k, w_kv, b_kv).chunk(2, -1)
        return linear(q, w_q, b_q), keys, values
    w_q, w_k, w_v = w.chunk(3)
    b_q, b_k, b_v = (None, None, None) if bias is None else bias.chunk(3)
    return linear(q, w_q, b_q), linear(k, w_k, b_k), linear(v, w_v, b_v)


def _separate(q: Tensor, k: Tensor, v: Tensor, weights: Any, bias: Tensor | None) -> Three:
    """The three projections by weights of their own."""
    found = []
    extent = q.shape[-1]
    biases = (None, None, None) if bias is None else bias.chunk(3)
    for name, letter, x, weight, one in zip(
        ("query", "key", "value"), "qkv", (q, k, v), weights, biases, strict=True
    ):
        _require(
            weight is not None,
            f"use_separate_proj_weight is True but {letter}_proj_weight is None",
        )
        expected = (extent, x.shape[-1])
        _require(
            tuple(weight.shape) == expected,
            f"expecting {name} weights shape of {expected}, but got {weight.shape}",
        )
        found.append(linear(x, weight, one))
    return found[0], found[1], found[2]


def _heads(x: Tensor, static: Tensor | None, name: str, count: int, extent: int) -> Tensor:
    """[S, N, E] -> [N * heads, S, E / heads], or the static one instead."""
    if static is None:
        return x.reshape(x.shape[0], count, extent).transpose(0, 1)
    _require(
        static.shape[0] == count,
        f"expecting static_{name}.size(0) of {count}, but got {static.shape[0]}",
    )
    _require(
        static.shape[2] == extent,
        f"expecting static_{name}.size(2) of {extent}, but got {static.shape[2]}",
    )
    return static


def _checked_mask(mask: Tensor | None, targets: int, sources: int, heads: int) -> Tensor | None:
    """The mask with three axes."""
    if mask is None:
        return None
    if mask.ndim == 2:
        if tuple(mask.shape) != (targets, sources):
            raise RuntimeError(
                f"The shape of the 2D attn_mask is {mask.shape}, but should be "
                f"{(targets, sources)}."
            )
        return mask.unsqueeze(0)
    if mask.ndim != 3:
        raise RuntimeError(f"attn_mask's dimension {mask.ndim} is not supported")
    if tuple(mask.shape) != (heads, targets, sources):
        raise RuntimeError(
            f"The shape of the 3D attn_mask is {mask.shape}, but should be "
            f"{(heads, targets, sources)}."
        )
    return mask


def _longer(mask: Tensor | None) -> Tensor | None:
    """The mask with one more key, which all may look at."""
    return None if mask is None else pad(mask, (0, 1))


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Projections, attention in ``num_heads`` heads, and the output projection.

    Sequences are [L, N, E] (the batch axis N is optional). ``bias_k`` and ``bias_v``, and with
    ``add_zero_attn`` zeros, are appended to keys and values. Masks are True for what must not be
    looked at, or numbers that are added: ``key_padding_mask`` [N, S], ``attn_mask`` [L, S] or
    [N * heads, L, S]. Returns [L, N, E] and the weights [N, L, S] ([N, heads, L, S] unless
    averaged), or None for them.
    """
    batched = _is_batched(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = _unsqueezed(query, key, value)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    targets, batch, extent = query.shape
    masks, is_causal = _masks(query, key_padding_mask, attn_mask, is_causal, need_weights)
    separate = (q_proj_weight, k_proj_weight, v_proj_weight)
    _check_extents(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    if use_separate_proj_weight:
        projected = _separate(query, key, value, separate, in_proj_bias)
    else:
        projected = _packed(query, key, value, in_proj_weight, in_proj_bias)
    q, k, v, mask = _by_head(
        projected, masks, (bias_k, bias_v), (static_k, static_v), num_heads, add_zero_attn
    )
    run = _with_weights if need_weights else _without_weights
    output, found = run(q, k, v, mask, dropout_p if training else 0.0, batch, is_causal)
    output = linear(output.reshape(targets * batch, extent), out_proj_weight, out_proj_bias)
    output = output.view(targets, batch, output.shape[1])
    if found is not None and average_attn_weights:
        found = found.mean(dim=1)
    if batched:
        return output, found
    return output.squeeze(1), None if found is None else found.squeeze(0)


def _unsqueezed(query: Tensor, key: Tensor, value: Tensor) -> Three:
    """The three with a batch axis; those that are one tensor stay one."""
    wide_query = query.unsqueeze(1)
    wide_key = wide_query if key is query else key.unsqueeze(1)
    return wide_query, wide_key, wide_key if value is key else value.unsqueeze(1)


def _masks(
    query: Tensor, padding: Tensor | None, attn_mask: Tensor | None, causal: bool, weights: bool
) -> tuple[tuple[Tensor | None, Tensor | None], bool]:
    """((mask, padding mask) as numbers to add, whether attention is causal besides)."""
    wide = _as_numbers(padding, "key_padding_mask", attn_mask, query.dtype)
    if causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module "
            "method `generate_square_subsequent_mask` to create this mask."
        )
    if causal and wide is None and not weights:
        return (None, None), True
    mask = _as_numbers(attn_mask, "attn_mask", None, query.dtype)
    return (mask, wide), causal and wide is None


def _by_head(
    projected: Three, masks: Any, biases: Any, static: Any, num_heads: int, zeros: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """(query, key, value) [N * heads, *, E / heads] with what is appended, and one mask."""
    q, k, v = projected
    targets, batch, extent = q.shape
    heads, size = batch * num_heads, extent // num_heads
    mask, padding = masks
    mask = _checked_mask(mask, targets, k.shape[0], heads)
    k, v, more = _with_biases(k, v, biases[0], biases[1], static)
    q = q.reshape(targets, heads, size).transpose(0, 1)
    k, v = _heads(k, static[0], "k", heads, size), _heads(v, static[1], "v", heads, size)
    if zeros:
        nothing = treadle.zeros((heads, 1, size), dtype=k.dtype, device=k.device)
        k, v = treadle.cat([k, nothing], 1), treadle.cat([v, nothing], 1)
    for _ in range(int(more) + int(zeros)):
        mask, padding = _longer(mask), _longer(padding)
    return q, k, v, _merged(mask, padding, batch, num_heads, k.shape[1])


def _check_extents(
    query: Tensor, key: Tensor, value: Tensor, expected: int, num_heads: int, separate: bool
) -> None:
    extent = query.shape[-1]
    _require(
        extent == expected, f"was expecting embedding dimension of {expected}, but got {extent}"
    )
    _require(extent % num_heads == 0, f"embed_dim {extent} not divisible by num_heads {num_heads}")
    if separate:
        _require(
            key.shape[:2] == value.shape[:2],
            f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}",
        )
    else:
        _require(
            key.shape == value.shape,
            f"key shape {key.shape} does not match value shape {value.shape}",
        )


def _with_biases(
    k: Tensor, v: Tensor, bias_k: Tensor | None, bias_v: Tensor | None, static: Any
) -> tuple[Tensor, Tensor, bool]:
    """Keys and values with biases appended to the sequence, and whether there were any."""
    _require(bias_k is None or bias_v is not None, "bias_k is set but bias_v is None")
    _require(bias_v is None or bias_k is not None, "bias_v is set but bias_k is None")
    if bias_k is None or bias_v is None:
        return k, v, False
    _require(static[0] is None, "bias cannot be added to static key.")
    _require(static[1] is None, "bias cannot be added to static value.")
    shape = (1, k.shape[1], k.shape[2])
    return treadle.cat([k, bias_k.expand(shape)]), treadle.cat([v, bias_v.expand(shape)]), True


def _merged(
    mask: Tensor | None, padding: Tensor | None, batch: int, num_heads: int, sources: int
) -> Tensor | None:
    """Both masks as one that is added: [N * heads, L or 1, S]."""
    if padding is None:
        return mask
    _require(
        tuple(padding.shape) == (batch, sources),
        f"expecting key_padding_mask shape of {(batch, sources)}, but got {padding.shape}",
    )
    wide = padding.view(batch, 1, 1, sources).expand(-1, num_heads, -1, -1)
    wide = wide.reshape(batch * num_heads, 1, sources)
    return wide if mask is None else mask + wide


def _with_weights(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, p: float, batch: int, causal: bool
) -> tuple[Tensor, Tensor | None]:
    """(output [L, N * heads, E / heads], attention weights [N, heads, L, S])."""
    _require(not causal or mask is not None, "FIXME: is_causal not implemented for need_weights")
    scores = treadle.bmm(q * math.sqrt(1.0 / q.shape[-1]), k.transpose(-2, -1))
    weights: Tensor = softmax_along(scores if mask is None else mask + scores, -1)
    if p > 0.0:
        weights = dropout(weights, p=p)
    output = treadle.bmm(weights, v).transpose(0, 1)
    return output, weights.view(batch, q.shape[0] // batch, q.shape[1], k.shape[1])


def _without_weights(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, p: float, batch: int, causal: bool
) -> tuple[Tensor, Tensor | None]:
    """(output [L, N, heads, E / heads], None), by the fused operation."""
    num_heads = q.shape[0] // batch

    def split(x: Tensor) -> Tensor:
        return x.reshape(batch, num_heads, *x.shape[1:])

    if mask is not None:
        mask = mask.unsqueeze(0) if mask.shape[0] == 1 else split(mask)
    output = scaled_dot_product_attention(split(q), split(k), split(v), mask, p, causal)
    return output.permute(2, 0, 1, 3), None
