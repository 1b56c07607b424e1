"""Lines of code show the same with both libraries: values, text and errors."""

from __future__ import annotations

import pytest

import treadle
from tests.frontend.agreement import oracle
from tests.frontend.opinfo.agreement_of_operators import interpreter
from tests.frontend.snippets.library import names, shown, snippets

CASES = [(name, snippet) for name in names() for snippet in snippets(name)]


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("name", "snippet"), CASES, ids=[f"{name}-{n}" for n, (name, _) in enumerate(CASES)]
)
def test_a_line_of_code_shows_what_pytorch_shows(name: str, snippet: str) -> None:
    torch = oracle()
    with interpreter():
        found = shown(snippet, treadle)
    assert found == shown(snippet, torch), snippet
