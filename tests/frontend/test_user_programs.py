"""Small programs do the same with both libraries, compiled: values, layouts, text and errors."""

from __future__ import annotations

import pytest

import treadle
from tests.frontend.agreement import oracle
from tests.frontend.user_programs import alike, programs, run

PROGRAMS = programs()


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("subject", "program"),
    PROGRAMS,
    ids=[f"{subject}-{number}" for number, (subject, _) in enumerate(PROGRAMS)],
)
def test_a_program_does_what_it_does_with_pytorch(subject: str, program: str) -> None:
    *expected, expected_warnings = run(program, oracle())
    *found, found_warnings = run(program, treadle)
    assert alike(found, expected), f"{program}\n--> {found}\nexpected {expected}"
    # PyTorch gives some of its warnings once in a process.
    assert set(expected_warnings) <= set(found_warnings), program
