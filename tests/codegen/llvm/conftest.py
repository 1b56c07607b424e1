"""Compiles emitted kernels with LLVM and runs them on arrays; nothing of the runtime is needed."""

from __future__ import annotations

import ctypes
import mmap
import platform
import sys
from collections.abc import Callable

import llvmlite.binding as llvm
import numpy as np
import pytest

from treadle.codegen.llvm import KernelCall, Module, emit_entry
from treadle.codegen.loops import Kernel
from treadle.codegen.target import AVX2, BASELINE, Target
from treadle.ir.value import Array

# Runs tasks last to first: nothing may depend on their order.
PARALLEL = """
define void @treadle_parallel(ptr %function, ptr %args, i64 %count) {
entry:
  br label %loop
loop:
  %left = phi i64 [%count, %entry], [%task, %loop]
  %task = sub i64 %left, 1
  call void %function(ptr %args, i64 %task)
  %more = icmp ne i64 %task, 0
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""
X86 = platform.machine().lower() in ("x86_64", "amd64")


def program_text(kernels: list[Kernel], target: Target) -> str:
    """A module whose ``main`` runs kernels in order, their arguments one after another."""
    module = Module(target)
    calls = []
    slot = 0
    for kernel in kernels:
        count = len(kernel.arguments)
        arguments = tuple((slot + number, 0) for number in range(count))
        calls.append(KernelCall(module.add_kernel(kernel), kernel.tasks, arguments))
        slot += count
    emit_entry(module, "main", calls)
    return module.text()


def machine(target: Target) -> llvm.TargetMachine:
    """The host, without its vector extensions for BASELINE."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    if X86 and target is BASELINE:
        cpu, features = "x86-64", ""
    found = llvm.Target.from_triple(llvm.get_process_triple())
    return found.create_target_machine(cpu=cpu, features=features, opt=2)


def parse(text: str, compiler: llvm.TargetMachine) -> llvm.ModuleRef:
    """A verified module for a machine."""
    module = llvm.parse_assembly(text, llvm.create_context())
    module.triple = compiler.triple
    module.data_layout = str(compiler.target_data)
    module.verify()
    return module


def execute(kernels: Kernel | list[Kernel], *arrays: Array, target: Target = AVX2) -> str:
    """Compile and run kernels on arrays in place; the module's text."""
    text = program_text([kernels] if isinstance(kernels, Kernel) else kernels, target)
    execute_text(text, *arrays, target=target)
    return text


def execute_text(text: str, *arrays: Array, target: Target = AVX2) -> None:
    """Compile a module and run its ``main`` over a table of the arrays."""
    compiler = machine(target)
    linked = text.replace("declare void @treadle_parallel(ptr, ptr, i64)", PARALLEL)
    engine = llvm.create_mcjit_compiler(parse(linked, compiler), compiler)
    engine.finalize_object()
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(engine.get_function_address("main"))
    table = np.array([array.ctypes.data for array in arrays], dtype=np.uintp)
    function(table.ctypes.data)


def fenced(array: Array) -> list[Array]:
    """Copies of an array that begin, and that end, beside memory that cannot be read."""
    if not sys.platform.startswith("linux"):
        return [array]
    libc, page = ctypes.CDLL(None), mmap.PAGESIZE
    inside = -(-max(array.nbytes, 1) // page) * page
    copies = []
    for start in (page, page + inside - array.nbytes):
        memory = mmap.mmap(-1, inside + 2 * page)
        whole = np.frombuffer(memory, np.uint8)
        for fence in (0, page + inside):
            address = ctypes.c_void_p(whole.ctypes.data + fence)
            assert libc.mprotect(address, ctypes.c_size_t(page), 0) == 0
        copy = whole[start : start + array.nbytes].view(array.dtype)
        copy[:] = array
        copies.append(copy)
    return copies


class Runner:
    """Runs kernels compiled for one target."""

    fenced = staticmethod(fenced)

    def __init__(self, target: Target) -> None:
        self.target = target

    def __call__(self, kernels: Kernel | list[Kernel], *arrays: Array) -> str:
        """`execute`."""
        return execute(kernels, *arrays, target=self.target)


@pytest.fixture(params=["avx2", "baseline"])
def run(request: pytest.FixtureRequest) -> Runner:
    """Runs kernels, with and without fused multiply-add and masked loads."""
    return Runner({"avx2": AVX2, "baseline": BASELINE}[request.param])


@pytest.fixture
def native() -> Callable[..., None]:
    """`execute_text`."""
    return execute_text
