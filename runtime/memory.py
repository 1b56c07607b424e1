"""Memory of programs' inputs, outputs and temporaries: buffers and a caching allocator.

Bytes only; shapes and dtypes belong to the callers. Freed blocks are kept for the next request
of their size class, because fresh pages cost more than most kernels that fill them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from treadle.runtime.system_memory import physical_bytes, reserve, restore

ALIGNMENT = 64
# Requests remembered with their size class; a bound for programs whose sizes never repeat.
_REMEMBERED_SIZES = 8192


class SizeClass:
    """Free blocks of one size.

    Attributes:
        nbytes: bytes of each block.
        free: addresses of cached blocks.
        used: a block was asked for since the cache was last trimmed.
    """

    __slots__ = ("free", "nbytes", "pop", "push", "used")

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.free: list[int] = []
        self.pop = self.free.pop
        self.push = self.free.append
        self.used = True


@dataclass(frozen=True)
class MemoryStatistics:
    """Bytes of blocks in use, bytes kept for reuse, and the most that were in use at once."""

    live_bytes: int
    cached_bytes: int
    peak_bytes: int


def class_bytes(nbytes: int) -> int:
    """Bytes of the block that serves a request: at most an eighth more, a multiple of 64."""
    if nbytes <= 1024:
        return max(ALIGNMENT, (nbytes + ALIGNMENT - 1) & -ALIGNMENT)
    step = 1 << max((nbytes - 1).bit_length() - 4, 6)
    return (nbytes + step - 1) & -step


class Allocator:
    """Blocks of memory by size class, aligned to 64 bytes, or 2 MiB from 2 MiB up.

    `Buffer` takes and returns blocks by itself, because calls would double its cost; here is all
    that happens more rarely. No locks: blocks move by ``list.append`` and ``list.pop``, each of
    which is atomic, so that a buffer can be collected anywhere, even inside these methods. Totals
    change by one ``+=`` or ``-=`` of a number, between which the interpreter does not switch.

    Attributes:
        limit: bound on the bytes kept for reuse.
        owned_bytes: bytes of all blocks, in use and kept.
        live_bytes: bytes of blocks in use.
        peak_bytes: the most `live_bytes` was.
        by_request: size classes by the bytes asked for.
    """

    __slots__ = ("_classes", "by_request", "limit", "live_bytes", "owned_bytes", "peak_bytes")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.owned_bytes = 0
        self.live_bytes = 0
        self.peak_bytes = 0
        self._classes: dict[int, SizeClass] = {}
        self.by_request: dict[int, SizeClass] = {}

    def size_class(self, nbytes: int) -> SizeClass:
        """The class that serves requests of ``nbytes``; ValueError for a negative number."""
        if nbytes < 0:
            raise ValueError(f"a buffer cannot have {nbytes} bytes")
        block_bytes = class_bytes(nbytes)
        found = self._classes.setdefault(block_bytes, SizeClass(block_bytes))
        if len(self.by_request) >= _REMEMBERED_SIZES:
            self.by_request.clear()
        self.by_request[nbytes] = found
        return found

    def reserve(self, size_class: SizeClass) -> int:
        """Address of a fresh block; the cache is emptied before giving up with MemoryError."""
        nbytes = size_class.nbytes
        address = reserve(nbytes)
        if not address:
            self.trim(0)
            address = reserve(nbytes)
        if not address:
            raise MemoryError(
                f"could not allocate {nbytes} bytes; {self.live_bytes} bytes are in use"
            )
        self.owned_bytes += nbytes
        return address

    def count_live(self, nbytes: int) -> None:
        """Note that blocks came into use."""
        self.live_bytes += nbytes
        live = self.live_bytes
        if live > self.peak_bytes:
            self.peak_bytes = live

    def trim(self, target: int) -> None:
        """Give kept blocks back until ``target`` bytes are left: first those of sizes that were
        not asked for since the last time."""
        for size_class in sorted(self._classes.copy().values(), key=lambda entry: entry.used):
            size_class.used = False
            while self.owned_bytes - self.live_bytes > target:
                try:
                    address = size_class.pop()
                except IndexError:
                    break
                self.owned_bytes -= size_class.nbytes
                restore(address, size_class.nbytes)


_allocator = Allocator(limit=max(256 << 20, physical_bytes() // 4))


class Buffer:
    """A block of memory, returned to the allocator when collected.

    ``Buffer(nbytes)`` has uninitialised contents. Memory of the allocator is aligned to 64 bytes;
    borrowed memory (`borrow`, `wrap`) only as its owner made it.

    Attributes:
        address: of the first byte; valid, though not to be used, for a buffer of 0 bytes.
        nbytes: bytes asked for.
    """

    __slots__ = ("__weakref__", "_size_class", "address", "nbytes")

    def __init__(self, nbytes: int, _allocator: Allocator = _allocator) -> None:
        self.nbytes = nbytes
        try:
            size_class = _allocator.by_request[nbytes]
        except KeyError:
            size_class = _allocator.size_class(nbytes)
        try:
            self.address = size_class.pop()
        except IndexError:
            self.address = _allocator.reserve(size_class)
        self._size_class = size_class
        size_class.used = True
        # As in `Allocator.count_live`, without the call.
        _allocator.live_bytes += size_class.nbytes
        live = _allocator.live_bytes
        if live > _allocator.peak_bytes:
            _allocator.peak_bytes = live

    # The default binds the allocator for collections after this module was torn down.
    def __del__(self, _allocator: Allocator = _allocator) -> None:
        try:
            size_class = self._size_class
        except AttributeError:
            return  # allocation failed
        _allocator.live_bytes -= size_class.nbytes
        size_class.push(self.address)
        if _allocator.owned_bytes - _allocator.live_bytes > _allocator.limit:
            _allocator.trim(_allocator.limit * 3 // 4)

    @property
    def owner(self) -> object:
        """What keeps borrowed memory alive; None for memory of the allocator."""
        return None

    @staticmethod
    def borrow(address: int, nbytes: int, owner: object) -> Buffer:
        """A buffer over memory that ``owner`` keeps alive."""
        return _BorrowedBuffer(address, nbytes, owner)

    @staticmethod
    def wrap(array: npt.NDArray[np.generic]) -> Buffer:
        """A buffer over an array's own memory; ValueError unless the array is C-contiguous."""
        if not array.flags.c_contiguous:
            raise ValueError(
                f"expected a C-contiguous array, found shape {array.shape} and"
                f" strides {array.strides}"
            )
        address, _ = array.__array_interface__["data"]
        return _BorrowedBuffer(address, array.nbytes, array)

    def array(self, dtype: npt.DTypeLike, shape: Sequence[int]) -> npt.NDArray[np.generic]:
        """An array over this memory, which it keeps alive; ValueError if it would not fit."""
        kind = np.dtype(dtype)
        needed = kind.itemsize * prod(shape)
        if needed > self.nbytes:
            raise ValueError(
                f"an array of shape {tuple(shape)} and dtype {kind} needs {needed} bytes,"
                f" the buffer has {self.nbytes}"
            )
        found = np.asarray(_Exported(self, kind, tuple(shape)))
        # Dtypes from outside NumPy have no code of their own in the array interface.
        return found if found.dtype == kind else found.view(kind)


class _BorrowedBuffer(Buffer):
    """A buffer over memory of something else."""

    __slots__ = ("_owner",)

    def __init__(self, address: int, nbytes: int, owner: object) -> None:
        self.address = address
        self.nbytes = nbytes
        self._owner = owner

    def __del__(self) -> None:  # type: ignore[override]
        """Nothing: the owner frees its memory."""

    @property
    def owner(self) -> object:
        return self._owner


class BufferGroup:
    """Buffers of given sizes that are made together, at half the cost of making each.

    Args:
        sizes: bytes of each buffer.
    """

    __slots__ = ("_members", "_total")

    def __init__(self, sizes: Sequence[int]) -> None:
        classes = [_allocator.size_class(nbytes) for nbytes in sizes]
        self._members = tuple(zip(sizes, classes, strict=True))
        self._total = sum(size_class.nbytes for size_class in classes)

    def allocate(self) -> list[Buffer]:
        """New buffers with uninitialised contents; MemoryError if one cannot be had."""
        buffers = []
        new = Buffer.__new__
        _allocator.count_live(self._total)
        try:
            for nbytes, size_class in self._members:
                buffer = new(Buffer)
                try:
                    buffer.address = size_class.pop()
                except IndexError:
                    buffer.address = _allocator.reserve(size_class)
                buffer.nbytes = nbytes
                buffer._size_class = size_class
                size_class.used = True
                buffers.append(buffer)
        except BaseException:
            # Those made so far leave the count themselves.
            made = sum(buffer._size_class.nbytes for buffer in buffers)
            _allocator.live_bytes -= self._total - made
            raise
        return buffers


class _Exported:
    """What NumPy reads to make an array over a buffer, and what the array keeps alive."""

    __slots__ = ("__array_interface__", "buffer")

    def __init__(self, buffer: Buffer, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> None:
        self.buffer = buffer
        self.__array_interface__ = {
            "data": (buffer.address, False),
            "shape": shape,
            "typestr": dtype.str,
            "version": 3,
        }


class _Arenas(threading.local):
    """Each thread's scratch memory."""

    buffer: Buffer | None = None


_arenas = _Arenas()


def arena(nbytes: int) -> Buffer:
    """This thread's scratch memory of at least ``nbytes``; hold it while its address is used.

    Contents do not survive: the next program of the thread gets the same memory, and a larger
    request replaces it.
    """
    buffer = _arenas.buffer
    if buffer is None or buffer.nbytes < nbytes:
        # The old one goes first, so that both are never held at once.
        del buffer
        _arenas.buffer = None
        # To its class's full size, so that requests growing slowly do not each replace it.
        buffer = _arenas.buffer = Buffer(class_bytes(nbytes))
    return buffer


def empty_cache() -> None:
    """Give memory that is not in use, this thread's scratch memory included, to the system."""
    _arenas.buffer = None
    _allocator.trim(0)


def memory_statistics() -> MemoryStatistics:
    """Bytes that this process's buffers hold; borrowed memory is not counted."""
    live = _allocator.live_bytes
    return MemoryStatistics(live, _allocator.owned_bytes - live, _allocator.peak_bytes)


def reset_peak() -> None:
    """Count the most bytes in use from now on."""
    _allocator.peak_bytes = _allocator.live_bytes
