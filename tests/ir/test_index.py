"""Index arithmetic: simplification keeps meaning, and reaches the form that loops need."""

from __future__ import annotations

import random

import pytest

from treadle.ir.index import (
    Bound,
    Dynamic,
    Index,
    Quotient,
    Remainder,
    Var,
    constant,
    delinearize,
    dynamic,
    linearize,
    substitute,
    variable,
    variables,
)
from treadle.ir.types import contiguous_strides

EXTENTS = (1, 2, 3, 4, 5, 8, 32)
FACTORS = (-2, -1, 2, 3, 4, 8, 32)
DIVISORS = (1, 2, 3, 4, 6, 8, 16, 32, 64)


def evaluate(index: Index, at: dict[Var, int]) -> int:
    total = index.constant
    for atom, coefficient in index.terms:
        if isinstance(atom, Var):
            number = at[atom]
        elif isinstance(atom, Quotient):
            number = evaluate(atom.operand, at) // atom.divisor
        else:
            assert isinstance(atom, Remainder)
            number = evaluate(atom.operand, at) % atom.divisor
        total += coefficient * number
    return total


def random_step(
    source: random.Random, pool: list[tuple[Index, list[int]]]
) -> tuple[Index, list[int]]:
    (x, xs), (y, ys) = source.choice(pool), source.choice(pool)
    match source.choice("+-r*/%"):
        case "+":
            return x + y, [p + q for p, q in zip(xs, ys, strict=True)]
        case "-":
            return x - y, [p - q for p, q in zip(xs, ys, strict=True)]
        case "r":
            number = source.randrange(-4, 5)
            return x + number, [p + number for p in xs]
        case "*":
            factor = source.choice(FACTORS)
            return x * factor, [p * factor for p in xs]
        case "/":
            divisor = source.choice(DIVISORS)
            return x // divisor, [p // divisor for p in xs]
        case _:
            divisor = source.choice(DIVISORS)
            return x % divisor, [p % divisor for p in xs]


@pytest.mark.parametrize("seed", range(20))
def test_simplified_expressions_mean_what_was_written(seed: int) -> None:
    source = random.Random(seed)
    for _ in range(100):
        names = [Var(name, source.choice(EXTENTS)) for name in "abc"]
        places = [{var: source.randrange(var.extent) for var in names} for _ in range(5)]
        pool = [(variable(var), [place[var] for place in places]) for var in names]
        for _ in range(8):
            made = random_step(source, pool)
            pool.append(made)
        for index, expected in pool:
            assert [evaluate(index, place) for place in places] == expected, str(index)
            low, high = index.bounds()
            assert all(low <= number <= high for number in expected)


@pytest.mark.parametrize("shape", [(64, 32, 32), (3, 5, 7, 2), (1, 9), (6,), (2, 1, 3)])
def test_a_flat_index_survives_its_shape(shape: tuple[int, ...]) -> None:
    flat = Var("p", 1)
    for extent in shape:
        flat = Var("p", flat.extent * extent)
    position = delinearize(variable(flat), shape)
    assert linearize(position, contiguous_strides(shape)) == variable(flat)


def test_a_part_of_a_flat_index_is_one_remainder() -> None:
    flat = variable(Var("p", 65536))
    _first, second, third = delinearize(flat, (64, 32, 32))
    assert second * 32 + third == flat % 1024


def test_reshapes_of_loop_variables_are_linear() -> None:
    h, w = Var("h", 32), Var("w", 32)
    flat = variable(h) * 32 + variable(w)
    assert delinearize(flat, (32, 32)) == (variable(h), variable(w))
    assert [str(index) for index in delinearize(flat, (16, 64))] == ["(h)//2", "32*(h)%2 + w"]
    assert [str(index) for index in delinearize(flat, (64, 16))] == ["(w)//16 + 2*h", "(w)%16"]


def test_nested_divisions_are_one() -> None:
    p = variable(Var("p", 1000))
    assert (p // 3) // 5 == p // 15
    assert (p % 12) // 4 == (p // 4) % 3
    assert (p % 12) % 4 == p % 4


def test_a_variable_of_extent_one_is_zero() -> None:
    assert variable(Var("i", 1)) == constant(0)


def test_coefficients_of_what_is_not_linear_are_unknown() -> None:
    i, j = Var("i", 10), Var("j", 10)
    index = variable(i) * 3 + variable(j) // 2
    assert index.coefficient(i) == 3
    assert index.coefficient(j) is None
    assert index.coefficient(Var("k", 10)) == 0


def test_substitution_simplifies_again() -> None:
    i, outer, inner = Var("i", 64), Var("o", 8), Var("n", 8)
    index = variable(i) // 8
    moved = substitute(index, {i: variable(outer) * 8 + variable(inner)})
    assert moved == variable(outer)


class Expression:
    """Stands for a scalar expression of loop IR."""

    def __init__(self, *found: Var) -> None:
        self.found = frozenset(found)

    def variables(self) -> frozenset[Var]:
        return self.found


def test_positions_from_data_follow_their_variables() -> None:
    i, j = Var("i", 4), Var("j", 4)
    old, new = Expression(i), Expression(j)
    index = dynamic(old, 0, 9) * 2 + 1
    assert index.bounds() == (1, 19)
    assert variables(index) == {i}
    assert index.coefficient(i) is None
    assert substitute(index, {i: variable(j)}) == index
    moved = substitute(index, {}, lambda expression: new if expression is old else expression)
    assert [atom for atom, _ in moved.terms] == [Dynamic(new, 0, 9)]


def test_bounds_that_ranges_prove_always_hold() -> None:
    i = variable(Var("i", 10))
    assert Bound(i, 0, 10).always()
    assert not Bound(i - 1, 0, 10).always()
    assert not Bound(i, 0, 10, step=2).always()


def test_division_needs_a_positive_divisor() -> None:
    with pytest.raises(ValueError, match="positive divisor, found 0"):
        variable(Var("i", 10)) // 0
