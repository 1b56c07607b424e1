"""Library functions: one row each, by family.

A row's name is all that programs refer to it by, in IR text and in compiled code kept on disk.
"""

from __future__ import annotations

import difflib

from treadle.ir.library import factorization, fourier, solving
from treadle.ir.library.function import LibraryFunction

FUNCTIONS: dict[str, LibraryFunction] = {
    row.name: row for family in (factorization, solving, fourier) for row in family.ROWS
}


def function_named(name: str) -> LibraryFunction:
    """The row of a name; ValueError with the nearest one where there is none."""
    found = FUNCTIONS.get(name)
    if found is None:
        near = difflib.get_close_matches(name, FUNCTIONS, 1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"there is no library function {name!r}{hint}")
    return found
