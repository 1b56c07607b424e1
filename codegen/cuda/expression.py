"""Scalar expressions of loop IR as C expressions; what is used twice or is long gets a name.

Deep chains are walked with a stack of their own, not Python's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from treadle.codegen import elementary
from treadle.codegen.cuda.across import across_function
from treadle.codegen.cuda.code import Code
from treadle.codegen.cuda.conversion import cast
from treadle.codegen.cuda.index import Indices
from treadle.codegen.cuda.prelude import Prelude
from treadle.codegen.cuda.scalar import Scalars
from treadle.codegen.cuda.types import Operand, literal, type_name
from treadle.codegen.loop_text import operands_of
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
from treadle.ir.types import DType, bool_

# Longer texts get a name, so that lines stay readable and nesting stays shallow.
_LONGEST = 64
# Elementary functions of at most so many operations are written out where they are used.
_INLINED = 16

_NOTHING: frozenset[str] = frozenset()


class Expressions:
    """Prints the expressions of one function.

    Args:
        fma: whether the target has fused multiply-add.
    """

    def __init__(self, code: Code, prelude: Prelude, fma: bool) -> None:
        self._code = code
        self._prelude = prelude
        self._fma = fma
        self._scalars = Scalars(prelude)
        self.indices = Indices(self.value)
        self._uses: Counter[int] = Counter()
        self._expanded: dict[int, Expression] = {}
        self._called: set[int] = set()  # those that are calls of a device function
        self._reads: dict[int, frozenset[str]] = {}
        self._keep: list[Expression] = []  # ids are of living objects

    def count(self, root: Expression) -> None:
        """Note the uses in an expression; done for all before the first is printed."""
        stack = [root]
        while stack:
            node = stack.pop()
            self._uses[id(node)] += 1
            if self._uses[id(node)] == 1:
                self._keep.append(node)
                stack.extend(self._operands(node))

    def value(self, root: Expression) -> Operand:
        """The text of an expression; names that it needs are declared on lines before it."""
        texts: dict[int, Operand] = {}
        stack = [root]
        while stack:
            node = stack[-1]
            if id(node) in texts:
                stack.pop()
                continue
            known = self._code.known(id(node))
            if known is not None:
                texts[id(node)] = known
                continue
            wanted = self._common(node)
            pending = [each for each in wanted if id(each) not in texts]
            if pending:
                stack.extend(reversed(pending))
                continue
            stack.pop()
            made = self._made(node, texts)
            texts[id(node)] = self._named(node, made, node is root)
        return texts[id(root)]

    def reads(self, root: Expression) -> frozenset[str]:
        """Buffers and registers that an expression depends on."""
        stack = [root]
        while stack:
            node = stack[-1]
            operands = self._operands(node)
            pending = [each for each in operands if id(each) not in self._reads]
            if pending:
                stack.extend(pending)
                continue
            stack.pop()
            found = _NOTHING.union(*(self._reads[id(each)] for each in operands))
            if isinstance(node, Load):
                found |= {node.buffer.name}
            elif isinstance(node, (Read, AcrossLanes)):
                found |= {node.register.name}
            self._reads[id(node)] = found
        return self._reads[id(root)]

    def element(self, register: Register, position: Sequence[Index]) -> str:
        """The text of an element of a register."""
        places = "".join(f"[{self.indices.text(index).text}]" for index in position)
        return self._code.name(register.name) + places

    def combine_lanes(self, roots: Iterable[Expression]) -> None:
        """Name the combinations of lanes in expressions: all threads must take part in them."""
        for node in across_in(roots):
            if self._code.known(id(node)) is None:
                self._name(node, self.value(node))

    # --- nodes ------------------------------------------------------------------------------------

    def _operands(self, node: Expression) -> tuple[Expression, ...]:
        target = self._expand(node)
        return operands_of(node) if target is node else (target,)

    def _common(self, node: Expression) -> tuple[Expression, ...]:
        """Operands that are computed before a node, whatever its conditions."""
        operands = self._operands(node)
        return (operands[0], operands[2]) if _is_rare(node) else operands

    def _expand(self, node: Expression) -> Expression:
        """The operations of a short elementary function, else the node itself."""
        if not isinstance(node, Apply) or node.op == "select_rare":
            return node
        found = self._expanded.get(id(node))
        if found is None:
            found = elementary.expand(node, self._fma)
            # pow is products for some constant exponents, which no function knows.
            if found is not node and not _is_small(found, node.args):
                self._called.add(id(node))
                found = node
            self._expanded[id(node)] = found
            self._keep.append(node)
        return found

    def _named(self, node: Expression, made: Operand, last: bool) -> Operand:
        """A name for what is used again or is long; ``last`` is the text of a whole statement."""
        if isinstance(node, (Const, Read)) or made.number is not None:
            return made
        shared = self._uses[id(node)] > 1 and not made.text.isidentifier()
        if isinstance(node, (Position, Holds)) and len(made.text) < _LONGEST // 2:
            shared = False
        long = not last and (len(made.text) > _LONGEST or isinstance(node, AcrossLanes))
        return self._name(node, made) if shared or long else made

    def _name(self, node: Expression, made: Operand) -> Operand:
        name = self._code.fresh()
        self._code.declare(f"const {type_name(node.dtype)} {name} = {made.text};")
        return self._remember(node, Operand(name, node.dtype))

    def _remember(self, node: Expression, value: Operand) -> Operand:
        self._code.remember(id(node), value, self.reads(node))
        return value

    def _made(self, node: Expression, texts: dict[int, Operand]) -> Operand:
        if isinstance(node, Const):
            return literal(node.value, node.dtype)
        if isinstance(node, Load):
            return self._load(node)
        if isinstance(node, Read):
            return Operand(self.element(node.register, node.position), node.dtype)
        if isinstance(node, Position):
            index = self.indices.text(node.index)
            return cast(index, node.dtype, self._prelude)
        if isinstance(node, Holds):
            holds = self.indices.guard(node.guard)
            return literal(holds, bool_) if isinstance(holds, bool) else holds
        if isinstance(node, AcrossLanes):
            name = across_function(self._prelude, node.op, node.dtype, node.register.lanes)
            return Operand(f"{name}({self.element(node.register, node.position)})", node.dtype)
        target = self._expand(node)
        if target is not node:
            return texts[id(target)]._replace(dtype=node.dtype)
        if _is_rare(node):
            return self._select_rare(node, texts)
        if id(node) in self._called:
            name = self._function(node.op, [arg.dtype for arg in node.args], node.dtype)
            arguments = ", ".join(texts[id(arg)].text for arg in node.args)
            return Operand(f"{name}({arguments})", node.dtype)
        return self._scalars.apply(node.op, node.dtype, [texts[id(arg)] for arg in node.args])

    def _load(self, node: Load) -> Operand:
        holds = self.indices.guard(node.guard)
        default = literal(node.default, node.dtype)
        if holds is False or not node.buffer.size:
            return default
        place = self.indices.text(node.index).text
        value = Operand(f"{self._code.name(node.buffer.name)}[{place}]", node.dtype)
        if holds is True:
            return value
        return Operand(f"{holds} ? {value} : {default}", node.dtype, False)

    def _select_rare(self, node: Apply, texts: dict[int, Operand]) -> Operand:
        """A branch around what is seldom needed."""
        condition, usual = texts[id(node.args[0])], texts[id(node.args[2])]
        name = self._code.fresh()
        self._code.declare(f"{type_name(node.dtype)} {name} = {usual.text};")
        self._code.open(f"if ({condition.text})")
        self._code.line(f"{name} = {self.value(node.args[1]).text};")
        self._code.close()
        return self._remember(node, Operand(name, node.dtype))

    def _function(self, op: str, dtypes: Sequence[DType], result: DType) -> str:
        """The device function of an elementary function."""
        name = f"{op}_{result.short}"
        if name in self._prelude:
            return name
        registers = [Register(each, dtype) for each, dtype in zip("xy", dtypes, strict=False)]
        code = Code(register.name for register in registers)
        inner = Expressions(code, self._prelude, self._fma)
        call = Apply(op, tuple(map(Read, registers)), result)
        body = elementary.expand(call, self._fma)
        inner.count(body)
        value = inner.value(body)
        code.line(f"return {value.text};")
        parameters = ", ".join(f"{type_name(each.dtype)} {each.name}" for each in registers)
        return self._prelude.define(name, type_name(result), parameters, code.lines)


def across_in(roots: Iterable[Expression]) -> list[AcrossLanes]:
    """The combinations of lanes in expressions, in the order in which they are met."""
    found: list[AcrossLanes] = []
    seen: set[int] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if id(node) not in seen:
            seen.add(id(node))
            stack.extend(operands_of(node))
            if isinstance(node, AcrossLanes):
                found.append(node)
    return found


def _is_rare(node: Expression) -> bool:
    return isinstance(node, Apply) and node.op == "select_rare"


def _is_small(root: Expression, args: Sequence[Expression]) -> bool:
    """Whether an expression has few operations between it and its arguments."""
    seen = {id(arg) for arg in args}
    stack = [root]
    count = 0
    while stack:
        node = stack.pop()
        if id(node) not in seen and isinstance(node, Apply):
            seen.add(id(node))
            stack.extend(node.args)
            count += 1
            if count > _INLINED:
                return False
    return True
