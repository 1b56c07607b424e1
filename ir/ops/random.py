"""Counter-based random bits: Philox4x32-10 (Salmon et al., SC'11), the same on every target.

The state is an i64[2] value (seed, counter); drawing does not change it: the API advances it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from treadle.ir.types import TensorType, int64, uint32
from treadle.ir.value import Array, Attributes, LoopClass, Op

# Multipliers and Weyl increments of Philox4x32 (Random123's philox.h).
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
INCREMENTS = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
WORDS = 4  # 32-bit words a counter value yields


def _random_bits(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
    state = types[0]
    if state.dtype is not int64 or state.shape != (2,):
        raise ValueError(f"random_bits needs a state of i64[2], found {state}")
    return TensorType(uint32, attrs[0], state.device)


def philox(counter: Array, seed: int) -> Array:
    """Four 32-bit words for each 64-bit counter: shape [..., 4] of uint32."""
    mask = np.uint64(0xFFFFFFFF)
    low, high = counter & mask, counter >> np.uint64(32)
    words = [low, high, np.zeros_like(low), np.zeros_like(low)]
    keys = [seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF]
    for _ in range(ROUNDS):
        first = words[0] * np.uint64(MULTIPLIERS[0])
        second = words[2] * np.uint64(MULTIPLIERS[1])
        words = [
            (second >> np.uint64(32)) ^ words[1] ^ np.uint64(keys[0]),
            second & mask,
            (first >> np.uint64(32)) ^ words[3] ^ np.uint64(keys[1]),
            first & mask,
        ]
        keys = [(k + w) & 0xFFFFFFFF for k, w in zip(keys, INCREMENTS, strict=True)]
    return np.stack(words, axis=-1).astype(np.uint32)


def _evaluate(arrays: Sequence[Array], _attrs: Attributes, result: TensorType) -> Array:
    seed, start = (int(word) & 0xFFFFFFFFFFFFFFFF for word in arrays[0])
    blocks = -(-result.numel // WORDS)
    counter = np.arange(blocks, dtype=np.uint64) + np.uint64(start)
    return philox(counter, seed).reshape(-1)[: result.numel].reshape(result.shape)


# Element i in row-major order is word i % 4 of Philox at (counter + i // 4) under the key ``seed``.
RANDOM_BITS = Op("random_bits", ("state",), ("shape",), LoopClass.RANDOM, _random_bits, _evaluate)
