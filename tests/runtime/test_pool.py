"""The thread pool: each task once, any number of threads, nested, concurrent, forked, at exit."""

from __future__ import annotations

import ctypes
import os
import platform
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest

from treadle.runtime import jit, pool
from treadle.runtime.pool_system_text import MAX_THREADS, has_threads
from treadle.runtime.pool_text import pool_text
from treadle.runtime.target import host_target

LINUX = sys.platform == "linux"
needs_fork = pytest.mark.skipif(not LINUX, reason="forks with threads are for Linux here")


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_each_task_runs_exactly_once(tasks: Any, use_threads: Any, threads: int) -> None:
    use_threads(threads)
    chance = random.Random(threads)
    for _ in range(60):
        count, times = chance.choice([1, 2, 3, 5, 17, 256]), chance.randrange(1, 200)
        assert (tasks.counts("count", count, times) == times).all()


def test_no_tasks_is_no_work(tasks: Any) -> None:
    assert (tasks.counts("deep", 0) == 0).all()


def test_a_million_calls_lose_no_task(tasks: Any, use_threads: Any) -> None:
    use_threads(2)
    assert (tasks.counts("count", 3, 1_000_000) == 1_000_000).all()


@pytest.mark.parametrize("threads", [2, 3])
def test_calls_from_several_python_threads_lose_no_task(
    tasks: Any, use_threads: Any, threads: int
) -> None:
    use_threads(threads)
    failures: list[str] = []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(150):
            count, times = chance.randrange(1, 12), chance.randrange(1, 3000)
            if not (tasks.counts("count", count, times) == times).all():
                failures.append(f"{count} tasks, {times} times")

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []


def test_calls_after_pauses_lose_no_task(tasks: Any, use_threads: Any) -> None:
    use_threads(2)
    for step in range(300):
        # About the time after which workers fall asleep, so that both sides race.
        time.sleep(step % 12 * 1e-5)
        assert (tasks.counts("count", 4) == 1).all()


@pytest.mark.skipif(not LINUX, reason="the pool is a loop there")
@pytest.mark.parametrize("threads", [2, 4])
def test_sleeping_workers_are_woken_to_run_tasks_side_by_side(
    tasks: Any, use_threads: Any, threads: int
) -> None:
    use_threads(threads)
    for _ in range(20):
        time.sleep(0.003)
        counts = np.zeros(2 + threads, np.int64)
        counts[0] = threads
        tasks.parallel("meet", counts.ctypes.data, threads)
        assert (counts[2:] == 1).all()


@pytest.mark.skipif(not LINUX, reason="the pool is a loop there")
def test_workers_parked_by_a_lower_number_of_threads_return(tasks: Any, use_threads: Any) -> None:
    for threads in (4, 2, 3, 1, 4):
        use_threads(threads)
        counts = np.zeros(2 + threads, np.int64)
        counts[0] = threads
        tasks.parallel("meet", counts.ctypes.data, threads)
        assert (counts[2:] == 1).all()


def test_number_of_threads_can_change_while_calls_run(tasks: Any, use_threads: Any) -> None:
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            for threads in (1, 4, 2, 3):
                use_threads(threads)

    changer = threading.Thread(target=change)
    changer.start()
    try:
        for _ in range(100):
            assert (tasks.counts("count", 7, 500) == 500).all()
    finally:
        stop.set()
        changer.join()


def test_nested_calls_run_inline(tasks: Any, use_threads: Any) -> None:
    use_threads(2)
    assert tasks.counts("count_nested", 6, 10)[:5].tolist() == [60] * 5


def test_results_do_not_depend_on_the_number_of_threads(tasks: Any, use_threads: Any) -> None:
    values = np.random.default_rng(0).standard_normal(300_000).astype(np.float32)
    results = []
    for threads in (1, 2, 4):
        use_threads(threads)
        sums = np.zeros(300, np.float32)
        table = (ctypes.c_void_p * 2)(values.ctypes.data, sums.ctypes.data)
        tasks.repeat("block_sum", ctypes.addressof(table), 300, 5)
        results.append(sums.tobytes())
    assert len(set(results)) == 1


def test_tasks_have_sixteen_mebibytes_of_stack(tasks: Any, use_threads: Any) -> None:
    use_threads(4)
    counts = np.zeros(64, np.int64)
    # From a Python thread with a large stack of its own, since callers run tasks too.
    before = threading.stack_size(32 << 20)
    try:
        caller = threading.Thread(target=tasks.parallel, args=("deep", counts.ctypes.data, 64))
        caller.start()
    finally:
        threading.stack_size(before)
    caller.join()
    assert (counts == 1).all()


def test_idle_workers_sleep(tasks: Any, use_threads: Any) -> None:
    use_threads(2)
    tasks.counts("count", 2, 1000)
    time.sleep(0.02)
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.05


def test_number_of_threads_is_checked_and_reported(use_threads: Any) -> None:
    with pytest.raises(ValueError, match="must be at least 1, found 0"):
        use_threads(0)
    use_threads(3)
    assert pool.get_num_threads() == 3
    use_threads(100_000)
    assert pool.get_num_threads() == MAX_THREADS


def exit_status_of_child(action: Callable[[], bool]) -> int:
    """Exit status of a forked child: 0 where ``action`` returned true, 99 if it hung."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if action() else 1)
        finally:
            os._exit(2)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return 99


def threads_of_this_process() -> int:
    return len(os.listdir("/proc/self/task"))


@needs_fork
def test_forked_child_starts_workers_of_its_own(tasks: Any, use_threads: Any) -> None:
    use_threads(2)
    tasks.counts("count", 4, 100)

    def action() -> bool:
        before = threads_of_this_process()
        right = bool((tasks.counts("count", 9, 1000) == 1000).all())
        return right and before == 1 and threads_of_this_process() == 2

    assert [exit_status_of_child(action) for _ in range(5)] == [0] * 5
    assert (tasks.counts("count", 9, 1000) == 1000).all()


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_during_another_threads_calls_is_safe(tasks: Any, use_threads: Any) -> None:
    use_threads(2)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            tasks.counts("count", 3, 1000)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for _ in range(20):
            status = exit_status_of_child(
                lambda: bool((tasks.counts("count", 5, 200) == 200).all())
            )
            assert status == 0
    finally:
        stop.set()
        worker.join()


@needs_fork
def test_grandchildren_work(tasks: Any, use_threads: Any) -> None:
    use_threads(2)

    def grandchild() -> bool:
        return bool((tasks.counts("count", 5, 50) == 50).all())

    def child() -> bool:
        return grandchild() and exit_status_of_child(grandchild) == 0

    assert exit_status_of_child(child) == 0


SPINNING = """
import ctypes, atexit
from treadle.runtime import jit, pool
pool.set_num_threads(4)
loaded = jit.load_object(jit.compile_object('''
define void @nothing(ptr %args, i64 %task) nounwind { ret void }'''), ["nothing"])
call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
parallel = call(pool.parallel_address())
def work():
    for _ in range(100):
        parallel(loaded.addresses["nothing"], None, 4)
atexit.register(work)
work()
"""


def test_process_exits_cleanly_under_spinning_workers() -> None:
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", SPINNING], capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")


CROWDED = """
import resource, sys
from tests.runtime.conftest import Tasks
from treadle.runtime import pool
tasks = Tasks()
pool.set_num_threads(8)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
# Room for one or two stacks of 16 MiB.
resource.setrlimit(resource.RLIMIT_AS, (used + (40 << 20), resource.RLIM_INFINITY))
assert (tasks.counts("count", 9, 2000) == 2000).all()
"""


@pytest.mark.skipif(not LINUX, reason="limits address space")
def test_pool_works_with_fewer_workers_than_asked_for(request: pytest.FixtureRequest) -> None:
    environment = dict(os.environ)
    paths = [str(request.config.rootpath), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    command = [sys.executable, "-c", CROWDED]
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")


FLUSHING = """
declare void @treadle_parallel(ptr, ptr, i64)
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
define void @halve(ptr %out, i64 %task) nounwind {
entry:
  %tiny = alloca float
  store volatile float 0x3810000000000000, ptr %tiny
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.more, %next ]
  %x = load volatile float, ptr %tiny
  %half = fmul float %x, 0.5
  %i.more = add i64 %i, 1
  %more = icmp ult i64 %i.more, 1000
  br i1 %more, label %next, label %done
done:
  %at = getelementptr float, ptr %out, i64 %task
  store float %half, ptr %at
  ret void
}
define void @run(ptr %out, i64 %tasks, i32 %flags) nounwind {
  %at = alloca i32
  %before = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %before)
  %old = load i32, ptr %before
  %new = or i32 %old, %flags
  store i32 %new, ptr %at
  call void @llvm.x86.sse.ldmxcsr(ptr %at)
  call void @treadle_parallel(ptr @halve, ptr %out, i64 %tasks)
  call void @llvm.x86.sse.ldmxcsr(ptr %before)
  ret void
}
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="sets the x86 mode register")
def test_workers_use_the_callers_float_mode(use_threads: Any) -> None:
    use_threads(2)
    imports = {"treadle_parallel": pool.parallel_address()}
    loaded = jit.load_object(jit.compile_object(FLUSHING), ["run"], imports)
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32)
    run = kind(loaded.addresses["run"])
    out = np.empty(1000, np.float32)
    for flags, expected in ((0, np.float32(2.0**-127)), (0x8000, 0.0), (0, np.float32(2.0**-127))):
        run(out.ctypes.data, 1000, flags)
        assert set(out.tolist()) == {float(expected)}


@pytest.mark.parametrize(
    "triple", ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "arm64-apple-darwin23"]
)
def test_text_of_the_pool_is_valid_for_other_targets(triple: str) -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    module = llvm.parse_assembly(pool_text(triple), llvm.create_context())
    module.triple = triple
    module.verify()
    machine = llvm.Target.from_triple(triple).create_target_machine()
    assert "treadle_parallel" in machine.emit_assembly(module)
    assert has_threads(triple) == ("linux" in triple)


def test_pool_has_threads_on_linux() -> None:
    assert has_threads(host_target().triple) == LINUX
