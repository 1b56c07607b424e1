"""Blocks of memory from the operating system and the C library, without any caching.

Large blocks lie on huge pages where the system has them. `memory.py` decides what is kept.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys

import numpy as np

# Blocks from here on are mapped by themselves, aligned to their huge pages.
LARGE_BYTES = 2 << 20
_ALIGNMENT = 64
_MADV_HUGEPAGE = 14
_POSIX = os.name == "posix"

# Blocks of systems without the calls used here, kept by address.
_arrays: dict[int, np.ndarray[tuple[int], np.dtype[np.uint8]]] = {}

if _POSIX:
    _libc = ctypes.CDLL(None)
    _mmap = _libc.mmap
    _mmap.restype = ctypes.c_void_p
    _mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int]
    _mmap.argtypes += [ctypes.c_long]
    _munmap = _libc.munmap
    _munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    _madvise = _libc.madvise
    _madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    _aligned_alloc = _libc.aligned_alloc
    _aligned_alloc.restype = ctypes.c_void_p
    _aligned_alloc.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
    _free = _libc.free
    _free.argtypes = [ctypes.c_void_p]
    _free.restype = None


def physical_bytes() -> int:
    """Bytes of this machine's memory, 8 GiB where that is not known."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 << 30


def _mapped_bytes(nbytes: int) -> int:
    return (nbytes + mmap.PAGESIZE - 1) & -mmap.PAGESIZE


def _map(nbytes: int) -> int:
    """Address of a mapping aligned to `LARGE_BYTES`, or 0."""
    length = _mapped_bytes(nbytes)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    start = _mmap(None, length + LARGE_BYTES, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
    if start is None or start == ctypes.c_void_p(-1).value:
        return 0
    address = (int(start) + LARGE_BYTES - 1) & -LARGE_BYTES
    before = address - start
    if before:
        _munmap(start, before)
    _munmap(address + length, LARGE_BYTES - before)
    if sys.platform == "linux":
        # Only advice: without huge pages the block works as well.
        _madvise(address, length, _MADV_HUGEPAGE)
    return address


def reserve(nbytes: int) -> int:
    """Address of a new block, a multiple of 64 (of 2 MiB from there up); 0 if there is none.

    ``nbytes`` must be a positive multiple of 64.
    """
    if not _POSIX:
        array = np.empty(nbytes + _ALIGNMENT, np.uint8)
        address = (array.ctypes.data + _ALIGNMENT - 1) & -_ALIGNMENT
        _arrays[address] = array
        return address
    if nbytes >= LARGE_BYTES:
        return _map(nbytes)
    return _aligned_alloc(_ALIGNMENT, nbytes) or 0


def restore(address: int, nbytes: int) -> None:
    """Give a block of `reserve` back; ``nbytes`` as it was asked for."""
    if not _POSIX:
        del _arrays[address]
    elif nbytes >= LARGE_BYTES:
        _munmap(address, _mapped_bytes(nbytes))
    else:
        _free(address)
