"""Index arithmetic: integer expressions over loop variables, kept in a simplified linear form.

Movement ops become such expressions; simplification is what makes a reshape or slice cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Var:
    """A loop variable that runs over 0 <= name < extent."""

    name: str
    extent: int

    def bounds(self) -> tuple[int, int]:
        """Least and greatest value."""
        return 0, max(self.extent - 1, 0)


@dataclass(frozen=True)
class Quotient:
    """``operand // divisor``, rounded down."""

    operand: Index
    divisor: int

    def bounds(self) -> tuple[int, int]:
        """Least and greatest value."""
        low, high = self.operand.bounds()
        return low // self.divisor, high // self.divisor


@dataclass(frozen=True)
class Remainder:
    """``operand % divisor``, never negative."""

    operand: Index
    divisor: int

    def bounds(self) -> tuple[int, int]:
        """Least and greatest value."""
        return 0, self.divisor - 1


@dataclass(frozen=True)
class Dynamic:
    """A position computed from data: a scalar expression of ``loops`` known to lie in a range."""

    expression: Any
    low: int
    high: int

    def bounds(self) -> tuple[int, int]:
        """Least and greatest value."""
        return self.low, self.high


Atom: TypeAlias = Var | Quotient | Remainder | Dynamic


@dataclass(frozen=True)
class Index:
    """``constant + sum(coefficient * atom)``; equal expressions have equal terms.

    Attributes:
        terms: (atom, coefficient) pairs in a canonical order, no coefficient zero.
        constant: the rest.
    """

    terms: tuple[tuple[Atom, int], ...]
    constant: int = 0

    def bounds(self) -> tuple[int, int]:
        """Least and greatest value that the expression can take (interval arithmetic)."""
        return _bounds(self)

    def coefficient(self, var: Var) -> int | None:
        """Factor of a variable, or None where the expression is not linear in it."""
        factor = 0
        for atom, coefficient in self.terms:
            if atom == var:
                factor = coefficient
            elif var in variables(atom):
                return None
        return factor

    def __add__(self, other: Index | int) -> Index:
        if isinstance(other, int):
            return Index(self.terms, self.constant + other)
        return _linear([*self.terms, *other.terms], self.constant + other.constant)

    def __sub__(self, other: Index | int) -> Index:
        return self + (other * -1)

    def __mul__(self, factor: int) -> Index:
        if factor == 0:
            return Index((), 0)
        return Index(tuple((atom, c * factor) for atom, c in self.terms), self.constant * factor)

    def __floordiv__(self, divisor: int) -> Index:
        return _divide(self, divisor)[0]

    def __mod__(self, divisor: int) -> Index:
        return _divide(self, divisor)[1]

    def __str__(self) -> str:
        parts = []
        for atom, coefficient in self.terms:
            text = _show(atom)
            parts.append(text if coefficient == 1 else f"{coefficient}*{text}")
        if self.constant or not parts:
            parts.append(str(self.constant))
        return " + ".join(parts).replace("+ -", "- ")


def _show(atom: Atom) -> str:
    if isinstance(atom, Var):
        return atom.name
    if isinstance(atom, Quotient):
        return f"({atom.operand})//{atom.divisor}"
    if isinstance(atom, Remainder):
        return f"({atom.operand})%{atom.divisor}"
    return f"[{atom.expression}]"


def constant(value: int) -> Index:
    """A number."""
    return Index((), value)


def variable(var: Var) -> Index:
    """A loop variable; one of extent 1 is the number 0."""
    return Index((), 0) if var.extent == 1 else Index(((var, 1),), 0)


def dynamic(expression: Any, low: int, high: int) -> Index:
    """A position read from data."""
    return Index(((Dynamic(expression, low, high), 1),), 0)


@lru_cache(maxsize=1 << 16)
def _bounds(index: Index) -> tuple[int, int]:
    low = high = index.constant
    for atom, coefficient in index.terms:
        least, greatest = atom.bounds()
        low += coefficient * (least if coefficient > 0 else greatest)
        high += coefficient * (greatest if coefficient > 0 else least)
    return low, high


def _linear(terms: Iterable[tuple[Atom, int]], rest: int) -> Index:
    """Terms merged, ``d * (e // d) + (e % d)`` folded back to ``e``, in canonical order."""
    merged: dict[Atom, int] = {}
    for atom, coefficient in terms:
        merged[atom] = merged.get(atom, 0) + coefficient
    for atom, coefficient in list(merged.items()):
        if not isinstance(atom, Remainder) or not coefficient:
            continue
        quotient = Quotient(atom.operand, atom.divisor)
        if merged.get(quotient) == coefficient * atom.divisor:
            del merged[atom], merged[quotient]
            restored = Index(tuple(merged.items()), rest) + atom.operand * coefficient
            return _linear(restored.terms, restored.constant)
    kept = [(atom, coefficient) for atom, coefficient in merged.items() if coefficient]
    return Index(tuple(sorted(kept, key=lambda term: _order(term[0]))), rest)


@lru_cache(maxsize=1 << 16)
def _order(atom: Atom) -> str:
    return _show(atom)


@lru_cache(maxsize=1 << 16)
def _divide(index: Index, divisor: int) -> tuple[Index, Index]:
    """Quotient and remainder by a positive number, split as far as ranges allow."""
    if divisor < 1:
        raise ValueError(f"index division needs a positive divisor, found {divisor}")
    if divisor == 1:
        return index, Index((), 0)
    exact = [(atom, c // divisor) for atom, c in index.terms if c % divisor == 0]
    loose = [(atom, c) for atom, c in index.terms if c % divisor]
    whole, left = divmod(index.constant, divisor)
    rest = _linear(loose, left)
    front = _linear(exact, whole)
    low, high = rest.bounds()
    if low // divisor == high // divisor:
        return front + low // divisor, rest - (low // divisor) * divisor
    nested = _nested(rest, divisor)
    if nested is not None:
        return front + nested[0], nested[1]
    return (
        front + Index(((Quotient(rest, divisor), 1),), 0),
        Index(((Remainder(rest, divisor), 1),), 0),
    )


def _nested(rest: Index, divisor: int) -> tuple[Index, Index] | None:
    """(e // a) // b = e // (a * b), for a lone quotient."""
    if len(rest.terms) == 1 and not rest.constant:
        atom, coefficient = rest.terms[0]
        if isinstance(atom, Quotient) and coefficient == 1:
            quotient = _divide(atom.operand, atom.divisor * divisor)[0]
            return quotient, Index(((Remainder(rest, divisor), 1),), 0)
    return None


def variables(item: Index | Atom) -> frozenset[Var]:
    """Every loop variable in an expression; those inside ``Dynamic`` count."""
    if isinstance(item, Var):
        return frozenset((item,))
    if isinstance(item, Index):
        return frozenset().union(*(variables(atom) for atom, _ in item.terms))
    if isinstance(item, Dynamic):
        found: frozenset[Var] = item.expression.variables()
        return found
    return variables(item.operand)


def substitute(index: Index, replacement: Mapping[Var, Index]) -> Index:
    """The expression with variables replaced, simplified again (``Dynamic`` is left as it is)."""
    result = Index((), index.constant)
    for atom, coefficient in index.terms:
        if isinstance(atom, Var):
            part = replacement.get(atom, Index(((atom, 1),), 0))
        elif isinstance(atom, Quotient):
            part = substitute(atom.operand, replacement) // atom.divisor
        elif isinstance(atom, Remainder):
            part = substitute(atom.operand, replacement) % atom.divisor
        else:
            part = Index(((atom, 1),), 0)
        result = result + part * coefficient
    return result


def linearize(position: Sequence[Index], strides: Sequence[int], offset: int = 0) -> Index:
    """``offset + sum(position * stride)``."""
    result = Index((), offset)
    for index, stride in zip(position, strides, strict=True):
        result = result + index * stride
    return result


def delinearize(flat: Index, shape: Sequence[int]) -> tuple[Index, ...]:
    """The position along every axis of a row-major flat index."""
    position: list[Index] = []
    for extent in reversed(shape[1:]):
        position.append(flat % extent)
        flat = flat // extent
    if shape:
        position.append(flat)
    return tuple(reversed(position))


@dataclass(frozen=True)
class Bound:
    """``low <= index < high``, and ``index`` a multiple of ``step``."""

    index: Index
    low: int
    high: int
    step: int = 1

    def always(self) -> bool:
        """True where ranges prove it."""
        least, greatest = self.index.bounds()
        return least >= self.low and greatest < self.high and self.step == 1

    def __str__(self) -> str:
        multiple = "" if self.step == 1 else f" and {self.step} | {self.index}"
        return f"{self.low} <= {self.index} < {self.high}{multiple}"
