"""Compiling and loading: errors, alike symbols, unloading, libm, threads, assembly."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from treadle.ir.errors import CompilationError
from treadle.runtime import jit
from treadle.runtime.statistics import counters


def constant(value: int) -> str:
    """A program whose entry returns ``value``, through symbols named as in any other."""
    return f"""
@table = constant [2 x i64] [i64 {value}, i64 0]
define i64 @helper() nounwind {{
  %x = load volatile i64, ptr @table
  ret i64 %x
}}
define i64 @entry() nounwind {{
  %x = call i64 @helper()
  ret i64 %x
}}
"""


def call(loaded: jit.LoadedObject) -> int:
    return int(ctypes.CFUNCTYPE(ctypes.c_int64)(loaded.addresses["entry"])())


def test_symbols_of_objects_do_not_clash() -> None:
    loaded = [jit.load_object(jit.compile_object(constant(n)), ["entry"]) for n in range(20)]
    assert [call(each) for each in loaded] == list(range(20))
    del loaded[::2]
    gc.collect()
    assert [call(each) for each in loaded] == list(range(1, 20, 2))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_unloading_frees_memory() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    code = jit.compile_object(constant(7))
    loaded = [jit.load_object(code, ["entry"]) for _ in range(600)]
    del loaded
    gc.collect()
    before = resident()
    for _ in range(600):
        assert call(jit.load_object(code, ["entry"])) == 7
    gc.collect()
    assert resident() - before < 3 << 20


def test_invalid_text_is_a_compilation_error() -> None:
    with pytest.raises(CompilationError, match="LLVM rejected the text of a program"):
        jit.compile_object("define void @f( {")
    late = "define i32 @f() { %x = add i32 %y, 1 %y = add i32 1, 1 ret i32 %x }"
    with pytest.raises(CompilationError, match="LLVM rejected the text of a program"):
        jit.compile_object(late)


def test_missing_symbols_are_compilation_errors(capfd: pytest.CaptureFixture[str]) -> None:
    text = """declare void @no_such_function()
    define void @f() { call void @no_such_function() ret void }"""
    with pytest.raises(CompilationError, match="could not load a program"):
        jit.load_object(jit.compile_object(text), ["f"])
    # Only LLVM itself knows the name, and prints it.
    assert "no_such_function" in capfd.readouterr().err


def test_imports_are_linked() -> None:
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
    double = kind(lambda x: 2 * x)
    address = ctypes.cast(double, ctypes.c_void_p).value
    assert address is not None
    text = """declare i64 @double(i64)
    define i64 @entry() { %x = call i64 @double(i64 21) ret i64 %x }"""
    loaded = jit.load_object(jit.compile_object(text), ["entry"], {"double": address})
    assert call(loaded) == 42


def test_functions_of_libm_are_visible() -> None:
    text = """declare float @fmodf(float, float)
    define float @f(float %x) { %y = call float @fmodf(float %x, float 3.0) ret float %y }"""
    loaded = jit.load_object(jit.compile_object(text), ["f"])
    f = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_float)(loaded.addresses["f"])
    assert f(7.5) == 1.5


def test_compiling_is_deterministic() -> None:
    assert jit.compile_object(constant(3)) == jit.compile_object(constant(3))


def test_stack_variables_become_registers_and_helpers_are_inlined() -> None:
    text = """
define internal float @twice(float %x) alwaysinline {
  %y = fadd float %x, %x
  ret float %y
}
define float @f(float %x) {
  %a = alloca float
  store float %x, ptr %a
  %v = load float, ptr %a
  %w = call float @twice(float %v)
  ret float %w
}
"""
    optimized = jit.optimize(text)
    assert "alloca" not in optimized
    assert "@twice" not in optimized
    assert "f:" in jit.emit_assembly(text)


def test_object_code_is_compiled_once_and_then_read_from_disk() -> None:
    before = counters.compile_seconds
    first, stored = jit.object_code(constant(5))
    assert not stored
    assert counters.compile_seconds > before
    assert jit.object_code(constant(5)) == (first, True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_child_compiles_although_another_thread_was_compiling() -> None:
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            call(jit.load_object(jit.compile_object(constant(1)), ["entry"]))

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                # A child that hangs is ended by the alarm, with another status.
                signal.alarm(20)
                value = call(jit.load_object(jit.compile_object(constant(9)), ["entry"]))
                os._exit(0 if value == 9 else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        worker.join()


def test_threads_compile_and_load_at_once() -> None:
    results: dict[int, int] = {}

    def work(first: int) -> None:
        for value in range(first, first + 8):
            results[value] = call(jit.load_object(jit.compile_object(constant(value)), ["entry"]))

    workers = [threading.Thread(target=work, args=(first,)) for first in (0, 100, 200)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert results == {value: value for first in (0, 100, 200) for value in range(first, first + 8)}
