"""Checks that a kernel obeys the rules of loop IR, before anything is emitted from it.

Bounds are proved by interval arithmetic, helped by the guards around. A kernel that is right but
not provably so is refused: its schedule must say what it knows in a guard.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from treadle.codegen.loop_text import operands_of, statement_header
from treadle.codegen.loops import (
    AcrossLanes,
    Apply,
    Assign,
    Buffer,
    Const,
    Expression,
    For,
    Holds,
    Kernel,
    Let,
    Load,
    LoopKind,
    Position,
    Read,
    Register,
    Space,
    Statement,
    Store,
    When,
)
from treadle.ir.errors import VerificationError
from treadle.ir.index import Bound, Dynamic, Index, Quotient, Remainder, Var, variables
from treadle.ir.ops import TABLE
from treadle.ir.types import DType, TensorType, bool_, uint32
from treadle.ir.value import LoopClass

Guard = tuple[Bound, ...]

_COMBINATIONS = ("add", "mul", "maximum", "minimum", "and", "or")
# Guards combined to prove one bound; loop nests have no more than a few around a statement.
_GUARD_DEPTH = 4


def verify_kernel(kernel: Kernel) -> None:
    """Raises VerificationError, naming the statement, where a kernel breaks a rule."""
    _Verifier(kernel).run()


def interval(index: Index, guards: Guard, depth: int = _GUARD_DEPTH) -> tuple[int, int]:
    """Least and greatest value of an index where guards hold; empty where they never do."""
    low = high = index.constant
    for atom, coefficient in index.terms:
        least, greatest = atom.bounds()
        if isinstance(atom, (Quotient, Remainder)) and guards:
            inner_low, inner_high = interval(atom.operand, guards, depth)
            first, last = inner_low // atom.divisor, inner_high // atom.divisor
            if isinstance(atom, Quotient):
                least, greatest = first, last
            elif first == last:
                least, greatest = inner_low % atom.divisor, inner_high % atom.divisor
        ends = least * coefficient, greatest * coefficient
        low, high = low + min(ends), high + max(ends)
    if depth == 0:
        return low, high
    # index = rest + factor * guarded, for factors that make a term of the guard vanish.
    coefficients = dict(index.terms)
    for nth, bound in enumerate(guards):
        others = guards[:nth] + guards[nth + 1 :]
        factors = {
            coefficients[atom] // step
            for atom, step in bound.index.terms
            if atom in coefficients and coefficients[atom] % step == 0
        }
        for factor in factors:
            rest_low, rest_high = interval(index - bound.index * factor, others, depth - 1)
            first, last = bound.low * factor, (bound.high - 1) * factor
            if factor < 0:
                first, last = last, first
            low, high = max(low, rest_low + first), min(high, rest_high + last)
    return low, high


@dataclass(frozen=True)
class _Scope:
    """What holds where a statement stands.

    Attributes:
        loops: loops around, by the name of their variable.
        lane: the LANES loop around, if any.
        guards: what the ``When``s around guarantee.
        lets: registers named by ``Let`` before.
    """

    loops: tuple[For, ...] = ()
    lane: For | None = None
    guards: Guard = ()
    lets: tuple[Register, ...] = ()


class _Verifier:
    """One pass over one kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._buffers = {buffer.name: buffer for buffer in (*kernel.arguments, *kernel.scratch)}
        self._registers = {register.name: register for register in kernel.registers}
        first = len(kernel.arguments) - kernel.writes
        self._written = {b.name for b in (*kernel.arguments[first:], *kernel.scratch)}
        self._statement: Statement | None = None

    def run(self) -> None:
        """Check everything."""
        kernel = self._kernel
        names = [b.name for b in (*kernel.arguments, *kernel.scratch)]
        names += [register.name for register in kernel.registers]
        for name in names:
            if names.count(name) > 1:
                self._fail(f"{name} is declared more than once")
        if not 0 <= kernel.writes <= len(kernel.arguments):
            self._fail(f"writes {kernel.writes} of {len(kernel.arguments)} arguments")
        for buffer, space in [
            *((b, Space.ARGUMENT) for b in kernel.arguments),
            *((b, Space.SCRATCH) for b in kernel.scratch),
        ]:
            if buffer.space is not space:
                self._fail(
                    f"{buffer.name} is declared as {space.value} but is {buffer.space.value}"
                )
        first = kernel.body[0] if kernel.body else None
        if isinstance(first, For) and first.kind is LoopKind.TASKS:
            if len(kernel.body) > 1:
                self._statement = kernel.body[1]
                self._fail("a tasks loop must be alone in its kernel")
            self._statement = first
            self._loop_header(first, _Scope())
            self._body(first.body, _Scope((first,)))
        else:
            self._body(kernel.body, _Scope())

    def _fail(self, message: str) -> NoReturn:
        where = f"kernel @{self._kernel.name}"
        if self._statement is not None:
            where += f", in\n  {statement_header(self._statement)}"
        raise VerificationError(f"{message}\n  {where}")

    # --- statements -------------------------------------------------------------------------------

    def _body(self, body: Sequence[Statement], scope: _Scope) -> None:
        for statement in body:
            self._statement = statement
            if isinstance(statement, For):
                self._loop(statement, scope)
            elif isinstance(statement, When):
                self._guard(statement.guard, scope)
                if scope.lane is not None and self._bounds_vary(statement.guard, scope):
                    self._fail("the guard of a when differs between lanes")
                self._body(statement.body, replace(scope, guards=scope.guards + statement.guard))
            elif isinstance(statement, Let):
                scope = self._let(statement, scope)
            elif isinstance(statement, Assign):
                self._assign(statement, scope)
            else:
                self._store(statement, scope)

    def _loop_header(self, loop: For, scope: _Scope) -> None:
        if any(outer.var.name == loop.var.name for outer in scope.loops):
            self._fail(f"a loop around has the variable {loop.var.name} too")
        if loop.var.extent < 0:
            self._fail(f"the extent of {loop.var.name} is {loop.var.extent}")
        if loop.kind is LoopKind.LANES:
            if not 1 < loop.lanes >= loop.var.extent:
                self._fail(f"{loop.var.extent} lanes run of {loop.lanes}")
        elif loop.lanes:
            self._fail(f"a {loop.kind.value} loop has no lanes, found {loop.lanes}")

    def _loop(self, loop: For, scope: _Scope) -> None:
        self._loop_header(loop, scope)
        if loop.kind is LoopKind.TASKS:
            self._fail("a tasks loop must be the outermost statement")
        if loop.kind is LoopKind.LANES and scope.lane is not None:
            self._fail(f"a lanes loop is inside another, over {scope.lane.var.name}")
        lane = loop if loop.kind is LoopKind.LANES else scope.lane
        self._body(loop.body, replace(scope, loops=(*scope.loops, loop), lane=lane))

    def _let(self, let: Let, scope: _Scope) -> _Scope:
        register = let.register
        if register.shape:
            self._fail(f"let names one value, but {register.name} has shape {register.shape}")
        if register.name in self._registers or register.name in self._buffers:
            self._fail(f"{register.name} is declared by the kernel already")
        if any(other.name == register.name for other in scope.lets):
            self._fail(f"{register.name} is named by a let before")
        self._set(register, let.value, scope)
        return replace(scope, lets=(*scope.lets, register))

    def _assign(self, assign: Assign, scope: _Scope) -> None:
        self._register(assign.register, assign.position, scope)
        if any(register == assign.register for register in scope.lets):
            self._fail(f"{assign.register.name} is named by let and cannot be set again")
        self._set(assign.register, assign.value, scope)

    def _set(self, register: Register, value: Expression, scope: _Scope) -> None:
        varies = self._expression(value, scope)
        if value.dtype is not register.dtype:
            self._fail(f"{register.name} is {register.dtype.short}, its value {value.dtype.short}")
        self._lanes_match(register, scope)
        if varies and not register.lanes:
            self._fail(f"{register.name} is one number, its value differs between lanes")

    def _store(self, store: Store, scope: _Scope) -> None:
        buffer = store.buffer
        self._buffer(buffer)
        if buffer.name not in self._written:
            self._fail(f"{buffer.name} is not written by this kernel")
        self._expression(store.value, scope)
        if store.value.dtype is not buffer.dtype:
            self._fail(f"{buffer.name} is {buffer.dtype.short}, not {store.value.dtype.short}")
        self._element(buffer, store.index, store.guard, scope)

    # --- expressions ------------------------------------------------------------------------------

    def _expression(self, root: Expression, scope: _Scope) -> bool:
        """Checks an expression and all in it; whether it differs between lanes."""
        varies: dict[int, bool] = {}
        stack = [(root, False)]
        while stack:
            node, ready = stack.pop()
            if id(node) in varies:
                continue
            operands = operands_of(node)
            if not ready:
                stack.append((node, True))
                stack.extend((operand, False) for operand in operands)
                continue
            varies[id(node)] = self._node(node, scope) or any(
                varies[id(operand)] for operand in operands
            )
        return varies[id(root)]

    def _node(self, node: Expression, scope: _Scope) -> bool:
        """Checks one node; whether it alone makes a difference between lanes."""
        if isinstance(node, Const):
            self._constant(node)
            return False
        if isinstance(node, Apply):
            self._apply(node)
            return False
        if isinstance(node, (Read, AcrossLanes)):
            self._register(node.register, node.position, scope)
            if isinstance(node, Read):
                self._lanes_match(node.register, scope)
                return node.register.lanes > 0
            if node.op not in _COMBINATIONS or not node.register.lanes:
                self._fail(f"across<{node.op}> of {node.register.name} is not defined")
            return False
        lane = None if scope.lane is None else scope.lane.var
        if isinstance(node, Load):
            self._buffer(node.buffer)
            self._element(node.buffer, node.index, node.guard, scope)
        elif isinstance(node, Position):
            self._index(node.index, scope)
        else:
            self._guard(node.guard, scope)
        return lane is not None and lane in node.variables()

    def _constant(self, node: Const) -> None:
        kind = node.dtype.kind
        fits = isinstance(node.value, (int, float) if kind == "f" else int)
        if not fits or isinstance(node.value, bool) is not (kind == "b"):
            self._fail(f"{node.value!r} is not a number of {node.dtype.name}")

    def _apply(self, node: Apply) -> None:
        types = [TensorType(arg.dtype, ()) for arg in node.args]
        found: DType
        if node.op in ("fma", "mulhi", "number_max", "number_min"):
            count = 3 if node.op == "fma" else 2
            dtypes = {arg.dtype for arg in node.args}
            allowed = node.op != "mulhi" or dtypes == {uint32}
            if len(node.args) != count or len(dtypes) != 1 or not allowed:
                self._fail(f"{node.op} is not defined on {', '.join(t.dtype.short for t in types)}")
            found = node.args[0].dtype
        else:
            op = TABLE.get(node.op)
            if op is None or op.loop_class is not LoopClass.ELEMENTWISE:
                self._fail(f"{node.op} is not a scalar op")
            if len(types) != len(op.operands):
                self._fail(f"{node.op} takes {len(op.operands)} operands, found {len(types)}")
            attrs = (node.dtype,) * len(op.attributes)
            try:
                inferred = op.infer(types, attrs)
            except (TypeError, ValueError) as error:
                self._fail(str(error))
            assert isinstance(inferred, TensorType)
            found = inferred.dtype
        if found is not node.dtype:
            self._fail(f"{node.op} gives {found.short}, but is declared as {node.dtype.short}")

    # --- names and ranges -------------------------------------------------------------------------

    def _buffer(self, buffer: Buffer) -> None:
        if self._buffers.get(buffer.name) != buffer:
            self._fail(f"{buffer.name} is not a buffer of this kernel")

    def _register(self, register: Register, position: Sequence[Index], scope: _Scope) -> None:
        declared = self._registers.get(register.name)
        if declared != register and register not in scope.lets:
            self._fail(f"{register.name} is not declared here")
        if len(position) != len(register.shape):
            self._fail(f"{register.name} has {len(register.shape)} axes, found {len(position)}")
        fixed = {loop.var for loop in scope.loops if loop.kind is LoopKind.UNROLL}
        for index, extent in zip(position, register.shape, strict=True):
            self._index(index, scope)
            for var in variables(index) - fixed:
                if var.extent != 1:
                    self._fail(f"{register.name} is addressed by {var.name}, which is not unrolled")
            low, high = interval(index, scope.guards)
            if low <= high and (low < 0 or high >= extent):
                self._fail(f"{register.name} has {extent} elements, found {low}..{high}")

    def _lanes_match(self, register: Register, scope: _Scope) -> None:
        lanes = 0 if scope.lane is None else scope.lane.lanes
        if register.lanes not in (0, lanes):
            where = f"a loop of {lanes} lanes" if lanes else "no lanes loop"
            self._fail(f"{register.name} has {register.lanes} lanes and is used in {where}")

    def _index(self, index: Index, scope: _Scope) -> None:
        known = {loop.var for loop in scope.loops}
        for var in variables(index):
            if var not in known:
                self._fail(f"no loop around runs {var.name} over 0..{var.extent}")
        for atom in _atoms(index):
            if isinstance(atom, Dynamic) and atom.expression.dtype.kind not in "iu":
                self._fail(f"a position of dtype {atom.expression.dtype.short}")

    def _guard(self, guard: Guard, scope: _Scope) -> None:
        for bound in guard:
            self._index(bound.index, scope)

    def _bounds_vary(self, guard: Guard, scope: _Scope) -> bool:
        return self._expression(Holds(guard, bool_), scope)

    def _element(self, buffer: Buffer, index: Index, guard: Guard, scope: _Scope) -> None:
        """An element that is read or written where guards hold must exist."""
        self._index(index, scope)
        self._guard(guard, scope)
        low, high = interval(index, ())
        if low < 0 or high >= buffer.size:
            low, high = interval(index, scope.guards + guard)
        if low <= high and (low < 0 or high >= buffer.size):
            self._fail(f"{buffer.name} has {buffer.size} elements, found positions {low}..{high}")


def _atoms(index: Index) -> Iterable[Quotient | Remainder | Dynamic | Var]:
    for atom, _coefficient in index.terms:
        yield atom
        if isinstance(atom, (Quotient, Remainder)):
            yield from _atoms(atom.operand)
