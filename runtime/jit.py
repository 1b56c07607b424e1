"""LLVM IR text to machine code in this process: compile, print assembly, load and unload.

The only file that drives LLVM. What the text computes, and where compiled objects are kept, is
decided elsewhere (`codegen`, `disk_cache.py`).
"""

from __future__ import annotations

import ctypes
import itertools
import sys
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache

import llvmlite
import llvmlite.binding as llvm

from treadle.ir.errors import CompilationError
from treadle.runtime import disk_cache
from treadle.runtime.locks import fork_safe_lock, hold_across_forks
from treadle.runtime.statistics import counters
from treadle.runtime.target import host_target, initialize_llvm

# Kernels arrive as explicit vector code, so the vectorisers, unrollers and inliners of O1-O3 only
# cost time (two to three times this list, for the same speed). Helpers marked alwaysinline are
# inlined, accumulators and counters leave the stack, and the rest is tidied. NewGVN would save
# some emission time but is off in LLVM's own pipelines for its miscompilations. InstCombine gains
# nothing on such code, and it makes lanes of constant masks poison that it takes for unused, which
# the x86 backend then reads.
PASSES = (
    "always_inliner",
    "global_dead_code_eliminate",
    "sroa",
    "simplify_cfg",
)

# Linking into one engine costs a little memory for ever, so an engine takes this many objects and
# is then left to be freed together with the last of them.
_OBJECTS_PER_ENGINE = 256

# JITLink places an object's sections together, so the small code model is safe with it. Elsewhere
# the older linker needs the large model.
_JIT_LINK = sys.platform in ("linux", "darwin")

# A child must not inherit llvmlite's own lock from a thread that it does not have. The lock has no
# public name; a version that hides it elsewhere would only lose forks during a compilation.
if hasattr(llvm.ffi.lib, "_lock"):
    hold_across_forks(llvm.ffi.lib._lock)
_lock = fork_safe_lock()


@lru_cache(maxsize=1)
def _machine() -> llvm.TargetMachine:
    """The machine that code is generated for."""
    initialize_llvm()
    facts = host_target()
    target = llvm.Target.from_triple(facts.triple)
    if _JIT_LINK:
        return target.create_target_machine(
            cpu=facts.cpu, features=facts.features, opt=2, reloc="pic", codemodel="small"
        )
    return target.create_target_machine(
        cpu=facts.cpu, features=facts.features, opt=2, codemodel="jitdefault", jit=True
    )


def _optimized_module(llvm_text: str) -> llvm.ModuleRef:
    """The module of a text, verified and put through `PASSES`, in a context of its own."""
    machine = _machine()
    try:
        module = llvm.parse_assembly(llvm_text, llvm.create_context())
        module.triple = machine.triple
        module.data_layout = str(machine.target_data)
        module.verify()
    except RuntimeError as error:
        raise CompilationError(f"LLVM rejected the text of a program: {error}") from None
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options())
    manager = llvm.create_new_module_pass_manager()
    for name in PASSES:
        getattr(manager, f"add_{name}_pass")()
    manager.run(module, builder)
    return module


def optimize(llvm_text: str) -> str:
    """The text after LLVM's passes, as code is generated from it; CompilationError if invalid."""
    with _lock:
        return str(_optimized_module(llvm_text))


def emit_assembly(llvm_text: str) -> str:
    """Assembly of a program for the CPU compiled for; CompilationError if the text is invalid."""
    with _lock:
        return str(_machine().emit_assembly(_optimized_module(llvm_text)))


def compile_object(llvm_text: str) -> bytes:
    """Relocatable machine code of a program; CompilationError if the text is invalid."""
    started = time.perf_counter()
    with _lock:
        code: bytes = _machine().emit_object(_optimized_module(llvm_text))
    seconds = time.perf_counter() - started
    counters.compile_seconds += seconds
    return code


@lru_cache(maxsize=1)
def code_version() -> str:
    """All that decides what machine code a text becomes, for cache keys."""
    facts = host_target()
    parts = (facts.triple, facts.cpu, facts.features, llvmlite.__version__)
    versions = (llvm.llvm_version_info, PASSES, _JIT_LINK)
    return disk_cache.digest(*parts, *map(repr, versions))


def object_code(llvm_text: str) -> tuple[bytes, bool]:
    """`compile_object` unless the disk cache has the text; the code, and whether it had."""
    key = disk_cache.digest("object", code_version(), llvm_text)
    cache = disk_cache.shared()
    code = cache.get(key)
    if code is not None:
        return code, True
    code = compile_object(llvm_text)
    cache.put(key, code)
    return code, False


class _Engine:
    """One LLJIT, with the symbols of this process behind all that is loaded into it."""

    def __init__(self) -> None:
        self.jit = llvm.create_lljit_compiler(_machine(), use_jit_link=_JIT_LINK)
        self.names = itertools.count()
        self.loads = 0
        # A shared library of the process's symbols: naming them per object costs 40 KiB each.
        process = llvm.JITLibraryBuilder().add_current_process()
        self.process = process.link(self.jit, "process")
        # A tracker must be disposed of before its engine, in whatever order attributes go.
        self.process.engine = self.jit


class LoadedObject:
    """Machine code in this process; freed when the last reference to it goes.

    Attributes:
        addresses: address of each exported symbol.
    """

    __slots__ = ("_tracker", "addresses")

    def __init__(
        self, engine: _Engine, tracker: llvm.orcjit.ResourceTracker, exports: Iterable[str]
    ) -> None:
        self._tracker = tracker
        tracker.engine = engine
        self.addresses: dict[str, int] = {name: tracker[name] for name in exports}

    def keep_forever(self) -> None:
        """Never free this code: threads may be inside it until the process has ended."""
        _immortal.append(self)
        engine = self._tracker.engine
        for owner in (self._tracker, engine.process, engine.jit):
            owner.detach()


_immortal: list[LoadedObject] = []
_engine: _Engine | None = None


@lru_cache(maxsize=1)
def _load_math_library() -> None:
    """Make libm's functions visible to kernels, which LLVM may call for scalar mathematics."""
    name = {"linux": "libm.so.6", "darwin": "libm.dylib"}.get(sys.platform)
    if name is not None:
        try:
            ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            # Its functions are part of the C library there (musl) or are linked already.
            return


def load_object(
    code: bytes,
    exports: Iterable[str],
    imports: Mapping[str, int] | None = None,
    private_engine: bool = False,
) -> LoadedObject:
    """Load machine code, linked to addresses in ``imports`` and to this process's symbols.

    Objects do not see each other, so that their symbols may be named alike. With
    ``private_engine`` nothing else shares the engine. Raises CompilationError where a symbol is
    missing.
    """
    global _engine
    names = tuple(exports)
    with _lock:
        engine = _engine
        if private_engine or engine is None or engine.loads >= _OBJECTS_PER_ENGINE:
            _load_math_library()
            engine = _Engine()
            if not private_engine:
                _engine = engine
        engine.loads += 1
        builder = llvm.JITLibraryBuilder().add_object_img(code).add_jit_library("process")
        for name in names:
            builder.export_symbol(name)
        for name, address in (imports or {}).items():
            builder.import_symbol(name, address)
        try:
            tracker = builder.link(engine.jit, f"program{next(engine.names)}")
        except RuntimeError as error:
            raise CompilationError(f"LLVM could not load a program: {error}") from None
        return LoadedObject(engine, tracker, names)
