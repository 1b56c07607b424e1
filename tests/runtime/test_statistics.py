"""Counters: names, snapshot, reset, and additions from several threads."""

from __future__ import annotations

import sys
import threading

from treadle.runtime.statistics import Counters


def test_snapshot_names_every_total_and_reset_clears_them() -> None:
    counters = Counters()
    counters.program_runs += 2
    counters.native_seconds += 0.5
    assert counters.snapshot() == {
        "compile_seconds": 0.0,
        "kernels_launched": 0,
        "native_seconds": 0.5,
        "program_runs": 2,
        "programs_compiled": 0,
        "programs_loaded": 0,
    }
    counters.reset()
    assert set(counters.snapshot().values()) == {0}


def test_threads_lose_no_count() -> None:
    counters = Counters()

    def work() -> None:
        for _ in range(100_000):
            counters.program_runs += 1

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(interval)
    assert counters.program_runs == 400_000
