"""Runs loop IR with NumPy, a statement at a time: what kernels mean, for tests of lowering.

Lanes are vectors of NumPy; inactive lanes keep their registers and touch no memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from treadle.codegen.loops import (
    AcrossLanes,
    Apply,
    Assign,
    Const,
    Expression,
    For,
    Holds,
    Kernel,
    Let,
    Load,
    LoopKind,
    Position,
    Read,
    Statement,
    Store,
    When,
)
from treadle.ir.index import Bound, Dynamic, Index, Quotient, Remainder, Var
from treadle.ir.ops import TABLE
from treadle.ir.types import TensorType

_COMBINE = {
    "add": np.add,
    "mul": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
}


class LoopMachine:
    """One run of one kernel over flat arrays, one an argument."""

    def __init__(self, kernel: Kernel, arrays: Sequence[np.ndarray]) -> None:
        self.kernel = kernel
        self.memory = dict(zip((b.name for b in kernel.arguments), arrays, strict=True))
        for buffer, array in zip(kernel.arguments, arrays, strict=True):
            assert array.shape == (buffer.size,), (buffer, array.shape)
            assert array.dtype == buffer.dtype.numpy, (buffer, array.dtype)
        self.readable = {b.name for b in kernel.arguments}
        self.values: dict[Var, Any] = {}
        self.registers: dict[str, np.ndarray] = {}
        self.lets: dict[str, np.ndarray] = {}
        self.width = 1  # lanes of the surrounding loop, 1 outside
        self.active = np.ones(1, bool)

    def run(self) -> None:
        tasks = self.kernel.body[0] if self.kernel.tasks > 1 else None
        if tasks is None:
            self._task(self.kernel.body)
            return
        assert isinstance(tasks, For) and len(self.kernel.body) == 1
        for number in reversed(range(tasks.var.extent)):  # any order must do
            self.values[tasks.var] = np.array([number])
            self._task(tasks.body)

    def _task(self, body: Sequence[Statement]) -> None:
        for buffer in self.kernel.scratch:
            self.memory[buffer.name] = np.full(buffer.size, 77, buffer.dtype.numpy)
        for register in self.kernel.registers:
            shape = (*register.shape, max(register.lanes, 1))
            self.registers[register.name] = np.full(shape, 77, register.dtype.numpy)
        self._run(body)

    def _run(self, body: Sequence[Statement]) -> None:
        named = []
        for statement in body:
            if isinstance(statement, Let):
                value = self.value(statement.value)
                assert value.shape[0] == 1 or statement.register.lanes == value.shape[0]
                assert statement.register.dtype is statement.value.dtype
                self.lets[statement.register.name] = value
                named.append(statement.register.name)
            else:
                self._statement(statement)
        for name in named:  # out of scope
            del self.lets[name]

    def _statement(self, statement: Statement) -> None:
        if isinstance(statement, For):
            self._loop(statement)
        elif isinstance(statement, When):
            holds = self.holds(statement.guard)
            assert (holds == holds[0]).all(), "a condition that differs between lanes"
            if holds[0]:
                self._run(statement.body)
        elif isinstance(statement, Assign):
            self._assign(statement)
        elif isinstance(statement, Store):
            self._store(statement)
        else:
            raise AssertionError(statement)

    def _loop(self, loop: For) -> None:
        assert loop.kind is not LoopKind.TASKS, "tasks inside"
        if loop.kind is not LoopKind.LANES:
            for number in range(loop.var.extent):
                self.values[loop.var] = np.array([number])
                self._run(loop.body)
            return
        assert self.width == 1 and 1 <= loop.var.extent <= loop.lanes
        self.width = loop.lanes
        lane = np.arange(loop.lanes)
        self.active = lane < loop.var.extent
        # Positions of inactive lanes are never used; they repeat the last one.
        self.values[loop.var] = np.minimum(lane, loop.var.extent - 1)
        self._run(loop.body)
        self.width, self.active = 1, np.ones(1, bool)

    def _slot(self, position: tuple[Index, ...]) -> tuple[int, ...]:
        slots = [self.index(index) for index in position]
        assert all(slot.shape == (1,) for slot in slots)
        return tuple(int(slot[0]) for slot in slots)

    def _assign(self, statement: Assign) -> None:
        register = statement.register
        value = self.value(statement.value)
        assert statement.value.dtype is register.dtype, (statement.value.dtype, register)
        assert register in self.kernel.registers
        place = self.registers[register.name][self._slot(statement.position)]
        if register.lanes:
            assert register.lanes == self.width, "a register of lanes outside their loop"
            place[self.active] = np.broadcast_to(value, self.width)[self.active]
        else:
            assert value.shape == (1,), "a vector assigned to one number"
            place[:] = value

    def _store(self, statement: Store) -> None:
        array = self.memory[statement.buffer.name]
        assert statement.value.dtype is statement.buffer.dtype, (statement.value, statement.buffer)
        here = np.broadcast_to(self.index(statement.index), self.width)
        mask = self.active & np.broadcast_to(self.holds(statement.guard), self.width)
        value = np.broadcast_to(self.value(statement.value), self.width)
        if not mask.any():
            return
        assert here[mask].min() >= 0 and here[mask].max() < array.size, "store outside"
        assert len(set(here[mask])) == mask.sum(), "lanes store to one place"
        array[here[mask]] = value[mask]

    # --- expressions ------------------------------------------------------------------------------

    def value(self, root: Expression) -> np.ndarray:
        return self._evaluate(root, {})

    def _evaluate(self, node: Expression, memo: dict[int, np.ndarray]) -> np.ndarray:
        found = memo.get(id(node))
        if found is None:
            found = self._compute(node, memo)
            assert found.dtype == node.dtype.numpy, (node, found.dtype)
            memo[id(node)] = found
        return found

    def _compute(self, node: Expression, memo: dict[int, np.ndarray]) -> np.ndarray:
        if isinstance(node, Const):
            return np.array([node.value]).astype(node.dtype.numpy)
        if isinstance(node, Load):
            return self._load(node)
        if isinstance(node, Position):
            return self.index(node.index).astype(node.dtype.numpy)
        if isinstance(node, Holds):
            return self.holds(node.guard)
        if isinstance(node, Read):
            return self._read(node)
        if isinstance(node, AcrossLanes):
            lanes = self.registers[node.register.name][self._slot(node.position)]
            assert self.width == 1 and lanes.size > 1
            with np.errstate(all="ignore"):
                return _COMBINE[node.op].reduce(lanes, keepdims=True).astype(node.dtype.numpy)
        args = [self._evaluate(arg, memo) for arg in node.args]
        return self._apply(node, args)

    def _apply(self, node: Apply, args: list[np.ndarray]) -> np.ndarray:
        if node.op == "mulhi":
            product = args[0].astype(np.uint64) * args[1].astype(np.uint64)
            return (product >> np.uint64(32)).astype(np.uint32)
        width = max(arg.shape[0] for arg in args)
        args = [np.broadcast_to(arg, width) for arg in args]
        attrs = (node.dtype,) if node.op in ("cast", "bitcast") else ()
        types = [TensorType(arg.dtype, (width,)) for arg in node.args]
        assert TABLE[node.op].infer(types, attrs).dtype is node.dtype, (node.op, types)
        return TABLE[node.op].run(args, attrs, TensorType(node.dtype, (width,)))

    def _read(self, node: Read) -> np.ndarray:
        if node.register.name in self.lets:
            return self.lets[node.register.name]
        lanes = self.registers[node.register.name][self._slot(node.position)]
        assert not node.register.lanes or self.width == node.register.lanes
        return lanes.copy()

    def _load(self, node: Load) -> np.ndarray:
        array = self.memory[node.buffer.name]
        here = self.index(node.index)
        holds = self.holds(node.guard)
        width = max(here.shape[0], holds.shape[0])
        here, holds = np.broadcast_to(here, width), np.broadcast_to(holds, width)
        mask = holds & (self.active if width > 1 else True)
        result = np.full(width, node.default, array.dtype)
        if mask.any():
            assert here[mask].min() >= 0 and here[mask].max() < array.size, (node, here)
            result[mask] = array[here[mask]]
        return result

    # --- positions --------------------------------------------------------------------------------

    def index(self, index: Index) -> np.ndarray:
        total = np.array([index.constant])
        for atom, coefficient in index.terms:
            total = total + self._atom(atom) * coefficient
        return total

    def _atom(self, atom: object) -> np.ndarray:
        if isinstance(atom, Var):
            return self.values[atom]
        if isinstance(atom, Quotient):
            return self.index(atom.operand) // atom.divisor
        if isinstance(atom, Remainder):
            return self.index(atom.operand) % atom.divisor
        assert isinstance(atom, Dynamic)
        return self.value(atom.expression)

    def holds(self, guard: Sequence[Bound]) -> np.ndarray:
        result = np.ones(1, bool)
        for bound in guard:
            at = self.index(bound.index)
            result = result & (at >= bound.low) & (at < bound.high) & (at % bound.step == 0)
        return result
