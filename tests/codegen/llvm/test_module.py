"""Modules, entries and targets: deduplication, determinism, and code for CPUs that are not here."""

from __future__ import annotations

from collections.abc import Callable

import llvmlite.binding as llvm
import numpy as np
import pytest

from treadle.codegen.llvm import KernelCall, Module, emit_entry
from treadle.codegen.loops import (
    AcrossLanes,
    Apply,
    Assign,
    Buffer,
    Const,
    Expression,
    For,
    Kernel,
    Load,
    LoopKind,
    Read,
    Register,
    Store,
)
from treadle.codegen.target import AVX2, AVX512, BASELINE, Target
from treadle.ir.index import Var, constant, variable
from treadle.ir.types import float16, float32

ALL = ("exp", "log", "tanh", "erf", "sin", "cos", "sqrt")


def addition(name: str, number: float, tasks: int = 4) -> Kernel:
    x, y = Buffer("x", float32, 4), Buffer("y", float32, 4)
    task = Var("task", tasks)
    at = variable(task)
    store = Store(y, at, Apply("add", (Load(x, at), Const(number, float32)), float32))
    return Kernel(name, (x, y), 1, (For(task, LoopKind.TASKS, (store,)),))


def test_kernels_of_equal_text_are_one() -> None:
    module = Module(AVX2)
    first = module.add_kernel(addition("one", 1.0))
    assert module.add_kernel(addition("two", 1.0)) == first
    other = module.add_kernel(addition("one", 2.0))
    assert other != first
    assert module.text().count("define internal") == 2


def test_a_kernel_never_takes_the_name_of_a_library_function() -> None:
    assert Module(AVX2).add_kernel(addition("sinf", 1.0)) != "sinf"


def test_an_entry_passes_offsets_and_runs_tasks(native: Callable[..., None]) -> None:
    module = Module(AVX2)
    alone = module.add_kernel(addition("alone", 1.0, tasks=1))
    many = module.add_kernel(addition("many", 10.0))
    calls = [
        KernelCall(many, 4, ((0, 8), (1, 0))),
        KernelCall(alone, 1, ((1, 0), (1, 4))),
        KernelCall(many, 0, ((0, 0), (0, 0))),
    ]
    emit_entry(module, "main", calls)
    source, result = np.arange(6, dtype="f"), np.zeros(4, "f")
    native(module.text(), source, result)
    np.testing.assert_array_equal(result, [12, 13, 14, 15])


def test_declarations_are_collected_once() -> None:
    module = Module(AVX2)
    module.declare("declare void @other(ptr)\n")
    module.declare("declare void @other(ptr)")
    assert module.text().count("@other") == 1


def rich_kernel(target: Target) -> Kernel:
    """Elementary functions, a masked tail, a reduction and float16 in one kernel."""
    lanes = target.lanes(4)
    size = lanes * 4 + 3
    x, h, y = Buffer("x", float32, size), Buffer("h", float16, size), Buffer("y", float16, size)
    z = Buffer("z", float32, 1)
    total = Register("total", float32, lanes)
    block, lane, tail = Var("block", 4), Var("lane", lanes), Var("tail", 3)
    loops = []
    for at, var in (
        (variable(block) * lanes + variable(lane), lane),
        (variable(tail) + 4 * lanes, tail),
    ):
        value: Expression = Load(x, at)
        for op in ALL:
            value = Apply(op, (value,), float32)
        half = Apply("cast", (Load(h, at),), float32)
        product = Apply("mul", (value, half), float32)
        mixed = Apply("add", (product, Read(total)), float32)
        if target.fma:
            mixed = Apply("fma", (value, half, Read(total)), float32)
        statements = (Assign(total, mixed), Store(y, at, Apply("cast", (mixed,), float16)))
        loops.append(For(var, LoopKind.LANES, statements, lanes))
    nest = For(block, LoopKind.SERIAL, (loops[0],))
    start = Assign(total, Const(0, float32))
    end = Store(z, constant(0), AcrossLanes("add", total))
    return Kernel("rich", (x, h, y, z), 2, (start, nest, loops[1], end), registers=(total,))


def program(target: Target) -> str:
    module = Module(target)
    symbol = module.add_kernel(rich_kernel(target))
    emit_entry(module, "main", [KernelCall(symbol, 1, ((0, 0), (1, 0), (2, 0), (3, 0)))])
    return module.text()


@pytest.mark.parametrize(
    "target, triple, cpu, expected",
    [
        (AVX512, "x86_64-unknown-linux-gnu", "skylake-avx512", "zmm"),
        (AVX2, "x86_64-unknown-linux-gnu", "haswell", "ymm"),
        (BASELINE, "x86_64-unknown-linux-gnu", "x86-64", "xmm"),
        (AVX2, "aarch64-unknown-linux-gnu", "generic", "v0.4s"),
        (Target("cpu", 16, 32), "aarch64-apple-darwin", "apple-m1", "fmla"),
    ],
    ids=["avx512", "avx2", "baseline", "aarch64", "apple"],
)
def test_assembly_for_other_cpus(target: Target, triple: str, cpu: str, expected: str) -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        found = llvm.Target.from_triple(triple)
    except RuntimeError:
        pytest.skip(f"this LLVM has no code generator for {triple}")
    machine = found.create_target_machine(cpu=cpu, opt=2)
    module = llvm.parse_assembly(program(target), llvm.create_context())
    module.triple = triple
    module.data_layout = str(machine.target_data)
    module.verify()
    assembly = machine.emit_assembly(module)
    assert expected in assembly
    # Conversions of float16 and multiply-add without instructions would be calls.
    for function in ("extendhf", "truncsfhf", "truncdfhf", "fmaf"):
        assert function not in assembly


def test_the_text_of_a_module_is_the_same_every_time() -> None:
    assert len({program(AVX2) for _ in range(3)}) == 1
