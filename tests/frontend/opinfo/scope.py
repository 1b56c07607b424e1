"""Which operators of PyTorch's database are out of scope and why, and which are random."""

from __future__ import annotations

from typing import Any

# Reasons by the beginning of an operator's name.
OUT: dict[str, str] = {
    "jiterator_": "compiles CUDA text that the caller gives; only on GPUs",
    "sparse.": "sparse layouts are not part of Treadle",
    "to_sparse": "sparse layouts are not part of Treadle",
    "torch.ops.aten.": "internal to PyTorch's dispatcher",
    "torch._scaled_mm": "internal to PyTorch; needs float8",
    "_batch_norm_with_update": "internal to PyTorch",
    "_chunk_cat": "internal to PyTorch",
    "_native_batch_norm_legit": "internal to PyTorch",
    "native_": "internal to PyTorch: the functions of nn.functional are the API",
    "_segment_reduce": "internal to PyTorch",
    "_softmax_backward_data": "internal to PyTorch's backward",
    "max_pool2d_with_indices_backward": "internal to PyTorch's backward",
    "_unsafe_masked_index": "internal to PyTorch's compiler",
    "_upsample_bilinear2d_aa": "internal to PyTorch: interpolate(antialias=True) is the API",
    "hash_tensor": "a private experiment of PyTorch",
    "chalf": "complex32 is not a dtype of Treadle",
    "nn.functional.linear_cross_entropy": "not a function of the release's documentation",
}

# Reasons by the whole name of an operator.
ALONE: dict[str, str] = {"slice": "internal to PyTorch's dispatcher: tensor[a:b] is the API"}

# Operators whose results agree in type and shape only.
_RANDOM = """
    bernoulli cauchy exponential geometric log_normal multinomial normal uniform rand_like
    randint randint_like randn randn_like nn.functional.dropout nn.functional.dropout2d
    nn.functional.dropout3d nn.functional.alpha_dropout nn.functional.feature_alpha_dropout
    nn.functional.rrelu nn.functional.fractional_max_pool2d nn.functional.fractional_max_pool3d
    empty empty_like empty_permuted empty_strided new_empty new_empty_strided resize_ resize_as_
    svd_lowrank pca_lowrank nn.functional.multi_head_attention_forward
"""
RANDOM = frozenset(_RANDOM.split())

# Operators that say where the elements were which they chose: PyTorch's choice among equal ones
# follows from its library's unstable algorithms, Treadle's is the first (of ``mode``, the last).
_TIES = "argsort kthvalue median mode nanmedian sort topk"
TIES = frozenset(_TIES.split())


def is_random(op: Any, sample: Any) -> bool:
    """Whether the result of a sample agrees in type and shape only."""
    return op.name in RANDOM or sample.kwargs.get("dropout_p", 0.0) > 0.0


# Vectors have a sign or phase that no definition fixes: what the database makes of results before
# it differentiates them does not depend on it.
FREE_PHASE = frozenset(["linalg.eig", "linalg.eigh", "linalg.svd", "svd"])


def reason_out(op: Any) -> str:
    """Why an operator is out of scope; empty if it is in scope."""
    if op.name in ALONE:
        return ALONE[op.name]
    for start, reason in OUT.items():
        if op.name.startswith(start):
            return reason
    return ""
