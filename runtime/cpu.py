"""Loads compiled programs into this process and runs them on the CPU.

Where a program comes from is decided here (memory, disk cache, LLVM); what it does is not.
"""

from __future__ import annotations

import ctypes
import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from time import perf_counter
from typing import Any

from treadle.codegen.artifact import Artifact, KernelInfo, LibraryCall, OutputPlan
from treadle.runtime import jit, pool
from treadle.runtime.library import HostFunction, raise_stored_error
from treadle.runtime.memory import Buffer, BufferGroup, arena
from treadle.runtime.statistics import counters

_MAGIC = b"treadle program 2\n"
_address = attrgetter("address")
_SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_char_p)


@dataclass(frozen=True)
class ProgramPlan:
    """All of an artifact but its text: what is needed to call its machine code."""

    entry: str
    arena_bytes: int
    inputs: tuple[int, ...]
    outputs: tuple[OutputPlan, ...]
    kernels: tuple[KernelInfo, ...]
    library: tuple[LibraryCall, ...]


class LoadedProgram:
    """A program's machine code in this process; unloaded when the last reference goes.

    Attributes:
        plan: sizes of inputs, outputs and scratch memory, and the kernels.
    """

    __slots__ = (
        "_arena_bytes",
        "_call",
        "_code",
        "_donations",
        "_fresh",
        "_input_count",
        "_kernel_count",
        "_library",
        "_loaded",
        "_pack",
        "plan",
    )

    def __init__(self, plan: ProgramPlan, code: bytes) -> None:
        # Named in the object where it is called at all; programs without it need no pool.
        parallel = b"treadle_parallel" in code
        imports = {"treadle_parallel": pool.parallel_address()} if parallel else {}
        # The callbacks must live as long as the code that calls them.
        self._library = [HostFunction(call) for call in plan.library]
        imports.update((function.symbol, function.address) for function in self._library)
        self._loaded = jit.load_object(code, [plan.entry], imports)
        self._call = _SIGNATURE(self._loaded.addresses[plan.entry])
        self._code = code
        self._fresh = BufferGroup([out.nbytes for out in plan.outputs if out.donated is None])
        self._donations = tuple(
            (position, output.donated)
            for position, output in enumerate(plan.outputs)
            if output.donated is not None
        )
        self._input_count = len(plan.inputs)
        self._pack = struct.Struct(f"{len(plan.inputs) + len(plan.outputs) + 1}P").pack
        self._arena_bytes = plan.arena_bytes
        self._kernel_count = len(plan.kernels)
        self.plan = plan

    def run(self, inputs: Sequence[Buffer]) -> list[Buffer]:
        """Run the program; its outputs in order, a donated one being the very input buffer.

        Inputs are not checked beyond their number: sizes are those of the artifact. The calling
        thread releases the interpreter's lock meanwhile. What a library function raised is raised
        when the program has ended; donated inputs may be overwritten by then.
        """
        if len(inputs) != self._input_count:
            raise ValueError(f"expected {self._input_count} inputs, found {len(inputs)}")
        outputs = self._fresh.allocate()
        for position, donated in self._donations:
            outputs.insert(position, inputs[donated])
        # Held here: another program of this thread could replace it from a signal handler.
        scratch = arena(self._arena_bytes) if self._arena_bytes else None
        # A bytes object as the table: nothing is shared between calls or threads. Programs only
        # read it.
        table = self._pack(
            *map(_address, inputs), *map(_address, outputs), scratch.address if scratch else 0
        )
        call = self._call
        started = perf_counter()
        call(table)
        seconds = perf_counter() - started
        if self._library:
            raise_stored_error()
        counters.native_seconds += seconds
        counters.program_runs += 1
        counters.kernels_launched += self._kernel_count
        return outputs

    def serialize(self) -> bytes:
        """The machine code and plan as bytes for `load_serialized`."""
        plan = json.dumps(asdict(self.plan), separators=(",", ":")).encode()
        header = _MAGIC + bytes.fromhex(jit.code_version()) + len(plan).to_bytes(8, "little")
        return header + plan + self._code


def load(artifact: Artifact) -> LoadedProgram:
    """A program ready to run: its code from the disk cache if it is there, else compiled.

    Raises CompilationError if LLVM rejects the text.
    """
    plan = ProgramPlan(
        artifact.entry,
        artifact.arena_bytes,
        artifact.inputs,
        artifact.outputs,
        artifact.kernels,
        artifact.library,
    )
    code, stored = jit.object_code(artifact.llvm)
    if stored:
        counters.programs_loaded += 1
    else:
        counters.programs_compiled += 1
    return LoadedProgram(plan, code)


def load_serialized(data: bytes) -> LoadedProgram | None:
    """A program from `LoadedProgram.serialize`; None if made for another CPU or version.

    The bytes must be sound, as those of the disk cache are: code is run as it is found.
    """
    version = bytes.fromhex(jit.code_version())
    start = len(_MAGIC) + len(version) + 8
    if data[: start - 8] != _MAGIC + version or len(data) < start:
        return None
    end = start + int.from_bytes(data[start - 8 : start], "little")
    fields = json.loads(data[start:end])
    plan = ProgramPlan(
        entry=fields["entry"],
        arena_bytes=fields["arena_bytes"],
        inputs=tuple(fields["inputs"]),
        outputs=tuple(OutputPlan(**output) for output in fields["outputs"]),
        kernels=tuple(
            KernelInfo(**{**kernel, "locations": tuple(kernel["locations"])})
            for kernel in fields["kernels"]
        ),
        library=tuple(LibraryCall(**_tuples(call)) for call in fields["library"]),
    )
    program = LoadedProgram(plan, data[end:])
    counters.programs_loaded += 1
    return program


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields with the tuples that JSON made lists of."""

    def restored(item: Any) -> Any:
        return tuple(map(restored, item)) if isinstance(item, list) else item

    return {name: restored(item) for name, item in fields.items()}
