"""Dropout: zeroing elements at random while training.

The random draw is a tensor of its own, so that it shows in the recorded graph.
"""

from __future__ import annotations

import treadle
from treadle.ir import build as b
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.tensor import Tensor


@operation("MulBackward0")
def _dropout(input: Value, noise: Value, keep: float) -> Value:
    kept = b.cast(b.lt(noise, keep), input.dtype)
    # Scaled at training time, so that evaluation needs no scaling. All is dropped at keep = 0.
    return input * (kept * (1.0 / keep if keep else 0.0))


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeroes each element with probability ``p`` and divides the others by ``1 - p``.

    Returns ``input`` itself when not training or when ``p`` is 0.
    """
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0.0:
        return input
    noise = treadle.rand(tuple(input.shape), dtype=input.dtype, device=input.device)
    result: Tensor = _dropout(input, noise, 1.0 - float(p))
    return input.copy_(result) if inplace else result
