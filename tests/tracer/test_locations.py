"""Source lines: values know the user lines that recorded them."""

from __future__ import annotations

import treadle
from treadle.tracer import locations


def test_a_value_knows_the_users_line() -> None:
    x = treadle.ones(3)
    y = x * 17.25
    (file, line), *_rest = locations.lines_of(y._storage.value)
    assert file == __file__
    assert line == test_a_value_knows_the_users_line.__code__.co_firstlineno + 2


def test_the_lines_of_library_code_are_not_shown() -> None:
    layer = treadle.nn.Linear(3, 7)
    result = layer(treadle.ones(2, 3))
    files = {file for file, _line in locations.lines_of(result._storage.value)}
    assert files == {__file__}


def test_equal_values_of_two_lines_have_both() -> None:
    x = treadle.ones(5)
    first = x + 1.0625
    again = locations.lines_of(first._storage.value)
    assert len(again) >= 1
    assert all(file == __file__ for file, _line in again)


def test_the_same_instruction_is_the_same_place() -> None:
    places = [locations.place() for _ in range(2)]
    other = locations.place()
    assert places[0] == places[1]
    assert places[0] != other
