"""Counters of what the runtime did: programs compiled, loaded and run, and the time in them.

Totals of this process only; per-kernel profiles are measured elsewhere.
"""

from __future__ import annotations


class Counters:
    """Totals since the process started or since `reset`.

    Fields are added to in place: nothing may run between reading and writing one, because both
    happen in one ``+=`` of a number, so that threads under the interpreter's lock lose no count.

    Attributes:
        programs_compiled: programs that LLVM compiled.
        programs_loaded: programs whose machine code came from the disk cache.
        program_runs: calls of programs.
        kernels_launched: kernels in those calls.
        native_seconds: time in those calls, waiting for worker threads included.
        compile_seconds: time in LLVM.
    """

    __slots__ = (
        "compile_seconds",
        "kernels_launched",
        "native_seconds",
        "program_runs",
        "programs_compiled",
        "programs_loaded",
    )

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Set every total to zero."""
        self.programs_compiled = 0
        self.programs_loaded = 0
        self.program_runs = 0
        self.kernels_launched = 0
        self.native_seconds = 0.0
        self.compile_seconds = 0.0

    def snapshot(self) -> dict[str, int | float]:
        """The totals by name."""
        return {name: getattr(self, name) for name in self.__slots__}


counters = Counters()
