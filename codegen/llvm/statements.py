"""One kernel as an LLVM function: loops, branches and registers as SSA values.

Loops have known extents and run at least once, so their bodies dominate what follows.
"""

from __future__ import annotations

from collections.abc import Sequence

from treadle.codegen.llvm.code import Code
from treadle.codegen.llvm.conversion import Conversions
from treadle.codegen.llvm.expression import Expressions, Place, State
from treadle.codegen.llvm.index import Indices
from treadle.codegen.llvm.memory import Memory
from treadle.codegen.llvm.scalar import Scalars
from treadle.codegen.llvm.store import Stores
from treadle.codegen.llvm.types import Value, memory_type, scalar_type
from treadle.codegen.loops import (
    Assign,
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
from treadle.ir.index import Var
from treadle.ir.types import bool_


def emit_kernel(kernel: Kernel, target: Target, name: str = "") -> str:
    """The text of ``define internal void @name(ptr %args, i64 %task)``.

    ``%args`` points to one pointer for each argument of the kernel. The text refers to attribute
    group #0 and metadata !0, which `Module` defines. Raises ValueError for loop IR that cannot be
    emitted, with the reason.
    """
    return _Function(kernel, target).text(name or kernel.name)


class _Function:
    """The writer of one kernel."""

    def __init__(self, kernel: Kernel, target: Target) -> None:
        self._kernel = kernel
        self._code = code = Code()
        self._state: State = {}
        self._registers: dict[str, Register] = {}
        numbered = numbered_variables(kernel.body)
        self._expressions = expressions = Expressions(code, self._state, numbered, target.fma)
        indices = Indices(code, expressions.value)
        # Every CPU with fused multiply-add also converts float16.
        conversions = Conversions(code, half=target.fma)
        scalars = Scalars(code, conversions)
        memory = Memory(code, indices, scalars, target)
        expressions.connect(indices, memory, scalars, conversions)
        self._indices = indices
        self._scalars = scalars
        self._memory = memory
        self._stores = Stores(code, indices, memory)

    def text(self, name: str) -> str:
        """The function."""
        self._declare_buffers()
        body = self._kernel.body
        first = body[0] if body else None
        if isinstance(first, For) and first.kind is LoopKind.TASKS:
            if len(body) > 1:
                raise ValueError("a TASKS loop must be alone in its kernel")
            self._bind_tasks(first)
            body = first.body
        self._run(body)
        lines = "\n".join(self._code.here.lines)
        header = f"define internal void @{name}(ptr %args, i64 %task) #0 {{"
        return f"{header}\nentry:\n{lines}\n  ret void\n}}\n"

    def _declare_buffers(self) -> None:
        code = self._code
        for slot, buffer in enumerate(self._kernel.arguments):
            place = "%args"
            if slot:
                place = code.emit(f"getelementptr ptr, ptr %args, i64 {slot}")
            name = f"%a{slot}"
            code.effect(f"{name} = load ptr, ptr {place}, align 8")
            self._memory.pointers[buffer.name] = name
        for slot, buffer in enumerate(self._kernel.scratch):
            name = f"%s{slot}"
            code.effect(f"{name} = alloca [{buffer.size} x {memory_type(buffer.dtype)}], align 64")
            self._memory.pointers[buffer.name] = name

    def _bind_tasks(self, loop: For) -> None:
        if loop.var.extent == 1:
            self._code.numbers[loop.var] = 0
        else:
            self._code.variables[loop.var] = ("%task", 0)

    # --- statements -------------------------------------------------------------------------------

    def _run(self, body: Sequence[Statement]) -> None:
        for statement in body:
            if isinstance(statement, For):
                self._loop(statement)
            elif isinstance(statement, (Assign, Let)):
                self._assign(statement)
            elif isinstance(statement, Store):
                value, _ = self._expressions.value(statement.value)
                self._stores.store(statement, value)
            else:
                self._when(statement)

    def _loop(self, loop: For) -> None:
        if loop.var.extent == 0:
            return
        if loop.kind is LoopKind.LANES:
            self._lanes(loop)
        elif loop.kind is LoopKind.UNROLL or loop.var.extent == 1:
            for number in range(loop.var.extent):
                self._code.numbers[loop.var] = number
                self._run(loop.body)
            self._code.numbers.pop(loop.var, None)
        elif loop.kind is LoopKind.SERIAL:
            self._serial(loop)
        else:
            raise ValueError("a TASKS loop must be the outermost loop")

    def _lanes(self, loop: For) -> None:
        code = self._code
        if code.lane is not None:
            raise ValueError(f"LANES loop {loop.var.name} is inside another")
        if not 1 < loop.lanes >= loop.var.extent:
            raise ValueError(
                f"LANES loop {loop.var.name} of extent {loop.var.extent} has {loop.lanes} lanes"
            )
        code.lane, code.lanes, code.active = loop.var, loop.lanes, loop.var.extent
        self._run(loop.body)
        code.lane, code.lanes, code.active = None, 0, 0

    def _serial(self, loop: For) -> None:
        code, state = self._code, self._state
        written = writes(loop.body)
        code.forget(written)
        carried = {key: self._typed(key, state[key]) for key in state if key[0] in written}
        head, leave = code.fresh("loop"), code.fresh("done")
        counter = f"%{code.fresh('i')}"
        before = code.here.block
        code.open(head)
        code.variables[loop.var] = counter, len(code.scopes) - 1
        entering = dict(carried)
        for key, value in carried.items():
            state[key] = value._replace(text=f"%{code.fresh('r')}", literal=False)
        phis = dict(state)
        self._run(loop.body)
        leaving = {key: self._typed(key, state[key]) for key in carried}
        state.update(leaving)
        code.effect(f"{counter}.next = add nuw nsw i64 {counter}, 1")
        code.effect(f"{counter}.more = icmp ult i64 {counter}.next, {loop.var.extent}")
        code.effect(f"br i1 {counter}.more, label %{head}, label %{leave}, !llvm.loop !0")
        scope = code.close()
        del code.variables[loop.var]
        lines = [f"  {counter} = phi i64 [0, %{before}], [{counter}.next, %{scope.block}]"]
        for key, start in entering.items():
            value = phis[key]
            sources = f"[{start.text}, %{before}], [{leaving[key].text}, %{scope.block}]"
            lines.append(f"  {value.text} = phi {value.type} {sources}")
        code.effect(f"br label %{head}")
        code.place(head, lines + scope.lines)
        code.continue_in(leave)

    def _when(self, when: When) -> None:
        uniform, mask = self._indices.guard(when.guard)
        if mask is not None:
            raise ValueError("the guard of When differs between lanes")
        if isinstance(uniform, bool):
            if uniform:
                self._run(when.body)
            return
        state = self._state
        before = dict(state)
        after: State = {}

        def run() -> None:
            self._run(when.body)
            for key, value in before.items():
                if state[key] != value:
                    after[key] = self._typed(key, state[key])

        written = writes(when.body)
        changing = {
            key: self._typed(key, value) for key, value in before.items() if key[0] in written
        }
        then, test = self._code.branch(uniform, run)
        state.clear()
        state.update(before)
        for key, value in after.items():
            sources = f"[{value.text}, %{then}], [{changing[key].text}, %{test}]"
            state[key] = self._code.value(f"phi {value.type} {sources}", value.dtype, value.lanes)

    # --- registers --------------------------------------------------------------------------------

    def _assign(self, statement: Assign | Let) -> None:
        register = statement.register
        value, _ = self._expressions.value(statement.value)
        if scalar_type(value.dtype) != scalar_type(register.dtype):
            found = f"{value.dtype.name}, not {register.dtype.name}"
            raise ValueError(f"register {register.name} is set to a value of {found}")
        if value.lanes not in (0, register.lanes):
            raise ValueError(
                f"register {register.name} of {register.lanes} lanes is set to {value.lanes} lanes"
            )
        value = value._replace(dtype=register.dtype)
        position = statement.position if isinstance(statement, Assign) else ()
        key = self._expressions.place(register, position)
        mask = self._code.tail_mask(bool_)
        old = self._state.get(key)
        if isinstance(statement, Assign) and register.lanes and mask is not None and old:
            # The first assignment sets the masked lanes too: nothing was in them.
            value = self._scalars.choose(mask, value, old)
        self._code.forget((register.name,))
        self._registers[register.name] = register
        self._state[key] = value

    def _typed(self, place: Place, value: Value) -> Value:
        """A register's value with the type of the register, as a phi needs it."""
        return self._code.splat(value, self._registers[place[0]].lanes)


def numbered_variables(body: Sequence[Statement]) -> frozenset[Var]:
    """Variables that are numbers, or lanes, where they are used."""
    expanded = (LoopKind.UNROLL, LoopKind.LANES)
    found: set[Var] = set()
    pending = list(body)
    while pending:
        statement = pending.pop()
        if isinstance(statement, (For, When)):
            pending.extend(statement.body)
        if isinstance(statement, For) and (statement.kind in expanded or statement.var.extent == 1):
            found.add(statement.var)
    return frozenset(found)


def writes(body: Sequence[Statement]) -> frozenset[str]:
    """Names of the registers and buffers that statements write."""
    found: set[str] = set()
    pending = list(body)
    while pending:
        statement = pending.pop()
        if isinstance(statement, (For, When)):
            pending.extend(statement.body)
        elif isinstance(statement, Store):
            found.add(statement.buffer.name)
        else:
            found.add(statement.register.name)
    return frozenset(found)
