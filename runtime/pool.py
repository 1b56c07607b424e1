"""The thread pool that parallel kernels run on, and the number of its threads.

The pool is native code (`pool_text.py` states its protocol); here its memory is mapped and it is
loaded.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import time
from dataclasses import dataclass

from treadle.ir import settings
from treadle.runtime import jit
from treadle.runtime.locks import fork_safe_lock
from treadle.runtime.pool_system_text import (
    CONTROL_BYTES,
    MAX_THREADS,
    SEPARATE,
    SPIN,
    THREADS,
    has_threads,
)
from treadle.runtime.pool_text import pool_text
from treadle.runtime.target import host_target

# Idle workers stop spinning after about this long.
_SPIN_SECONDS = 60e-6
_MADV_WIPEONFORK = 18

_lock = fork_safe_lock()
_threads: int | None = None
_pool: _Pool | None = None


@dataclass(frozen=True)
class _Pool:
    """Addresses in the loaded pool; ``limits`` and ``pauses`` are 0 where it has no threads."""

    parallel: int
    resized: int
    limits: int
    pauses: int


def _wipe_on_fork(libc: ctypes.CDLL, address: int, nbytes: int) -> None:
    """Make a mapped page zero in forked children."""
    if libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(nbytes), _MADV_WIPEONFORK) != 0:
        # Kernels before 4.14, and some sandboxes: Python's own forks are then the ones covered.
        os.register_at_fork(after_in_child=lambda: ctypes.memset(address, 0, nbytes))


def _map_pages() -> tuple[int, int]:
    """Addresses of the control page and of the limits page, never unmapped.

    A raw mapping: a Python mmap object would be torn down at exit under a spinning worker.
    """
    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    page = max(mmap.PAGESIZE, CONTROL_BYTES)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    address = libc.mmap(None, 2 * page, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
    if address is None or address == ctypes.c_void_p(-1).value:
        raise MemoryError("the thread pool's control page could not be mapped")
    _wipe_on_fork(libc, address, page)
    return address, address + page


def _measure_pauses(spin: int) -> int:
    """Spin-loop pauses that take `_SPIN_SECONDS`; how long one takes varies tenfold by CPU."""
    call = ctypes.CFUNCTYPE(None, ctypes.c_int32)(spin)
    count = 500
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        call(count)
        seconds.append(time.perf_counter() - started)
    return max(100, min(100_000, int(count * _SPIN_SECONDS / max(min(seconds), 1e-9))))


def _load() -> _Pool:
    """Compile or fetch the pool's code and give it its memory."""
    triple = host_target().triple
    code, _ = jit.object_code(pool_text(triple))
    if not has_threads(triple):
        loaded = jit.load_object(code, ["treadle_parallel"], private_engine=True)
        loaded.keep_forever()
        return _Pool(loaded.addresses["treadle_parallel"], 0, 0, 0)
    control, limits = _map_pages()
    exports = ["treadle_parallel", "treadle_resized", "treadle_spin"]
    imports = {"control": control, "limits": limits}
    loaded = jit.load_object(code, exports, imports, private_engine=True)
    loaded.keep_forever()
    parallel, resized, spin = (loaded.addresses[name] for name in exports)
    return _Pool(parallel, resized, limits, _measure_pauses(spin))


def _available_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _apply(pool: _Pool, threads: int) -> None:
    """Write the number of threads where the pool reads it."""
    if not pool.limits:
        return
    enough = threads <= _available_cpus()
    # With more threads than CPUs, spinning only keeps others from running.
    spin = pool.pauses if enough else 1
    fields = ctypes.c_int32.from_address
    fields(pool.limits + SPIN).value = spin
    fields(pool.limits + SEPARATE).value = int(enough)
    fields(pool.limits + THREADS).value = threads
    ctypes.CFUNCTYPE(None)(pool.resized)()


def parallel_address() -> int:
    """Address of ``void treadle_parallel(ptr fn, ptr args, i64 tasks)``.

    It calls ``fn(args, task)`` once for each task in 0..tasks-1 and returns when all are done.
    Safe from several threads, from within a task, and in forked children.
    """
    global _pool
    with _lock:
        if _pool is None:
            pool = _load()
            _apply(pool, get_num_threads())
            _pool = pool
        return _pool.parallel


def set_num_threads(threads: int) -> None:
    """Let parallel kernels use this many threads, the caller's included; at most 256."""
    global _threads
    if threads < 1:
        raise ValueError(f"the number of threads must be at least 1, found {threads}")
    with _lock:
        _threads = min(threads, MAX_THREADS)
        if _pool is not None:
            _apply(_pool, _threads)


def get_num_threads() -> int:
    """Threads that parallel kernels may use, the caller's included."""
    global _threads
    with _lock:
        if _threads is None:
            _threads = min(settings.current().threads, MAX_THREADS)
        return _threads
