"""Loaded programs: pointer table, donation, scratch memory, caching, serialising, threads."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from treadle.codegen.artifact import Artifact, KernelInfo, OutputPlan
from treadle.runtime import cpu, jit
from treadle.runtime.memory import Buffer, memory_statistics
from treadle.runtime.statistics import counters

COUNT = 1000
# out = 2 * a + b through the arena, in blocks of 100 run in parallel; then a += 1 in place.
TEXT = """
declare void @treadle_parallel(ptr, ptr, i64)
define internal void @axpy(ptr %table, i64 %task) nounwind {
entry:
  %b.at = getelementptr ptr, ptr %table, i64 1
  %out.at = getelementptr ptr, ptr %table, i64 2
  %arena.at = getelementptr ptr, ptr %table, i64 4
  %a = load ptr, ptr %table
  %b = load ptr, ptr %b.at
  %out = load ptr, ptr %out.at
  %arena = load ptr, ptr %arena.at
  %first = mul i64 %task, 100
  %last = add i64 %first, 100
  br label %next
next:
  %i = phi i64 [ %first, %entry ], [ %i.more, %next ]
  %pa = getelementptr float, ptr %a, i64 %i
  %pb = getelementptr float, ptr %b, i64 %i
  %po = getelementptr float, ptr %out, i64 %i
  %ps = getelementptr float, ptr %arena, i64 %i
  %x = load float, ptr %pa
  %y = load float, ptr %pb
  %d = fadd float %x, %x
  store float %d, ptr %ps
  %e = load float, ptr %ps
  %s = fadd float %e, %y
  store float %s, ptr %po
  %i.more = add i64 %i, 1
  %more = icmp ult i64 %i.more, %last
  br i1 %more, label %next, label %done
done:
  ret void
}
define internal void @increment(ptr %table, i64 %task) nounwind {
entry:
  %a.at = getelementptr ptr, ptr %table, i64 3
  %a = load ptr, ptr %a.at
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.more, %next ]
  %p = getelementptr float, ptr %a, i64 %i
  %x = load float, ptr %p
  %y = fadd float %x, 1.0
  store float %y, ptr %p
  %i.more = add i64 %i, 1
  %more = icmp ult i64 %i.more, 1000
  br i1 %more, label %next, label %done
done:
  ret void
}
define void @run(ptr %table) nounwind {
  call void @treadle_parallel(ptr @axpy, ptr %table, i64 10)
  call void @increment(ptr %table, i64 0)
  ret void
}
"""
KERNELS = (
    KernelInfo("axpy", 10, 12 * COUNT, 2 * COUNT, ("model.py:3", "model.py:4")),
    KernelInfo("increment", 1, 8 * COUNT, COUNT, ()),
)
ARTIFACT = Artifact(
    llvm=TEXT,
    entry="run",
    arena_bytes=4 * COUNT,
    inputs=(4 * COUNT, 4 * COUNT),
    outputs=(OutputPlan(4 * COUNT, None), OutputPlan(4 * COUNT, 0)),
    kernels=KERNELS,
)


def inputs() -> list[Buffer]:
    buffers = [Buffer(4 * COUNT), Buffer(4 * COUNT)]
    buffers[0].array(np.float32, (COUNT,))[...] = np.arange(COUNT)
    buffers[1].array(np.float32, (COUNT,))[...] = 5.0
    return buffers


def check(program: cpu.LoadedProgram) -> None:
    buffers = inputs()
    outputs = program.run(buffers)
    expected = 2 * np.arange(COUNT, dtype=np.float32) + 5
    assert (outputs[0].array(np.float32, (COUNT,)) == expected).all()
    assert outputs[1] is buffers[0]
    assert (outputs[1].array(np.float32, (COUNT,)) == np.arange(COUNT) + 1).all()


def test_program_runs_and_donates() -> None:
    check(cpu.load(ARTIFACT))


def test_borrowed_inputs_are_used_in_place() -> None:
    array = np.arange(COUNT, dtype=np.float32)
    cpu.load(ARTIFACT).run([Buffer.wrap(array), inputs()[1]])
    assert (array == np.arange(COUNT) + 1).all()


def test_wrong_number_of_inputs_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 2 inputs, found 1"):
        cpu.load(ARTIFACT).run(inputs()[:1])


def test_program_without_inputs_outputs_and_scratch_runs() -> None:
    text = "define void @run(ptr %table) nounwind { ret void }"
    assert cpu.load(Artifact(text, "run", 0, (), (), ())).run([]) == []


def test_second_load_comes_from_disk() -> None:
    cpu.load(ARTIFACT)
    before = counters.snapshot()
    check(cpu.load(ARTIFACT))
    after = counters.snapshot()
    assert after["programs_compiled"] == before["programs_compiled"]
    assert after["programs_loaded"] == before["programs_loaded"] + 1


def test_damaged_cache_entry_is_compiled_again(cache_folder: Path) -> None:
    cpu.load(ARTIFACT)
    for path in cache_folder.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-3])
    before = counters.programs_compiled
    check(cpu.load(ARTIFACT))
    assert counters.programs_compiled == before + 1


def test_serialized_program_runs_without_its_text() -> None:
    program = cpu.load(ARTIFACT)
    before = counters.programs_compiled
    again = cpu.load_serialized(program.serialize())
    assert again is not None
    assert again.plan == program.plan
    check(again)
    assert counters.programs_compiled == before


def test_serialized_program_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = cpu.load(ARTIFACT).serialize()
    assert cpu.load_serialized(b"") is None
    assert cpu.load_serialized(data[:20]) is None
    assert cpu.load_serialized(b"x" + data[1:]) is None
    monkeypatch.setattr(jit, "code_version", lambda: "00" * 32)
    assert cpu.load_serialized(data) is None


def test_runs_are_counted() -> None:
    program = cpu.load(ARTIFACT)
    counters.reset()
    for _ in range(3):
        check(program)
    found = counters.snapshot()
    assert found["program_runs"] == 3
    assert found["kernels_launched"] == 6
    assert 0 < found["native_seconds"] < 1
    assert found["programs_compiled"] == 0


def test_outputs_are_given_back_when_collected() -> None:
    program = cpu.load(ARTIFACT)
    check(program)
    before = memory_statistics()
    for _ in range(50):
        check(program)
    assert memory_statistics() == before


def test_threads_run_one_program_at_once() -> None:
    program = cpu.load(ARTIFACT)
    failures: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(200):
                check(program)
        except Exception as error:
            failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
