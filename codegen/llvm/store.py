"""Stores of scalars and vectors: contiguous, strided, scattered, guarded, masked.

Where lanes store to the same element the last lane that runs wins.
"""

from __future__ import annotations

from treadle.codegen.llvm.code import Code
from treadle.codegen.llvm.index import Indices
from treadle.codegen.llvm.memory import Memory
from treadle.codegen.llvm.types import Value, memory_suffix, type_of
from treadle.codegen.loops import Buffer, Store
from treadle.ir.index import Index
from treadle.ir.types import bool_, uint8


class Stores:
    """Emits the stores of one function."""

    def __init__(self, code: Code, indices: Indices, memory: Memory) -> None:
        self._code = code
        self._indices = indices
        self._memory = memory

    def store(self, store: Store, value: Value) -> None:
        """Write a value where the guard holds."""
        code = self._code
        index = self._indices.resolve(store.index)
        uniform, mask = self._indices.guard(store.guard)
        if uniform is False:
            return
        if value.dtype is bool_:
            instruction = f"zext {value.typed} to {type_of(uint8, value.lanes)}"
            value = code.value(instruction, uint8, value.lanes)

        def write() -> None:
            self._write(store.buffer, index, value, mask)

        if isinstance(uniform, Value):
            code.branch(uniform, write)
        else:
            write()
        code.forget((store.buffer.name,))

    def _write(self, buffer: Buffer, index: Index, value: Value, mask: Value | None) -> None:
        code, memory = self._code, self._memory
        if not self._indices.varies(index):
            self._write_one(buffer, index, value, mask)
            return
        value = code.splat(value, code.lanes)
        tail = code.tail_mask(bool_)
        step = memory.step(index)
        if mask is None and step not in (None, 1):
            for lane in range(code.active):
                address = memory.address(buffer, index, lane * (step or 0))
                self._write_scalar(buffer, address, code.extract(value, lane))
            return
        full = mask if mask is not None else tail
        if mask is not None and tail is not None and not mask.literal:
            full = self._indices.both(mask, tail)
        if step == 1:
            self._write_vector(buffer, memory.address(buffer, index), value, full)
        else:
            self._scatter(buffer, index, value, full)

    def _write_one(self, buffer: Buffer, index: Index, value: Value, mask: Value | None) -> None:
        """One element for all lanes."""
        code, memory = self._code, self._memory
        if mask is not None and value.lanes:
            raise ValueError(f"lanes store different values to {buffer.name}[{index}] under a mask")

        def write() -> None:
            last = code.extract(value, code.active - 1)
            self._write_scalar(buffer, memory.address(buffer, index), last)

        if mask is None:
            write()
        else:
            code.branch(memory.any_lane(mask), write)

    def _write_scalar(self, buffer: Buffer, address: str, value: Value) -> None:
        size = buffer.dtype.itemsize
        self._code.effect(f"store {value.typed}, ptr {address}, align {size}")

    def _write_vector(self, buffer: Buffer, address: str, value: Value, mask: Value | None) -> None:
        size = buffer.dtype.itemsize
        if mask is None:
            self._code.effect(f"store {value.typed}, ptr {address}, align {size}")
            return
        symbol = f"@llvm.masked.store.{memory_suffix(value.dtype, value.lanes)}.p0"
        operands = f"{value.typed}, ptr {address}, i32 {size}, {mask.typed}"
        self._code.effect(f"call void {symbol}({operands})")

    def _scatter(self, buffer: Buffer, index: Index, value: Value, mask: Value | None) -> None:
        lanes = self._code.lanes
        pointers = self._memory.lane_addresses(buffer, self._indices.vector(index))
        active = mask.typed if mask is not None else f"<{lanes} x i1> splat (i1 true)"
        symbol = f"@llvm.masked.scatter.{memory_suffix(value.dtype, lanes)}.v{lanes}p0"
        operands = f"{value.typed}, <{lanes} x ptr> {pointers}, i32 {buffer.dtype.itemsize}"
        self._code.effect(f"call void {symbol}({operands}, {active})")
