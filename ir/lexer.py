"""Tokens of IR text and errors that point into it; the grammar is the parser's.

Comments are tokens of their own, since user lines are written in them.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from treadle.ir.errors import ParseError


class Token(NamedTuple):
    """A piece of text: its kind (a name of ``_TOKEN``'s groups), its text and where it starts."""

    kind: str
    text: str
    offset: int

    def __str__(self) -> str:
        return "the end of the text" if self.kind == "end" else repr(self.text)


_TOKEN = re.compile(
    r"""\s*(?:
    (?P<comment>//[^\n]*)
  | (?P<value>%\d+)
  | (?P<symbol>@(?:[A-Za-z_][\w.$-]*|"(?:[^"\\\n]|\\.)*"))
  | (?P<string>"(?:[^"\\\n]|\\.)*")
  | (?P<float>-?(?:\d+\.\d+(?:e[+-]?\d+)?|\d+e[+-]?\d+|(?:inf|nan)\b))
  | (?P<integer>-?\d+)
  | (?P<word>[A-Za-z_][\w-]*)
  | (?P<mark>[()\[\]{},:=])
  | (?P<end>\Z)
  | (?P<unknown>.)
  )
    """,
    re.VERBOSE,
)


def tokenize(text: str) -> list[Token]:
    """The tokens of a text, without white space, closed by an ``end``."""
    tokens = []
    text = text.rstrip()
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        token = Token(kind, match[kind], match.start(kind))
        if kind == "unknown":
            raise error_at(text, token.offset, f"expected IR text, found {token}")
        tokens.append(token)
    return tokens


def error_at(text: str, offset: int, message: str) -> ParseError:
    """An error with line, column, the line itself and a caret below the place."""
    start = text.rfind("\n", 0, offset) + 1
    stop = text.find("\n", offset)
    line = text[start:] if stop < 0 else text[start:stop]
    number = text.count("\n", 0, offset) + 1
    column = offset - start + 1
    # Tabs stay, so that the caret stands below its place however wide they are shown.
    blank = re.sub(r"[^\t]", " ", line[: column - 1])
    return ParseError(f"{number}:{column}: error: {message}\n{line}\n{blank}^")
