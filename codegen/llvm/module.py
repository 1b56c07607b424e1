"""One LLVM module: kernels without duplicates, what they share, and entries that call them.

The text has no target triple and no data layout; who compiles it adds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from treadle.codegen.llvm.statements import emit_kernel
from treadle.codegen.loops import Kernel
from treadle.codegen.target import Target

_PARALLEL = "declare void @treadle_parallel(ptr, ptr, i64)"
# Stands for the name in a kernel's text while texts are compared.
_PLACEHOLDER = "kernel"


class Module:
    """The text of a module as it is put together."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._functions: list[str] = []
        self._declarations: dict[str, None] = {}
        self._symbols: dict[str, str] = {}
        self._names: set[str] = set()

    def add_kernel(self, kernel: Kernel) -> str:
        """The symbol of a kernel; one of equal text is there only once."""
        text = emit_kernel(kernel, self._target, _PLACEHOLDER)
        symbol = self._symbols.get(text)
        if symbol is None:
            symbol = self._symbols[text] = self._unused(kernel.name)
            head = f"define internal void @{_PLACEHOLDER}("
            self._functions.append(text.replace(head, f"define internal void @{symbol}(", 1))
        return symbol

    def add_function(self, text: str) -> None:
        """Append a function given as text."""
        self._functions.append(text.rstrip("\n") + "\n")

    def declare(self, text: str) -> None:
        """Add a declaration; the same one twice is one. Intrinsics need none."""
        self._declarations[text.strip()] = None

    def text(self) -> str:
        """The whole module."""
        width = 8 * self._target.lane_bytes
        # Without the attribute LLVM halves 512-bit vectors on some CPUs.
        tail = [
            f'attributes #0 = {{ nounwind "prefer-vector-width"="{width}" }}',
            "!0 = distinct !{!0, !1}",
            '!1 = !{!"llvm.loop.unroll.disable"}',
        ]
        return "\n".join([*self._declarations, "", *self._functions, *tail]) + "\n"

    def _unused(self, name: str) -> str:
        # A kernel named as a function of the C library would be called in its place.
        unused, count = f"kernel.{name}", 1
        while unused in self._names:
            count += 1
            unused = f"kernel.{name}_{count}"
        self._names.add(unused)
        return unused


@dataclass(frozen=True)
class KernelCall:
    """One launch.

    Attributes:
        symbol: of the kernel, as `Module.add_kernel` returned it.
        tasks: independent tasks; one is called directly, more through the thread pool.
        arguments: for each, the slot of the entry's pointer table and an offset in bytes.
    """

    symbol: str
    tasks: int
    arguments: tuple[tuple[int, int], ...]


def emit_entry(module: Module, name: str, calls: Sequence[KernelCall]) -> None:
    """Add ``void @name(ptr %table)``, which runs the calls in order.

    Parallel calls go through ``void treadle_parallel(ptr function, ptr arguments, i64 tasks)``,
    which returns when all tasks are done.
    """
    lines = [f"define void @{name}(ptr %table) #0 {{", "entry:"]
    most = max((len(call.arguments) for call in calls), default=0)
    if most:
        lines.append(f"  %args = alloca [{most} x ptr], align 64")
    bases: dict[int, str] = {}
    for number, call in enumerate(calls):
        for slot, (place, offset) in enumerate(call.arguments):
            pointer = _table_pointer(lines, bases, place)
            if offset:
                moved = f"%p{number}.{slot}"
                lines.append(f"  {moved} = getelementptr i8, ptr {pointer}, i64 {offset}")
                pointer = moved
            lines.append(f"  %q{number}.{slot} = getelementptr ptr, ptr %args, i64 {slot}")
            lines.append(f"  store ptr {pointer}, ptr %q{number}.{slot}, align 8")
        arguments = "%args" if call.arguments else "null"
        if call.tasks == 1:
            lines.append(f"  call void @{call.symbol}(ptr {arguments}, i64 0)")
        elif call.tasks > 1:
            module.declare(_PARALLEL)
            operands = f"ptr @{call.symbol}, ptr {arguments}, i64 {call.tasks}"
            lines.append(f"  call void @treadle_parallel({operands})")
    module.add_function("\n".join([*lines, "  ret void", "}"]))


def _table_pointer(lines: list[str], bases: dict[int, str], slot: int) -> str:
    """The pointer in a slot of the table, loaded once."""
    if slot not in bases:
        bases[slot] = f"%t{slot}"
        lines.append(f"  %t{slot}.place = getelementptr ptr, ptr %table, i64 {slot}")
        lines.append(f"  %t{slot} = load ptr, ptr %t{slot}.place, align 8")
    return bases[slot]
