"""Segments: the work recorded between two evaluations, and its evaluation as one program.

Values of a segment are expressions over its input slots, numbered by first read, so that two alike
iterations of a loop record identical values and find the same compiled program.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from sys import getrefcount
from typing import Any, Protocol, TypeAlias

from treadle.ir import build
from treadle.ir.graph import input_value
from treadle.ir.ops.source import INPUT
from treadle.ir.types import TensorType
from treadle.ir.value import LoopClass, Value, make
from treadle.tracer.storage import Storage

# Recorded operations after which a segment is cut, always at the same place in the program.
PENDING_LIMIT = 2000
# Bytes of inputs after which one is cut in the same way: pending work keeps its inputs alive.
INPUT_LIMIT = 1 << 30


class Saver(Protocol):
    """An autograd node: what it may read again when gradients are asked for."""

    @property
    def released(self) -> bool:
        """Whether its gradient was computed and what it saved given up."""

    def saved_storages(self) -> Iterable[Storage]:
        """Storages that only this node's bookkeeping keeps alive."""

    def needed_values(self) -> Iterable[Value]:
        """Values from which gradients are computed."""


@dataclass(frozen=True)
class Request:
    """One program to run.

    Attributes:
        buffers: contents of the inputs.
        inputs: the input values, slot by slot.
        outputs: values to compute.
        donated: slots whose buffers may be overwritten.
    """

    buffers: Sequence[Any]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    donated: frozenset[int]


Evaluator: TypeAlias = Callable[[Request], Sequence[Any]]


class Segment:
    """Pending work of one thread.

    Attributes:
        buffers: the program's inputs by slot.
        inputs: their values, slot by slot.
        slots: input value of each buffer (by identity).
        parts: input value of each part of a buffer that was read.
        storages: storages written in this segment, in order.
        savers: autograd nodes made in this segment.
        results: buffers of values that were computed, once evaluated.
        imported: values of earlier segments, rebuilt over this one's slots.
        operations: how many were recorded.
        input_bytes: size of all inputs, which pending work keeps alive.
        cut: the operation being recorded must be computed before its caller goes on.
    """

    __slots__ = (
        "buffers", "cut", "imported", "input_bytes", "inputs", "operations", "parts", "results",
        "savers", "slots", "storages",
    )  # fmt: skip

    def __init__(self) -> None:
        self.operations = 0
        self.input_bytes = 0
        self.cut = False
        self.buffers: list[Any] = []
        self.inputs: list[Value] = []
        self.slots: dict[int, Value] = {}
        self.parts: dict[object, Value] = {}
        self.storages: list[Storage] = []
        self.savers: list[Saver] = []
        self.results: dict[Value, Any] = {}
        self.imported: dict[tuple[Segment, Value], Value] = {}

    def input(self, buffer: Any, type: TensorType) -> Value:
        """The value of a buffer's contents; the same for every read of it."""
        known = self.slots.get(id(buffer))
        if known is None:
            known = self.slots[id(buffer)] = input_value(len(self.buffers), type)
            self.buffers.append(buffer)
            self.inputs.append(known)
            self.input_bytes += type.nbytes
        elif known.type.shape != type.shape:
            # A buffer shared by storages of different shapes keeps the first reader's.
            return build.reshape(known, type.shape)
        return known

    def part(self, key: object, make_part: Callable[[], Any], type: TensorType) -> Value:
        """The value of a part of a buffer, which ``make_part`` gives the first time.

        Where the part starts is not in the program: rows of a tensor share one.
        """
        known = self.parts.get(key)
        if known is None:
            known = self.parts[key] = self.input(make_part(), type)
        return known

    def read(self, storage: Storage) -> Value:
        """The current contents of a storage as a value of this segment.

        The storage is left as it is: it may be pending in the segment of another thread.
        """
        if storage.segment is self and storage.value is not None:
            return storage.value
        buffer = storage.buffer
        if buffer is not None:
            return self.input(buffer, storage.type)
        # While the lock is held, the other thread cannot evaluate and let go of what is read here.
        with _evaluation:
            buffer = storage.buffer
            if buffer is not None:
                return self.input(buffer, storage.type)
            assert storage.segment is not None and storage.value is not None
            return self.bring(storage.segment, storage.value)

    def write(self, storage: Storage, value: Value, tracked: bool = True) -> None:
        """Replaces the contents of a storage; ``tracked`` changes count for autograd."""
        storage.value = value
        storage.segment = self
        # Last: until then another thread reads the old contents.
        storage.buffer = None
        storage.writes += 1
        if tracked:
            storage.version += 1
        self.storages.append(storage)

    def bring(self, source: Segment, value: Value) -> Value:
        """A value of an earlier segment over this segment's slots.

        What was computed is read; the rest is recorded again from what was.
        """
        if source is self:
            return value
        stack = [value]
        done = self.imported
        while stack:
            current = stack[-1]
            key = (source, current)
            if key in done:
                stack.pop()
            elif current in source.results:
                done[key] = self.input(source.results[current], current.type)
            elif current.op is INPUT:
                done[key] = self.input(source.buffers[current.attrs[0]], current.type)
            else:
                missing = [v for v in current.inputs if (source, v) not in done]
                if missing:
                    stack.extend(missing)
                    continue
                operands = tuple(done[source, operand] for operand in current.inputs)
                done[key] = make(current.op, operands, current.attrs)
        return done[source, value]

    # -- evaluation --------------------------------------------------------------------------

    def live_storages(self) -> list[Storage]:
        """Storages with pending contents that something besides autograd's nodes refers to."""
        held: dict[int, int] = {}
        for saver in self.live_savers():
            for saved in saver.saved_storages():
                held[id(saved)] = held.get(id(saved), 0) + 1
        listed: dict[int, int] = {}
        for storage in self.storages:
            listed[id(storage)] = listed.get(id(storage), 0) + 1
        live = []
        for storage in self.storages:
            copies = listed.pop(id(storage), 0)  # 0: an earlier entry of the same storage decided
            # Besides the list entries: this loop's name and getrefcount's argument.
            others = getrefcount(storage) - 2 - copies - held.get(id(storage), 0)
            if copies and others > 0 and storage.segment is self and storage.buffer is None:
                live.append(storage)
        return live

    def live_savers(self) -> list[Saver]:
        """Autograd nodes from which a gradient can still be asked; the others are dropped."""
        savers, live = self.savers, []
        # The latest first: a node that goes lets go of those before it.
        while savers:
            saver = savers.pop()
            # References: this name and getrefcount's argument.
            if getrefcount(saver) > 2 and not saver.released:
                live.append(saver)
        live.reverse()
        self.savers = live
        return live

    def kept_values(self, savers: Iterable[Saver]) -> list[Value]:
        """What gradients will need and would be expensive to compute again."""
        kept: dict[Value, None] = {}
        seen: set[Value] = set()
        stack = [value for saver in savers for value in saver.needed_values()]
        while stack:
            value = stack.pop()
            if value in seen or value.op.loop_class is LoopClass.SOURCE:
                continue
            seen.add(value)
            if value.op.loop_class in _CHEAP:
                stack.extend(value.inputs)
            else:
                kept[value] = None
        return list(kept)

    def donated(self) -> frozenset[int]:
        """Slots whose buffers nothing else refers to, so that results may overwrite them.

        Memory that something else owns, an array or a larger buffer, never is.
        """
        buffers = self.buffers
        # References: the list entry and getrefcount's argument.
        return frozenset(
            slot
            for slot in range(len(buffers))
            if getrefcount(buffers[slot]) <= 2 and buffers[slot].owner is None
        )

    def evaluate(self, run: Evaluator) -> None:
        """Computes everything pending that something still refers to, as one program.

        Leaves the segment as it was when ``run`` raises.
        """
        live = self.live_storages()
        savers = self.live_savers()
        kept = self.kept_values(savers)
        wanted = dict.fromkeys([*(s.value for s in live if s.value is not None), *kept])
        computed = tuple(value for value in wanted if value.op is not INPUT)
        if computed:
            # A storage whose contents are an input again goes on using that input's buffer.
            used = {value.attrs[0] for value in wanted if value.op is INPUT}
            donated = frozenset() if savers else self.donated() - used
            buffers = run(Request(self.buffers, tuple(self.inputs), computed, donated))
            self.results = dict(zip(computed, buffers, strict=True))
        for storage in live:
            value = storage.value
            assert value is not None
            # An unchanged input needs no copy: buffers are shared until one of them is written.
            is_input = value.op is INPUT
            storage.buffer = self.buffers[value.attrs[0]] if is_input else self.results[value]
        self.storages = []
        self.savers = savers
        self.release()

    def release(self) -> bool:
        """Lets go of all buffers if no gradient can ask for them any more; whether it did."""
        self.savers = self.live_savers()
        if self.savers:
            return False
        # Storages may keep this object as the place of an old value: it must hold no memory then.
        self.buffers, self.inputs, self.slots, self.parts = [], [], {}, {}
        self.results, self.imported = {}, {}
        return True


_CHEAP = (LoopClass.ELEMENTWISE, LoopClass.MOVEMENT, LoopClass.RANDOM)


class Recorder(threading.local):
    """What each thread has recorded.

    Attributes:
        segment: pending work.
        retained: evaluated segments whose memory gradients may still need.
        grad_enabled: whether operations are recorded for autograd.
        cut_place: place in the program where a long segment was cut.
    """

    def __init__(self) -> None:
        self.segment = Segment()
        self.retained: list[Segment] = []
        self.grad_enabled = True
        self.cut_place: object = None

    def compute(self, storage: Storage) -> None:
        """Makes the contents of a storage concrete."""
        if storage.buffer is not None:
            return
        segment = self.segment
        if storage.segment is segment:
            self.evaluate()
            return
        # Pending in the segment of another thread, which goes on with it: computed here as well.
        writes = storage.writes
        copy = Storage(storage.type, segment.read(storage), segment)
        segment.storages.append(copy)
        self.evaluate()
        with _evaluation:
            if storage.buffer is None and storage.writes == writes:
                storage.buffer = copy.buffer

    def evaluate(self) -> None:
        """Ends the segment: computes what is still referred to, as one program."""
        self.retained = [segment for segment in self.retained if not segment.release()]
        segment = self.segment
        if segment.storages or segment.savers:
            with _evaluation:
                segment.evaluate(_evaluator[0])
        if segment.savers:
            self.retained.append(segment)
        self.segment = Segment()


recorder = Recorder()
_evaluation = threading.RLock()
_evaluator: list[Evaluator] = []


def set_evaluator(run: Evaluator) -> None:
    """Installs the function that runs programs."""
    _evaluator[:] = [run]
