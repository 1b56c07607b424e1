"""Random bits as numbers of a distribution: pure functions over a generator's state.

Every draw takes the state, an i64[2] value, and gives the numbers and how many 32-bit words of
Philox they used. Loops of rejection are bounded, and unrolled in one elementwise kernel.
"""

from __future__ import annotations

import math

from treadle.ir import build as b
from treadle.ir.ops.random import WORDS
from treadle.ir.types import (
    DType,
    bfloat16,
    element_count,
    float16,
    float32,
    float64,
    int64,
)
from treadle.ir.value import Value

Draw = tuple[Value, int]
Shape = tuple[int, ...]

# Bits of a uniform number of less than 24 bits of significand.
_NARROW_BITS = {float16: 11, bfloat16: 8}


def advanced(state: Value, words: int) -> Value:
    """The state after drawing 32-bit words: the counter moves by blocks of four."""
    blocks = -(-words // WORDS)
    second = b.eq(b.iota((2,), 0, int64, state.type.device), 1)
    return b.add(state, b.select(second, b.constant(blocks, int64, state.type.device), 0))


def parts(x: Value) -> list[Value]:
    """The slices of a value along its first axis."""
    ends = x.shape[1:]
    zeros = (0,) * len(ends)
    return [b.reshape(b.slice(x, (at, *zeros), (at + 1, *ends)), ends) for at in range(x.shape[0])]


def unit(state: Value, shape: Shape, dtype: DType) -> Draw:
    """Uniform numbers in [0, 1), multiples of the dtype's precision."""
    count = element_count(shape)
    if dtype is float64:
        first, second = parts(b.random_bits(state, (2, *shape)))
        high, low = b.shift_right(first, 5), b.shift_right(second, 6)
        wide = b.add(b.mul(b.cast(high, float64), 2.0**26), b.cast(low, float64))
        return b.mul(wide, 2.0**-53), 2 * count
    bits = _NARROW_BITS.get(dtype, 24)
    drawn = b.shift_right(b.random_bits(state, shape), 32 - bits)
    return b.cast(b.mul(b.cast(drawn, float32), 2.0**-bits), dtype), count


def positive_unit(state: Value, shape: Shape, dtype: DType) -> Draw:
    """Uniform numbers in (0, 1]."""
    drawn, words = unit(state, shape, dtype)
    return b.sub(1.0, drawn), words


def _working(dtype: DType) -> DType:
    return float64 if dtype is float64 else float32


def normal(state: Value, shape: Shape, dtype: DType) -> Draw:
    """Normal numbers by Box and Muller's transform of two uniform numbers each."""
    drawn, words = unit(state, (2, *shape), _working(dtype))
    radius, angle = parts(drawn)
    length = b.sqrt(b.mul(b.log(b.sub(1.0, radius)), -2.0))  # 1 - u lies in (0, 1]
    return b.mul(length, b.cos(b.mul(angle, 2.0 * math.pi))), words


def exponential(state: Value, shape: Shape, dtype: DType) -> Draw:
    """Exponential numbers with rate 1."""
    drawn, words = positive_unit(state, shape, _working(dtype))
    return b.neg(b.log(drawn)), words


def cauchy(state: Value, shape: Shape, dtype: DType) -> Draw:
    """Cauchy numbers with median 0 and scale 1."""
    drawn, words = unit(state, shape, _working(dtype))
    return b.tan(b.mul(b.sub(drawn, 0.5), math.pi)), words


def geometric(state: Value, shape: Shape, p: float) -> Draw:
    """How many trials of probability p it takes to succeed once, from 1 up."""
    drawn, words = positive_unit(state, shape, float64)
    return b.maximum(b.ceil(b.mul(b.log(drawn), 1.0 / math.log1p(-p))), 1.0), words


def integers(state: Value, shape: Shape, low: int, count: int | Value) -> Draw:
    """Integers (i64) from ``low`` on, of ``count`` different ones, at most 2**64.

    A count that is a value is at most 2**31.

    64 random bits decide, so that no integer is likelier than another by more than 2**-30.
    """
    first, second = (b.cast(word, int64) for word in parts(b.random_bits(state, (2, *shape))))
    words = 2 * element_count(shape)
    if isinstance(count, Value) or count <= 1 << 31:
        # The product of 64 bits and the count, divided by 2**64.
        carry = b.shift_right(b.mul(second, count), 32)
        drawn = b.shift_right(b.add(b.mul(first, count), carry), 32)
    elif count <= 1 << 63:
        bits = b.add(b.shift_left(b.shift_right(first, 1), 32), second)
        drawn = b.remainder(bits, count) if count < 1 << 63 else bits
    else:
        # Nearly all integers: the few outside are folded back into the range.
        bits = b.add(b.shift_left(first, 32), second)
        outside = b.logical_or(b.lt(bits, low), b.gt(bits, low + count - 1))
        return b.select(outside, b.shift_right(bits, 1), bits), words
    return b.add(drawn, low), words


# -- counts --------------------------------------------------------------------------------------

# Trials until a proposal is accepted (with probability over 0.85 each), and steps of a search
# through a distribution with mean up to 10: what they leave undone has probability below 1e-9.
_TRIALS = 12
_STEPS = 44
_SMALL_MEAN = 10.0


def _search(uniform: Value, first: Value, ratio: list[Value]) -> Value:
    """Inverse transform: how many partial sums of probabilities lie below a uniform number.

    The probability of k is that of k - 1 times ``ratio[k - 1]``.
    """
    probability = total = first
    found = b.mul(uniform, 0.0)
    for factor in ratio:
        found = b.add(found, b.cast(b.ge(uniform, total), found.dtype))
        probability = b.mul(probability, factor)
        total = b.add(total, probability)
    return found


def poisson(rate: Value, state: Value) -> Draw:
    """Poisson numbers (f64): searched for below a rate of 10, and by transformed rejection (PTRS)
    above (Hormann 1993, The transformed rejection method for generating Poisson random variables).
    """
    rate = b.cast(rate, float64)
    drawn, words = unit(state, (2 * _TRIALS + 1, *rate.shape), float64)
    uniforms = parts(drawn)
    small = b.minimum(rate, _SMALL_MEAN)
    ratios = [b.div(small, float(step)) for step in range(1, _STEPS)]
    searched = _search(uniforms[-1], b.exp(b.neg(small)), ratios)
    large = b.maximum(rate, _SMALL_MEAN)
    rejected = _poisson_by_rejection(large, uniforms)
    return b.select(b.lt(rate, _SMALL_MEAN), searched, rejected), words


def _poisson_by_rejection(rate: Value, uniforms: list[Value]) -> Value:
    scale = b.add(b.mul(b.sqrt(rate), 2.53), 0.931)
    shape = b.add(b.mul(scale, 0.02483), -0.059)
    inverse_alpha = b.add(b.div(1.1328, b.sub(scale, 3.4)), 1.1239)
    log_rate = b.log(rate)
    found = b.floor(rate)
    for trial in reversed(range(_TRIALS)):
        centred = b.sub(uniforms[2 * trial], 0.5)
        chance = b.sub(1.0, uniforms[2 * trial + 1])
        distance = b.maximum(b.sub(0.5, b.abs(centred)), 1e-15)
        bent = b.mul(b.add(b.div(b.mul(shape, 2.0), distance), scale), centred)
        proposal = b.floor(b.add(b.add(bent, rate), 0.43))
        density = b.add(b.div(shape, b.mul(distance, distance)), scale)
        height = b.log(b.div(b.mul(chance, inverse_alpha), density))
        whole = b.maximum(proposal, 0.0)
        target = b.sub(b.sub(b.mul(whole, log_rate), rate), b.lgamma(b.add(whole, 1.0)))
        accepted = b.logical_and(b.ge(proposal, 0.0), b.le(height, target))
        # From the last trial to the first, so that the first accepted one stays.
        found = b.select(accepted, proposal, found)
    return found


def binomial(count: Value, probability: Value, state: Value) -> Draw:
    """Binomial numbers (f64): searched for below a mean of 10, and by transformed rejection (BTRS)
    above (Hormann 1993, The generation of binomial random variates).
    """
    count = b.maximum(b.floor(b.cast(count, float64)), 0.0)
    given = b.cast(probability, float64)
    p = b.maximum(b.minimum(given, 1.0), 0.0)
    flipped = b.gt(p, 0.5)
    p = b.select(flipped, b.sub(1.0, p), p)
    drawn, words = unit(state, (2 * _TRIALS + 1, *count.shape), float64)
    uniforms = parts(drawn)
    odds = b.div(p, b.sub(1.0, p))
    # Beyond its mean of 10 the search is not used; fewer trials keep its terms finite.
    searched_count = b.select(b.lt(b.mul(count, p), _SMALL_MEAN), count, 0.0)
    ratios = [
        b.div(b.mul(b.maximum(b.sub(searched_count, float(step - 1)), 0.0), odds), float(step))
        for step in range(1, _STEPS)
    ]
    first = b.exp(b.mul(searched_count, b.log1p(b.neg(p))))
    searched = b.minimum(_search(uniforms[-1], first, ratios), searched_count)
    rejected = _binomial_by_rejection(count, p, odds, uniforms)
    found = b.select(b.lt(b.mul(count, p), _SMALL_MEAN), searched, rejected)
    found = b.select(flipped, b.sub(count, found), found)
    return b.select(b.ne(given, given), given, found), words


def _binomial_by_rejection(count: Value, p: Value, odds: Value, uniforms: list[Value]) -> Value:
    mean = b.maximum(b.mul(count, p), _SMALL_MEAN)
    deviation = b.sqrt(b.mul(mean, b.sub(1.0, p)))
    scale = b.add(b.mul(deviation, 2.53), 1.15)
    shape = b.add(b.add(b.mul(scale, 0.0248), b.mul(p, 0.01)), -0.0873)
    alpha = b.mul(b.add(b.div(5.1, scale), 2.83), deviation)
    mode = b.floor(b.mul(b.add(count, 1.0), p))
    log_odds = b.log(b.maximum(odds, 1e-300))

    def log_weight(successes: Value) -> Value:
        """The logarithm of the probability of so many successes, up to a constant."""
        failures = b.maximum(b.sub(count, successes), 0.0)
        choices = b.add(b.lgamma(b.add(successes, 1.0)), b.lgamma(b.add(failures, 1.0)))
        return b.sub(b.mul(successes, log_odds), choices)

    peak = log_weight(mode)
    found = mode
    for trial in reversed(range(_TRIALS)):
        centred = b.sub(uniforms[2 * trial], 0.5)
        chance = b.sub(1.0, uniforms[2 * trial + 1])
        distance = b.maximum(b.sub(0.5, b.abs(centred)), 1e-15)
        bent = b.mul(b.add(b.div(b.mul(shape, 2.0), distance), scale), centred)
        proposal = b.floor(b.add(b.add(bent, mean), 0.5))
        density = b.add(b.div(shape, b.mul(distance, distance)), scale)
        height = b.log(b.div(b.mul(chance, alpha), density))
        inside = b.logical_and(b.ge(proposal, 0.0), b.le(proposal, count))
        whole = b.minimum(b.maximum(proposal, 0.0), count)
        accepted = b.logical_and(inside, b.le(height, b.sub(log_weight(whole), peak)))
        found = b.select(accepted, proposal, found)
    return found


# -- orders --------------------------------------------------------------------------------------


def permutation(state: Value, count: int) -> Draw:
    """The integers below ``count`` in random order: keys of random bits above, sorted."""
    low_bits = max(count - 1, 1).bit_length()
    first, second = (b.cast(word, int64) for word in parts(b.random_bits(state, (2, count))))
    bits = b.add(b.shift_left(b.shift_right(first, 1), 32), second)
    cleared = b.shift_left(b.shift_right(bits, low_bits), low_bits)
    keys = b.add(cleared, b.iota((count,), 0, int64, state.type.device))
    return b.logical_and(b.sort(keys), (1 << low_bits) - 1), 2 * count
