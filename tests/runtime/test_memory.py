"""Buffers and their allocator: alignment, reuse, bounds, borrowing, threads and forks."""

from __future__ import annotations

import gc
import os
import sys
import threading
from itertools import pairwise

import numpy as np
import pytest

from treadle.runtime import memory
from treadle.runtime.memory import (
    Allocator,
    Buffer,
    BufferGroup,
    arena,
    class_bytes,
    empty_cache,
    memory_statistics,
)
from treadle.runtime.system_memory import LARGE_BYTES

MIB = 1 << 20


@pytest.mark.parametrize("nbytes", [0, 1, 64, 1000, 4097, MIB, 2 * MIB, 5 * MIB + 3])
def test_buffers_are_aligned_and_hold_their_bytes(nbytes: int) -> None:
    buffer = Buffer(nbytes)
    assert buffer.address % 64 == 0
    assert buffer.nbytes == nbytes
    array = buffer.array(np.uint8, (nbytes,))
    array[...] = 7
    assert int(array.sum(dtype=np.int64)) == 7 * nbytes


@pytest.mark.skipif(os.name != "posix", reason="huge pages are mapped on POSIX systems")
def test_large_buffers_lie_on_huge_page_boundaries() -> None:
    assert Buffer(3 * MIB).address % LARGE_BYTES == 0


def test_size_classes_waste_at_most_an_eighth_and_are_fixed_points() -> None:
    for nbytes in [*range(1, 5000, 7), *(3**k for k in range(8, 24))]:
        block = class_bytes(nbytes)
        assert block >= nbytes
        assert block % 64 == 0
        assert block <= max(nbytes + 64, nbytes * 9 // 8 + 64)
        assert class_bytes(block) == block


def test_freed_memory_is_reused_for_the_same_size_class() -> None:
    first = Buffer(50_000)
    address = first.address
    del first
    assert Buffer(50_001).address == address


def test_live_buffers_do_not_overlap() -> None:
    buffers = [Buffer(size) for size in [100, 100, 5000, 3 * MIB, 3 * MIB]]
    spans = sorted((buffer.address, buffer.nbytes) for buffer in buffers)
    assert all(a + n <= b for (a, n), (b, _) in pairwise(spans))


def test_negative_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot have -1 bytes"):
        Buffer(-1)


def test_impossible_sizes_raise_memory_error_and_count_nothing() -> None:
    before = memory_statistics().live_bytes
    with pytest.raises(MemoryError, match="could not allocate"):
        Buffer(1 << 60)
    with pytest.raises(MemoryError, match="could not allocate"):
        BufferGroup([1000, 1 << 60]).allocate()
    gc.collect()
    assert memory_statistics().live_bytes == before


def test_arrays_share_and_keep_memory() -> None:
    buffer = Buffer(1200)
    address = buffer.address
    array = buffer.array(np.float32, (10, 30))
    array[...] = 3.0
    assert (buffer.array(np.float32, (300,)) == 3.0).all()
    del buffer
    other = Buffer(1200)
    assert other.address != address
    other.array(np.uint8, (1200,))[...] = 1
    assert (array == 3.0).all()


def test_array_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(4, 4\) and dtype float32 needs 64 bytes"):
        Buffer(60).array(np.float32, (4, 4))


def test_empty_arrays_have_their_shape() -> None:
    assert Buffer(0).array(np.float64, (0, 5)).shape == (0, 5)


def test_borrowed_memory_is_the_owners() -> None:
    before = memory_statistics()
    array = np.arange(12.0)
    buffer = Buffer.wrap(array)
    assert (buffer.address, buffer.nbytes) == (array.ctypes.data, 96)
    assert buffer.owner is array
    buffer.array(np.float64, (12,))[0] = 5.0
    assert array[0] == 5.0
    del buffer
    gc.collect()
    assert memory_statistics() == before


def test_wrapping_strided_arrays_is_refused() -> None:
    with pytest.raises(ValueError, match=r"C-contiguous array, found shape \(6,\)"):
        Buffer.wrap(np.arange(12.0)[::2])


def test_groups_make_the_buffers_asked_for() -> None:
    buffers = BufferGroup([10, 0, 3 * MIB]).allocate()
    assert [buffer.nbytes for buffer in buffers] == [10, 0, 3 * MIB]
    addresses = [buffer.address for buffer in buffers]
    del buffers
    assert sorted(b.address for b in BufferGroup([10, 0, 3 * MIB]).allocate()) == sorted(addresses)


def test_statistics_count_live_cached_and_peak() -> None:
    empty_cache()
    memory.reset_peak()
    before = memory_statistics()
    buffer = Buffer(4 * MIB)
    during = memory_statistics()
    assert during.live_bytes == before.live_bytes + 4 * MIB
    del buffer
    after = memory_statistics()
    assert after.live_bytes == before.live_bytes
    assert after.cached_bytes == 4 * MIB
    assert after.peak_bytes == before.live_bytes + 4 * MIB
    empty_cache()
    assert memory_statistics().cached_bytes == 0


def test_cache_is_bounded_and_drops_sizes_not_asked_for() -> None:
    allocator = Allocator(limit=10 * MIB)

    def cycle(nbytes: int) -> None:
        buffer = Buffer.__new__(Buffer)
        Buffer.__init__(buffer, nbytes, allocator)
        buffer.__del__(allocator)
        del buffer._size_class

    for step in range(200):
        cycle(MIB)
        cycle(2 * MIB + step * 65536)
        assert allocator.owned_bytes - allocator.live_bytes <= allocator.limit
    assert allocator.live_bytes == 0
    allocator.trim(0)
    assert allocator.owned_bytes == 0


def test_arena_grows_and_is_reused() -> None:
    small = arena(1000).address
    assert arena(900).address == small
    large = arena(3 * MIB)
    assert large.nbytes >= 3 * MIB
    assert arena(1000) is large
    assert arena(0) is large


def test_each_thread_has_an_arena_of_its_own() -> None:
    found = []

    def work() -> None:
        found.append((arena(100), arena(100)))

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    assert found[0][0] is found[0][1]
    assert found[0][0].address != arena(100).address


def test_threads_share_the_allocator_safely() -> None:
    before = memory_statistics().live_bytes
    failures: list[int] = []

    def work(seed: int) -> None:
        kept = []
        for step in range(4000):
            buffer = Buffer(8 * (1 + (step * seed) % 64))
            array = buffer.array(np.int64, (1,))
            array[0] = mark = seed * 1_000_000 + step
            kept.append((array, mark))
            if len(kept) > 20:
                found, expected = kept.pop(step % 20)
                if found[0] != expected:
                    failures.append(expected)
            del buffer, array

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        workers = [threading.Thread(target=work, args=(seed,)) for seed in (1, 3, 5, 7)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(interval)
    assert failures == []
    gc.collect()
    assert memory_statistics().live_bytes == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_child_has_its_own_copy() -> None:
    array = Buffer(4096).array(np.uint8, (4096,))
    array[...] = 1
    child = os.fork()
    if child == 0:
        other = Buffer(4096).array(np.uint8, (4096,))
        other[...] = 2
        right = bool((array == 1).all())
        array[...] = 3
        os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (array == 1).all()
