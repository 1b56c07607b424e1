"""Sharing memory with NumPy: arrays over buffers, and knowing when the other side let go.

Memory that another library can see must not be read late or written early.
"""

from __future__ import annotations

import mmap
import sys
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from treadle.ir.types import TensorType
from treadle.runtime.memory import Buffer


class _Exporter:
    """The owner of an exported array's memory; every view of the array keeps it alive."""

    __slots__ = ("__array_interface__", "__weakref__", "buffer")

    def __init__(self, buffer: Buffer, type: TensorType) -> None:
        self.buffer = buffer
        self.__array_interface__ = {
            "data": (buffer.address, False),
            "shape": type.shape,
            "typestr": type.dtype.numpy.str,
            "version": 3,
        }


def export(buffer: Buffer, type: TensorType) -> tuple[npt.NDArray[Any], Callable[[], bool]]:
    """An array over a buffer, and whether it or a view of it is still in use."""
    exporter = _Exporter(buffer, type)
    reference = weakref.ref(exporter)
    return np.asarray(exporter), lambda: reference() is not None


def watch_array(array: npt.NDArray[Any]) -> Callable[[], bool]:
    """Whether anyone but the buffer that borrowed it can still see an array's memory."""
    if array.base is not None:
        # A view: its owner may be held elsewhere under any name.
        return lambda: True
    reference = weakref.ref(array)

    def seen() -> bool:
        found = reference()
        # References: the buffer's owner, this name and getrefcount's argument.
        return found is not None and sys.getrefcount(found) > 3

    return seen


class SharedMemory:
    """Memory that forked processes see and write to as this one does."""

    def __init__(self, nbytes: int) -> None:
        self._map = mmap.mmap(-1, max(nbytes, 1))
        self._bytes = np.frombuffer(self._map, np.uint8)
        self.address: int = self._bytes.__array_interface__["data"][0]


def shared_buffer(nbytes: int) -> Buffer:
    """A buffer in memory that forked processes share."""
    memory = SharedMemory(nbytes)
    return Buffer.borrow(memory.address, nbytes, memory)
