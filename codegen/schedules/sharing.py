"""Names for expressions used more than once, and for those that need not be repeated in a loop.

Schedules write plain expressions; this pass puts each ``Let`` in the outermost body that allows it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from treadle.codegen.loops import (
    AcrossLanes,
    Assign,
    Const,
    Expression,
    For,
    Let,
    Load,
    LoopKind,
    Read,
    Register,
    Space,
    Statement,
    Store,
    When,
)
from treadle.codegen.schedules.expressions import dynamics, operands, postorder, rebuilt
from treadle.codegen.schedules.tiling import Names, Statements
from treadle.ir.index import Bound, Index, Var, substitute

_DEEPEST = 40  # operators in one unnamed expression: what follows may walk it recursively


@dataclass(eq=False)
class _Body:
    """The body of a loop or condition, being rewritten.

    Attributes:
        outer: the body around it.
        conditional: whether it is the body of a ``When``.
        depth: bodies around it.
        out: statements so far.
    """

    outer: _Body | None = None
    conditional: bool = False
    depth: int = 0
    out: list[Statement] = field(default_factory=list)


@dataclass(eq=False)
class _Fact:
    """What is known of one node.

    Attributes:
        home: innermost body that its loop variables and named registers come from.
        pure: reads nothing that statements change.
        safe: may be evaluated where a surrounding condition does not hold.
        vector: differs between lanes.
        uses: consumers.
        sites: body of each statement that uses it.
        where: body in which it is evaluated.
        named: whether it gets a ``Let`` there.
    """

    home: _Body
    pure: bool
    safe: bool
    vector: bool
    uses: int = 0
    sites: list[_Body] = field(default_factory=list)
    where: _Body | None = None
    named: bool = False


def share(names: Names, statements: Statements, written: Collection[str]) -> Statements:
    """The same statements with shared and invariant expressions named.

    Args:
        written: names of the buffers that the kernel writes and may read again.
    """
    first = statements[0] if statements else None
    if isinstance(first, For) and first.kind is LoopKind.TASKS:
        return (replace(first, body=_Sharing(names, written, first.var).run(first.body)),)
    return _Sharing(names, written, None).run(statements)


def roots(statement: Statement) -> tuple[Expression, ...]:
    """Expressions of one statement, those inside its indices included."""
    if isinstance(statement, (Let, Assign)):
        return (statement.value,)
    if isinstance(statement, Store):
        places = (statement.index, *(bound.index for bound in statement.guard))
        return (statement.value, *(inner for index in places for inner in dynamics(index)))
    return ()


class _Sharing:
    """One run over one kernel. Two walks visit the bodies in the same order."""

    def __init__(self, names: Names, written: Collection[str], task: Var | None) -> None:
        self.names = names
        self.written = written
        self.top = _Body()
        self.bodies: list[_Body] = []
        self.found: list[tuple[tuple[Expression, ...], _Body]] = []
        self.at_variable: dict[Var, _Body] = {} if task is None else {task: self.top}
        self.at_register: dict[str, _Body] = {}
        self.lane_variables: set[Var] = set()
        self.lane_registers: set[str] = set()
        self.renamed: dict[Register, Register] = {}
        self.facts: dict[int, _Fact] = {}
        self.kept: list[Expression] = []  # ids are only unique among living objects
        self.made: dict[int, Expression] = {}
        self.done: set[int] = set()
        self.depths: dict[int, int] = {}

    def run(self, statements: Statements) -> Statements:
        self._scan(statements, self.top)
        for every, body in self.found:
            self._decide(every, body)
        self._rewrite(statements, self.top, iter(self.bodies))
        return tuple(self.top.out)

    # --- the first walk: facts, uses, decisions ---------------------------------------------------

    def _scan(self, statements: Sequence[Statement], body: _Body) -> None:
        for statement in statements:
            if isinstance(statement, (For, When)):
                inner = _Body(body, isinstance(statement, When), body.depth + 1)
                self.bodies.append(inner)
                if isinstance(statement, For):
                    self.at_variable[statement.var] = inner
                    if statement.kind is LoopKind.LANES:
                        self.lane_variables.add(statement.var)
                self._scan(statement.body, inner)
                continue
            every = roots(statement)
            self._use(every, body)
            if isinstance(statement, Let):
                name = statement.register.name
                self.at_register[name] = body
                if statement.register.lanes or self.facts[id(statement.value)].vector:
                    self.lane_registers.add(name)

    def _use(self, every: tuple[Expression, ...], body: _Body) -> None:
        for node in postorder(every):
            if id(node) not in self.facts:
                self.kept.append(node)
                self.facts[id(node)] = self._fact(node)
                for operand in operands(node):
                    self.facts[id(operand)].uses += 1
            self.facts[id(node)].sites.append(body)
        for root in every:
            self.facts[id(root)].uses += 1
        self.found.append((every, body))

    def _fact(self, node: Expression) -> _Fact:
        below = [self.facts[id(operand)] for operand in operands(node)]
        homes = [fact.home for fact in below]
        homes += [self.at_variable[v] for v in node.variables() if v in self.at_variable]
        pure = all(fact.pure for fact in below)
        safe = all(fact.safe for fact in below)
        vector = any(fact.vector for fact in below)
        vector = vector or not self.lane_variables.isdisjoint(node.variables())
        if isinstance(node, (Read, AcrossLanes)):
            name = node.register.name
            pure = isinstance(node, Read) and name in self.at_register
            if pure:
                homes.append(self.at_register[name])
            if isinstance(node, Read):
                vector = vector or node.register.lanes > 0 or name in self.lane_registers
        elif isinstance(node, Load):
            low, high = node.index.bounds()
            safe = safe and low >= 0 and high < node.buffer.size
            changes = node.buffer.space is Space.SCRATCH or node.buffer.name in self.written
            pure = pure and not changes
        home = max(homes, key=lambda body: body.depth, default=self.top)
        return _Fact(home, pure, safe, vector)

    def _decide(self, every: tuple[Expression, ...], body: _Body) -> None:
        """Where each node is evaluated, and whether under a name; consumers come first."""
        evaluated: dict[int, _Body] = {}
        for node in reversed(postorder(every)):
            fact = self.facts[id(node)]
            if fact.where is None:
                fact.where = evaluated.get(id(node), body)
                place = self._place(node, fact)
                if place is not None and (fact.uses > 1 or place is not fact.where):
                    fact.named, fact.where = True, place
            for operand in operands(node):
                evaluated[id(operand)] = fact.where

    def _place(self, node: Expression, fact: _Fact) -> _Body | None:
        """The outermost body that may hold the node's name, or None where it has none."""
        if isinstance(node, (Const, Read)):
            return None
        if not fact.pure:
            return fact.sites[0] if len(fact.sites) == 1 else None
        places = {self._outermost(site, fact) for site in fact.sites}
        return places.pop() if len(places) == 1 else None

    def _outermost(self, site: _Body, fact: _Fact) -> _Body:
        body = site
        while body is not fact.home and body.outer is not None:
            if body.conditional and not fact.safe:
                return body
            body = body.outer
        return body

    # --- the second walk --------------------------------------------------------------------------

    def _rewrite(
        self, statements: Sequence[Statement], body: _Body, bodies: Iterator[_Body]
    ) -> None:
        for statement in statements:
            if isinstance(statement, (For, When)):
                inner = next(bodies)
                self._rewrite(statement.body, inner, bodies)
                body.out.append(replace(statement, body=tuple(inner.out)))
                continue
            for root in roots(statement):
                self._make(root, body)
            body.out.append(self._renewed(statement))

    def _make(self, root: Expression, body: _Body) -> None:
        for node in postorder([root], self.done):
            fact = self.facts[id(node)]
            made = rebuilt(node, self._get, {})
            if isinstance(made, Read):
                made = replace(made, register=self.renamed.get(made.register, made.register))
            depth = 1 + max((self.depths[id(o)] for o in operands(node)), default=0)
            deep = depth > _DEEPEST and (fact.pure or fact.where is body)
            if fact.named or deep:
                lanes = self.names.lanes if fact.vector else 0
                named = self.names.let(made, lanes, node.variables())
                place = fact.where or body
                place.out.append(named)
                self.at_register[named.register.name] = place
                made, depth = Read(named.register), 0
            self.made[id(node)] = made
            self.depths[id(node)] = depth

    def _get(self, node: Expression) -> Expression:
        return self.made[id(node)]

    def _index(self, index: Index) -> Index:
        return substitute(index, {}, self._get)

    def _renewed(self, statement: Statement) -> Statement:
        if isinstance(statement, Let):
            vector = self.facts[id(statement.value)].vector
            register = replace(
                statement.register,
                lanes=self.names.lanes if vector else statement.register.lanes,
                depends=statement.value.variables(),
            )
            self.renamed[statement.register] = register
            return Let(register, self._get(statement.value))
        if isinstance(statement, Assign):
            return replace(statement, value=self._get(statement.value))
        assert isinstance(statement, Store)
        guard = tuple(Bound(self._index(b.index), b.low, b.high, b.step) for b in statement.guard)
        value = self._get(statement.value)
        return Store(statement.buffer, self._index(statement.index), value, guard)
