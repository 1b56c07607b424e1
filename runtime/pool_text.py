"""LLVM IR of the thread pool behind `treadle_parallel`, for Linux and, as a loop, for the rest.

Text only; `pool_system_text.py` holds what depends on the system, and `pool.py` maps memory,
compiles the text and sets the number of threads.

The protocol
------------
One *caller* at a time holds `busy` (a try-lock; who does not get it runs its tasks by itself, so
nested and concurrent calls cannot wait for each other). All else happens on `word`:

    word = epoch << 32 | unclaimed tasks

1. Publish. The previous epoch is over: `unclaimed` and `pending` are 0. The caller writes fn, args,
   tasks and `pending = tasks`, then exchanges `word` for (epoch + 1, tasks).
2. Claim. Whoever sees `unclaimed > 0` decrements the word by compare-and-swap. Only after it
   succeeded are fn, args and tasks read. They are then those of the claimed task: the swap read
   the word from the publication (acquire), and they are not written again before `pending` is 0,
   which needs the claimed task to be finished. A thread that was stopped for any length of time
   between load and swap either fails, or claims a task that is truly there (should 2**32 epochs
   have passed). Nothing read before the claim is used after it but the swapped word itself.
3. Finish. Each thread subtracts the number of tasks it ran from `pending` (release); the caller
   waits for 0 (acquire), so it sees what the tasks wrote.

Sleeping. Workers spin for a while on `word`, then sleep on its epoch half: they add themselves to
`sleepers`, look at `word` again and wait for the epoch to change. The caller publishes, then reads
`sleepers`. All four are sequentially consistent, so either the caller sees the sleeper or the
sleeper sees the new epoch. The caller sleeps on `pending` in the same way, with `waiting`.

Placement. Linux often wakes a thread on the CPU of its waker, where it waits milliseconds for the
caller to finish or for a tick. Workers note the CPU they fall asleep on; on a collision the caller
takes its own CPU out of that worker's affinity before waking it.

Fork. The control page is zero in a forked child, which is the state "no workers, nobody busy".
The limit lives in a page that the child keeps.
"""

from __future__ import annotations

from string import Template

from treadle.runtime.pool_system_text import CONTROL, HEAD, PLACEMENT, has_threads, system_values

_SERIAL = """
define void @treadle_parallel(ptr %fn, ptr %args, i64 %tasks) nounwind {
entry:
  %some = icmp sgt i64 %tasks, 0
  br i1 %some, label %run, label %done
run:
  %task = phi i64 [ 0, %entry ], [ %next, %run ]
  call void %fn(ptr %args, i64 %task)
  %next = add nuw nsw i64 %task, 1
  %more = icmp slt i64 %next, %tasks
  br i1 %more, label %run, label %done
done:
  ret void
}
"""

_DRAIN = """
; Claim and run tasks until none is unclaimed.
define internal void @drain() nounwind {
entry:
  %pending = getelementptr i8, ptr @control, i64 $PENDING
  %fn.at = getelementptr i8, ptr @control, i64 $FN
  %args.at = getelementptr i8, ptr @control, i64 $ARGS
  %tasks.at = getelementptr i8, ptr @control, i64 $TASKS
  %mode.at = getelementptr i8, ptr @control, i64 $MODE
  br label %look
look:
  %ran = phi i32 [ 0, %entry ], [ %ran, %claim ], [ %ran.more, %run ]
  %word = load atomic i64, ptr @control acquire, align 8
  %unclaimed = and i64 %word, 4294967295
  %none = icmp eq i64 %unclaimed, 0
  br i1 %none, label %finish, label %claim
claim:
  %word.less = sub i64 %word, 1
  %swap = cmpxchg ptr @control, i64 %word, i64 %word.less acq_rel monotonic
  %claimed = extractvalue { i64, i1 } %swap, 1
  br i1 %claimed, label %mode, label %look
mode:
  %fn = load ptr, ptr %fn.at
  %args = load ptr, ptr %args.at
  %tasks = load i64, ptr %tasks.at
  %mode.wanted = load i64, ptr %mode.at
  %mode.now = call i64 @float_mode()
  %same = icmp eq i64 %mode.wanted, %mode.now
  br i1 %same, label %run, label %adopt
adopt:
  call void @set_float_mode(i64 %mode.wanted)
  br label %run
run:
  %task = sub i64 %tasks, %unclaimed
  call void %fn(ptr %args, i64 %task)
  %ran.more = add i32 %ran, 1
  br label %look
finish:
  %idle = icmp eq i32 %ran, 0
  br i1 %idle, label %done, label %report
report:
  %before = atomicrmw sub ptr %pending, i32 %ran seq_cst
  %last = icmp eq i32 %before, %ran
  br i1 %last, label %check, label %done
check:
  %waiting.at = getelementptr i8, ptr @control, i64 $WAITING
  %waiting = load atomic i32, ptr %waiting.at seq_cst, align 4
  %asleep = icmp ne i32 %waiting, 0
  br i1 %asleep, label %wake, label %done
wake:
  call void @futex_wake(ptr %pending, i32 1)
  br label %done
done:
  ret void
}
"""

_WORKER = """
define internal ptr @worker(ptr %which) nounwind {
entry:
  %index = ptrtoint ptr %which to i64
  %number = trunc i64 %index to i32
  %epoch.at = getelementptr i8, ptr @control, i64 $EPOCH
  %sleepers = getelementptr i8, ptr @control, i64 $SLEEPERS
  %resized.at = getelementptr i8, ptr @control, i64 $RESIZED
  %spin.at = getelementptr i8, ptr @limits, i64 4
  %cpus = getelementptr i8, ptr @control, i64 $CPUS
  %cpu.at = getelementptr i32, ptr %cpus, i64 %index
  %tids = getelementptr i8, ptr @control, i64 $TIDS
  %tid.at = getelementptr i32, ptr %tids, i64 %index
  %tid.wide = call i64 (i64, ...) @syscall(i64 $GETTID)
  %tid = trunc i64 %tid.wide to i32
  store atomic i32 %tid, ptr %tid.at release, align 4
  br label %start
start:
  %resized = load atomic i32, ptr %resized.at seq_cst, align 4
  %threads = load atomic i32, ptr @limits seq_cst, align 4
  %workers = sub i32 %threads, 1
  %surplus = icmp sge i32 %number, %workers
  br i1 %surplus, label %park, label %watch
park:
  call void @futex_wait(ptr %resized.at, i32 %resized)
  br label %start
watch:
  %seen = load atomic i64, ptr @control monotonic, align 8
  br label %look
look:
  %last = phi i64 [ %seen, %watch ], [ %word, %fresh ], [ %word, %idle ]
  %spun = phi i32 [ 0, %watch ], [ 0, %fresh ], [ %spun.more, %idle ]
  %word = load atomic i64, ptr @control monotonic, align 8
  %unclaimed = trunc i64 %word to i32
  %none = icmp eq i32 %unclaimed, 0
  br i1 %none, label %quiet, label %help
help:
  call void @drain()
  br label %start
quiet:
  %changed = icmp ne i64 %word, %last
  br i1 %changed, label %fresh, label %idle
fresh:
  call void @pause()
  br label %look
idle:
  call void @pause()
  %spun.more = add i32 %spun, 1
  %spin = load atomic i32, ptr %spin.at monotonic, align 4
  %enough = icmp sge i32 %spun.more, %spin
  br i1 %enough, label %tire, label %look
tire:
  %cpu = call i32 @sched_getcpu()
  store atomic i32 %cpu, ptr %cpu.at monotonic, align 4
  %up = atomicrmw add ptr %sleepers, i32 1 seq_cst
  %again = load atomic i64, ptr @control seq_cst, align 8
  %still = icmp eq i64 %again, %word
  br i1 %still, label %sleep, label %wakeful
sleep:
  %epoch.wide = lshr i64 %word, 32
  %epoch = trunc i64 %epoch.wide to i32
  call void @futex_wait(ptr %epoch.at, i32 %epoch)
  br label %wakeful
wakeful:
  %down = atomicrmw sub ptr %sleepers, i32 1 seq_cst
  br label %start
}
"""

_PARALLEL = """
; Wake as many sleepers as the tasks need beyond the workers that are awake.
define internal void @wake_workers(i32 %tasks, i32 %wanted, i32 %asleep) noinline nounwind {
entry:
  %epoch = getelementptr i8, ptr @control, i64 $EPOCH
  %started.at = getelementptr i8, ptr @control, i64 $STARTED
  %started = load i32, ptr %started.at
  %few = icmp slt i32 %started, %wanted
  %able = select i1 %few, i32 %started, i32 %wanted
  %awake = sub i32 %able, %asleep
  %others = sub i32 %tasks, 1
  %less = icmp slt i32 %others, %able
  %useful = select i1 %less, i32 %others, i32 %able
  %needed = sub i32 %useful, %awake
  %some = icmp sgt i32 %needed, 0
  br i1 %some, label %place, label %done
place:
  %separate.at = getelementptr i8, ptr @limits, i64 8
  %separate = load atomic i32, ptr %separate.at monotonic, align 4
  %roomy = icmp ne i32 %separate, 0
  br i1 %roomy, label %move, label %wake
move:
  call void @separate_workers()
  br label %wake
wake:
  call void @futex_wake(ptr %epoch, i32 %needed)
  br label %done
done:
  ret void
}
; Wait until every task is finished: spin, then sleep.
define internal void @await_tasks() nounwind {
entry:
  %pending = getelementptr i8, ptr @control, i64 $PENDING
  %waiting = getelementptr i8, ptr @control, i64 $WAITING
  %spin.at = getelementptr i8, ptr @limits, i64 4
  %spin = load atomic i32, ptr %spin.at monotonic, align 4
  br label %look
look:
  %spun = phi i32 [ 0, %entry ], [ %spun.more, %idle ]
  %left = load atomic i32, ptr %pending acquire, align 4
  %over = icmp eq i32 %left, 0
  br i1 %over, label %done, label %idle
idle:
  call void @pause()
  %spun.more = add i32 %spun, 1
  %enough = icmp sge i32 %spun.more, %spin
  br i1 %enough, label %tire, label %look
tire:
  %r = atomicrmw xchg ptr %waiting, i32 1 seq_cst
  br label %again
again:
  %value = load atomic i32, ptr %pending seq_cst, align 4
  %finished = icmp eq i32 %value, 0
  br i1 %finished, label %rested, label %sleep
sleep:
  call void @futex_wait(ptr %pending, i32 %value)
  br label %again
rested:
  store atomic i32 0, ptr %waiting monotonic, align 4
  br label %done
done:
  ret void
}
define void @treadle_parallel(ptr %fn, ptr %args, i64 %tasks) nounwind {
entry:
  %busy = getelementptr i8, ptr @control, i64 $BUSY
  %threads = load atomic i32, ptr @limits monotonic, align 4
  %wanted = sub i32 %threads, 1
  %few = icmp slt i64 %tasks, 2
  %alone = icmp slt i32 %wanted, 1
  %many = icmp sgt i64 %tasks, 2147483647
  %s0 = or i1 %few, %alone
  %s1 = or i1 %s0, %many
  br i1 %s1, label %serial, label %lock
lock:
  %swap = cmpxchg ptr %busy, i32 0, i32 1 acquire monotonic
  %locked = extractvalue { i32, i1 } %swap, 1
  br i1 %locked, label %check, label %serial
check:
  %asked.at = getelementptr i8, ptr @control, i64 $ASKED
  %asked = load i32, ptr %asked.at
  %missing = icmp slt i32 %asked, %wanted
  br i1 %missing, label %start, label %publish
start:
  call void @start_workers(i32 %wanted)
  br label %publish
publish:
  %fn.at = getelementptr i8, ptr @control, i64 $FN
  %args.at = getelementptr i8, ptr @control, i64 $ARGS
  %tasks.at = getelementptr i8, ptr @control, i64 $TASKS
  %mode.at = getelementptr i8, ptr @control, i64 $MODE
  %pending = getelementptr i8, ptr @control, i64 $PENDING
  %sleepers = getelementptr i8, ptr @control, i64 $SLEEPERS
  %mode = call i64 @float_mode()
  %count = trunc i64 %tasks to i32
  store ptr %fn, ptr %fn.at
  store ptr %args, ptr %args.at
  store i64 %tasks, ptr %tasks.at
  store i64 %mode, ptr %mode.at
  store atomic i32 %count, ptr %pending monotonic, align 4
  %old = load atomic i64, ptr @control monotonic, align 8
  %epoch = and i64 %old, -4294967296
  %epoch.next = add i64 %epoch, 4294967296
  %word = or i64 %epoch.next, %tasks
  %published = atomicrmw xchg ptr @control, i64 %word seq_cst
  %asleep = load atomic i32, ptr %sleepers seq_cst, align 4
  %any = icmp ne i32 %asleep, 0
  br i1 %any, label %wake, label %work
wake:
  call void @wake_workers(i32 %count, i32 %wanted, i32 %asleep)
  br label %work
work:
  call void @drain()
  call void @await_tasks()
  store atomic i32 0, ptr %busy release, align 4
  ret void
serial:
  call void @run_serially(ptr %fn, ptr %args, i64 %tasks)
  ret void
}
"""


def pool_text(triple: str) -> str:
    """LLVM IR that defines ``void @treadle_parallel(ptr fn, ptr args, i64 tasks)``."""
    if not has_threads(triple):
        return _SERIAL
    serial = _SERIAL.replace("define void @treadle_parallel", "define internal void @run_serially")
    text = HEAD + serial + _DRAIN + _WORKER + PLACEMENT + _PARALLEL
    return Template(text).substitute({**CONTROL, **system_values(triple)})
