"""Whether Treadle's results are PyTorch's: structure, types, shapes and numbers."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

import treadle

# Single precision in another order of summation; sums that cancel are judged by their terms.
RTOL = 1e-4
ATOL = 1e-5


def array_of(tensor: Any) -> Any:
    """The elements as a NumPy array."""
    tensor = tensor.detach()
    if str(tensor.dtype) == "torch.bfloat16":
        tensor = tensor.float()
    if not isinstance(tensor, treadle.Tensor):
        # Forced: some gradients of PyTorch are zeros without memory.
        return np.array(tensor.resolve_conj().resolve_neg().numpy(force=True))
    return np.array(tensor.numpy())


def difference(found: Any, expected: Any, values: bool = True, positions: bool = True) -> str:
    """In what two results differ; empty if in nothing that matters.

    Args:
        values: False for random results, of which only types and shapes agree.
        positions: False where ``indices`` may be those of other, equal elements.
    """
    import torch

    if isinstance(expected, torch.Tensor):
        if not isinstance(found, treadle.Tensor):
            return f"a {type(found).__name__}, expected a tensor"
        if str(found.dtype) != str(expected.dtype):
            return f"dtype {found.dtype}, expected {expected.dtype}"
        if tuple(found.shape) != tuple(expected.shape):
            return f"shape {tuple(found.shape)}, expected {tuple(expected.shape)}"
        if found.requires_grad != expected.requires_grad:
            return f"requires_grad {found.requires_grad}, expected {expected.requires_grad}"
        return numbers_differ(array_of(found), array_of(expected)) if values else ""
    if isinstance(expected, (list, tuple)):
        if not isinstance(found, (list, tuple)) or len(found) != len(expected):
            return f"{type(found).__name__}, expected {len(expected)} results"
        if getattr(expected, "__match_args__", ()) and hasattr(expected, "n_fields"):
            fields = tuple(re.findall(r"\b(\w+)=", repr(type(expected)))) or None
            if fields and getattr(found, "_fields", None) != fields:
                return f"fields {getattr(found, '_fields', None)}, expected {fields}"
        names = getattr(found, "_fields", ("",) * len(found))
        for name, ours, theirs in zip(names, found, expected, strict=True):
            answer = difference(ours, theirs, values and (positions or name != "indices"))
            if answer:
                return answer
        return ""
    if isinstance(expected, (float, complex)) and not isinstance(found, bool):
        if not isinstance(found, (float, complex, int)):
            return f"a {type(found).__name__}, expected a number"
        return numbers_differ(np.array(found), np.array(expected)) if values else ""
    if isinstance(expected, torch.dtype):
        return "" if str(found) == str(expected) else f"{found}, expected {expected}"
    if values and found != expected:
        return f"{found!r}, expected {expected!r}"
    return ""


def numbers_differ(found: Any, expected: Any) -> str:
    """Where two arrays of one shape differ by more than rounding."""
    if expected.dtype.kind not in "fc":
        wrong = found != expected
    else:
        finite = expected[np.isfinite(expected)]
        scale = 1.0 + (float(np.abs(finite).max()) if finite.size else 0.0)
        coarse = expected.dtype.itemsize == 2
        rtol, atol = (1e-2, 1e-2) if coarse else (RTOL, ATOL)
        with np.errstate(all="ignore"):
            wrong = ~np.isclose(found, expected, rtol=rtol, atol=atol * scale, equal_nan=True)
    if not np.any(wrong):
        return ""
    at = tuple(int(i) for i in np.argwhere(np.asarray(wrong))[0])
    count = int(np.sum(wrong))
    return f"{count} of {expected.size} elements, at {at} {found[at]}, expected {expected[at]}"
