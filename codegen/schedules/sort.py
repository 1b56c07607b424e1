"""Kernels that sort rows of integers, and that merge the sorted runs of long rows.

A sort makes runs of a few elements by a network of comparisons, then merges them in scratch
memory, two by two. In a merge every lane writes a piece of the result that a binary search finds
the beginning of ("merge path": Green, McColl and Bader, GPU Merge Path, ICS 2012).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from treadle.codegen.element import Elements
from treadle.codegen.loops import (
    Apply,
    Assign,
    Buffer,
    Const,
    Expression,
    Load,
    LoopKind,
    Position,
    Read,
    Statement,
    Store,
)
from treadle.codegen.schedules.axes import position_in
from treadle.codegen.schedules.problem import Problem
from treadle.codegen.schedules.tiling import (
    Names,
    Statements,
    Strip,
    loop,
    read,
    slot_of,
    strip_loop,
    strips,
    task_nest,
    wanted_tasks,
)
from treadle.ir.errors import CompilationError
from treadle.ir.index import Bound, Index, constant, dynamic, variable
from treadle.ir.ops.sort import MERGE
from treadle.ir.types import DType, bool_, element_count, int32
from treadle.ir.value import LoopClass, Value

_RUN = 16  # elements that a network sorts: as many vectors fit the registers
_SLOTS = 2  # vectors of lanes that merge side by side, each waiting for its own loads
_PIECES = {"cpu": 512, "cuda": 16}  # elements that a lane merges after one search
_STEP = 8  # cost of an element in a merge, in additions


def schedule_sort(problem: Problem) -> tuple[Names, Statements]:
    """The loops of a body with one sort or merge, which must be its only result.

    Raises:
        CompilationError: there are other results, or rows do not fit in scratch memory.
    """
    found = [value for value in problem.values if value.op.loop_class is LoopClass.SORT]
    if len(found) != 1 or problem.results != (found[0],):
        raise CompilationError(
            "a sort or merge is the only result of its kernel, found "
            + ", ".join(f"{value.op.name} {value.type}" for value in problem.results)
        )
    names = Names(problem.target, problem.target.lanes(found[0].dtype.itemsize))
    rows = _Rows(names, problem, found[0])
    if found[0].op is MERGE:
        return names, rows.merged()
    return names, rows.sorted_by_network() if rows.length <= _RUN else rows.sorted()


def network(size: int) -> Iterator[tuple[int, int]]:
    """Batcher's odd-even mergesort (1968) of a power of two elements, as pairs to exchange."""
    step = 1
    while step < size:
        apart = step
        while apart:
            for start in range(apart % step, size - apart, 2 * apart):
                for low in range(start, min(start + apart, size - apart)):
                    if low // (2 * step) == (low + apart) // (2 * step):
                        yield low, low + apart
            apart //= 2
        step *= 2


@dataclass(frozen=True)
class _Memory:
    """Where a row lies while it is merged: elements from ``start`` on, below ``end``."""

    buffer: Buffer
    start: Index
    end: int


class _Rows:
    """Builds the statements of one kernel."""

    def __init__(self, names: Names, problem: Problem, value: Value) -> None:
        self.names = names
        self.problem = problem
        self.value = value
        self.length = value.shape[-1]
        self.outer = value.shape[:-1]
        self.count = element_count(self.outer)
        self.elements = Elements(problem.inputs, {})
        self.greatest = Const(int(np.iinfo(value.dtype.numpy).max), value.dtype)
        lanes = names.lanes * _SLOTS
        cpu = names.target.kind == "cpu"
        self.slots = _SLOTS if cpu and self.length >= 2 * _RUN * lanes else 1

    def _result(self, row: Index) -> _Memory:
        return _Memory(self.problem.outputs[0], row * self.length, self.length)

    # --- sorting ----------------------------------------------------------------------------------

    def sorted_by_network(self) -> Statements:
        """Short rows, one a lane."""
        names = self.names
        size = 1 << (self.length - 1).bit_length()
        pairs = len(list(network(size)))
        wanted = wanted_tasks(names.target, self.count * (2 * pairs + 2 * size))
        count, tail = strips(self.count, names.lanes, 1)

        def rows(start: Index, strip: Strip) -> Statements:
            def body(row: Index, _lane: Index, _slot: Index) -> Statements:
                places = [constant(at) for at in range(size)]
                return self._exchanged(row, places, self._result(row), places)

            return strip_loop(names, strip, start, body)

        def main(_at: list[Index], number: Index) -> Statements:
            return rows(number * names.lanes, Strip(1))

        def rest(_at: list[Index]) -> Statements:
            return rows(constant(count * names.lanes), tail) if tail.slots else ()

        return task_nest(names, [], count, wanted, main, rest)

    def sorted(self) -> Statements:
        """Longer rows, one after the other in the scratch memory of a task."""
        names, dtype = self.names, self.value.dtype
        chunks = -(-self.length // _RUN)
        size = chunks * _RUN
        if 2 * size * dtype.itemsize > names.target.max_scratch:
            raise CompilationError(
                f"rows of {self.length} elements are sorted in blocks: run split-sorts"
            )
        needed = 1 if size <= 2 * _RUN else 2  # a single pass merges into the result
        scratch = [names.scratch_buffer("runs", dtype, size) for _ in range(needed)]
        memories = [_Memory(buffer, constant(0), size) for buffer in scratch]

        def row(at: list[Index]) -> Statements:
            made = self._runs(at[0], chunks, memories[0])
            width, nth = _RUN, 0
            while width < size:
                last = 2 * width >= size
                target = self._result(at[0]) if last else memories[1 - nth % 2]
                made += self._pass(memories[nth % 2], target, width)
                width, nth = 2 * width, nth + 1
            return made

        work = self.count * size * _STEP * (size.bit_length() - 2)
        wanted = wanted_tasks(names.target, work)
        return task_nest(names, [self.count], 0, wanted, lambda _at, _number: (), row)

    def _runs(self, row: Index, chunks: int, target: _Memory) -> Statements:
        """Sorted runs of a row's elements, which are taken so that lanes load neighbours."""
        count, tail = strips(chunks, self.names.lanes, 1)

        def body(chunk: Index, _lane: Index, _slot: Index) -> Statements:
            taken = [chunk + nth * chunks for nth in range(_RUN)]
            places = [chunk * _RUN + nth for nth in range(_RUN)]
            return self._exchanged(row, taken, target, places)

        number = self.names.var("c", max(count, 1))
        start = variable(number) * self.names.lanes
        made = strip_loop(self.names, Strip(1), start, body) if count else ()
        whole = loop(number, LoopKind.SERIAL, made)
        return whole + strip_loop(self.names, tail, constant(count * self.names.lanes), body)

    def _exchanged(
        self, row: Index, taken: Sequence[Index], target: _Memory, places: Sequence[Index]
    ) -> Statements:
        """Elements of a row in order; those past its end are greatest."""
        made: list[Statement] = []

        def name(value: Expression) -> Expression:
            named = self.names.let(value, 0)
            made.append(named)
            return Read(named.register)

        held = [name(self._element(row, place)) for place in taken]
        for low, high in network(len(held)):
            pair = (held[low], held[high])
            held[low] = name(Apply("minimum", pair, self.value.dtype))
            held[high] = name(Apply("maximum", pair, self.value.dtype))
        for place, value in zip(places, held, strict=True):
            made += self._stored(target, place, value)
        return tuple(made)

    def _element(self, row: Index, place: Index) -> Expression:
        position = position_in(self.outer, [self.count], [row])
        bound = Bound(place, 0, self.length)
        low = place.bounds()[0]
        if low >= self.length:
            return self.greatest
        guard = () if bound.always() else (bound,)
        operand = self.value.inputs[0]
        value = self.elements.at(operand, (*position, place), guard)
        return self.elements.select(guard, value, self.greatest) if guard else value

    def _stored(self, target: _Memory, place: Index, value: Expression) -> Statements:
        bound = Bound(place, 0, target.end)
        low = place.bounds()[0]
        if low >= target.end:
            return ()
        guard = () if bound.always() else (bound,)
        return (Store(target.buffer, target.start + place, value, guard),)

    # --- merging ----------------------------------------------------------------------------------

    def merged(self) -> Statements:
        """One merge of long rows from memory to memory."""
        names, width = self.names, self.value.attr("width")
        source = self.problem.inputs[self.value.inputs[0].attr("slot")]
        piece = self._piece(width, _PIECES[names.target.kind])
        pieces = -(-self.length // piece)
        count, tail = strips(pieces, names.lanes, self.slots)
        strip = names.lanes * self.slots

        def pair(row: Index, start: Index, some: Strip) -> Statements:
            memory = _Memory(source, row * self.length, self.length)
            return _Merge(self, memory, self._result(row), width, piece).strip(start, some)

        def main(at: list[Index], number: Index) -> Statements:
            return pair(at[0], number * strip, Strip(self.slots))

        def rest(at: list[Index]) -> Statements:
            return pair(at[0], constant(count * strip), tail) if tail.slots else ()

        wanted = wanted_tasks(names.target, self.value.type.numel * _STEP)
        return task_nest(names, [self.count], count, wanted, main, rest)

    def _pass(self, source: _Memory, target: _Memory, width: int) -> Statements:
        """One merge inside the scratch memory of a task."""
        names = self.names
        strip = names.lanes * self.slots
        # Pieces for all lanes of a task; those that are whole pairs of runs need no search.
        share = max(source.end // strip, 4)
        piece = self._piece(width, 1 << (share.bit_length() - 1))
        count, tail = strips(-(-source.end // piece), names.lanes, self.slots)
        merge = _Merge(self, source, target, width, piece)
        number = names.var("p", max(count, 1))
        made: Statements = ()
        if count:
            main = merge.strip(variable(number) * strip, Strip(self.slots))
            made = loop(number, LoopKind.SERIAL, main)
        return made + (merge.strip(constant(count * strip), tail) if tail.slots else ())

    def _piece(self, width: int, wanted: int) -> int:
        """Elements that a lane merges: a power of two that divides a pair of runs."""
        return min(wanted, 2 * (width & -width))


class _Merge:
    """One pass over pairs of runs: each lane writes a piece of ``piece`` elements.

    Args:
        width: elements of a run; the last ones may be shorter or missing.
    """

    def __init__(
        self, rows: _Rows, source: _Memory, target: _Memory, width: int, piece: int
    ) -> None:
        self.rows = rows
        self.names = rows.names
        self.source, self.target = source, target
        self.width, self.piece = width, piece
        self.places = int32 if source.end < 1 << 30 else rows.value.dtype

    def strip(self, start: Index, strip: Strip) -> Statements:
        """The pieces of some vectors of lanes, in all steps."""
        return _MergeStrip(self, start, strip).statements()


class _MergeStrip:
    """The statements of one strip; ``first`` and ``second`` are the runs of a pair."""

    def __init__(self, merge: _Merge, start: Index, strip: Strip) -> None:
        self.merge = merge
        self.names = merge.names
        self.start, self.strip = start, strip
        self.places: DType = merge.places
        slots = max(strip.slots, 1)
        dtype, lanes = merge.rows.value.dtype, merge.names.lanes
        self.low = self.names.register("low", self.places, lanes, slots)
        self.high = self.names.register("high", self.places, lanes, slots)
        self.first = self.names.register("first", dtype, lanes, slots)
        self.second = self.names.register("second", dtype, lanes, slots)

    def statements(self) -> Statements:
        """Search, then merge."""
        merge = self.merge
        made = self._vectors(self._begin)
        if merge.piece < 2 * merge.width:
            steps = self.names.var("b", merge.width.bit_length())
            made += loop(steps, LoopKind.SERIAL, self._vectors(self._search))
        made += self._vectors(self._load_heads)
        inner = self.names.var("k", merge.piece)
        step = self._vectors(lambda begin, slot: self._take(begin, slot, variable(inner)))
        return made + loop(inner, LoopKind.SERIAL, step)

    def _vectors(self, make: Callable[[Index, Index], Statements]) -> Statements:
        """Statements for every piece: (position where it begins, slot) -> statements."""
        return strip_loop(
            self.names,
            self.strip,
            self.start,
            lambda piece, _lane, slot: make(piece * self.merge.piece, slot),
        )

    # --- numbers ----------------------------------------------------------------------------------

    def _number(self, index: Index | int) -> Expression:
        if isinstance(index, int):
            return Const(index, self.places)
        return Position(index, self.places)

    def _apply(self, op: str, *args: Expression) -> Expression:
        return Apply(op, args, self.places)

    def _least(self, index: Index) -> Expression:
        """A position, or the end of the row if that comes first."""
        if index.bounds()[1] <= self.merge.source.end:
            return self._number(index)
        return self._apply("minimum", self._number(index), self._number(self.merge.source.end))

    def _pair(self, begin: Index) -> Index:
        return (begin // (2 * self.merge.width)) * (2 * self.merge.width)

    def _ends(self, begin: Index) -> tuple[Expression, Expression]:
        """Where the two runs of a pair end."""
        pair, width = self._pair(begin), self.merge.width
        return self._least(pair + width), self._least(pair + 2 * width)

    def _load(self, place: Expression) -> Expression:
        """An element of the source; the last one for positions past the end."""
        source = self.merge.source
        last = source.end - 1
        inside = self._apply("minimum", place, self._number(last))
        return Load(source.buffer, source.start + dynamic(inside, 0, last))

    def _head(self, place: Expression, end: Expression) -> Expression:
        """The element at the head of a run; the greatest number once the run is used up."""
        left = Apply("lt", (place, end), bool_)
        return Apply(
            "select", (left, self._load(place), self.merge.rows.greatest), self.first.dtype
        )

    # --- steps ------------------------------------------------------------------------------------

    def _begin(self, begin: Index, slot: Index) -> Statements:
        """The range of how many elements of the first run come before the piece."""
        pair, width = self._pair(begin), self.merge.width
        before = begin - pair
        if self.merge.piece == 2 * width:
            return (Assign(self.low, self._number(0), slot_of(self.low, slot)),)
        first_end, second_end = self._ends(begin)
        # Of the second run there may be nothing.
        second = self._apply(
            "sub", second_end, self._apply("minimum", self._number(pair + width), second_end)
        )
        least = self._apply("sub", self._number(before), second)
        least = self._apply("maximum", least, self._number(0))
        most = self._apply("sub", first_end, self._number(pair))
        most = self._apply("minimum", self._number(before), most)
        return (
            Assign(self.low, least, slot_of(self.low, slot)),
            Assign(self.high, most, slot_of(self.high, slot)),
        )

    def _search(self, begin: Index, slot: Index) -> Statements:
        pair = self._pair(begin)
        low, high = read(self.low, slot), read(self.high, slot)
        middle = self.names.let(
            self._apply("shr", self._apply("add", low, high), self._number(1)), 0
        )
        at = Read(middle.register)
        first = self._load(self._apply("add", self._number(pair), at))
        other = begin + (self.merge.width - 1)
        second = self._load(self._apply("sub", self._number(other), at))
        searching = Apply("lt", (low, high), bool_)
        more = self.names.let(Apply("le", (first, second), bool_), 0)
        take = Read(more.register)
        raised = Apply("and", (searching, take), bool_)
        lowered = Apply("and", (searching, Apply("not", (take,), bool_)), bool_)
        up = self.names.let(raised, 0)
        down = self.names.let(lowered, 0)
        after = self._apply("add", at, self._number(1))
        return (
            middle,
            more,
            up,
            down,
            Assign(
                self.low,
                self._apply("select", Read(up.register), after, low),
                slot_of(self.low, slot),
            ),
            Assign(
                self.high,
                self._apply("select", Read(down.register), at, high),
                slot_of(self.high, slot),
            ),
        )

    def _load_heads(self, begin: Index, slot: Index) -> Statements:
        """The first elements of both runs; ``low`` becomes the position in the first."""
        pair = self._pair(begin)
        first_end, second_end = self._ends(begin)
        taken = read(self.low, slot)
        place = self.names.let(self._apply("add", self._number(pair), taken), 0)
        other = self._apply("sub", self._number(begin + self.merge.width), taken)
        at = Read(place.register)
        return (
            place,
            Assign(self.first, self._head(at, first_end), slot_of(self.first, slot)),
            Assign(self.second, self._head(other, second_end), slot_of(self.second, slot)),
            Assign(self.low, at, slot_of(self.low, slot)),
        )

    def _take(self, begin: Index, slot: Index, nth: Index) -> Statements:
        """Writes the lesser head and loads what follows it."""
        first_end, second_end = self._ends(begin)
        first, second = read(self.first, slot), read(self.second, slot)
        at = read(self.low, slot)
        chosen = self.names.let(Apply("le", (first, second), bool_), 0)
        least = self.names.let(Apply("minimum", (first, second), first.dtype), 0)
        takes = Read(chosen.register)
        after = self.names.let(
            self._apply("select", takes, self._apply("add", at, self._number(1)), at), 0
        )
        place = Read(after.register)
        # Both positions add up to the beginning of the pair, that of its second run and all taken.
        both = begin + nth + (self.merge.width + 1) + self._pair(begin)
        other = self._apply("sub", self._number(both), place)
        following = self._apply("select", takes, place, other)
        end = self._apply("select", takes, first_end, second_end)
        head = self.names.let(self._head(following, end), 0)
        new = Read(head.register)
        dtype = first.dtype
        return (
            chosen,
            least,
            after,
            head,
            *self.merge.rows._stored(self.merge.target, begin + nth, Read(least.register)),
            Assign(
                self.first, Apply("select", (takes, new, first), dtype), slot_of(self.first, slot)
            ),
            Assign(
                self.second,
                Apply("select", (takes, second, new), dtype),
                slot_of(self.second, slot),
            ),
            Assign(self.low, place, slot_of(self.low, slot)),
        )
