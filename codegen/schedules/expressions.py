"""Walks and rewrites of scalar expressions, which are graphs of shared nodes.

Every walk is iterative and visits a node once, however often it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from treadle.codegen.loops import (
    AcrossLanes,
    Apply,
    Const,
    Expression,
    Holds,
    Load,
    Position,
    Read,
)
from treadle.ir.index import Bound, Dynamic, Index, Quotient, Remainder, Var, substitute


def dynamics(index: Index) -> Iterator[Expression]:
    """Expressions inside an index."""
    for atom, _ in index.terms:
        if isinstance(atom, Dynamic):
            yield atom.expression
        elif isinstance(atom, (Quotient, Remainder)):
            yield from dynamics(atom.operand)


def indices(node: Expression) -> tuple[Index, ...]:
    """Index expressions of one node."""
    if isinstance(node, Load):
        return (node.index, *(bound.index for bound in node.guard))
    if isinstance(node, Position):
        return (node.index,)
    if isinstance(node, Holds):
        return tuple(bound.index for bound in node.guard)
    if isinstance(node, (Read, AcrossLanes)):
        return node.position
    return ()


def operands(node: Expression) -> tuple[Expression, ...]:
    """Expressions that a node is computed from, those inside its indices included."""
    if isinstance(node, Apply):
        return node.args
    return tuple(inner for index in indices(node) for inner in dynamics(index))


def postorder(roots: Iterable[Expression], done: set[int] | None = None) -> list[Expression]:
    """Every node below the roots, operands first, each once; ``done`` nodes are left out."""
    order: list[Expression] = []
    seen = set() if done is None else done
    for root in roots:
        stack = [(root, False)]
        while stack:
            node, expanded = stack.pop()
            if expanded:
                order.append(node)
                continue
            if id(node) in seen:
                continue
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((operand, False) for operand in reversed(operands(node)))
    return order


class Rewriter:
    """Rebuilds expressions with loop variables and nodes replaced; shared nodes stay shared.

    Args:
        replacement: index expressions that take the place of variables.
        nodes: expressions that take the place of nodes, by ``id`` of the node. The nodes must
            outlive the rewriter.
    """

    def __init__(
        self,
        replacement: Mapping[Var, Index],
        nodes: Mapping[int, Expression] | None = None,
    ) -> None:
        self._replacement = replacement
        self._made: dict[int, Expression] = dict(nodes or {})
        self._done = set(self._made)
        self._kept: list[Expression] = []  # ids are only unique among living objects

    def __call__(self, root: Expression) -> Expression:
        for node in postorder([root], self._done):
            self._kept.append(node)
            self._made[id(node)] = rebuilt(node, self._get, self._replacement)
        return self._made[id(root)]

    def _get(self, node: Expression) -> Expression:
        return self._made[id(node)]

    def index(self, index: Index) -> Index:
        """An index expression rewritten."""
        for inner in dynamics(index):
            self(inner)
        return substitute(index, self._replacement, self._get)


def rebuilt(
    node: Expression,
    get: Callable[[Expression], Expression],
    replacement: Mapping[Var, Index],
) -> Expression:
    """A node over other operands and variables; itself where nothing changes."""
    if isinstance(node, Const):
        return node
    if isinstance(node, Apply):
        args = tuple(map(get, node.args))
        if node.op == "select" and isinstance(args[0], Const):
            return args[1] if args[0].value else args[2]
        if all(new is old for new, old in zip(args, node.args, strict=True)):
            return node
        made = Apply(node.op, args, node.dtype)
        made.variables()  # cached bottom-up: deep expressions never recurse
        return made

    def move(index: Index) -> Index:
        return substitute(index, replacement, get)

    def guard(bounds: Sequence[Bound]) -> tuple[Bound, ...]:
        moved = (Bound(move(b.index), b.low, b.high, b.step) for b in bounds)
        return tuple(bound for bound in moved if not bound.always())

    if isinstance(node, Load):
        return Load(node.buffer, move(node.index), guard(node.guard), node.default)
    if isinstance(node, Position):
        return Position(move(node.index), node.dtype)
    if isinstance(node, Holds):
        left = guard(node.guard)
        return Holds(left, node.dtype) if left else Const(True, node.dtype)
    position = tuple(map(move, node.position))
    if isinstance(node, AcrossLanes):
        return AcrossLanes(node.op, node.register, position)
    return Read(node.register, position)


# Cost of one element in units of an addition; a rough picture of throughput on a vector unit.
WEIGHTS: dict[str, int] = {
    "exp": 12,
    "log": 14,
    "sin": 16,
    "cos": 16,
    "tanh": 16,
    "erf": 20,
    **dict.fromkeys(("exp2", "expm1", "log1p", "log2", "log10", "sinh", "cosh", "atan"), 18),
    **dict.fromkeys(("asin", "acos", "atan2"), 24),
    **dict.fromkeys(("pow", "tan", "asinh", "acosh", "atanh", "erfc", "erfcx", "erfinv"), 40),
    **dict.fromkeys(("lgamma", "digamma"), 90),
    "sqrt": 6,
    "div": 6,
    "remainder": 12,
    "fmod": 12,
    "mulhi": 3,
}


def cost(nodes: Iterable[Expression]) -> int:
    """Rough cost of evaluating nodes once, in units of an addition."""
    total = 0
    for node in nodes:
        if isinstance(node, Apply):
            total += WEIGHTS.get(node.op, 1)
        elif isinstance(node, Load):
            total += 1
    return total
