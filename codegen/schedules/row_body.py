"""What a row kernel computes in which pass over a row, before lanes and loops are chosen.

A pass computes all reductions that need only earlier ones, and recomputes what is cheap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from treadle.codegen.element import Elements, chosen, fold_access
from treadle.codegen.loops import Expression
from treadle.codegen.schedules.expressions import WEIGHTS
from treadle.codegen.schedules.problem import Problem, Result, reduces
from treadle.ir.access import Position as At
from treadle.ir.errors import CompilationError
from treadle.ir.types import Shape, element_count
from treadle.ir.value import LoopClass, Value

_KEEP = 8  # additions an element above which a row buffer beats computing again


@dataclass(frozen=True)
class RowBody:
    """A body of reductions over the same axes of the same shape.

    Attributes:
        shape: extents of the elements that are reduced.
        dims: reduced axes of ``shape``.
        reductions: in each pass.
        rows: results with an element for each of ``shape``, in each pass.
        outer: results with an element for each row.
        kept: values that a later pass reads from a row buffer, in the pass that computes them.
    """

    problem: Problem
    shape: Shape
    dims: tuple[int, ...]
    reductions: tuple[tuple[Value, ...], ...]
    rows: tuple[tuple[Result, ...], ...]
    outer: tuple[Result, ...]
    kept: tuple[tuple[Value, ...], ...]

    @property
    def outer_shape(self) -> Shape:
        """Extents of the rows."""
        return tuple(e for axis, e in enumerate(self.shape) if axis not in self.dims)

    def outer_position(self, position: At) -> At:
        """The position of the row that an element belongs to."""
        return tuple(at for axis, at in enumerate(position) if axis not in self.dims)


def domain(value: Value) -> tuple[Shape, tuple[int, ...]]:
    """The shape whose elements a reduction combines, and the reduced axes."""
    if value.op.name == "fold":
        shape, _axes, sizes, _strides, _dilations = value.attrs
        return (*shape, *sizes), tuple(range(len(shape), len(shape) + len(sizes)))
    if value.op.name in ("argmax", "argmin"):
        return value.inputs[0].shape, (value.attr("axis"),)
    return value.inputs[0].shape, value.attr("dims")


def operand_at(elements: Elements, value: Value, position: At) -> Expression:
    """The element that a reduction takes at a position of its domain."""
    if value.op.name != "fold":
        return elements.at(value.inputs[0], position)
    rank = value.ndim
    access = fold_access(value, position[:rank], position[rank:])
    steps = chosen(elements, value, [access], (), False)
    wanted = next(steps)
    try:
        steps.send(elements.at(*wanted))
    except StopIteration as done:
        made: Expression = done.value
        return made
    raise AssertionError("a fold takes one element")


def row_body(problem: Problem) -> RowBody:
    """Passes of a body; CompilationError where its reductions do not share their axes."""
    found = [value for value in problem.values if reduces(value)]
    shape, dims = domain(found[0])
    for value in found[1:]:
        if domain(value) != (shape, dims):
            raise CompilationError(
                f"reductions of one kernel need one shape and one set of axes, found {list(shape)} "
                f"over {dims} and {list(domain(value)[0])} over {domain(value)[1]}"
            )
    level: dict[Value, int] = {}
    for value in problem.values:
        below = max((level[operand] for operand in value.inputs), default=0)
        level[value] = below + reduces(value)
    last = max(level[value] for value in found)
    count = element_count(shape)
    outer_count = element_count(tuple(e for axis, e in enumerate(shape) if axis not in dims))
    rows: list[list[Result]] = [[] for _ in range(last + 1)]
    outer = []
    for nth, result in enumerate(problem.whole_results()):
        size = result.buffer.size
        if size == outer_count:
            outer.append(result)
        elif size == count:
            # What lies in an input's memory is written last: other passes still read it.
            rows[last if nth in problem.aliases else level[result.value]].append(result)
        else:
            raise CompilationError(
                f"a kernel of rows {list(shape)} over {dims} cannot write {result.value.type}"
            )
    by_pass = tuple(tuple(v for v in found if level[v] == nth + 1) for nth in range(last + 1))
    kept = _kept_values(shape, by_pass, rows)
    return RowBody(problem, shape, dims, by_pass, tuple(map(tuple, rows)), tuple(outer), kept)


def _kept_values(
    shape: Shape, reductions: Sequence[Sequence[Value]], rows: Sequence[Sequence[Result]]
) -> tuple[tuple[Value, ...], ...]:
    """Expensive values of whole rows, in the first of several passes that need them."""
    first: dict[Value, int] = {}
    kept: list[list[Value]] = [[] for _ in reductions]
    for nth, (some, results) in enumerate(zip(reductions, rows, strict=True)):
        starts = [v.inputs[0] for v in some if v.op.name != "fold"] + [r.value for r in results]
        pending = [value for value in starts if value.shape == shape]
        seen: set[Value] = set()
        while pending:
            value = pending.pop()
            if value in seen:
                continue
            seen.add(value)
            if value in first and _weight(value, shape) >= _KEEP:
                if value not in kept[first[value]]:
                    kept[first[value]].append(value)
                continue
            pending.extend(_below(value, shape))
        for value in seen:
            first.setdefault(value, nth)
    return tuple(map(tuple, kept))


def _below(value: Value, shape: Shape) -> Iterable[Value]:
    if value.op.loop_class is LoopClass.ELEMENTWISE:
        return [operand for operand in value.inputs if operand.shape == shape]
    return []


def _weight(value: Value, shape: Shape) -> int:
    """Cost of an element of a row's value in additions."""
    total = 0
    seen: set[Value] = set()
    pending = [value]
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        if current.op.loop_class is LoopClass.ELEMENTWISE:
            total += WEIGHTS.get(current.op.name, 1)
        if current.op.loop_class in (LoopClass.RANDOM, LoopClass.INDEXING):
            total += _KEEP
        pending.extend(_below(current, shape))
    return total
