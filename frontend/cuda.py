"""``torch.cuda``: whether CUDA devices can be used, which today they cannot.

Questions have answers; what needs a device raises PyTorch's error of a build without CUDA.
"""

from __future__ import annotations

import contextlib
from typing import Any

from treadle.methods.tensor_types import tensor_types

__all__ = [
    "Event",
    "Stream",
    "current_device",
    "current_stream",
    "device",
    "device_count",
    "empty_cache",
    "get_device_capability",
    "get_device_name",
    "get_device_properties",
    "get_rng_state",
    "init",
    "ipc_collect",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "reset_peak_memory_stats",
    "seed",
    "seed_all",
    "set_device",
    "set_rng_state",
    "stream",
    "synchronize",
]  # fmt: skip

globals().update(tensor_types(cuda=True))


def _needs_device() -> AssertionError:
    return AssertionError("Torch not compiled with CUDA enabled")


def is_available() -> bool:
    """Whether a CUDA device can be used."""
    return False


def device_count() -> int:
    """How many CUDA devices there are."""
    return 0


def is_initialized() -> bool:
    """Whether CUDA was started."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the device computes with bfloat16."""
    return False


def init() -> None:
    """Starts CUDA."""
    raise _needs_device()


def current_device() -> int:
    """Number of the device in use."""
    raise _needs_device()


def set_device(device: Any) -> None:
    """Chooses the device to use."""
    raise _needs_device()


def synchronize(device: Any = None) -> None:
    """Waits until a device has done its work."""
    raise _needs_device()


def get_device_name(device: Any = None) -> str:
    """A device's name."""
    raise _needs_device()


def get_device_properties(device: Any = None) -> Any:
    """A device's name, memory and compute capability."""
    raise _needs_device()


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """A device's compute capability."""
    raise _needs_device()


def current_stream(device: Any = None) -> Any:
    """The stream that work is put into."""
    raise _needs_device()


def get_rng_state(device: Any = "cuda") -> Any:
    """The state of a device's generator."""
    raise _needs_device()


def set_rng_state(new_state: Any, device: Any = "cuda") -> None:
    """Continues a device's generator from a state; without devices nothing is to do."""


def manual_seed(seed: int) -> None:
    """Starts the device's generator from a seed, as soon as there is one."""


def manual_seed_all(seed: int) -> None:
    """Starts all devices' generators from a seed, as soon as there are any."""


def seed() -> None:
    """Starts the device's generator from the system's entropy, as soon as there is one."""


def seed_all() -> None:
    """Starts all devices' generators from the system's entropy."""


def empty_cache() -> None:
    """Gives cached device memory back; there is none."""


def ipc_collect() -> None:
    """Gives back memory that other processes released; there is none."""


def reset_peak_memory_stats(device: Any = None) -> None:
    """Starts the statistics of device memory anew."""
    raise _needs_device()


def memory_allocated(device: Any = None) -> int:
    """Bytes of device memory in use."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


class device:
    """A ``with`` block on one device; None and negative numbers change nothing."""

    def __init__(self, device: Any) -> None:
        self.idx = device

    def __enter__(self) -> None:
        if self.idx is not None and not (isinstance(self.idx, int) and self.idx < 0):
            raise _needs_device()

    def __exit__(self, *_error: object) -> None:
        """There is nothing to restore."""


class Stream:
    """A queue of work on a device."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        raise RuntimeError("torch.cuda.Stream requires CUDA support")


class Event:
    """A mark in a queue of work."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        raise RuntimeError("torch.cuda.Event requires CUDA support")


def stream(stream: Any) -> contextlib.AbstractContextManager[None]:
    """A ``with`` block whose work goes into a stream; None changes nothing."""
    if stream is not None:
        raise _needs_device()
    return contextlib.nullcontext()
