"""The forms of kernel bodies that lowering accepts, and the check that a group of values has one.

A form fixes an index space; a value is at home where it is stored for a point of that space.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from treadle.ir.access import MOVEMENTS, Position, accesses, same_elements
from treadle.ir.fusion import costs
from treadle.ir.index import Var, dynamic, variable
from treadle.ir.ops.kernel import ITEM
from treadle.ir.types import Shape, element_count
from treadle.ir.value import LoopClass, Value


class RefusedError(Exception):
    """Why values cannot share a kernel, in words for a person."""


class Kind(enum.Enum):
    """Forms of kernels."""

    MAP = "map"  # results of one element count, each element on its own
    ROWS = "row reduction"  # reductions of one shape over the same axes, and work beside them
    PRODUCT = "contraction"  # one contraction, and elementwise work on its result
    FOLD = "fold"  # one fold, and elementwise work on its result
    SCAN = "scan"  # one scan, and elementwise work on its result
    UPDATE = "update"  # one update of a part
    SORT = "sort"  # one sort or merge
    LIBRARY = "library call"  # one call, its results alone


@lru_cache(maxsize=1 << 14)
def axes_of(shape: Shape, prefix: str = "d") -> Position:
    """A variable for each axis of a shape."""
    return tuple(variable(Var(f"{prefix}{axis}", extent)) for axis, extent in enumerate(shape))


@dataclass(frozen=True)
class Form:
    """The index space of a kernel.

    Attributes:
        kind: what it computes.
        domain: shape whose elements are visited: a result's, or that of what is reduced.
        axes: axes of the domain that are reduced.
    """

    kind: Kind
    domain: Shape
    axes: tuple[int, ...] = ()

    @cached_property
    def outer(self) -> Shape:
        """The domain without the reduced axes."""
        return tuple(extent for axis, extent in enumerate(self.domain) if axis not in self.axes)

    @cached_property
    def count(self) -> int:
        """Elements of the domain."""
        return element_count(self.domain)

    def home(self, value: Value) -> Position | None:
        """Where a value is stored for a point of the domain; None where it has no such place."""
        return _home(self, value.shape, value.op.loop_class is LoopClass.REDUCTION)


@lru_cache(maxsize=1 << 14)
def _home(form: Form, shape: Shape, reduced: bool) -> Position | None:
    position = axes_of(form.domain)
    count = element_count(shape)
    inner = count == form.count and not (reduced and form.kind is Kind.ROWS)
    if inner:
        return same_elements(form.domain, position, shape)
    if form.kind is Kind.ROWS and count == element_count(form.outer):
        outer = tuple(at for axis, at in enumerate(position) if axis not in form.axes)
        return same_elements(form.outer, outer, shape)
    return None


def form_of(value: Value) -> Form:
    """The form of the kernel of one stored value."""
    name, kind = value.op.name, value.op.loop_class
    if name == "fold":
        return Form(Kind.FOLD, value.shape)
    if kind is LoopClass.REDUCTION:
        axes = value.attrs[0] if isinstance(value.attrs[0], tuple) else (value.attrs[0],)
        return Form(Kind.ROWS, value.inputs[0].shape, axes)
    if kind is LoopClass.CONTRACTION:
        return Form(Kind.PRODUCT, value.shape)
    if costs.start_of_update(value) is not None:
        return Form(Kind.UPDATE, value.shape)
    if value.op is ITEM:
        return Form(Kind.LIBRARY, value.shape)
    if kind in (LoopClass.SCAN, LoopClass.SORT):
        return Form(Kind(kind.value), value.shape)
    return Form(Kind.MAP, value.shape)


def joined(first: Form, second: Form) -> Form:
    """The form of two groups in one kernel; raises RefusedError where there is none."""
    kinds = {first.kind, second.kind}
    if Kind.LIBRARY in kinds:
        raise RefusedError("a library call is a kernel of its own")
    if Kind.UPDATE in kinds:
        raise RefusedError("an update of a part is a kernel of its own")
    if Kind.SORT in kinds:
        raise RefusedError("a sort stores nothing else")
    if first.kind is second.kind and first.kind in (Kind.PRODUCT, Kind.FOLD, Kind.SCAN):
        raise RefusedError(f"a kernel holds at most one {first.kind.value}")
    if first.kind is second.kind is Kind.ROWS:
        if (first.domain, first.axes) != (second.domain, second.axes):
            raise RefusedError(f"reductions differ: {_describe(first)} and {_describe(second)}")
        return first
    if Kind.MAP not in kinds:
        names = " and a ".join(sorted(kind.value for kind in kinds))
        raise RefusedError(f"no kernel holds a {names}")
    main, other = (second, first) if first.kind is Kind.MAP else (first, second)
    if other.count not in (main.count, element_count(main.outer)):
        raise RefusedError(f"element counts differ: {list(first.domain)} and {list(second.domain)}")
    return main


def _describe(form: Form) -> str:
    return f"{list(form.domain)} over axes {list(form.axes)}"


# --- which elements are read ----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Unknown:
    """A position that data decides; equal to no other."""

    def variables(self) -> frozenset[Var]:
        return frozenset()

    def __str__(self) -> str:
        return f"data{id(self)}"


@dataclass
class Read:
    """How a kernel reads a stored value: at home, and somewhere else.

    Attributes:
        positions: which of its elements are read for a point of the domain.
    """

    at_home: bool = False
    elsewhere: bool = False
    positions: set[Position] = field(default_factory=set)


def reads(
    form: Form,
    roots: Sequence[Value],
    leaves: Collection[Value],
    again: Collection[Value] = (),
) -> dict[Value, Read]:
    """How stored values are read that the roots are computed from.

    ``leaves`` holds all stored values, roots included: nothing below them is looked at, but for
    those in ``again``, which are computed wherever they are read.
    """
    found: dict[Value, Read] = {}
    if form.count == 0:
        return found
    stack = [start for root in roots for start in _starts(form, root)]
    seen = set(stack)
    while stack:
        value, position = stack.pop()
        if value in leaves or costs.is_input(value):
            read = found.setdefault(value, Read())
            read.positions.add(position)
            if position == form.home(value):
                read.at_home = True
            else:
                read.elsewhere = True
            if value not in again:
                continue
        for step in _operands(value, position):
            if step not in seen:
                seen.add(step)
                stack.append(step)
    return found


def _starts(form: Form, root: Value) -> list[tuple[Value, Position]]:
    if root.op.loop_class is LoopClass.REDUCTION:
        operand = root.inputs[0]
        prefix = "w" if root.op.name == "fold" else "d"
        return [(operand, axes_of(operand.shape, prefix))]
    if root.op.loop_class is LoopClass.CONTRACTION:
        return []  # it reads each operand element many times
    home = form.home(root)
    if home is None:
        raise RefusedError(f"{list(root.shape)} has no place in a kernel over {list(form.domain)}")
    return _operands(root, home)


def _operands(value: Value, position: Position) -> list[tuple[Value, Position]]:
    if value.op.name in MOVEMENTS:
        found = accesses(value, position)
        return [(value.inputs[access.operand], access.position) for access in found]
    if value.op.name == "gather":
        data, index = value.inputs
        unknown = dynamic(_Unknown(), 0, max(data.shape[value.attrs[0]] - 1, 0))
        axis = value.attrs[0]
        return [(data, (*position[:axis], unknown, *position[axis + 1 :])), (index, position)]
    if value.op.loop_class is LoopClass.RANDOM:
        return [(value.inputs[0], (dynamic(_Unknown(), 0, 1),))]
    return [(operand, position) for operand in value.inputs]


# --- contractions ---------------------------------------------------------------------------------


def product_places(body: Sequence[Value], roots: Sequence[Value]) -> dict[Value, Position]:
    """Where the values computed from a contraction lie for each element of its result.

    ``body`` holds what the kernel computes, operands first; ``roots`` what it stores. Raises
    RefusedError where work after the contraction does not keep its elements one to one.
    """
    center = next(v for v in body if v.op.loop_class is LoopClass.CONTRACTION)
    if not center.type.numel:
        raise RefusedError("it has no elements")
    places: dict[Value, Position] = {center: axes_of(center.shape)}
    for value in body:
        if value.op.name == "gather" or value.op.loop_class is LoopClass.RANDOM:
            raise RefusedError(f"{value.op.name} is not computed beside a contraction")
        sources = [operand for operand in value.inputs if operand in places]
        if value is center or not sources:
            continue
        places[value] = _kept(value, sources, places)
    for root in roots:
        if root not in places:
            raise RefusedError(f"{root.op.name} does not depend on the contraction")
    return places


def _kept(value: Value, sources: Sequence[Value], places: Mapping[Value, Position]) -> Position:
    """The place of a value computed from values that have one, element for element."""
    at = places[sources[0]]
    if value.op.name == "permute":
        return tuple(at[axis] for axis in value.attrs[0])
    if value.op.name == "reshape":
        return same_elements(sources[0].shape, at, value.shape)
    if value.op.loop_class is LoopClass.ELEMENTWISE:
        if all(places[source] == at for source in sources):
            return at
        raise RefusedError("it reads the contraction's result at several positions at once")
    raise RefusedError(f"it reads the contraction's result through {value.op.name}")
