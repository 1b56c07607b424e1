"""Attention: softmax(query @ key.T) @ value, and the multi-head layer around it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import treadle
from treadle.ir import build as b
from treadle.ir.gradients import vjp
from treadle.ir.types import bool_, int64
from treadle.ir.value import Value
from treadle.nn.functional.arguments import shown
from treadle.nn.functional.precision import widened
from treadle.operation import operation
from treadle.tensor import Tensor
from treadle.utils.typename import cpp_name

Values = tuple[Value, ...]


# -- one operation with its gradient ---------------------------------------------------------


def _prepared(query: Value, key: Value, value: Value, grouped: bool) -> Values:
    """The three with equal leading axes; groups of query heads share a head of the others."""
    if grouped:
        key, value = _repeated(key, query.shape[-3]), _repeated(value, query.shape[-3])
    lead = b.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    return tuple(b.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (query, key, value))


def _repeated(x: Value, heads: int) -> Value:
    """Every head of [*, h, S, E] repeated in place until there are ``heads``."""
    *lead, have, rows, columns = x.shape
    wide = (*lead, have, heads // have, rows, columns)
    spread = b.broadcast_to(b.reshape(x, (*lead, have, 1, rows, columns)), wide)
    return b.reshape(spread, (*lead, heads, rows, columns))


def _probabilities(
    query: Value, key: Value, mask: Value | None, causal: bool, scale: float
) -> Value:
    """softmax over keys [*, L, S]; a query that may look at nothing gets zeros."""
    scores = widened(b.dot(query, b.transpose(key))) * scale
    hides = causal or mask is not None
    if causal:
        rows, columns = (b.iota(scores.shape, scores.ndim - n, int64) for n in (2, 1))
        scores = b.select(b.ge(rows, columns), scores, -math.inf)
    if mask is not None:
        if mask.dtype is bool_:
            scores = b.select(b.broadcast_to(mask, scores.shape), scores, -math.inf)
        else:
            scores = scores + widened(mask)
    axis = (scores.ndim - 1,)
    top = b.max(scores, axis, keepdim=True)
    blind = b.eq(top, -math.inf)
    weights = b.exp(scores - (b.select(blind, 0.0, top) if hides else top))
    total = b.sum(weights, axis, keepdim=True)
    weights = weights / (b.select(blind, 1.0, total) if hides else total)
    return b.cast(weights, query.dtype)


def _attended(
    query: Value,
    key: Value,
    value: Value,
    mask: Value | None,
    noise: Value | None,
    keep: float,
    causal: bool,
    scale: float,
    grouped: bool,
) -> Value:
    q, k, v = _prepared(query, key, value, grouped)
    shape = (*q.shape[:-1], v.shape[-1])
    if not k.shape[-2] or not math.prod(shape):
        return b.full(shape, 0.0, q.dtype, q.type.device)
    weights = _probabilities(q, k, mask, causal, scale)
    if noise is not None:
        weights = weights * _kept(noise, keep)
    return b.dot(weights, v)


def _kept(noise: Value, keep: float) -> Value:
    return b.cast(b.lt(noise, keep), noise.dtype) * (1.0 / keep if keep else 0.0)


def _attention_vjp(
    inputs: Values,
    outputs: Values,
    upstreams: Values,
    *,
    keep: float,
    causal: bool,
    scale: float,
    grouped: bool,
    **static: Any,
) -> Sequence[Value | None]:
    query, key, value, *rest = inputs
    mask = None if "mask" in static else rest.pop(0)
    noise = None if "noise" in static else rest.pop(0)
    q, k, v = _prepared(query, key, value, grouped)
    if not k.shape[-2] or not outputs[0].type.numel:
        return tuple(b.constant_like(x, 0.0) if x.dtype.kind == "f" else None for x in inputs)
    g = upstreams[0]
    weights = _probabilities(q, k, mask, causal, scale)
    to_weights = b.dot(g, b.transpose(v))
    dropped = weights
    if noise is not None:
        kept = _kept(noise, keep)
        dropped, to_weights = weights * kept, to_weights * kept
    # The shorter sum of g times the output is the same, but cancels where one weight is near 1.
    wide, change = widened(weights), widened(to_weights)
    inner = b.sum(change * wide, (weights.ndim - 1,), keepdim=True)
    to_scores = b.cast(wide * (change - inner), weights.dtype)
    to_q = b.dot(to_scores, k) * scale
    to_k = b.dot(b.transpose(to_scores), q) * scale
    to_v = b.dot(b.transpose(dropped), g)
    # What was broadcast or repeated is added up again.
    found = vjp([q, k, v], [query, key, value], [to_q, to_k, to_v])
    if mask is not None:
        spread = b.broadcast_to(mask, to_scores.shape)
        found += vjp([spread], [mask], [to_scores]) if mask.dtype is not bool_ else [None]
    return (*found, *(() if noise is None else (None,)))


_fused = operation("ScaledDotProductFlashAttentionForCpuBackward0", vjp=_attention_vjp)(_attended)
_composed = operation("UnsafeViewBackward0", vjp=_attention_vjp)(_attended)
_matrices = operation("MmBackward0", vjp=_attention_vjp)(_attended)


# -- arguments -------------------------------------------------------------------------------


def _check(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, grouped: bool
) -> None:
    if not query.dtype is key.dtype is value.dtype:
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{cpp_name(query.dtype)} key.dtype: {cpp_name(key.dtype)} and value.dtype: "
            f"{cpp_name(value.dtype)} instead."
        )
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
            f"{query.ndim} key.dim: {key.ndim} and value.dim: {value.ndim} instead."
        )
    if mask is not None:
        if mask.dtype is not bool_ and mask.dtype is not query.dtype:
            raise RuntimeError(
                "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
                f"attn_mask.dtype: {cpp_name(mask.dtype)} and  query.dtype: "
                f"{cpp_name(query.dtype)} instead."
            )
        if causal:
            raise RuntimeError(
                "_scaled_dot_product_attention: Explicit attn_mask should not be set when "
                "is_causal=True"
            )
    if grouped:
        heads = (query.shape[-3], key.shape[-3], value.shape[-3])
        if heads[0] % heads[1] or heads[0] % heads[2]:
            raise RuntimeError(
                "Number of heads in key and value must divide the number of heads in query"
            )
    batch = math.prod(query.shape[:-2])
    for have, want in ((key.shape[-1], query.shape[-1]), (value.shape[-2], key.shape[-2])):
        if have != want:
            raise RuntimeError(
                "Expected size for first two dimensions of batch2 tensor to be: "
                f"{shown((batch, want))} but got: {shown((batch, have))}."
            )


def _row_for(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout_p: float
) -> Any:
    """The operation under the name of the form that PyTorch would choose."""
    if max(query.ndim, key.ndim, value.ndim) == 2:
        return _matrices
    plain = query.ndim == 4 and not dropout_p and query.shape[-1] == value.shape[-1]
    simple = mask is None or (mask.ndim in (2, 4) and not mask.requires_grad)
    return _fused if plain and simple else _composed


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(query @ key.T * scale + mask) @ value, with dropout of the softmax.

    Args:
        query: [..., L, E]; key: [..., S, E]; value: [..., S, Ev]; leading axes broadcast.
        attn_mask: [..., L, S]: True where a query may look, or numbers that are added.
        is_causal: query i looks at keys 0 to i.
        scale: 1 / sqrt(E) by default.
        enable_gqa: heads (axis -3) of key and value are shared by groups of the query's.

    Returns:
        [..., L, Ev].
    """
    run = _row_for(query, key, value, attn_mask, dropout_p)
    # As in PyTorch, the fused form takes both.
    _check(query, key, value, attn_mask, is_causal and run is not _fused, enable_gqa)
    factor = 1.0 / math.sqrt(max(query.shape[-1], 1)) if scale is None else float(scale)
    noise = None
    if dropout_p > 0.0:
        leads = (x.shape[:-2] for x in (query, key, value) if not enable_gqa or x is query)
        lead = b.broadcast_shapes(*(tuple(lead) for lead in leads))
        shape = (*lead, query.shape[-2], key.shape[-2])
        noise = treadle.rand(shape, dtype=query.dtype, device=query.device)
    elif dropout_p < 0.0:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {dropout_p}")
    result: Tensor = run(
        query, key, value, attn_mask, noise, 1.0 - dropout_p, is_causal, factor, enable_gqa
    )
    return result
