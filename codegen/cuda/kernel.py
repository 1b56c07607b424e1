"""One kernel as a CUDA function: tasks are blocks, lanes are threads, scratch is shared memory.

Uniform registers and expressions are computed by every thread alike; what is stored once, the
first thread stores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from treadle.codegen.cuda.barriers import place_barriers
from treadle.codegen.cuda.code import Code
from treadle.codegen.cuda.expression import Expressions, across_in
from treadle.codegen.cuda.index import LANE
from treadle.codegen.cuda.prelude import Prelude
from treadle.codegen.cuda.steps import (
    Step,
    StepBuilder,
    may_alias,
    roots_of,
    threads_of,
    varies,
    writes,
)
from treadle.codegen.cuda.types import type_name
from treadle.codegen.loops import (
    Assign,
    Buffer,
    For,
    Kernel,
    Let,
    LoopKind,
    Register,
    Statement,
    Store,
    When,
)
from treadle.codegen.target import Target
from treadle.ir.index import Index
from treadle.ir.types import DType

# Shared memory that a block has on every GPU without asking for more.
_SHARED_BYTES = 48 << 10
_LINE = 100


def print_kernel(kernel: Kernel, target: Target, prelude: Prelude) -> str:
    """The text of a kernel; the device functions that it calls are added to the prelude.

    Raises ValueError for loop IR that cannot be printed, with the reason.
    """
    return _Function(kernel, target, prelude).text()


class _Function:
    """The writer of one kernel."""

    def __init__(self, kernel: Kernel, target: Target, prelude: Prelude) -> None:
        self._kernel = kernel
        self._code = Code(_names(kernel))
        self._expressions = Expressions(self._code, prelude, target.fma)
        self._indices = self._expressions.indices
        self._threads = threads_of(kernel)
        self._lane: For | None = None
        # The condition on each statement of the LANES loop around, where it is not on the whole.
        self._active = ""

    def text(self) -> str:
        """The function."""
        steps = StepBuilder(self._kernel).build(self._kernel.body)
        every = [inner for step in steps for inner in step.inside()]
        if self._threads > 1:
            place_barriers(steps, may_alias(self._kernel))
        self._check_shared_memory(every)
        for step in every:
            for root in roots_of(step.statement):
                self._expressions.count(root)
        if self._threads > 1:
            self._code.line(f"const int {LANE} = threadIdx.x;")
        self._declare()
        self._run(steps)
        blocks = f"{self._kernel.tasks} block{'s' * (self._kernel.tasks > 1)}"
        comment = f"// {blocks} of {self._threads} thread{'s' * (self._threads > 1)}"
        return "\n".join([comment, *self._signature(), *self._code.lines, "}", ""])

    # --- declarations -----------------------------------------------------------------------------

    def _signature(self) -> list[str]:
        kernel = self._kernel
        first = len(kernel.arguments) - kernel.writes
        aliases = may_alias(kernel)
        shared = {source for sources in aliases.values() for source in sources}
        shared.update(output for output, sources in aliases.items() if sources)
        parameters = []
        for number, buffer in enumerate(kernel.arguments):
            const = "const " if number < first else ""
            alone = "" if buffer.name in shared else " __restrict__"
            name = self._code.name(buffer.name)
            parameters.append(f"{const}{type_name(buffer.dtype)}*{alone} {name}")
        head = f'extern "C" __global__ void __launch_bounds__({self._threads}) {kernel.name}('
        line = f"{head}{', '.join(parameters)}) {{"
        if len(line) <= _LINE:
            return [line]
        ends = [","] * (len(parameters) - 1) + [") {"]
        return [head, *(f"    {each}{end}" for each, end in zip(parameters, ends, strict=True))]

    def _declare(self) -> None:
        for buffer in self._kernel.scratch:
            name = self._code.name(buffer.name)
            self._code.line(f"__shared__ {type_name(buffer.dtype)} {name}[{max(buffer.size, 1)}];")
        for register in self._kernel.registers:
            extents = "".join(f"[{extent}]" for extent in register.shape)
            name = self._code.name(register.name)
            self._code.declare(f"{type_name(register.dtype)} {name}{extents};")

    def _check_shared_memory(self, steps: Sequence[Step]) -> None:
        total = sum(buffer.size * buffer.dtype.itemsize for buffer in self._kernel.scratch)
        found = across_in(root for step in steps for root in roots_of(step.statement))
        kinds = {(node.op, node.dtype, node.register.lanes) for node in found}
        total += sum((lanes + 1) * dtype.itemsize for _, dtype, lanes in kinds)
        if total > _SHARED_BYTES:
            raise ValueError(
                f"kernel {self._kernel.name} needs {total} bytes of shared memory; a block has "
                f"{_SHARED_BYTES}"
            )

    # --- statements -------------------------------------------------------------------------------

    def _run(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if step.barrier:
                self._code.line("__syncthreads();")
            statement = step.statement
            if isinstance(statement, For):
                self._loop(statement, step)
            elif isinstance(statement, When):
                self._when(statement, step)
            elif isinstance(statement, Let):
                self._let(statement)
            elif isinstance(statement, Assign):
                self._assign(statement)
            else:
                self._store(statement)

    def _loop(self, loop: For, step: Step) -> None:
        variables = self._indices.variables
        self._code.forget(writes(loop.body))
        name = LANE if loop.kind is LoopKind.LANES else self._code.name(loop.var.name)
        variables[loop.var] = name
        if loop.kind is LoopKind.TASKS:
            self._code.declare(f"const int {name} = blockIdx.x;")
            self._run(step.body)
        elif loop.kind is LoopKind.LANES:
            self._lanes(loop, step)
        else:
            if loop.kind is LoopKind.UNROLL:
                self._code.line("#pragma unroll")
            self._code.open(f"for (int {name} = 0; {name} < {loop.var.extent}; ++{name})")
            self._run(step.body)
            self._code.close()
        del variables[loop.var]

    def _lanes(self, loop: For, step: Step) -> None:
        condition = f"{LANE} < {loop.var.extent}"
        whole = loop.var.extent == self._threads
        self._lane = loop
        self._active = "" if whole or not _needs_all_threads(step) else condition
        with self._code.block("" if whole or self._active else condition):
            self._run(step.body)
        self._lane, self._active = None, ""

    def _when(self, when: When, step: Step) -> None:
        holds = self._indices.guard(when.guard)
        if isinstance(holds, bool):
            if holds:
                with self._code.block(""):
                    self._run(step.body)
            return
        self._code.forget(writes(when.body))
        with self._code.block(holds.text):
            self._run(step.body)

    def _let(self, statement: Let) -> None:
        register = statement.register
        self._check_type(register, statement.value.dtype)
        name, c_type = self._code.name(register.name), type_name(register.dtype)
        if not (self._active and register.lanes):
            value = self._expressions.value(statement.value)
            self._code.declare(f"const {c_type} {name} = {value.text};")
            return
        self._code.declare(f"{c_type} {name};")
        with self._code.under(self._active):
            self._code.line(f"{name} = {self._expressions.value(statement.value).text};")

    def _assign(self, statement: Assign) -> None:
        register = statement.register
        self._check_type(register, statement.value.dtype)
        with self._code.under(self._active if register.lanes else ""):
            value = self._expressions.value(statement.value)
            place = self._expressions.element(register, statement.position)
            self._code.line(f"{place} = {value.text};")
        self._code.forget((register.name,))

    def _check_type(self, register: Register, dtype: DType) -> None:
        if dtype is not register.dtype:
            raise ValueError(
                f"register {register.name} is set to a value of {dtype.name}, not "
                f"{register.dtype.name}"
            )

    def _store(self, store: Store) -> None:
        self._expressions.combine_lanes(roots_of(store))
        with self._code.under(self._storing(store)):
            holds = self._indices.guard(store.guard)
            if holds is not False:
                value = self._expressions.value(store.value)
                place = self._indices.text(store.index).text
                name = self._code.name(store.buffer.name)
                with self._code.under("" if isinstance(holds, bool) else holds.text):
                    self._code.line(f"{name}[{place}] = {value.text};")
        self._code.forget((store.buffer.name,))

    def _storing(self, store: Store) -> str:
        """The condition on the threads that store."""
        if self._lane is None:
            return f"{LANE} == 0" if self._threads > 1 else ""
        lane = self._lane.var
        if any(varies(index, lane) for index in _places(store)):
            return self._active
        # Of lanes that store to one place the last is the one that counts.
        return f"{LANE} == {lane.extent - 1}"


def _places(store: Store) -> Iterator[Index]:
    yield store.index
    yield from (bound.index for bound in store.guard)


def _needs_all_threads(step: Step) -> bool:
    """Whether a LANES loop holds something that its inactive threads must take part in."""
    return any(
        inner.barrier
        or (isinstance(inner.statement, Assign) and not inner.statement.register.lanes)
        for each in step.body
        for inner in each.inside()
    )


def _names(kernel: Kernel) -> Iterator[str]:
    """Every name of a kernel."""
    named: list[Buffer | Register] = [*kernel.arguments, *kernel.scratch, *kernel.registers]
    yield from (each.name for each in named)
    pending: list[Statement] = list(kernel.body)
    while pending:
        statement = pending.pop()
        if isinstance(statement, For):
            yield statement.var.name
        elif isinstance(statement, Let):
            yield statement.register.name
        if isinstance(statement, (For, When)):
            pending.extend(statement.body)
