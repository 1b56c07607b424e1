"""Programs: the kernels of a planned graph as loop IR, and one artifact that runs them in order.

What is fused and where values live was decided by passes; loops are decided by schedules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from treadle.codegen.artifact import ArrayType, Artifact, KernelInfo, LibraryCall, OutputPlan
from treadle.codegen.llvm import KernelCall, Module, emit_entry
from treadle.codegen.loops import Kernel
from treadle.codegen.lower import lower
from treadle.codegen.target import Target
from treadle.ir.errors import PassError
from treadle.ir.fusion.costs import is_input, start_of_update, without_reshapes
from treadle.ir.graph import Graph
from treadle.ir.memory.launches import Launches
from treadle.ir.ops.kernel import ITEM
from treadle.ir.passes.memory_plan import arena_bytes
from treadle.ir.types import element_count
from treadle.ir.value import LoopClass, Value

# An address: a slot of the entry's pointer table, and an offset in bytes.
Address = tuple[int, int]


@dataclass(frozen=True)
class Launch:
    """One call of a kernel.

    Attributes:
        value: the ``kernel`` op.
        kernel: its loops; calls with equal bodies and aliases share them. A body that is a
            library call has none: the host computes it, on every target.
        arguments: address of each input, then of each result.
    """

    value: Value
    kernel: Kernel | LibraryCall
    arguments: tuple[Address, ...]


def assemble(graph: Graph, target: Target, name: str) -> Artifact:
    """The program of a fused and planned graph as LLVM text, and how to call it.

    Raises:
        PassError: the graph is not fused or not planned.
    """
    module = Module(target)
    calls, infos = [], []
    library: dict[str, LibraryCall] = {}
    symbols: dict[str, str] = {}
    for launch in launches_of(graph, target):
        kernel = launch.kernel
        infos.append(_info(launch, graph))
        if isinstance(kernel, LibraryCall):
            library[kernel.symbol] = kernel
            module.declare(f"declare void @{kernel.symbol}(ptr, i64)")
            calls.append(KernelCall(kernel.symbol, 1, launch.arguments))
        elif kernel.body:
            if kernel.name not in symbols:
                symbols[kernel.name] = module.add_kernel(kernel)
            calls.append(KernelCall(symbols[kernel.name], kernel.tasks, launch.arguments))
    entry = "program_" + _word(name)
    emit_entry(module, entry, calls)
    return Artifact(
        llvm=module.text(),
        entry=entry,
        arena_bytes=arena_bytes(graph),
        inputs=tuple(value.type.nbytes for value in graph.inputs),
        outputs=tuple(_output_plan(output) for output in graph.outputs),
        kernels=tuple(infos),
        library=tuple(library.values()),
    )


def kernels(graph: Graph, target: Target) -> list[Kernel]:
    """The distinct kernels of a fused and planned graph, in the order of their first launch.

    Library calls are steps of the host between them: see ``host_steps``.
    """
    steps = (launch.kernel for launch in launches_of(graph, target))
    return list({step.name: step for step in steps if isinstance(step, Kernel)}.values())


def host_steps(graph: Graph, target: Target) -> list[LibraryCall]:
    """The distinct library calls of a fused and planned graph: no target has kernels for them."""
    steps = (launch.kernel for launch in launches_of(graph, target))
    return list({step.symbol: step for step in steps if isinstance(step, LibraryCall)}.values())


def launches_of(graph: Graph, target: Target) -> Iterator[Launch]:
    """The calls of a program in the order in which they run."""
    lowered: dict[tuple[Graph, tuple[tuple[int, int], ...]], Kernel | LibraryCall] = {}
    names: dict[str, int] = {}
    for value in Launches(graph).kernels:
        body, memory = value.attrs
        if len(memory) != len(body.outputs):
            raise PassError(f"program @{graph.name} has no memory plan: run memory-plan")
        inputs = [_address(graph, without_reshapes(operand)) for operand in value.inputs]
        outputs = [_place(graph, place.kind, place.number) for place in memory]
        aliases = {
            result: inputs.index(address)
            for result, address in enumerate(outputs)
            if address in inputs and body.outputs[result].type.nbytes
        }
        key = (body, tuple(sorted(aliases.items())))
        if key not in lowered:
            called = library_call_of(body)
            name = _unused(names, ("k_" if called is None else "library_") + _word(body.name))
            lowered[key] = (
                lower(body, target, name, aliases)
                if called is None
                else _library_call(body, called, name)
            )
        yield Launch(value, lowered[key], (*inputs, *outputs))


def library_call_of(body: Graph) -> Value | None:
    """The library call that a body is; None for bodies with loops."""
    item = body.outputs[0]
    call = item.inputs[0] if item.op is ITEM else item
    return call if call.op.loop_class is LoopClass.LIBRARY else None


def _library_call(body: Graph, called: Value, symbol: str) -> LibraryCall:
    name, options, pairs = called.attrs
    return LibraryCall(
        symbol,
        name,
        options,
        pairs,
        operands=tuple(map(_argument, called.inputs)),
        results=tuple(map(_argument, body.outputs)),
    )


def _argument(value: Value) -> tuple[ArrayType, int]:
    """The type of an input or item of a body, and its number."""
    return (value.dtype.short, value.shape), value.attrs[0]


def _address(graph: Graph, value: Value) -> Address:
    if is_input(value):
        return value.attrs[0], 0
    assert value.op is ITEM
    place = value.inputs[0].attrs[1][value.attrs[0]]
    return _place(graph, place.kind, place.number)


def _place(graph: Graph, kind: str, number: int) -> Address:
    """The table holds the inputs, then the outputs, then the arena."""
    if kind == "donated":
        return number, 0
    if kind == "output":
        return len(graph.inputs) + number, 0
    return len(graph.inputs) + len(graph.outputs), number


def _output_plan(output: Value) -> OutputPlan:
    item = without_reshapes(output)
    place = item.inputs[0].attrs[1][item.attrs[0]]
    return OutputPlan(output.type.nbytes, place.number if place.kind == "donated" else None)


def _word(name: str) -> str:
    """A name as part of a symbol. What is put before it keeps clear of the C library's names."""
    return re.sub(r"\W", "_", name)


def _unused(names: dict[str, int], name: str) -> str:
    names[name] = names.get(name, 0) + 1
    return name if names[name] == 1 else f"{name}_{names[name]}"


# --- what a kernel costs --------------------------------------------------------------------------


def _info(launch: Launch, graph: Graph) -> KernelInfo:
    body: Graph = launch.value.attrs[0]
    lines = graph.locations.get(launch.value, ())
    kernel = launch.kernel
    return KernelInfo(
        name=kernel.symbol if isinstance(kernel, LibraryCall) else kernel.name,
        parallel_tasks=1 if isinstance(kernel, LibraryCall) else kernel.tasks,
        bytes=_bytes(body, launch.arguments),
        flops=sum(map(_flops, body.values())),
        locations=tuple(f"{file}:{line}" for file, line in lines),
    )


def _bytes(body: Graph, arguments: tuple[Address, ...]) -> int:
    """Bytes read and written; of what is read in part or changed in place, that part."""
    read: dict[Value, int] = dict.fromkeys(body.inputs, 0)
    written = sum(output.type.nbytes for output in body.outputs)
    for value in body.values():
        for operand in dict.fromkeys(value.inputs):
            if operand not in read:
                continue
            part = value.type.numel if value.op.loop_class in _SELECTING else operand.type.numel
            if operand is start_of_update(value) and arguments[operand.attrs[0]] == arguments[-1]:
                changed = value.inputs[-1].type.nbytes
                written += changed - value.type.nbytes
                # What is combined is read before it is written, replaced elements are not.
                combined = value.op.name == "scatter" and value.attr("combine") != "set"
                part = changed // operand.dtype.itemsize if combined else 0
            read[operand] += part * operand.dtype.itemsize
    return written + sum(min(count, value.type.nbytes) for value, count in read.items())


# Ops that may read a part of an operand.
_SELECTING = (LoopClass.MOVEMENT, LoopClass.INDEXING)


def _flops(value: Value) -> int:
    """Arithmetic operations of one value; a multiply-add counts as two."""
    kind = value.op.loop_class
    if kind in (LoopClass.ELEMENTWISE, LoopClass.SCAN):
        return value.type.numel
    if kind is LoopClass.REDUCTION:
        return value.inputs[0].type.numel
    if value.op.name == "dot":
        return 2 * value.type.numel * value.inputs[0].shape[-1]
    if kind is LoopClass.CONTRACTION:
        return 2 * value.type.numel * element_count(value.inputs[1].shape[2:])
    return 0
