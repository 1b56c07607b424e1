"""Generators: sources of random numbers whose state is a tensor of the recorded program.

What is drawn from them is ``random``'s.
"""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np

from treadle.device import device, device_of, public_device
from treadle.ir.types import Device, uint8
from treadle.tensor import Tensor, from_array

_SEED_MASK = (1 << 64) - 1
# PyTorch's default seed.
DEFAULT_SEED = 67280421310721


class Generator:
    """A source of random numbers with a seed of its own.

    Its state is a pair of 64-bit words: the key and the counter of Philox4x32-10. Each draw reads
    the state and advances the counter, so that a compiled step draws anew every time.

    Args:
        device: where its numbers are drawn.
    """

    def __init__(self, device: Any = "cpu") -> None:
        self._device: Device = device_of(device)
        self._seed = 0
        self._state: Tensor
        self.manual_seed(DEFAULT_SEED)

    @property
    def device(self) -> device:
        """Where its numbers are drawn."""
        return public_device(self._device)

    def manual_seed(self, seed: int) -> Generator:
        """Starts again from a seed between -2**63 and 2**64, exclusive; ValueError for others."""
        number = int(seed)
        if not -(1 << 63) <= number <= _SEED_MASK:
            raise ValueError("Overflow when unpacking long long")
        self._seed = number & _SEED_MASK
        self._restart(self._seed, 0)
        return self

    def _restart(self, seed: int, counter: int) -> None:
        state = np.array([seed, counter], np.uint64).astype(np.int64)
        self._state = from_array(state, self._device)

    def seed(self) -> int:
        """Starts again from a seed of the system's entropy, which is returned."""
        self.manual_seed(secrets.randbits(63))
        return self._seed

    def initial_seed(self) -> int:
        """The seed it was started from."""
        return self._seed

    def get_state(self) -> Tensor:
        """Seed, position and first seed as bytes, for ``set_state``."""
        words = np.array([*self._state._concrete().view(np.uint64), self._seed], np.uint64)
        return from_array(words.view(np.uint8), self._device)

    def set_state(self, new_state: Tensor) -> Generator:
        """Continues from a state of ``get_state``."""
        if not isinstance(new_state, Tensor) or new_state.dtype is not uint8:
            raise TypeError("expected a torch.ByteTensor, but got " + type(new_state).__name__)
        if tuple(new_state.shape) != (24,):
            raise RuntimeError(
                f"expected a generator state of 24 bytes, found {list(new_state.shape)}"
            )
        words = np.array(new_state.detach()._concrete()).view(np.uint64)
        self._restart(int(words[0]), int(words[1]))
        self._seed = int(words[2])
        return self

    def clone_state(self) -> Generator:
        """A generator that continues as this one."""
        return Generator(self._device).set_state(self.get_state())

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (str(self.device), np.array(self.get_state()._concrete()))


def _rebuild(device: str, state: Any) -> Generator:
    made = Generator(device)
    return made.set_state(from_array(state, made._device))


default_generator = Generator()
