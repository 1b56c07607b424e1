"""Scalar expressions of loop IR as SSA values, each shared node once.

Deep chains are walked with a stack of their own, not Python's.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeAlias

from treadle.codegen import elementary
from treadle.codegen.llvm.code import Code, Computed
from treadle.codegen.llvm.conversion import Conversions
from treadle.codegen.llvm.index import Indices
from treadle.codegen.llvm.memory import Memory
from treadle.codegen.llvm.scalar import Scalars
from treadle.codegen.llvm.types import Value, literal
from treadle.codegen.loops import (
    AcrossLanes,
    Apply,
    Const,
    Expression,
    Holds,
    Load,
    Position,
    Read,
    Register,
)
from treadle.ir.index import Index
from treadle.ir.types import bool_

# The current value of each element of each register.
Place: TypeAlias = tuple[Register, tuple[int, ...]]
State: TypeAlias = dict[Place, Value]

_NOTHING: frozenset[str] = frozenset()


class Expressions:
    """Emits the expressions of one function.

    Args:
        state: the registers' values, kept by the statements.
        fma: whether the target has fused multiply-add.
    """

    _indices: Indices
    _memory: Memory
    _scalars: Scalars
    _convert: Conversions

    def __init__(self, code: Code, state: State, fma: bool) -> None:
        self._code = code
        self._state = state
        self._fma = fma
        self._expanded: dict[Apply, Expression] = {}

    def connect(
        self, indices: Indices, memory: Memory, scalars: Scalars, conversions: Conversions
    ) -> None:
        """Set the emitters of parts; indices need expressions and expressions need indices."""
        self._indices = indices
        self._memory = memory
        self._scalars = scalars
        self._convert = conversions

    def place(self, register: Register, position: Sequence[Index]) -> Place:
        """The element of a register; ValueError where its position is not a number."""
        numbers = []
        for index in position:
            resolved = self._indices.resolve(index)
            if resolved.terms:
                raise ValueError(f"register {register.name} has no element {resolved}")
            numbers.append(resolved.constant)
        if len(numbers) != len(register.shape):
            raise ValueError(f"register {register.name} of {register.shape} read at {numbers}")
        return register, tuple(numbers)

    def value(self, root: Expression) -> Computed:
        """The value of an expression and the buffers and registers it depends on."""
        if not isinstance(root, Apply):
            return self._leaf(root)
        _collect_variables(root)
        stack: list[Apply] = [root]
        while stack:
            node = stack[-1]
            key = self._key(node)
            if self._code.computed(key) is not None:
                stack.pop()
                continue
            target = self._expand(node)
            wanted = _wanted(node) if target is node else (target,)
            pending = [arg for arg in wanted if isinstance(arg, Apply) and not self._has(arg)]
            if pending:
                stack.extend(reversed(pending))
                continue
            stack.pop()
            if target is not node:
                found = self._operand(target)
            elif node.op == "select_rare":
                found = self._select_rare(node)
            else:
                found = self._apply(node)
            self._code.remember(key, *found)
        result = self._code.computed(self._key(root))
        assert result is not None
        return result

    def _expand(self, node: Apply) -> Expression:
        target = self._expanded.get(node)
        if target is None:
            target = self._expanded[node] = elementary.expand(node, self._fma)
            if isinstance(target, Apply):
                _collect_variables(target)
        return target

    def _key(self, node: Apply) -> Hashable:
        """What the value of a node depends on, beside memory and registers."""
        code = self._code
        used = node.variables()
        numbers = tuple(code.numbers[var] for var in used if var in code.numbers)
        lanes = code.lanes if code.lane in used else 0
        return node, numbers, lanes

    def _has(self, node: Apply) -> bool:
        return self._code.computed(self._key(node)) is not None

    def _operand(self, arg: Expression) -> Computed:
        if isinstance(arg, Apply):
            found = self._code.computed(self._key(arg))
            assert found is not None
            return found
        return self._leaf(arg)

    def _apply(self, node: Apply) -> Computed:
        operands = [self._operand(arg) for arg in node.args]
        value = self._scalars.apply(node.op, node.dtype, [value for value, _ in operands])
        return value, _NOTHING.union(*(reads for _, reads in operands))

    def _select_rare(self, node: Apply) -> Computed:
        """A selection whose first choice is computed only where some lane takes it."""
        condition, some = self._operand(node.args[0])
        common, others = self._operand(node.args[2])
        reads = some | others
        lanes = max(condition.lanes, common.lanes)
        usual = self._code.splat(common, lanes)
        taken: list[Computed] = []

        def run() -> None:
            rare, sources = self.value(node.args[1])
            taken.append((self._scalars.choose(condition, rare, usual), sources))

        wanted = self._memory.any_lane(condition) if condition.lanes else condition
        then, test = self._code.branch(wanted, run)
        chosen, sources = taken[0]
        if chosen.lanes != lanes:
            raise ValueError("select_rare has a vector beside scalars")
        joined = f"[{chosen.text}, %{then}], [{usual.text}, %{test}]"
        value = self._code.value(f"phi {chosen.type} {joined}", chosen.dtype, chosen.lanes)
        return value, reads | sources

    # --- leaves -----------------------------------------------------------------------------------

    def _leaf(self, leaf: Expression) -> Computed:
        if isinstance(leaf, Const):
            return literal(leaf.value, leaf.dtype), _NOTHING
        if isinstance(leaf, Load):
            return self._memory.load(leaf)
        if isinstance(leaf, Read):
            return self._read(leaf.register, leaf.position), frozenset((leaf.register.name,))
        if isinstance(leaf, Position):
            return self._position(leaf)
        if isinstance(leaf, Holds):
            return self._holds(leaf)
        if isinstance(leaf, AcrossLanes):
            return self._across(leaf)
        raise ValueError(f"no LLVM code for {type(leaf).__name__}")

    def _read(self, register: Register, position: Sequence[Index]) -> Value:
        key = self.place(register, position)
        if key not in self._state:
            raise ValueError(f"register {register.name} is read before it is set")
        value = self._state[key]
        if value.lanes and self._code.lanes not in (0, value.lanes):
            raise ValueError(
                f"register {register.name} of {value.lanes} lanes is read in a loop of "
                f"{self._code.lanes}"
            )
        return value

    def _position(self, leaf: Position) -> Computed:
        index = self._indices.resolve(leaf.index)
        varies = self._indices.varies(index)
        number = self._indices.vector(index) if varies else self._indices.scalar(index)
        if number.literal:
            value = literal(index.constant, leaf.dtype)
        else:
            value = self._convert.cast(number, leaf.dtype)
        return value, self._indices.sources(index)

    def _holds(self, leaf: Holds) -> Computed:
        uniform, mask = self._indices.guard(leaf.guard)
        reads = _NOTHING.union(
            *(self._indices.sources(self._indices.resolve(bound.index)) for bound in leaf.guard)
        )
        if isinstance(uniform, bool):
            if mask is None or not uniform:
                return literal(uniform, bool_), reads
            return mask, reads
        if mask is None:
            return uniform, reads
        return self._indices.both(self._code.splat(uniform, mask.lanes), mask), reads

    def _across(self, leaf: AcrossLanes) -> Computed:
        """Lane i joined with lane i + n/2, halving n until one is left: the same order always."""
        register = leaf.register
        value = self._code.splat(self._read(register, leaf.position), register.lanes)
        half = register.lanes
        if half < 1 or half & (half - 1):
            raise ValueError(f"register {register.name} has {half} lanes to combine")
        while half > 1:
            half //= 2
            halves = [
                self._code.shuffle(value, None, list(range(first, first + half)))
                for first in (0, half)
            ]
            value = self._scalars.apply(leaf.op, value.dtype, halves)
        return self._code.extract(value, 0), frozenset((register.name,))


def _wanted(node: Apply) -> tuple[Expression, ...]:
    """The operands to compute before the node itself."""
    return (node.args[0], node.args[2]) if node.op == "select_rare" else node.args


def _collect_variables(root: Apply) -> None:
    """Fill `Apply.variables`, arguments first, so that no call is deep."""
    stack = [root]
    while stack:
        node = stack[-1]
        if "_variables" in node.__dict__:
            stack.pop()
            continue
        pending = [
            arg for arg in node.args if isinstance(arg, Apply) and "_variables" not in arg.__dict__
        ]
        if pending:
            stack.extend(pending)
        else:
            node.variables()
            stack.pop()
