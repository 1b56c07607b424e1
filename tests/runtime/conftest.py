"""Fixtures of the runtime's tests: a disk cache of each test's own, and small native programs.

Tests that need the whole pipeline live elsewhere; here programs are LLVM IR written by hand.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from treadle.ir import settings
from treadle.runtime import jit, pool

# Tasks for the pool, and `repeat`, which calls it many times without Python in between.
TASKS = """
declare void @treadle_parallel(ptr, ptr, i64)
define void @count(ptr %counts, i64 %task) nounwind {
  %at = getelementptr i64, ptr %counts, i64 %task
  %old = atomicrmw add ptr %at, i64 1 monotonic
  ret void
}
define void @count_nested(ptr %counts, i64 %task) nounwind {
  call void @treadle_parallel(ptr @count, ptr %counts, i64 5)
  ret void
}
; Sum of a block of 1000 floats into element `task` of a second array, in order.
define void @block_sum(ptr %args, i64 %task) nounwind {
entry:
  %from = load ptr, ptr %args
  %to.at = getelementptr ptr, ptr %args, i64 1
  %to = load ptr, ptr %to.at
  %first = mul i64 %task, 1000
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.more, %next ]
  %sum = phi float [ 0.0, %entry ], [ %sum.more, %next ]
  %index = add i64 %first, %i
  %at = getelementptr float, ptr %from, i64 %index
  %x = load float, ptr %at
  %sum.more = fadd float %sum, %x
  %i.more = add i64 %i, 1
  %more = icmp ult i64 %i.more, 1000
  br i1 %more, label %next, label %done
done:
  %out = getelementptr float, ptr %to, i64 %task
  store float %sum.more, ptr %out
  ret void
}
; Notes its arrival, then whether as many tasks arrive as element 0 asks for while it waits.
define void @meet(ptr %counts, i64 %task) nounwind {
entry:
  %arrived.at = getelementptr i64, ptr %counts, i64 1
  %old = atomicrmw add ptr %arrived.at, i64 1 seq_cst
  %needed = load i64, ptr %counts
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.more, %wait ]
  %arrived = load atomic i64, ptr %arrived.at seq_cst, align 8
  %met = icmp uge i64 %arrived, %needed
  br i1 %met, label %note, label %wait
wait:
  %i.more = add i64 %i, 1
  %more = icmp ult i64 %i.more, 1000000000
  br i1 %more, label %next, label %done
note:
  %offset = add i64 %task, 2
  %at = getelementptr i64, ptr %counts, i64 %offset
  store i64 1, ptr %at
  br label %done
done:
  ret void
}
; Touches 12 MiB of stack.
define void @deep(ptr %counts, i64 %task) nounwind {
  %row = alloca [12582912 x i8], align 64
  call void @llvm.memset.p0.i64(ptr %row, i8 1, i64 12582912, i1 true)
  %first = load volatile i8, ptr %row
  %wide = zext i8 %first to i64
  %at = getelementptr i64, ptr %counts, i64 %task
  store i64 %wide, ptr %at
  ret void
}
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
define void @repeat(ptr %fn, ptr %args, i64 %tasks, i64 %times) nounwind {
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.more, %next ]
  call void @treadle_parallel(ptr %fn, ptr %args, i64 %tasks)
  %i.more = add i64 %i, 1
  %more = icmp ult i64 %i.more, %times
  br i1 %more, label %next, label %done
done:
  ret void
}
"""


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The disk cache's folder during a test."""
    monkeypatch.setenv("TREADLE_CACHE_DIR", str(tmp_path / "cache"))
    settings.current.cache_clear()
    yield tmp_path / "cache"
    settings.current.cache_clear()


class Tasks:
    """The native tasks of `TASKS` and ways to run them on the pool."""

    def __init__(self) -> None:
        names = ["count", "count_nested", "block_sum", "meet", "deep", "repeat"]
        parallel = pool.parallel_address()
        self.code = jit.compile_object(TASKS)
        self._loaded = jit.load_object(self.code, names, {"treadle_parallel": parallel})
        self.address = self._loaded.addresses
        pointer, count = ctypes.c_void_p, ctypes.c_int64
        self._parallel = ctypes.CFUNCTYPE(None, pointer, pointer, count)(parallel)
        kind = ctypes.CFUNCTYPE(None, pointer, pointer, count, count)
        self._repeat = kind(self.address["repeat"])

    def parallel(self, name: str, args: int, tasks: int) -> None:
        """One parallel call from Python."""
        self._parallel(self.address[name], args, tasks)

    def repeat(self, name: str, args: int, tasks: int, times: int) -> None:
        """Many parallel calls from native code."""
        self._repeat(self.address[name], args, tasks, times)

    def counts(self, name: str, tasks: int, times: int = 1) -> np.ndarray[Any, Any]:
        """How often each task ran."""
        counts = np.zeros(max(tasks, 8), np.int64)
        self.repeat(name, counts.ctypes.data, tasks, times)
        return counts[:tasks] if name == "count" else counts


@pytest.fixture(scope="session")
def tasks() -> Tasks:
    """Native tasks."""
    return Tasks()


@pytest.fixture
def use_threads() -> Iterator[Callable[[int], None]]:
    """`set_num_threads`, undone after the test."""
    before = pool.get_num_threads()
    yield pool.set_num_threads
    pool.set_num_threads(before)
