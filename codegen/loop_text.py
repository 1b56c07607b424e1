"""Loop IR as text: readable, deterministic, and parsed back to the same kernel.

``print_kernel`` writes it; ``parse_kernel`` (in ``loop_parser``) reads it. Grammar by example::

    kernel @name(in0: f32[64], out0: f32[8]) writes 1 {
      scratch block: f32[16]
      register sums: f32[2] lanes 8
      tasks t in 0..4 {
        lanes<8> l in 0..8 {
          let x: f32 lanes 8 = in0[16*t + l if 0 <= l < 5 else 0.0]
          sums[0] = fma(x, x, sums[0])
        }
        when 0 <= t < 3 {
          out0[t] = add(across<add>(sums[0]), 1.0:f32)
        }
      }
    }

An op's dtype is that of its last operand unless written (``cast<f64>(x)``). Ops that are used more
than once, and long operands, are named before the statement that uses them first: ``%1 = exp(x)``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from treadle.codegen.loop_parser import parse_kernel
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
    Statement,
    Store,
    When,
)
from treadle.ir.index import Atom, Bound, Dynamic, Index, Quotient, Var
from treadle.ir.types import Scalar

__all__ = ["operands_of", "parse_kernel", "print_kernel", "print_statement", "statement_header"]

# Operands longer than this are named, so that lines stay readable and nesting stays shallow.
_LONGEST = 48
_WORDS = {
    LoopKind.TASKS: "tasks",
    LoopKind.SERIAL: "for",
    LoopKind.UNROLL: "unroll",
}


def print_kernel(kernel: Kernel) -> str:
    """The text of a kernel, ending in a newline."""
    printer = _Printer(kernel.body)
    arguments = ", ".join(map(_buffer, kernel.arguments))
    lines = [f"kernel @{kernel.name}({arguments}) writes {kernel.writes} {{"]
    lines += [f"  scratch {_buffer(buffer)}" for buffer in kernel.scratch]
    lines += [f"  register {_register(register)}" for register in kernel.registers]
    lines += printer.block(kernel.body, 1)
    return "\n".join([*lines, "}", ""])


def print_statement(statement: Statement) -> str:
    """The text of one statement and all in it."""
    return "\n".join(_Printer((statement,)).block((statement,), 0))


def statement_header(statement: Statement) -> str:
    """The line of a statement, or the first line of one with a body."""
    if isinstance(statement, (For, When)):
        return _Printer(()).header(statement)
    return print_statement(statement).splitlines()[-1]


def operands_of(expression: Expression | Dynamic) -> tuple[Expression, ...]:
    """The expressions that an expression is made of, those inside indices included."""
    if isinstance(expression, Apply):
        return expression.args
    if isinstance(expression, Dynamic):
        return (expression.expression,)
    if isinstance(expression, (Read, AcrossLanes)):
        indices: Iterable[Index] = expression.position
    elif isinstance(expression, Load):
        indices = (expression.index, *(bound.index for bound in expression.guard))
    elif isinstance(expression, Position):
        indices = (expression.index,)
    elif isinstance(expression, Holds):
        indices = (bound.index for bound in expression.guard)
    else:
        indices = ()
    return tuple(_dynamics(indices))


def _dynamics(indices: Iterable[Index]) -> Iterator[Expression]:
    for index in indices:
        for atom, _coefficient in index.terms:
            if isinstance(atom, Dynamic):
                yield atom.expression
            elif not isinstance(atom, Var):
                yield from _dynamics((atom.operand,))


def _roots(statement: Statement) -> list[Expression]:
    """The expressions of a statement itself, not of its body."""
    if isinstance(statement, Store):
        guards = [bound.index for bound in statement.guard]
        return [*_dynamics((statement.index, *guards)), statement.value]
    if isinstance(statement, Assign):
        return [*_dynamics(statement.position), statement.value]
    if isinstance(statement, Let):
        return [statement.value]
    if isinstance(statement, When):
        return list(_dynamics(bound.index for bound in statement.guard))
    return []


def _walk(statements: Sequence[Statement]) -> Iterator[Statement]:
    stack = list(reversed(statements))
    while stack:
        statement = stack.pop()
        yield statement
        if isinstance(statement, (For, When)):
            stack.extend(reversed(statement.body))


def _buffer(buffer: Buffer) -> str:
    return f"{buffer.name}: {buffer.dtype.short}[{buffer.size}]"


def _register(register: Register) -> str:
    shape = f"[{','.join(map(str, register.shape))}]" if register.shape else ""
    lanes = f" lanes {register.lanes}" if register.lanes else ""
    return f"{register.name}: {register.dtype.short}{shape}{lanes}"


def _number(number: Scalar) -> str:
    return str(number).lower() if isinstance(number, bool) else repr(number)


class _Printer:
    """Prints statements, naming each shared op once."""

    def __init__(self, body: Sequence[Statement]) -> None:
        self._uses: Counter[int] = Counter()
        self._text: dict[int, str] = {}
        self._keep: list[Expression] = []  # ids are of living objects
        self._temporaries = 0
        self._lines: list[str] = []
        for statement in _walk(body):
            for root in _roots(statement):
                self._count(root)

    def _count(self, root: Expression) -> None:
        stack = [root]
        while stack:
            node = stack.pop()
            self._uses[id(node)] += 1
            if self._uses[id(node)] == 1:
                self._keep.append(node)
                stack.extend(operands_of(node))

    def block(self, body: Sequence[Statement], depth: int) -> list[str]:
        """The lines of statements."""
        lines: list[str] = []
        indent = "  " * depth
        for statement in body:
            text = self.header(statement)
            lines += [indent + line for line in self._lines]
            self._lines = []
            lines.append(indent + text)
            if isinstance(statement, (For, When)):
                lines += [*self.block(statement.body, depth + 1), indent + "}"]
        return lines

    def header(self, statement: Statement) -> str:
        """The line of a statement; definitions that it needs are added to the pending lines."""
        for root in _roots(statement):
            self._prepare(root)
        if isinstance(statement, For):
            word = _WORDS.get(statement.kind, f"lanes<{statement.lanes}>")
            return f"{word} {statement.var.name} in 0..{statement.var.extent} {{"
        if isinstance(statement, When):
            return f"when {self._guard(statement.guard)} {{"
        value = self._of(statement.value)
        if isinstance(statement, Let):
            return f"let {_register(statement.register)} = {value}"
        if isinstance(statement, Assign):
            return f"{self._place(statement.register, statement.position)} = {value}"
        guard = f" if {self._guard(statement.guard)}" if statement.guard else ""
        return f"{statement.buffer.name}[{self._index(statement.index)}{guard}] = {value}"

    def _prepare(self, root: Expression) -> None:
        """Texts of an expression's operands, innermost first and without recursion."""
        stack = [(root, False)]
        while stack:
            node, ready = stack.pop()
            if id(node) in self._text:
                continue
            if not ready:
                stack.append((node, True))
                stack.extend((operand, False) for operand in reversed(operands_of(node)))
                continue
            text = self._expression(node)
            shared = self._uses[id(node)] > 1
            if isinstance(node, Apply) and (shared or (len(text) > _LONGEST and node is not root)):
                self._temporaries += 1
                self._lines.append(f"%{self._temporaries} = {text}")
                text = f"%{self._temporaries}"
            self._text[id(node)] = text

    def _of(self, node: Expression) -> str:
        return self._text[id(node)]

    def _expression(self, node: Expression) -> str:
        if isinstance(node, Const):
            return f"{_number(node.value)}:{node.dtype.short}"
        if isinstance(node, Load):
            guard = ""
            if node.guard:
                guard = f" if {self._guard(node.guard)} else {_number(node.default)}"
            return f"{node.buffer.name}[{self._index(node.index)}{guard}]"
        if isinstance(node, Position):
            return f"position<{node.dtype.short}>({self._index(node.index)})"
        if isinstance(node, Holds):
            return f"holds({self._guard(node.guard)})"
        if isinstance(node, Read):
            return self._place(node.register, node.position)
        if isinstance(node, AcrossLanes):
            return f"across<{node.op}>({self._place(node.register, node.position)})"
        plain = bool(node.args) and node.args[-1].dtype is node.dtype
        dtype = "" if plain else f"<{node.dtype.short}>"
        return f"{node.op}{dtype}({', '.join(map(self._of, node.args))})"

    def _place(self, register: Register, position: Sequence[Index]) -> str:
        return register.name + (f"[{', '.join(map(self._index, position))}]" if position else "")

    def _guard(self, guard: Sequence[Bound]) -> str:
        return " and ".join(map(self._bound, guard))

    def _bound(self, bound: Bound) -> str:
        step = "" if bound.step == 1 else f" step {bound.step}"
        return f"{bound.low} <= {self._index(bound.index)} < {bound.high}{step}"

    def _index(self, index: Index) -> str:
        parts = []
        for atom, coefficient in index.terms:
            text = self._atom(atom)
            parts.append(text if coefficient == 1 else f"{coefficient}*{text}")
        if index.constant or not parts:
            parts.append(str(index.constant))
        return " + ".join(parts).replace("+ -", "- ")

    def _atom(self, atom: Atom) -> str:
        if isinstance(atom, Var):
            return atom.name
        if isinstance(atom, Dynamic):
            return f"[{self._of(atom.expression)} in {atom.low}..{atom.high}]"
        sign = "//" if isinstance(atom, Quotient) else "%"
        return f"({self._index(atom.operand)}){sign}{atom.divisor}"
