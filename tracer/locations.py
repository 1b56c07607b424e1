"""Source lines: which user code recorded a value.

User code is every frame outside the package; values can be recorded from several lines.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from treadle.ir.value import Value

# Folders of the package: tracer/.. is the parent of all of them in a source tree.
_PACKAGE = Path(__file__).resolve().parent.parent
_FOLDERS = ("frontend", "tracer", "ir", "codegen", "runtime", "treadle")

_internal: dict[CodeType, bool] = {}
_places: dict[Value, tuple[tuple[str, int], ...]] = {}


def _is_internal(code: CodeType) -> bool:
    known = _internal.get(code)
    if known is None:
        file = Path(code.co_filename)
        try:
            first = file.resolve().relative_to(_PACKAGE).parts[0]
            # Installed, the package is one folder; in a source tree its folders lie side by side.
            known = first in _FOLDERS or (_PACKAGE.name == "treadle" and first != "")
        except (ValueError, OSError, IndexError):
            known = code.co_filename.startswith("<frozen")
        _internal[code] = known
    return known


def _user_frame() -> FrameType | None:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and _is_internal(frame.f_code):
        frame = frame.f_back
    return frame


def place() -> object:
    """Identity of the user's instruction that runs now; equal on every pass through a loop."""
    frame = _user_frame()
    return None if frame is None else (frame.f_code, frame.f_lasti)


def current_line() -> tuple[str, int] | None:
    """File and line of the user code that runs now."""
    frame = _user_frame()
    return None if frame is None else (frame.f_code.co_filename, frame.f_lineno)


def note(result: Any) -> None:
    """Notes the current user line for new values: a value or a tuple of them, with all below."""
    line = current_line()
    if line is None:
        return
    stack = [result] if isinstance(result, Value) else list(result)
    note_values(stack, line)


def note_values(values: Iterable[Value | None], line: tuple[str, int]) -> None:
    """Notes a user line for values, and for those below them that have none yet."""
    stack = [value for value in values if value is not None]
    for value in stack:
        known = _places.get(value, ())
        if line not in known:
            _places[value] = (*known, line)
    stack = [operand for value in stack for operand in value.inputs]
    while stack:
        value = stack.pop()
        if value not in _places:
            _places[value] = (line,)
            stack.extend(value.inputs)


def inherit(values: Iterable[Value | None], source: Value) -> None:
    """Gives values without a line, and those below them, the lines of another value.

    A gradient belongs to the forward line that it differentiates.
    """
    lines = _places.get(source)
    stack = [value for value in values if value is not None] if lines else []
    while stack:
        value = stack.pop()
        if value not in _places:
            _places[value] = lines or ()
            stack.extend(value.inputs)


def lines_of(value: Value) -> tuple[tuple[str, int], ...]:
    """User lines of a value, in the order in which they recorded it."""
    return _places.get(value, ())


def table() -> dict[Value, tuple[tuple[str, int], ...]]:
    """User lines of every value recorded so far."""
    return _places


def forget_places() -> None:
    """Empties the table, which refers to interned values."""
    _places.clear()
