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
from treadle.ir.index import Index, Var
from treadle.ir.types import bool_

# The current value of each element of each register.
Place: TypeAlias = tuple[str, tuple[int, ...]]
State: TypeAlias = dict[Place, Value]

_NOTHING: frozenset[str] = frozenset()


class Expressions:
    """Emits the expressions of one function.

    Args:
        state: the registers' values, kept by the statements.
        numbered: variables of loops that are expanded, and of ``LANES`` loops.
        fma: whether the target has fused multiply-add.
    """

    _indices: Indices
    _memory: Memory
    _scalars: Scalars
    _convert: Conversions

    def __init__(self, code: Code, state: State, numbered: frozenset[Var], fma: bool) -> None:
        self._code = code
        self._state = state
        self._numbered = numbered
        self._fma = fma
        self._expanded: dict[Apply, Expression] = {}
        self._used: dict[int, tuple[Var, ...]] = {}
        self._constants: dict[int, Computed] = {}

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
        if not position:
            if register.shape:
                raise ValueError(f"register {register.name} of {register.shape} read as a scalar")
            return register.name, ()
        numbers = tuple(self._indices.number(index) for index in position)
        if len(numbers) != len(register.shape):
            raise ValueError(f"register {register.name} of {register.shape} read at {numbers}")
        return register.name, numbers

    def value(self, root: Expression) -> Computed:
        """The value of an expression and the buffers and registers it depends on."""
        if not isinstance(root, Apply):
            return self._leaf(root)
        _collect_variables(root)
        done: dict[Apply, Computed] = {}
        entered: dict[Apply, tuple[Hashable, Expression]] = {}
        stack: list[Apply] = [root]
        while stack:
            node = stack[-1]
            if node in done:
                stack.pop()
            elif node in entered:
                stack.pop()
                key, target = entered[node]
                found = done[node] = self._compute(node, target, done)
                self._code.remember(key, *found)
            else:
                key = self._key(node)
                known = self._code.computed(key)
                if known is not None:
                    done[node] = known
                    continue
                target = self._expand(node)
                entered[node] = key, target
                wanted = _wanted(node) if target is node else (target,)
                stack.extend(
                    arg for arg in reversed(wanted) if isinstance(arg, Apply) and arg not in done
                )
        return done[root]

    def _expand(self, node: Apply) -> Expression:
        target = self._expanded.get(node)
        if target is None:
            target = self._expanded[node] = elementary.expand(node, self._fma)
            if isinstance(target, Apply) and target is not node:
                _collect_variables(target)
        return target

    def _key(self, node: Apply | Load) -> Hashable:
        """What the value of a node depends on, beside memory and registers.

        Nodes live as long as their kernel or expansion, so that their addresses are theirs.
        """
        code = self._code
        used = self._used.get(id(node))
        if used is None:
            used = tuple(node.variables() & self._numbered)
            self._used[id(node)] = used
        if not used:
            return id(node)
        numbers = code.numbers
        # The variable of a LANES loop is no number; the lanes stand for it.
        return id(node), code.lanes, *(numbers.get(var) for var in used)

    def _compute(self, node: Apply, target: Expression, done: dict[Apply, Computed]) -> Computed:
        """A node whose operands are computed."""

        def operand(arg: Expression) -> Computed:
            return done[arg] if isinstance(arg, Apply) else self._leaf(arg)

        if target is not node:
            return operand(target)
        operands = [operand(arg) for arg in _wanted(node)]
        if node.op == "select_rare":
            return self._select_rare(node, *operands)
        value = self._scalars.apply(node.op, node.dtype, [value for value, _ in operands])
        return value, _NOTHING.union(*[reads for _, reads in operands])

    def _select_rare(self, node: Apply, when: Computed, otherwise: Computed) -> Computed:
        """A selection whose first choice is computed only where some lane takes it."""
        (condition, some), (common, others) = when, otherwise
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
        if isinstance(leaf, Read):
            return self._read(leaf.register, leaf.position), frozenset((leaf.register.name,))
        if isinstance(leaf, Load):
            return self._load(leaf)
        if isinstance(leaf, Const):
            found = self._constants.get(id(leaf))
            if found is None:
                found = self._constants[id(leaf)] = literal(leaf.value, leaf.dtype), _NOTHING
            return found
        if isinstance(leaf, Position):
            return self._position(leaf)
        if isinstance(leaf, Holds):
            return self._holds(leaf)
        if isinstance(leaf, AcrossLanes):
            return self._across(leaf)
        raise ValueError(f"no LLVM code for {type(leaf).__name__}")

    def _load(self, leaf: Load) -> Computed:
        key = self._key(leaf)
        found = self._code.computed(key)
        if found is None:
            # Equal loads that are other objects are found by `Memory`.
            found = self._memory.load(leaf)
            self._code.remember(key, *found)
        return found

    def _read(self, register: Register, position: Sequence[Index]) -> Value:
        value = self._state.get(self.place(register, position))
        if value is None:
            raise ValueError(f"register {register.name} is read before it is set")
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
