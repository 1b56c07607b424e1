"""The text of one function while it grows: lines, nested braces, names, what is already named.

It knows where a name may be used again and nothing of what is computed.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator
from contextlib import contextmanager

from treadle.codegen.cuda.types import Operand

_INDENT = "  "
_LINE = 100
# Words that a name of the loop IR must not become.
_RESERVED = frozenset(
    """
    auto bool break case catch char class const continue default delete do double else enum extern
    false float for friend goto if inline int long namespace new operator private public register
    return short signed sizeof static struct switch template this throw true try typedef union
    unsigned using virtual void volatile while
    lane threadIdx blockIdx blockDim gridDim warpSize
    abs ceil copysign cos exp floor fma fmod log max min pow printf rint round sin sqrt tanh trunc
    """.split()  # noqa: SIM905  # words read better than a list of strings
)


class Code:
    """Lines of a function.

    Attributes:
        lines: finished lines.
    """

    def __init__(self, taken: Iterable[str], depth: int = 1) -> None:
        self.lines: list[str] = []
        self._depth = depth
        self._names: dict[str, str] = {}
        self._used = set(_RESERVED)
        self._count = 0
        # For each open brace, the named values and what each was computed from.
        self._known: list[dict[Hashable, tuple[Operand, frozenset[str]]]] = [{}]
        # For each open brace, whether names are declared in it.
        self._declares = [False]
        for name in taken:
            self.name(name)

    def name(self, wanted: str) -> str:
        """The identifier of a buffer, register or loop variable; equal names stay equal."""
        found = self._names.get(wanted)
        if found is None:
            found = wanted
            while found in self._used:
                found += "_"
            self._used.add(found)
            self._names[wanted] = found
        return found

    def fresh(self) -> str:
        """An identifier not used before."""
        while True:
            self._count += 1
            name = f"x{self._count}"
            if name not in self._used:
                self._used.add(name)
                return name

    # --- lines ------------------------------------------------------------------------------------

    def line(self, text: str) -> None:
        """Append a line."""
        self.lines.append(_INDENT * self._depth + text)

    def declare(self, text: str) -> None:
        """Append a declaration."""
        self._declares[-1] = True
        self.line(text)

    def open(self, header: str = "") -> None:
        """Begin a nested block."""
        self.line(f"{header} {{" if header else "{")
        self._depth += 1
        self._known.append({})
        self._declares.append(False)

    def close(self) -> bool:
        """End the innermost block, with the names made in it; whether there were any."""
        self._depth -= 1
        self._known.pop()
        self.line("}")
        return self._declares.pop()

    @contextmanager
    def block(self, condition: str) -> Iterator[None]:
        """Lines in braces, under a condition unless it is empty; bare where braces do nothing."""
        start = len(self.lines)
        self.open(f"if ({condition})" if condition else "")
        yield
        declares = self.close()
        inner = self.lines[start + 1 : -1]
        if not inner:
            del self.lines[start:]
        elif not condition and not declares:
            self.lines[start:] = [line.removeprefix(_INDENT) for line in inner]
        elif condition and len(inner) == 1 and not inner[0].lstrip().startswith("if"):
            joined = f"{_INDENT * self._depth}if ({condition}) {inner[0].strip()}"
            if len(joined) <= _LINE:
                self.lines[start:] = [joined]

    @contextmanager
    def under(self, condition: str) -> Iterator[None]:
        """`block` where there is a condition, else the lines as they are."""
        if not condition:
            yield
            return
        with self.block(condition):
            yield

    # --- what has a name already ------------------------------------------------------------------

    def known(self, key: Hashable) -> Operand | None:
        """A value named in a block around, if nothing wrote to its sources since."""
        for block in reversed(self._known):
            if key in block:
                return block[key][0]
        return None

    def remember(self, key: Hashable, value: Operand, reads: frozenset[str]) -> None:
        """Keep a name until its block ends or a source is written."""
        self._known[-1][key] = value, reads

    def forget(self, written: Collection[str]) -> None:
        """Drop what depends on buffers or registers that are written."""
        for block in self._known:
            stale = [key for key, (_, reads) in block.items() if not reads.isdisjoint(written)]
            for key in stale:
                del block[key]
