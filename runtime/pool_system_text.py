"""LLVM IR of the thread pool that depends on the system: layout, futexes, starting, placement.

Linux on x86-64 and arm64. The protocol that runs on it is in `pool_text.py`.
"""

from __future__ import annotations

import sys

MAX_THREADS = 256
CONTROL_BYTES = 4096
STACK_BYTES = 16 << 20


# Offsets in the control page. What different threads write lies on different cache lines.
CONTROL = {
    "EPOCH": 4,  # upper half of the word at 0, little-endian
    "PENDING": 128,
    "WAITING": 132,
    "SLEEPERS": 256,
    "BUSY": 384,
    "STARTED": 388,
    "ASKED": 392,
    "FN": 512,
    "ARGS": 520,
    "TASKS": 528,
    "MODE": 536,
    "RESIZED": 640,
    "ALLOWED": 768,  # affinity of the thread that started the workers, 128 bytes
    "CPUS": 1024,  # CPU a worker fell asleep on, -1 if unknown, one i32 a worker
    "TIDS": 2048,
}
# Offsets in the limits page: number of threads, pauses before sleeping, workers kept off the
# caller's CPU or not.
THREADS, SPIN, SEPARATE = 0, 4, 8

_X86: dict[str, str | int] = {
    "FUTEX": 202,
    "GETTID": 186,
    "TARGET": """
declare void @llvm.x86.sse2.pause()
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
define internal void @pause() alwaysinline nounwind {
  call void @llvm.x86.sse2.pause()
  ret void
}
; Rounding and denormal handling, without the flags of exceptions that have happened.
define internal i64 @float_mode() alwaysinline nounwind {
  %at = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %at)
  %all = load i32, ptr %at
  %mode = and i32 %all, 65472
  %wide = zext i32 %mode to i64
  ret i64 %wide
}
define internal void @set_float_mode(i64 %wide) alwaysinline nounwind {
  %at = alloca i32
  %mode = trunc i64 %wide to i32
  store i32 %mode, ptr %at
  call void @llvm.x86.sse.ldmxcsr(ptr %at)
  ret void
}
""",
}

# isb waits about as long as an x86 pause; the yield hint does nothing on most cores.
_ARM: dict[str, str | int] = {
    "FUTEX": 98,
    "GETTID": 178,
    "TARGET": """
declare void @llvm.aarch64.isb(i32)
declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)
define internal void @pause() alwaysinline nounwind {
  call void @llvm.aarch64.isb(i32 15)
  ret void
}
define internal i64 @float_mode() alwaysinline nounwind {
  %mode = call i64 @llvm.aarch64.get.fpcr()
  ret i64 %mode
}
define internal void @set_float_mode(i64 %mode) alwaysinline nounwind {
  call void @llvm.aarch64.set.fpcr(i64 %mode)
  ret void
}
""",
}

HEAD = """
@control = external global i8
@limits = external global i8
declare i64 @syscall(i64, ...)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_attr_init(ptr)
declare i32 @pthread_attr_destroy(ptr)
declare i32 @pthread_attr_setstacksize(ptr, i64)
declare i32 @pthread_attr_setdetachstate(ptr, i32)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sched_getcpu()
declare i32 @sched_getaffinity(i32, i64, ptr)
declare i32 @sched_setaffinity(i32, i64, ptr)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
$TARGET
define internal void @futex_wait(ptr %at, i32 %value) noinline nounwind {
  %r = call i64 (i64, ...) @syscall(i64 $FUTEX, ptr %at, i64 128, i32 %value, ptr null)
  ret void
}
define internal void @futex_wake(ptr %at, i32 %count) noinline nounwind {
  %r = call i64 (i64, ...) @syscall(i64 $FUTEX, ptr %at, i64 129, i32 %count, ptr null)
  ret void
}
; Time `count` pauses, for choosing how long to spin.
define void @treadle_spin(i32 %count) nounwind {
entry:
  br label %spin
spin:
  %left = phi i32 [ %count, %entry ], [ %less, %spin ]
  call void @pause()
  %less = sub i32 %left, 1
  %more = icmp sgt i32 %less, 0
  br i1 %more, label %spin, label %done
done:
  ret void
}
; After a change of the limits page: workers look at it again.
define void @treadle_resized() nounwind {
  %resized = getelementptr i8, ptr @control, i64 $RESIZED
  %epoch = getelementptr i8, ptr @control, i64 $EPOCH
  %r = atomicrmw add ptr %resized, i32 1 seq_cst
  call void @futex_wake(ptr %resized, i32 2147483647)
  call void @futex_wake(ptr %epoch, i32 2147483647)
  ret void
}
"""

PLACEMENT = """
; Start workers up to `wanted`. Their stacks hold kernels' row buffers; they take no signals but
; those of faults, so that Python's handlers run in Python's threads.
define internal void @start_workers(i32 %wanted) noinline nounwind {
entry:
  %attributes = alloca [128 x i8], align 16
  %blocked = alloca [128 x i8], align 16
  %before = alloca [128 x i8], align 16
  %thread = alloca i64
  %started.at = getelementptr i8, ptr @control, i64 $STARTED
  %asked.at = getelementptr i8, ptr @control, i64 $ASKED
  %cpus = getelementptr i8, ptr @control, i64 $CPUS
  store i32 %wanted, ptr %asked.at
  %a0 = call i32 @pthread_attr_init(ptr %attributes)
  %a1 = call i32 @pthread_attr_setstacksize(ptr %attributes, i64 $STACK)
  %a2 = call i32 @pthread_attr_setdetachstate(ptr %attributes, i32 1)
  call void @llvm.memset.p0.i64(ptr %blocked, i8 -1, i64 128, i1 false)
  store i64 $SIGNALS, ptr %blocked
  %a3 = call i32 @pthread_sigmask(i32 2, ptr %blocked, ptr %before)
  %allowed = getelementptr i8, ptr @control, i64 $ALLOWED
  %a4 = call i32 @sched_getaffinity(i32 0, i64 128, ptr %allowed)
  %first = load i32, ptr %started.at
  br label %next
next:
  %index = phi i32 [ %first, %entry ], [ %index.more, %created ]
  %more = icmp slt i32 %index, %wanted
  br i1 %more, label %create, label %done
create:
  %wide = zext i32 %index to i64
  %cpu.at = getelementptr i32, ptr %cpus, i64 %wide
  store atomic i32 -1, ptr %cpu.at monotonic, align 4
  %which = inttoptr i64 %wide to ptr
  %failed = call i32 @pthread_create(ptr %thread, ptr %attributes, ptr @worker, ptr %which)
  %ok = icmp eq i32 %failed, 0
  br i1 %ok, label %created, label %done
created:
  %index.more = add i32 %index, 1
  br label %next
done:
  store i32 %index, ptr %started.at
  %a5 = call i32 @pthread_sigmask(i32 2, ptr %before, ptr null)
  %a6 = call i32 @pthread_attr_destroy(ptr %attributes)
  ret void
}
; Move workers that fell asleep on the caller's CPU off it.
define internal void @separate_workers() noinline nounwind {
entry:
  %mask = alloca [128 x i8], align 16
  %started.at = getelementptr i8, ptr @control, i64 $STARTED
  %cpus = getelementptr i8, ptr @control, i64 $CPUS
  %tids = getelementptr i8, ptr @control, i64 $TIDS
  %allowed = getelementptr i8, ptr @control, i64 $ALLOWED
  %started = load i32, ptr %started.at
  %cpu = call i32 @sched_getcpu()
  %known = icmp ult i32 %cpu, 1024
  br i1 %known, label %next, label %done
next:
  %index = phi i32 [ 0, %entry ], [ %index.more, %skip ]
  %more = icmp slt i32 %index, %started
  br i1 %more, label %look, label %done
look:
  %wide = zext i32 %index to i64
  %cpu.at = getelementptr i32, ptr %cpus, i64 %wide
  %slept = load atomic i32, ptr %cpu.at monotonic, align 4
  %collides = icmp eq i32 %slept, %cpu
  br i1 %collides, label %move, label %skip
move:
  call void @llvm.memcpy.p0.p0.i64(ptr %mask, ptr %allowed, i64 128, i1 false)
  %byte = lshr i32 %cpu, 3
  %bit = and i32 %cpu, 7
  %byte.at = getelementptr i8, ptr %mask, i32 %byte
  %old = load i8, ptr %byte.at
  %bit.small = trunc i32 %bit to i8
  %set = shl i8 1, %bit.small
  %clear = xor i8 %set, -1
  %new = and i8 %old, %clear
  store i8 %new, ptr %byte.at
  %tid.at = getelementptr i32, ptr %tids, i64 %wide
  %tid = load atomic i32, ptr %tid.at acquire, align 4
  %r = call i32 @sched_setaffinity(i32 %tid, i64 128, ptr %mask)
  store atomic i32 -1, ptr %cpu.at monotonic, align 4
  br label %skip
skip:
  %index.more = add i32 %index, 1
  br label %next
done:
  ret void
}
"""

# Every signal but those of faults (ILL, TRAP, ABRT, BUS, FPE, SEGV, SYS), which must reach their
# handlers on the thread that caused them.
_SIGNALS = ~sum(1 << (number - 1) for number in (4, 5, 6, 7, 8, 11, 31))


def has_threads(triple: str) -> bool:
    """Whether the pool is made for a target; elsewhere `treadle_parallel` is a loop."""
    known = triple.startswith(("x86_64", "aarch64"))
    return known and "linux" in triple and sys.byteorder == "little"


def system_values(triple: str) -> dict[str, str | int]:
    """What the templates need to know about a target that `has_threads`."""
    target = _X86 if triple.startswith("x86_64") else _ARM
    return {"STACK": STACK_BYTES, "SIGNALS": _SIGNALS, **target}
