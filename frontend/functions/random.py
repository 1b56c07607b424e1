"""Random tensors: counter-based generators whose state is a tensor of the recorded program.

Each draw reads the state and advances it, so that a compiled step draws anew every time.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np

from treadle.device import device_of
from treadle.functions.creation import require_grad
from treadle.functions.movement import extents
from treadle.ir import build as b
from treadle.ir.ops.random import WORDS, philox
from treadle.ir.types import DType, element_count, float32, float64, int64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import as_float, default_dtype
from treadle.tensor import Tensor, from_array
from treadle.tracer.segment import recorder

__all__ = [
    "Generator", "bernoulli", "default_generator", "initial_seed", "manual_seed", "normal", "rand",
    "rand_like", "randint", "randn", "randn_like", "randperm",
]  # fmt: skip
METHODS = "uniform_ normal_ bernoulli_"

_SEED_MASK = (1 << 64) - 1


class Generator:
    """A source of random numbers with a seed of its own.

    Args:
        device: where its numbers are drawn.
    """

    def __init__(self, device: Any = "cpu") -> None:
        self.device = device_of(device)
        self._seed = 0
        self._state: Tensor
        self.manual_seed(67280421310721)  # PyTorch's default seed

    def manual_seed(self, seed: int) -> Generator:
        """Starts again from a seed."""
        self._seed = int(seed) & _SEED_MASK
        state = np.array([self._seed, 0], np.uint64).astype(np.int64)
        self._state = from_array(state, self.device)
        return self

    def seed(self) -> int:
        """Starts again from a seed of the system's entropy, which is returned."""
        self.manual_seed(secrets.randbits(64))
        return self._seed

    def initial_seed(self) -> int:
        """The seed it was started from."""
        return self._seed

    def get_state(self) -> Tensor:
        """Seed and position as a tensor."""
        return self._state.clone()

    def set_state(self, new_state: Tensor) -> Generator:
        """Continues from a state of ``get_state``."""
        if new_state.dtype is not int64 or tuple(new_state.shape) != (2,):
            raise RuntimeError(
                f"expected a generator state of int64[2], found {new_state.dtype} "
                f"{list(new_state.shape)}"
            )
        self._state = new_state.detach().clone()
        return self

    def _host_words(self, count: int) -> np.ndarray[Any, Any]:
        """``count`` 32-bit words drawn on the host; the state advances as for a kernel's draw."""
        seed, start = (int(word) & _SEED_MASK for word in self._state._concrete())
        blocks = -(-count // WORDS)
        counters = np.arange(blocks, dtype=np.uint64) + np.uint64(start)
        self._state = from_array(
            np.array([seed, start + blocks], np.uint64).astype(np.int64), self.device
        )
        return philox(counters, seed).reshape(-1)[:count]


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Starts the default generator again from a seed."""
    return default_generator.manual_seed(seed)


def initial_seed() -> int:
    """The default generator's seed."""
    return default_generator.initial_seed()


# -- bits to numbers -----------------------------------------------------------------------------


def _advanced(state: Value, words: int) -> Value:
    """The state after drawing 32-bit words: the counter moves by blocks of four."""
    blocks = -(-words // WORDS)
    second = b.eq(b.iota((2,), 0, int64, state.type.device), 1)
    return state + b.select(second, b.constant(blocks, int64, state.type.device), 0)


def _unit(state: Value, shape: tuple[int, ...], dtype: DType) -> tuple[Value, int]:
    """Uniform numbers in [0, 1) with all mantissa bits random, and the words drawn."""
    count = element_count(shape)
    if dtype is float64:
        bits = b.random_bits(state, (2, *shape))
        high, low = _halves(bits, shape)
        wide = b.cast(high, float64) * 2.0**26 + b.cast(low, float64)
        return wide * 2.0**-53, 2 * count
    bits = b.random_bits(state, shape)
    unit = b.cast(b.shift_right(bits, 8), float32) * 2.0**-24
    return b.cast(unit, dtype), count


def _halves(bits: Value, shape: tuple[int, ...]) -> tuple[Value, Value]:
    """27 and 26 random bits from two words."""
    zeros, ends = (0,) * (len(shape) + 1), (1, *shape)
    first = b.reshape(b.slice(bits, zeros, ends), shape)
    second = b.reshape(b.slice(bits, (1, *zeros[1:]), (2, *shape)), shape)
    return b.shift_right(first, 5), b.shift_right(second, 6)


@operation()
def _uniform(
    state: Value, shape: tuple[int, ...], low: float, high: float, dtype: DType
) -> tuple[Value, Value]:
    unit, words = _unit(state, shape, dtype)
    scaled = unit if (low, high) == (0.0, 1.0) else unit * (high - low) + low
    return scaled, _advanced(state, words)


@operation()
def _normal(
    state: Value, shape: tuple[int, ...], mean: float, std: float, dtype: DType
) -> tuple[Value, Value]:
    """Box and Muller's transform of two uniform numbers an element."""
    work = float64 if dtype is float64 else float32
    unit, words = _unit(state, (2, *shape), work)
    zeros, ends = (0,) * (len(shape) + 1), (1, *shape)
    radius = b.reshape(b.slice(unit, zeros, ends), shape)
    angle = b.reshape(b.slice(unit, (1, *zeros[1:]), (2, *shape)), shape)
    length = b.sqrt(b.log(1.0 - radius) * -2.0)  # 1 - u lies in (0, 1]
    normal = length * b.cos(angle * (2.0 * math.pi))
    scaled = normal if (mean, std) == (0.0, 1.0) else normal * std + mean
    return b.cast(scaled, dtype), _advanced(state, words)


@operation()
def _integers(
    state: Value, shape: tuple[int, ...], low: int, high: int, dtype: DType
) -> tuple[Value, Value]:
    # 64 random bits modulo the range: the bias is below 2**-31 for ranges up to 2**32.
    bits = b.random_bits(state, (2, *shape))
    zeros = (0,) * (len(shape) + 1)
    first = b.reshape(b.slice(bits, zeros, (1, *shape)), shape)
    second = b.reshape(b.slice(bits, (1, *zeros[1:]), (2, *shape)), shape)
    wide = b.add(b.shift_left(b.cast(b.shift_right(first, 1), int64), 32), b.cast(second, int64))
    drawn = b.remainder(wide, high - low) + low
    return b.cast(drawn, dtype), _advanced(state, 2 * element_count(shape))


@operation()
def _bernoulli(probability: Value, state: Value) -> tuple[Value, Value]:
    p = as_float(probability)
    unit, words = _unit(state, p.shape, p.dtype)
    return b.cast(b.lt(unit, p), probability.dtype), _advanced(state, words)


def _drawn(generator: Generator | None, run: Any, *arguments: Any) -> Any:
    """The result of a draw; the generator's state advances."""
    source = default_generator if generator is None else generator
    before = recorder.grad_enabled
    recorder.grad_enabled = False
    try:
        result, state = run(*(source._state if item is _STATE else item for item in arguments))
        source._state._replace(state._value(recorder.segment))
    finally:
        recorder.grad_enabled = before
    return result


_STATE = object()


def _floating(dtype: DType | None, name: str) -> DType:
    chosen = dtype or default_dtype()
    if not chosen.is_floating_point:
        raise RuntimeError(f'"{name}" not implemented for {chosen}')
    return chosen


# -- what users call -----------------------------------------------------------------------------


def rand(
    *size: Any, generator: Generator | None = None, dtype: DType | None = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Uniform numbers in [0, 1)."""
    device_of(device)
    kind = _floating(dtype, "rand")
    made = _drawn(generator, _uniform, _STATE, extents(size), 0.0, 1.0, kind)
    return require_grad(made, requires_grad)


def randn(
    *size: Any, generator: Generator | None = None, dtype: DType | None = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Normally distributed numbers with mean 0 and variance 1."""
    device_of(device)
    kind = _floating(dtype, "randn")
    made = _drawn(generator, _normal, _STATE, extents(size), 0.0, 1.0, kind)
    return require_grad(made, requires_grad)


def randint(
    low: int, high: Any = None, size: Any = None, *, generator: Generator | None = None,
    dtype: DType | None = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Integers from low (0 by default) to high, exclusive."""
    if size is None:  # randint(high, size)
        low, high, size = 0, low, high
    if high <= low:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    device_of(device)
    made = _drawn(generator, _integers, _STATE, tuple(size), low, high, dtype or int64)
    return require_grad(made, requires_grad)


def randperm(
    n: int, *, generator: Generator | None = None, dtype: DType | None = None, device: Any = None
) -> Tensor:
    """The integers below n in random order."""
    if n < 0:
        raise RuntimeError("n must be non-negative")
    source = default_generator if generator is None else generator
    words = source._host_words(2 * n).astype(np.uint64)
    keys = (words[:n] << np.uint64(32)) | words[n:]
    order = np.argsort(keys, kind="stable").astype((dtype or int64).numpy)
    return from_array(order, device_of(device))


def _like(draw: Any, input: Tensor, options: dict[str, Any]) -> Tensor:
    made: Tensor = draw(tuple(input.shape), **{"dtype": input.dtype, **options})
    return made


def rand_like(input: Tensor, **options: Any) -> Tensor:
    """Uniform numbers in [0, 1) with the shape and dtype of a tensor."""
    return _like(rand, input, options)


def randn_like(input: Tensor, **options: Any) -> Tensor:
    """Normally distributed numbers with the shape and dtype of a tensor."""
    return _like(randn, input, options)


def normal(mean: float, std: float, size: Sequence[int], **options: Any) -> Tensor:
    """Normally distributed numbers."""
    kind = _floating(options.get("dtype"), "normal")
    generator = options.get("generator")
    made: Tensor = _drawn(generator, _normal, _STATE, tuple(size), float(mean), float(std), kind)
    return made


def bernoulli(input: Tensor, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that each element gives, else 0."""
    made: Tensor = _drawn(generator, _bernoulli, input, _STATE)
    return made


def uniform_(
    self: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Fills a tensor with uniform numbers in [a, b)."""
    kind = _floating(self.dtype, "uniform_")
    drawn = _drawn(generator, _uniform, _STATE, tuple(self.shape), float(a), float(b), kind)
    return self.copy_(drawn)


def normal_(
    self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Fills a tensor with normally distributed numbers."""
    kind = _floating(self.dtype, "normal_")
    shape = tuple(self.shape)
    drawn = _drawn(generator, _normal, _STATE, shape, float(mean), float(std), kind)
    return self.copy_(drawn)


def bernoulli_(self: Tensor, p: float = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fills a tensor with ones with probability p, else zeros."""
    drawn = _drawn(generator, _uniform, _STATE, tuple(self.shape), 0.0, 1.0, float32)
    return self.copy_(drawn < p)
