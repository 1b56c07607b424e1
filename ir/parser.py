"""Reads the text form of tensor IR back into a graph: recursive descent over tokens.

Types in the text are checked against inference; nothing unknown is skipped.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

from treadle.ir.errors import INFERENCE_ERRORS, ParseError
from treadle.ir.graph import Graph, input_value
from treadle.ir.lexer import Token, error_at, tokenize
from treadle.ir.ops import TABLE
from treadle.ir.ops.kernel import PLACE_KINDS, Place
from treadle.ir.ops.source import INPUT
from treadle.ir.printer import DEFAULTS
from treadle.ir.types import CPU, DTYPES, Device, DType, TensorType, TupleType
from treadle.ir.value import Op, Value, make

_DTYPES = {dtype.short: dtype for dtype in DTYPES}
_DEVICES = ("cpu", "cuda")
_LOCATION = r'(?:"(?:[^"\\\n]|\\.)*"|[^\s,"]+):\d+'
_LOCATIONS = re.compile(rf"//\s*({_LOCATION}(?:, {_LOCATION})*)\s*\Z")
_Item = TypeVar("_Item")


def parse_graph(text: str) -> Graph:
    """The graph of a text.

    Raises:
        ParseError: ``line:column: error: expected ..., found ...``, with the line and a caret.
    """
    parser = _Parser(text)
    parser.expect_word("program")
    graph = parser.graph()
    parser.expect("end", "the end of the program")
    return graph


class _Body:
    """What is known of the graph being read: values by their number, and user lines."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.locations: dict[Value, tuple[tuple[str, int], ...]] = {}


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokenize(text)
        self.position = 0

    # Tokens.

    def peek(self) -> Token:
        """The next token that is no comment; a comment before it stays to be read."""
        return self.tokens[self.ahead()]

    def ahead(self) -> int:
        position = self.position
        while self.tokens[position].kind == "comment":
            position += 1
        return position

    def next(self) -> Token:
        position = self.ahead()
        token = self.tokens[position]
        self.position = position + (token.kind != "end")
        return token

    def wrong(self, expected: str, token: Token | None = None, found: str = "") -> ParseError:
        token = token or self.peek()
        return error_at(self.text, token.offset, f"expected {expected}, found {found or token}")

    def at(self, mark: str) -> bool:
        token = self.peek()
        return token.kind in ("mark", "word") and token.text == mark

    def accept(self, mark: str) -> bool:
        found = self.at(mark)
        if found:
            self.next()
        return found

    def expect(self, kind: str, expected: str) -> Token:
        if self.peek().kind != kind:
            raise self.wrong(expected)
        return self.next()

    def expect_mark(self, mark: str) -> Token:
        if not self.at(mark):
            raise self.wrong(repr(mark))
        return self.next()

    def expect_word(self, word: str) -> None:
        self.expect_mark(word)

    def listed(self, read: Callable[[], _Item], close: str) -> list[_Item]:
        """Items separated by commas up to a closing mark, which is taken too."""
        items: list[_Item] = []
        while not self.accept(close):
            if items and not self.accept(","):
                raise self.wrong(f"',' or {close!r}")
            items.append(read())
        return items

    def take_locations(self) -> tuple[tuple[str, int], ...]:
        """The user lines in a comment right here, none where it is any other comment."""
        token = self.tokens[self.position]
        match = _LOCATIONS.match(token.text) if token.kind == "comment" else None
        if match is None:
            return ()
        self.position += 1
        found = []
        for part in re.findall(_LOCATION, match.group(1)):
            file, _, line = part.rpartition(":")
            found.append((json.loads(file) if file.startswith('"') else file, int(line)))
        return tuple(found)

    # Graphs.

    def graph(self) -> Graph:
        name = self.expect("symbol", "a program's name (@name)").text[1:]
        body = _Body()
        inputs: list[Value] = []
        donated: set[int] = set()
        self.expect_mark("(")
        while not self.accept(")"):
            slot = len(inputs)
            inputs.append(self.parameter(body, slot, donated))
            if not self.accept(",") and not self.at(")"):
                raise self.wrong("',' or ')'")
            self.locate(body, inputs[-1])
        self.expect_mark("{")
        while not self.at("return"):
            self.statement(body)
        self.next()
        outputs: list[Value] = []
        if not self.at("}"):
            outputs.append(self.operand(body))
            while self.accept(","):
                outputs.append(self.operand(body))
        self.expect_mark("}")
        name = json.loads(name) if name.startswith('"') else name
        return Graph(name, tuple(inputs), tuple(outputs), body.locations, frozenset(donated))

    def parameter(self, body: _Body, slot: int, donated: set[int]) -> Value:
        token = self.expect("value", f"a parameter (%{slot}: type)")
        self.expect_mark(":")
        value = input_value(slot, self.tensor_type())
        self.define(body, token, value)
        if self.accept("donated"):
            donated.add(slot)
        self.locate(body, value)
        return value

    def define(self, body: _Body, token: Token, value: Value) -> None:
        if token.text in body.values:
            raise self.wrong("a new value", token, f"{token.text} a second time")
        body.values[token.text] = value

    def locate(self, body: _Body, value: Value) -> None:
        lines = self.take_locations()
        if lines:
            known = body.locations.get(value, ())
            body.locations[value] = (*known, *(line for line in lines if line not in known))

    def statement(self, body: _Body) -> None:
        target = self.expect("value", "a value (%n: type = ...) or 'return'")
        self.expect_mark(":")
        type_token = self.peek()
        declared = self.value_type()
        self.expect_mark("=")
        value = self.operation(body)
        if value.type != declared:
            raise self.wrong(str(value.type), type_token, str(declared))
        self.define(body, target, value)
        self.locate(body, value)

    def operation(self, body: _Body) -> Value:
        token = self.expect("word", "an op")
        op = TABLE.get(token.text)
        if op is None or op is INPUT:
            close = difflib.get_close_matches(token.text, TABLE, 1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise self.wrong(f"an op{hint}", token)
        self.expect_mark("(")
        operands = tuple(self.listed(lambda: self.operand(body), ")"))
        variadic = op.operands[-1:] and op.operands[-1].startswith("*")
        if not variadic and len(operands) != len(op.operands):
            wanted = f"{len(op.operands)} operands of {op.name}"
            raise self.wrong(wanted, token, str(len(operands)))
        attributes = self.attributes(op, token)
        try:
            return make(op, operands, attributes)
        except INFERENCE_ERRORS as error:
            raise self.wrong(f"a valid {op.name}", token, f"one that is not: {error}") from error

    def operand(self, body: _Body) -> Value:
        token = self.expect("value", "a value (%n)")
        if token.text not in body.values:
            raise self.wrong("a value defined above", token)
        return body.values[token.text]

    # Types and attributes.

    def value_type(self) -> TensorType | TupleType:
        if self.accept("("):
            return TupleType(tuple(self.listed(self.tensor_type, ")")))
        return self.tensor_type()

    def tensor_type(self) -> TensorType:
        token = self.expect("word", "a type such as f32[2,3]")
        dtype = _DTYPES.get(token.text)
        if dtype is None:
            raise self.wrong(f"a dtype ({', '.join(_DTYPES)})", token)
        self.expect_mark("[")
        shape = tuple(self.listed(self.extent, "]"))
        device = CPU
        following = self.tokens[self.position]
        if following.kind == "symbol":
            self.next()
            device = self.device(following, following.text[1:])
        return TensorType(dtype, shape, device)

    def extent(self) -> int:
        token = self.expect("integer", "an extent")
        if token.text.startswith("-"):
            raise self.wrong("an extent of at least 0", token)
        return int(token.text)

    def device(self, token: Token, name: str) -> Device:
        if name not in _DEVICES:
            raise self.wrong(f"a device ({', '.join(_DEVICES)})", token)
        if not self.accept(":"):
            return Device(name)
        return Device(name, int(self.expect("integer", "the device's index").text))

    def attributes(self, op: Op, op_token: Token) -> tuple[Any, ...]:
        found: dict[str, Any] = {}
        if self.accept("{"):
            for token, attr in self.listed(self.attribute, "}"):
                if token.text not in op.attributes:
                    known = ", ".join(op.attributes) or "none"
                    raise self.wrong(f"an attribute of {op.name} ({known})", token)
                if token.text in found:
                    raise self.wrong("each attribute once", token)
                found[token.text] = attr
        if self.accept("body"):
            if "body" not in op.attributes:
                raise self.wrong("an op that has a body", op_token)
            found["body"] = self.graph()
        found = {name: DEFAULTS[name] for name in op.attributes if name in DEFAULTS} | found
        missing = [name for name in op.attributes if name not in found]
        if missing:
            raise self.wrong(f"{op.name} with attribute {missing[0]}", op_token, "none")
        return tuple(found[name] for name in op.attributes)

    def attribute(self) -> tuple[Token, Any]:
        token = self.expect("word", "an attribute's name")
        self.expect_mark("=")
        return token, self.attribute_value()

    def attribute_value(self) -> Any:
        token = self.next()
        if token.kind == "integer":
            return int(token.text)
        if token.kind == "float":
            return float(token.text)
        if token.kind == "string":
            return json.loads(token.text)
        if token.kind == "mark" and token.text == "[":
            return tuple(self.listed(self.attribute_value, "]"))
        if token.kind == "word":
            return self.word_value(token)
        raise self.wrong("an attribute's value", token)

    def word_value(self, token: Token) -> bool | DType | Device | Place:
        if token.text in ("true", "false"):
            return token.text == "true"
        if token.text in _DTYPES:
            return _DTYPES[token.text]
        if token.text in PLACE_KINDS:
            return Place(token.text, int(self.expect("integer", "the place's number").text))
        if token.text in _DEVICES:
            return self.device(token, token.text)
        raise self.wrong("an attribute's value", token)
