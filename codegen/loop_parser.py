"""Reads the text form of loop IR; the grammar is shown in ``loop_text``, which writes it.

Everything that is read must be declared: loops, registers and buffers by their own statements.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple, NoReturn

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
from treadle.ir.index import Atom, Bound, Dynamic, Index, Quotient, Remainder, Var
from treadle.ir.lexer import error_at
from treadle.ir.types import DTYPES, DType, Scalar, bool_

_TOKEN = re.compile(
    r"\s+|(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?(?!\w))|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<temporary>%\d+)|(?P<sign>//|\.\.|<=|[-+*@:,=<>()\[\]{}])"
)
_NUMBERS = {"true": True, "false": False, "inf": math.inf, "nan": math.nan}
_SHORT = {dtype.short: dtype for dtype in DTYPES}
_LOOPS = {
    "tasks": LoopKind.TASKS,
    "for": LoopKind.SERIAL,
    "unroll": LoopKind.UNROLL,
    "lanes": LoopKind.LANES,
}


class _Token(NamedTuple):
    text: str
    kind: str
    offset: int


def parse_kernel(text: str) -> Kernel:
    """The kernel of a text; ParseError with line and column where it cannot be read."""
    return _Parser(text).kernel()


class _Parser:
    """A position in the text, and the names in scope there."""

    def __init__(self, text: str) -> None:
        self._source = text
        self._tokens = self._split(text)
        self._at = 0
        self._variables: dict[str, Var] = {}
        self._registers: dict[str, Register] = {}
        self._buffers: dict[str, Buffer] = {}
        self._temporaries: dict[str, Expression] = {}

    # --- tokens -----------------------------------------------------------------------------------

    def _split(self, text: str) -> list[_Token]:
        tokens, offset = [], 0
        while offset < len(text):
            match = _TOKEN.match(text, offset)
            if match is None:
                self._fail(f"unexpected character {text[offset]!r}", offset)
            if match.lastgroup is not None:
                tokens.append(_Token(match.group(), match.lastgroup, offset))
            offset = match.end()
        return [*tokens, _Token("end of text", "end", len(text))]

    def _fail(self, message: str, offset: int | None = None) -> NoReturn:
        if offset is None:
            offset = self._tokens[self._at].offset
        raise error_at(self._source, offset, message)

    def _next_is(self, text: str, ahead: int = 0) -> bool:
        token = self._tokens[min(self._at + ahead, len(self._tokens) - 1)]
        return token.text == text and token.kind != "end"

    def _accept(self, text: str) -> bool:
        found = self._next_is(text)
        self._at += found
        return found

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            self._fail(f"expected {text!r}, found {self._tokens[self._at].text!r}")

    def _take(self, kind: str) -> str:
        token = self._tokens[self._at]
        if token.kind != kind:
            self._fail(f"expected a {kind}, found {token.text!r}")
        self._at += 1
        return token.text

    def _integer(self) -> int:
        sign = -1 if self._accept("-") else 1
        text = self._take("number")
        if not text.isdigit():
            self._at -= 1
            self._fail(f"expected a whole number, found {text}")
        return sign * int(text)

    def _scalar(self) -> Scalar:
        if self._tokens[self._at].text in ("true", "false"):
            return bool(_NUMBERS[self._take("word")])
        sign = -1 if self._accept("-") else 1
        if self._tokens[self._at].text in _NUMBERS:
            return sign * _NUMBERS[self._take("word")]
        text = self._take("number")
        return sign * (int(text) if text.isdigit() else float(text))

    def _dtype(self) -> DType:
        name = self._take("word")
        if name not in _SHORT:
            self._at -= 1
            self._fail(f"expected a dtype ({', '.join(_SHORT)}), found {name!r}")
        return _SHORT[name]

    # --- declarations -----------------------------------------------------------------------------

    def kernel(self) -> Kernel:
        """The whole text."""
        self._expect("kernel")
        self._expect("@")
        name = self._take("word")
        self._expect("(")
        arguments: list[Buffer] = []
        while not self._accept(")"):
            if arguments:
                self._expect(",")
            arguments.append(self._buffer(Space.ARGUMENT))
        self._expect("writes")
        writes = self._integer()
        self._expect("{")
        scratch, registers = [], []
        while self._accept("scratch"):
            scratch.append(self._buffer(Space.SCRATCH))
        while self._accept("register"):
            registers.append(self._register())
        body = self._body()
        if self._tokens[self._at].kind != "end":
            self._fail(f"expected the end of the text, found {self._tokens[self._at].text!r}")
        return Kernel(name, tuple(arguments), writes, body, tuple(scratch), tuple(registers))

    def _buffer(self, space: Space) -> Buffer:
        name = self._take("word")
        self._expect(":")
        dtype = self._dtype()
        self._expect("[")
        buffer = Buffer(name, dtype, self._integer(), space)
        self._expect("]")
        self._buffers[name] = buffer
        return buffer

    def _register(self) -> Register:
        name = self._take("word")
        self._expect(":")
        dtype = self._dtype()
        shape: list[int] = []
        if self._accept("["):
            shape.append(self._integer())
            while self._accept(","):
                shape.append(self._integer())
            self._expect("]")
        lanes = self._integer() if self._accept("lanes") else 0
        self._registers[name] = Register(name, dtype, lanes, tuple(shape))
        return self._registers[name]

    # --- statements -------------------------------------------------------------------------------

    def _body(self) -> tuple[Statement, ...]:
        """Statements up to the closing brace; what they declare ends with it."""
        variables, registers = dict(self._variables), dict(self._registers)
        body: list[Statement] = []
        while not self._accept("}"):
            if self._tokens[self._at].kind == "temporary":
                name = self._take("temporary")
                self._expect("=")
                self._temporaries[name] = self._expression()
            else:
                body.append(self._statement())
        self._variables, self._registers = variables, registers
        return tuple(body)

    def _statement(self) -> Statement:
        word = self._take("word")
        if word in _LOOPS and not self._next_is("[") and not self._next_is("="):
            return self._loop(_LOOPS[word])
        if word == "when" and not self._next_is("["):
            guard = self._guard()
            self._expect("{")
            return When(guard, self._body())
        if word == "let" and not self._next_is("["):
            known = dict(self._registers)
            register = self._register()
            self._registers, declared = known, self._registers
            self._expect("=")
            value = self._expression()
            self._registers = declared
            return Let(register, value)
        if word in self._buffers:
            index, guard, _default = self._element(False)
            self._expect("=")
            return Store(self._buffers[word], index, self._expression(), guard)
        if word in self._registers:
            position = self._place()
            self._expect("=")
            return Assign(self._registers[word], self._expression(), position)
        self._at -= 1
        self._fail(f"no buffer or register is named {word!r}")

    def _loop(self, kind: LoopKind) -> For:
        lanes = 0
        if kind is LoopKind.LANES:
            self._expect("<")
            lanes = self._integer()
            self._expect(">")
        name = self._take("word")
        self._expect("in")
        if self._integer() != 0:
            self._fail("loops start at 0")
        self._expect("..")
        var = Var(name, self._integer())
        self._expect("{")
        outer = self._variables
        self._variables = {**outer, name: var}
        body = self._body()
        self._variables = outer
        return For(var, kind, body, lanes)

    # --- expressions ------------------------------------------------------------------------------

    def _expression(self) -> Expression:
        token = self._tokens[self._at]
        if token.kind == "temporary":
            self._at += 1
            if token.text not in self._temporaries:
                self._fail(f"{token.text} is not defined", token.offset)
            return self._temporaries[token.text]
        if token.kind != "word" or token.text in _NUMBERS:
            number = self._scalar()
            self._expect(":")
            return Const(number, self._dtype())
        self._at += 1
        if self._next_is("(") or self._next_is("<"):
            return self._operation(token.text)
        if token.text in self._buffers:
            index, guard, default = self._element(True)
            return Load(self._buffers[token.text], index, guard, default)
        if token.text not in self._registers:
            self._fail(f"no buffer or register is named {token.text!r}", token.offset)
        return Read(self._registers[token.text], self._place())

    def _operation(self, name: str) -> Expression:
        if name == "holds":
            self._expect("(")
            guard = self._guard()
            self._expect(")")
            return Holds(guard, bool_)
        if name == "across":
            return self._across()
        dtype = None
        if self._accept("<"):
            dtype = self._dtype()
            self._expect(">")
        self._expect("(")
        if name == "position" and dtype is not None:
            index = self._index()
            self._expect(")")
            return Position(index, dtype)
        args: list[Expression] = []
        while not self._accept(")"):
            if args:
                self._expect(",")
            args.append(self._expression())
        if dtype is None:
            if not args:
                self._fail(f"{name} has no operands to take its dtype from")
            dtype = args[-1].dtype
        return Apply(name, tuple(args), dtype)

    def _across(self) -> AcrossLanes:
        self._expect("<")
        op = self._take("word")
        self._expect(">")
        self._expect("(")
        name = self._take("word")
        if name not in self._registers:
            self._at -= 1
            self._fail(f"no register is named {name!r}")
        position = self._place()
        self._expect(")")
        return AcrossLanes(op, self._registers[name], position)

    def _element(self, default: bool) -> tuple[Index, tuple[Bound, ...], Scalar]:
        """``[index if guard else default]``."""
        self._expect("[")
        index = self._index()
        guard: tuple[Bound, ...] = ()
        number: Scalar = 0
        if self._accept("if"):
            guard = self._guard()
            if default:
                self._expect("else")
                number = self._scalar()
        self._expect("]")
        return index, guard, number

    def _place(self) -> tuple[Index, ...]:
        """``[index, ...]``, or nothing."""
        if not self._accept("["):
            return ()
        position = [self._index()]
        while self._accept(","):
            position.append(self._index())
        self._expect("]")
        return tuple(position)

    def _guard(self) -> tuple[Bound, ...]:
        bounds = [self._bound()]
        while self._accept("and"):
            bounds.append(self._bound())
        return tuple(bounds)

    def _bound(self) -> Bound:
        low = self._integer()
        self._expect("<=")
        index = self._index()
        self._expect("<")
        high = self._integer()
        return Bound(index, low, high, self._integer() if self._accept("step") else 1)

    # --- indices ----------------------------------------------------------------------------------

    def _index(self) -> Index:
        """Terms as they are written: the printed order is the canonical one."""
        terms: list[tuple[Atom, int]] = []
        total = 0
        sign = -1 if self._accept("-") else 1
        while True:
            if self._tokens[self._at].kind == "number":
                number = sign * self._integer()
                if self._accept("*"):
                    terms.append((self._atom(), number))
                else:
                    total += number
            else:
                terms.append((self._atom(), sign))
            if self._accept("+"):
                sign = 1
            elif self._accept("-"):
                sign = -1
            else:
                return Index(tuple(terms), total)

    def _atom(self) -> Atom:
        if self._accept("("):
            operand = self._index()
            self._expect(")")
            if self._accept("//"):
                return Quotient(operand, self._integer())
            # ``%4`` reads as the name of an operand everywhere but here.
            return Remainder(operand, int(self._take("temporary")[1:]))
        if self._accept("["):
            expression = self._expression()
            self._expect("in")
            low = self._integer()
            self._expect("..")
            high = self._integer()
            self._expect("]")
            return Dynamic(expression, low, high)
        name = self._take("word")
        if name not in self._variables:
            self._at -= 1
            self._fail(f"no loop around has the variable {name!r}")
        return self._variables[name]
