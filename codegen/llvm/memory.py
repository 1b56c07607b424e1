"""Loads of scalars and vectors: contiguous, strided, gathered, guarded, masked; and addresses.

Nothing outside a guard is ever read: a guarded position is replaced by 0 or masked.
"""

from __future__ import annotations

from collections.abc import Sequence

from treadle.codegen.llvm.code import Code, Computed
from treadle.codegen.llvm.index import Indices
from treadle.codegen.llvm.scalar import Scalars
from treadle.codegen.llvm.types import (
    Value,
    literal,
    memory_suffix,
    memory_type,
    splat_text,
    vector_text,
)
from treadle.codegen.loops import Buffer, Load
from treadle.codegen.target import Target
from treadle.ir.index import Bound, Index
from treadle.ir.types import Scalar, bool_, int64, uint8

# The widest constant stride that is read as whole vectors and shuffled.
_SHUFFLED_STRIDE = 4
# Bytes of the smallest vectors.
_NARROWEST = 16


class Memory:
    """Emits the loads of one function.

    Attributes:
        pointers: SSA name of each buffer's address.
    """

    def __init__(self, code: Code, indices: Indices, scalars: Scalars, target: Target) -> None:
        self._code = code
        self._indices = indices
        self._scalars = scalars
        self._target = target
        self.pointers: dict[str, str] = {}

    def load(self, load: Load) -> Computed:
        """The value of a load and what it depends on."""
        code, indices = self._code, self._indices
        index = indices.resolve(load.index)
        guard = tuple(
            Bound(indices.resolve(bound.index), bound.low, bound.high, bound.step)
            for bound in load.guard
        )
        varies = indices.varies(index) or any(indices.varies(bound.index) for bound in guard)
        lane = (code.lane, code.lanes) if varies else None
        # Positions computed from data still hold the variables of unrolled loops.
        places = (index, *(bound.index for bound in guard))
        numbers = tuple(indices.numbers(place) for place in places)
        key = (load.buffer.name, index, guard, load.default, lane, numbers)
        found = code.computed(key)
        if found is None:
            reads = frozenset((load.buffer.name,)).union(
                indices.sources(index), *(indices.sources(bound.index) for bound in guard)
            )
            found = self._guarded(load.buffer, index, guard, load.default), reads
            code.remember(key, *found)
        return found

    def _guarded(
        self, buffer: Buffer, index: Index, guard: Sequence[Bound], default: Scalar
    ) -> Value:
        """A load that yields ``default`` where the guard does not hold."""
        uniform, mask = self._indices.guard(guard)
        other = literal(default, buffer.dtype)
        if uniform is False or not buffer.size:
            return other
        least, greatest = index.bounds()
        if (uniform is True and mask is None) or (least >= 0 and greatest < buffer.size):
            # Safe to read even where the guard does not hold.
            value = self._read(buffer, index)
        elif not self._indices.varies(index):
            value = self._safe_scalar(buffer, index, uniform, mask)
        elif self.step(index) == -1 and self._fits_masks(buffer):
            value = self._backwards(buffer, index, self._joined(uniform, mask))
        elif self.step(index) != 1:
            value = self._gather(buffer, index, self._joined(uniform, mask))
        elif mask is None or mask.literal:
            found = self._known_lanes(buffer, index, uniform, mask)
            if found is None:
                return other
            value = found
        elif self._has_masks(buffer):
            joined = mask if uniform is True else self._joined(uniform, mask, tail=False)
            return self._masked(buffer, self.address(buffer, index), joined, other)
        else:
            value = self._gather(buffer, index, self._joined(uniform, mask))
        if mask is not None:
            value = self._scalars.choose(mask, value, other)
        return self._scalars.choose(uniform, value, other) if isinstance(uniform, Value) else value

    # --- addresses --------------------------------------------------------------------------------

    def address(self, buffer: Buffer, index: Index, extra: int = 0) -> str:
        """Pointer to an element that is the same for all lanes, or to the first lane's."""
        lane = self._code.lane
        if lane is not None:
            index = Index(tuple(term for term in index.terms if term[0] != lane), index.constant)
        base, rest = self._indices.split(index)
        pointer = self.pointers[buffer.name]
        if base is not None:
            pointer = self._offset(buffer, pointer, base, self._indices.depth(index))
        if rest + extra:
            number = literal(rest + extra, int64)
            pointer = self._offset(buffer, pointer, number, len(self._code.scopes) - 1)
        return pointer

    def _offset(self, buffer: Buffer, pointer: str, by: Value, depth: int) -> str:
        key = ("address", pointer, by.text)
        found = self._code.known(key)
        if found is None:
            element = memory_type(buffer.dtype)
            text = self._code.emit(f"getelementptr {element}, ptr {pointer}, {by.typed}", depth)
            found = Value(text, int64)
            self._code.scopes[depth].pure[key] = found
        return found.text

    def _safe_address(self, buffer: Buffer, index: Index, condition: Value, before: int = 0) -> str:
        """The address of a position where a scalar condition holds.

        Elsewhere the first element's, less ``before`` elements that will not be read.
        """
        pointer = self.address(buffer, index)
        first = self.pointers[buffer.name]
        if before:
            depth = len(self._code.scopes) - 1
            first = self._offset(buffer, first, literal(-before, int64), depth)
        return self._code.emit(f"select {condition.typed}, ptr {pointer}, ptr {first}")

    def step(self, index: Index) -> int | None:
        """Elements from one lane's to the next's; None where that differs."""
        lane = self._code.lane
        if lane is None or any(
            atom != lane and self._indices.varies(atom) for atom, _ in index.terms
        ):
            return None
        return index.coefficient(lane)

    def _tail(self) -> Value | None:
        return self._code.tail_mask(bool_)

    def _joined(self, uniform: bool | Value, mask: Value | None, tail: bool = True) -> Value | None:
        """One mask of a guard and, with ``tail``, of the lanes that run."""
        lanes = self._code.lanes
        # A constant mask has the lanes that do not run off already.
        found = None if not tail or (mask is not None and mask.literal) else self._tail()
        if isinstance(uniform, Value):
            splat = self._code.splat(uniform, lanes)
            found = splat if found is None else self._indices.both(splat, found)
        if mask is not None:
            found = mask if found is None else self._indices.both(mask, found)
        return found

    def _has_masks(self, buffer: Buffer) -> bool:
        """Whether masked loads are instructions; LLVM makes branches of them elsewhere."""
        width = self._target.lane_bytes
        return width >= 64 or (width >= 32 and buffer.dtype.itemsize >= 4)

    def _fits_masks(self, buffer: Buffer) -> bool:
        """Whether a vector of all lanes can be loaded under any mask by one instruction."""
        bytes_ = self._code.lanes * buffer.dtype.itemsize
        return self._has_masks(buffer) and bytes_ <= self._target.lane_bytes

    # --- kinds of loads ---------------------------------------------------------------------------

    def _read(self, buffer: Buffer, index: Index) -> Value:
        """A load that needs no guard but the tail's."""
        if not self._indices.varies(index):
            return self._scalar(buffer, self.address(buffer, index))
        step = self.step(index)
        if step == 1:
            return self._contiguous(buffer, self.address(buffer, index), self._tail())
        if step is None:
            return self._gather(buffer, index, self._tail())
        tail = self._tail()
        if step == -1 and (tail is None or self._fits_masks(buffer)):
            return self._backwards(buffer, index, tail)
        if 1 < step <= _SHUFFLED_STRIDE and self._tail() is None:
            return self._shuffled(buffer, index, step)
        return self._lane_by_lane(buffer, index, step)

    def _scalar(self, buffer: Buffer, address: str) -> Value:
        dtype = uint8 if buffer.dtype is bool_ else buffer.dtype
        instruction = f"load {memory_type(dtype)}, ptr {address}, align {dtype.itemsize}"
        return self._loaded(buffer, self._code.value(instruction, dtype))

    def _loaded(self, buffer: Buffer, value: Value) -> Value:
        """Memory's bytes as bool."""
        if buffer.dtype is not bool_:
            return value
        return self._scalars.compare("ne", value, self._code.splat(literal(0, uint8), value.lanes))

    def _safe_scalar(
        self, buffer: Buffer, index: Index, uniform: bool | Value, mask: Value | None
    ) -> Value:
        condition = uniform if isinstance(uniform, Value) else None
        if mask is not None:
            some = self.any_lane(mask)
            condition = some if condition is None else self._indices.both(condition, some)
        assert condition is not None
        return self._scalar(buffer, self._safe_address(buffer, index, condition))

    def any_lane(self, mask: Value) -> Value:
        """Whether a mask has a lane that runs."""
        tail = self._tail()
        if tail is not None:
            mask = self._indices.both(mask, tail)
        symbol = f"@llvm.vector.reduce.or.v{mask.lanes}i1"
        return self._code.value(f"call i1 {symbol}({mask.typed})", bool_)

    def _contiguous(
        self,
        buffer: Buffer,
        address: str,
        mask: Value | None,
        other: Value | None = None,
        width: int = 0,
    ) -> Value:
        """One element after another, from the address of the first lane's."""
        lanes, size = width or self._code.lanes, buffer.dtype.itemsize
        dtype = uint8 if buffer.dtype is bool_ else buffer.dtype
        vector = f"<{lanes} x {memory_type(dtype)}>"
        if mask is None:
            instruction = f"load {vector}, ptr {address}, align {size}"
        else:
            fill = literal(0, dtype) if other is None else self._stored(other)
            symbol = f"@llvm.masked.load.{memory_suffix(dtype, lanes)}.p0"
            instruction = (
                f"call {vector} {symbol}(ptr {address}, i32 {size}, {mask.typed}, "
                f"{vector} {splat_text(fill)})"
            )
        return self._loaded(buffer, self._code.value(instruction, dtype, lanes))

    def _backwards(self, buffer: Buffer, index: Index, mask: Value | None) -> Value:
        """Each lane reads the element before the last lane's: a vector in turned order."""
        code, last = self._code, self._code.lanes - 1
        turned = list(range(last, -1, -1))
        if mask is not None:
            mask = code.shuffle(mask, None, turned)
        found = self._contiguous(buffer, self.address(buffer, index, -last), mask)
        return code.shuffle(found, None, turned)

    def _known_lanes(
        self, buffer: Buffer, index: Index, uniform: bool | Value, mask: Value | None
    ) -> Value | None:
        """A contiguous load of lanes known here, if a scalar condition holds.

        None where the buffer is so small that the condition never does.
        """
        lanes = [lane for lane in range(self._code.active) if mask is None or mask.holds(lane)]
        if buffer.size <= lanes[-1] - lanes[0]:
            return None
        if isinstance(uniform, Value):
            address = self._safe_address(buffer, index, uniform, lanes[0])
        else:
            address = self.address(buffer, index)
        return self._contiguous(buffer, address, self._tail() if mask is None else mask)

    def _masked(self, buffer: Buffer, address: str, mask: Value | None, other: Value) -> Value:
        """A contiguous load under a mask that is not constant, no wider than the hardware.

        LLVM 22 fails where it has to halve such a load and the mask of one half becomes constant,
        as it does where a tail is masked off too.
        """
        assert mask is not None
        code, size = self._code, buffer.dtype.itemsize
        parts: list[Value] = []
        width = min(code.lanes, max(self._target.lane_bytes // size, 1))
        for start in range(0, code.lanes, width):
            active = max(min(code.active - start, width), 0)
            if not active:
                parts.append(code.splat(other, width))
                continue
            used = width
            while used // 2 >= active and used * size > _NARROWEST:
                used //= 2
            part = self._masked_part(buffer, address, mask, (start, used, active), other)
            parts.append(self._widened(part, width, other))
        while len(parts) > 1:
            order = list(range(2 * parts[0].lanes))
            parts = [
                code.shuffle(first, second, order)
                for first, second in zip(parts[::2], parts[1::2], strict=True)
            ]
        return parts[0]

    def _masked_part(
        self, buffer: Buffer, address: str, mask: Value, part: tuple[int, int, int], other: Value
    ) -> Value:
        """Lanes of `_masked`: first lane, vector length and how many of them run."""
        code = self._code
        start, width, active = part
        if width < mask.lanes:
            mask = code.shuffle(mask, None, list(range(start, start + width)))
        if active < width:
            running = ["true" if lane < active else "false" for lane in range(width)]
            tail = Value(vector_text(running, bool_), bool_, width)
            mask = self._indices.both(mask, tail)
        if start:
            element = memory_type(buffer.dtype)
            address = code.emit(f"getelementptr {element}, ptr {address}, i64 {start}")
        return self._contiguous(buffer, address, mask, other, width)

    def _widened(self, value: Value, lanes: int, other: Value) -> Value:
        if value.lanes == lanes:
            return value
        order = list(range(value.lanes)) + [value.lanes] * (lanes - value.lanes)
        return self._code.shuffle(value, self._code.splat(other, value.lanes), order)

    def _stored(self, value: Value) -> Value:
        """A literal as it is in memory."""
        return literal(value.text == "true", uint8) if value.dtype is bool_ else value

    def _shuffled(self, buffer: Buffer, index: Index, step: int) -> Value:
        """A small constant stride: whole vectors from first to last lane, then shuffles.

        The vectors end at the last lane's element, so nothing past it is read.
        """
        lanes = self._code.lanes
        span = step * (lanes - 1) + 1
        starts = [min(first, span - lanes) for first in range(0, span, lanes)]
        parts = [
            self._contiguous(buffer, self.address(buffer, index, start), None) for start in starts
        ]
        result = parts[0]
        order = [lane * step if lane * step < lanes else 0 for lane in range(lanes)]
        for count, (part, start) in enumerate(zip(parts[1:], starts[1:], strict=True), 1):
            known = range(lanes * count)
            merged = [
                (order[lane] if count == 1 else lane)
                if lane * step in known
                else lanes + min(max(lane * step - start, 0), lanes - 1)
                for lane in range(lanes)
            ]
            result = self._code.shuffle(result, part, merged)
        return result

    def _lane_by_lane(self, buffer: Buffer, index: Index, step: int) -> Value:
        """A constant stride: a scalar load for each lane that runs."""
        code = self._code
        result: Value | None = None
        lanes = code.lanes
        for lane in range(code.active):
            value = self._scalar(buffer, self.address(buffer, index, lane * step))
            before = "zeroinitializer" if result is None else result.text
            vector = Value(before, value.dtype, lanes)
            instruction = f"insertelement {vector.typed}, {value.typed}, i64 {lane}"
            result = code.value(instruction, value.dtype, lanes)
        assert result is not None
        return result

    def _gather(self, buffer: Buffer, index: Index, mask: Value | None) -> Value:
        """Any positions; where the mask is off, element 0 is read.

        All lanes read, so that LLVM makes plain loads where gathers are slow.
        """
        code, lanes = self._code, self._code.lanes
        dtype = uint8 if buffer.dtype is bool_ else buffer.dtype
        position = self._indices.vector(index)
        if mask is not None:
            position = self._scalars.choose(mask, position, literal(0, position.dtype))
        pointers = self.lane_addresses(buffer, position)
        vector = f"<{lanes} x {memory_type(dtype)}>"
        symbol = f"@llvm.masked.gather.{memory_suffix(dtype, lanes)}.v{lanes}p0"
        instruction = (
            f"call {vector} {symbol}(<{lanes} x ptr> {pointers}, i32 {dtype.itemsize}, "
            f"<{lanes} x i1> splat (i1 true), {vector} poison)"
        )
        return self._loaded(buffer, code.value(instruction, dtype, lanes))

    def lane_addresses(self, buffer: Buffer, position: Value) -> str:
        """Pointers to the elements at a vector of positions."""
        pointer = self.pointers[buffer.name]
        element = memory_type(buffer.dtype)
        return self._code.emit(f"getelementptr {element}, ptr {pointer}, {position.typed}")
