"""The scalar expression of a value at a symbolic position: tensor IR read element by element.

Not the loops around it: schedules choose positions, and where the expressions are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from treadle.codegen.loops import (
    Apply,
    Buffer,
    Const,
    Expression,
    Holds,
    Load,
    Position,
)
from treadle.ir.access import Access, Position as At, accesses
from treadle.ir.errors import CompilationError
from treadle.ir.index import Bound, Index, constant, dynamic, linearize
from treadle.ir.ops.random import INCREMENTS, MULTIPLIERS, ROUNDS, WORDS
from treadle.ir.types import DType, Scalar, bool_, contiguous_strides, int64, uint32
from treadle.ir.value import LoopClass, Value

Guard: TypeAlias = tuple[Bound, ...]
Site: TypeAlias = tuple[Value, At, Guard]
Rule: TypeAlias = "Callable[[Elements, Value, At, Guard], Generator[Site, Expression, Expression]]"
# Where a schedule holds a value: its expression at a position, None to compute it there instead.
Known: TypeAlias = Callable[[At, Guard], "Expression | None"]


class Elements:
    """Expressions of elements; equal ones are one object, so that work is shared.

    Args:
        inputs: buffers of the graph's inputs by slot.
        known: values that the schedule holds elsewhere (results of reductions, row buffers).
    """

    def __init__(self, inputs: Sequence[Buffer], known: Mapping[Value, Known]) -> None:
        self.inputs = inputs
        self.known = known
        self._sites: dict[Site, Expression] = {}
        self._nodes: dict[Any, Expression] = {}

    def at(self, value: Value, position: At, guard: Guard = ()) -> Expression:
        """The element of a value; only meaningful where the guard holds."""
        first: Site = (value, position, guard)
        stack = [(first, self._start(first))]
        send: Expression | None = None
        while stack:
            site, steps = stack[-1]
            try:
                wanted = next(steps) if send is None else steps.send(send)
            except StopIteration as done:
                stack.pop()
                self._sites[site] = send = done.value
                continue
            send = self._sites.get(wanted)
            if send is None:
                stack.append((wanted, self._start(wanted)))
        return self._sites[first]

    def _start(self, site: Site) -> Generator[Site, Expression, Expression]:
        value, position, guard = site
        held = self.known[value](position, guard) if value in self.known else None
        if held is not None:
            return _held(held)
        rule = RULES.get(value.op.name) or CLASS_RULES.get(value.op.loop_class)
        if rule is None:
            raise CompilationError(f"no scalar expression for {value.op.name} inside a loop")
        return rule(self, value, position, guard)

    def shared(self, key: Any, expression: Expression) -> Expression:
        """The one object for expressions of that key."""
        found = self._nodes.setdefault(key, expression)
        found.variables()  # cached bottom-up: deep expressions never recurse
        return found

    def apply(self, op: str, *args: Expression, dtype: DType | None = None) -> Expression:
        """A scalar op; the dtype is the last operand's unless given."""
        result = dtype or args[-1].dtype
        key = (op, result, tuple(map(id, args)))
        return self.shared(key, Apply(op, args, result))

    def const(self, number: Scalar, dtype: DType) -> Expression:
        """A number."""
        # repr tells 0.0 from -0.0, and makes NaN equal itself.
        return self.shared((repr(number), dtype), Const(number, dtype))

    def load(self, buffer: Buffer, index: Index, guard: Guard, default: Scalar = 0) -> Expression:
        """An element of a buffer."""
        load = Load(buffer, index, guard, default)
        return self.shared((buffer.name, index, guard, repr(default)), load)

    def number(self, index: Index, dtype: DType) -> Expression:
        """A position as a number."""
        if not index.terms:
            return self.const(index.constant, dtype)
        return self.shared((index, dtype), Position(index, dtype))

    def holds(self, guard: Guard) -> Expression:
        """Whether bounds hold."""
        return self.shared(guard, Holds(guard, bool_))

    def select(self, guard: Guard, yes: Expression, no: Expression) -> Expression:
        """``yes`` where the guard holds."""
        if yes is no:
            return yes
        return self.apply("select", self.holds(guard), yes, no)


def _held(held: Expression) -> Generator[Site, Expression, Expression]:
    return held
    yield  # a rule that needs no other element


def _input(
    elements: Elements, value: Value, position: At, guard: Guard
) -> Generator[Site, Expression, Expression]:
    buffer = elements.inputs[value.attr("slot")]
    flat = linearize(position, contiguous_strides(value.shape))
    return elements.load(buffer, flat, guard)
    yield


def _constant(
    elements: Elements, value: Value, _position: At, _guard: Guard
) -> Generator[Site, Expression, Expression]:
    return elements.const(value.attr("value"), value.dtype)
    yield


def _iota(
    elements: Elements, value: Value, position: At, _guard: Guard
) -> Generator[Site, Expression, Expression]:
    return elements.number(position[0], value.dtype)
    yield


def _elementwise(
    elements: Elements, value: Value, position: At, guard: Guard
) -> Generator[Site, Expression, Expression]:
    args = []
    for operand in value.inputs:
        argument = yield operand, position, guard
        args.append(argument)
    return elements.apply(value.op.name, *args, dtype=value.dtype)


def joined(guard: Guard, more: Guard) -> Guard:
    """Both guards, each bound once."""
    return guard + tuple(bound for bound in more if bound not in guard)


def _movement(
    elements: Elements, value: Value, position: At, guard: Guard
) -> Generator[Site, Expression, Expression]:
    return (
        yield from chosen(
            elements, value, accesses(value, position), guard, value.op.name == "concat"
        )
    )


def chosen(
    elements: Elements, value: Value, found: Sequence[Access], guard: Guard, covered: bool
) -> Generator[Site, Expression, Expression]:
    """The first access whose guard holds; ``covered`` says that one always does."""
    default = found[-1].default if found else 0
    if value.dtype is bool_:
        default = bool(default)
    result = elements.const(default, value.dtype)
    found = [access for access in found if not any(map(_never, access.guard))]
    for nth, access in reversed(list(enumerate(found))):
        inner = joined(guard, access.guard)
        operand = yield value.inputs[access.operand], access.position, inner
        if not access.guard or (covered and nth == len(found) - 1):
            result = operand
        elif nth == len(found) - 1 and isinstance(operand, Load) and operand.guard == inner:
            filled = replace(operand, default=default)
            result = elements.load(filled.buffer, filled.index, filled.guard, filled.default)
        else:
            result = elements.select(access.guard, operand, result)
    return result


def _never(bound: Bound) -> bool:
    least, greatest = bound.index.bounds()
    return greatest < bound.low or least >= bound.high


def _gather(
    elements: Elements, value: Value, position: At, guard: Guard
) -> Generator[Site, Expression, Expression]:
    data, index = value.inputs
    axis = value.attr("axis")
    wanted = yield index, position, guard
    last = data.shape[axis] - 1
    limited = elements.apply("minimum", wanted, elements.const(last, int64))
    limited = elements.apply("maximum", limited, elements.const(0, int64))
    at = dynamic(limited, 0, last) if last else constant(0)
    return (yield data, (*position[:axis], at, *position[axis + 1 :]), guard)


def _random_bits(
    elements: Elements, value: Value, position: At, guard: Guard
) -> Generator[Site, Expression, Expression]:
    """Philox4x32-10 at counter + i // 4, word i % 4 (Salmon et al., SC'11)."""
    state = value.inputs[0]
    seed = yield state, (constant(0),), guard
    start = yield state, (constant(1),), guard
    flat = linearize(position, contiguous_strides(value.shape))

    def do(op: str, *args: Expression) -> Expression:
        return elements.apply(op, *args, dtype=uint32)

    def halves(number: Expression) -> list[Expression]:
        high = elements.apply("shr", number, elements.const(32, int64))
        return [do("cast", number), do("cast", high)]

    counter = elements.apply("add", start, elements.number(flat // WORDS, int64))
    zero = elements.const(0, uint32)
    words = [*halves(counter), zero, zero]
    keys = halves(seed)
    multipliers = [elements.const(number, uint32) for number in MULTIPLIERS]
    for _ in range(ROUNDS):
        upper = [do("mulhi", words[2 * k], multipliers[k]) for k in (0, 1)]
        lower = [do("mul", words[2 * k], multipliers[k]) for k in (0, 1)]
        words = [
            do("xor", do("xor", upper[1], words[1]), keys[0]),
            lower[1],
            do("xor", do("xor", upper[0], words[3]), keys[1]),
            lower[0],
        ]
        steps = [elements.const(number, uint32) for number in INCREMENTS]
        keys = [do("add", key, step) for key, step in zip(keys, steps, strict=True)]
    which = flat % WORDS
    if not which.terms:
        return words[which.constant]
    chosen_word = words[3]
    for nth in (2, 1, 0):
        here = elements.apply(
            "eq", elements.number(which, uint32), elements.const(nth, uint32), dtype=bool_
        )
        chosen_word = do("select", here, words[nth], chosen_word)
    return chosen_word


def separate_windows(value: Value) -> bool:
    """Whether no two windows of a fold share an element: then it only moves elements."""
    _shape, axes, sizes, strides, dilations = value.attrs
    distinct = len(set(axes)) == len(axes)
    return distinct and all(
        (stride >= size and dilation == 1) or size == 1
        for size, stride, dilation in zip(sizes, strides, dilations, strict=True)
    )


def fold_access(value: Value, position: At, within: Sequence[Index]) -> Access:
    """The window element of a fold's operand that reaches a position.

    Args:
        position: a position of the result.
        within: the position inside the window along each window axis.
    """
    shape, axes, _sizes, strides, dilations = value.attrs
    windows = list(position)
    guard: list[Bound] = []
    for nth, (axis, stride, dilation) in enumerate(zip(axes, strides, dilations, strict=True)):
        count = value.inputs[0].shape[axis]
        shifted = windows[axis] - within[nth] * dilation
        windows[axis] = shifted // stride
        bounds = (Bound(windows[axis], 0, count), Bound(shifted % stride, 0, 1))
        guard += [bound for bound in bounds if not bound.always()]
    return Access(0, (*windows[: len(shape)], *within), tuple(guard))


def _fold(
    elements: Elements, value: Value, position: At, guard: Guard
) -> Generator[Site, Expression, Expression]:
    if not separate_windows(value):
        raise CompilationError("a fold of overlapping windows is a reduction of its own")
    _shape, axes, sizes, strides, _dilations = value.attrs
    windows, within = list(position), []
    bounds = []
    for axis, size, stride in zip(axes, sizes, strides, strict=True):
        within.append(position[axis] % stride)
        windows[axis] = position[axis] // stride
        bounds += [
            Bound(within[-1], 0, size),
            Bound(windows[axis], 0, value.inputs[0].shape[axis]),
        ]
    inside = tuple(bound for bound in bounds if not bound.always())
    found = [Access(0, (*windows, *within), inside)]
    return (yield from chosen(elements, value, found, guard, False))


def _view_update(
    elements: Elements, value: Value, position: At, guard: Guard
) -> Generator[Site, Expression, Expression]:
    flat = linearize(position, contiguous_strides(value.shape))
    inverse = inverse_view(value, flat)
    if inverse is None:
        raise CompilationError("an update of a view whose elements overlap needs its own kernel")
    part, bounds = inverse
    found = [Access(1, part, bounds), Access(0, position)]
    return (yield from chosen(elements, value, found, guard, False))


def inverse_view(value: Value, flat: Index) -> tuple[At, Guard] | None:
    """Where in a view an element of its base lies and when, or None if views may overlap."""
    size, stride, offset = value.attrs
    part: list[Index] = [constant(0)] * len(size)
    bounds = []
    rest = flat - offset
    span = 1
    order = sorted((axis for axis in range(len(size)) if size[axis] > 1), key=lambda a: stride[a])
    for axis in order:
        if stride[axis] < span:
            return None
        span = stride[axis] * size[axis]
    for axis in reversed(order):
        part[axis] = rest // stride[axis]
        bounds.append(Bound(part[axis], 0, size[axis]))
        rest = rest % stride[axis]
    bounds.append(Bound(rest, 0, 1))
    if 0 in size:
        bounds.append(Bound(constant(0), 1, 2))
    return tuple(part), tuple(bound for bound in bounds if not bound.always())


CLASS_RULES: dict[LoopClass, Rule] = {
    LoopClass.ELEMENTWISE: _elementwise,
    LoopClass.MOVEMENT: _movement,
}

RULES: dict[str, Rule] = {
    "input": _input,
    "constant": _constant,
    "iota": _iota,
    "gather": _gather,
    "random_bits": _random_bits,
    "fold": _fold,
    "view_update": _view_update,
}
