"""Index arithmetic: integer expressions over loop variables, kept in a simplified linear form.

Movement ops become such expressions; simplification is what makes a reshape or slice cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd
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
        joined = _joined(merged, atom, coefficient)
        if joined is not None:
            other, whole = joined
            del merged[atom], merged[other]
            restored = Index(tuple(merged.items()), rest) + whole * coefficient
            return _linear(restored.terms, restored.constant)
    kept = [(atom, coefficient) for atom, coefficient in merged.items() if coefficient]
    return Index(tuple(sorted(kept, key=lambda term: _order(term[0]))), rest)


def _joined(
    terms: Mapping[Atom, int], atom: Remainder, coefficient: int
) -> tuple[Atom, Index] | None:
    """The term that completes a remainder, and what the two make together."""
    quotient = _divide(atom.operand, atom.divisor)[0]
    if len(quotient.terms) != 1 or quotient.constant or quotient.terms[0][1] != 1:
        return None
    (upper, _) = quotient.terms[0]
    factor = coefficient * atom.divisor
    if terms.get(upper) == factor:
        return upper, atom.operand
    for other, weight in terms.items():
        # e % d + d * (e // d % m) = e % (d * m)
        if isinstance(other, Remainder) and other.operand == quotient and weight == factor:
            return other, atom.operand % (atom.divisor * other.divisor)
    return None


@lru_cache(maxsize=1 << 16)
def _order(atom: Atom) -> str:
    # Expressions can be large, and their order among each other does not matter.
    return "[" if isinstance(atom, Dynamic) else _show(atom)


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
    simpler = _coarser(rest, divisor) or _nested(rest, divisor)
    if simpler is not None:
        return front + simpler[0], simpler[1]
    return (
        front + Index(((Quotient(rest, divisor), 1),), 0),
        Index(((Remainder(rest, divisor), 1),), 0),
    )


def _coarser(rest: Index, divisor: int) -> tuple[Index, Index] | None:
    """(g * e + s) // (g * d) = e // d for s in [0, g): terms too small to carry are set aside."""
    for step in sorted({gcd(divisor, c) for _, c in rest.terms}, reverse=True):
        if step == 1:
            break
        whole, left = divmod(rest.constant, step)
        small = _linear([(a, c) for a, c in rest.terms if c % step], left)
        low, high = small.bounds()
        if low >= 0 and high < step:
            large = _linear([(a, c // step) for a, c in rest.terms if c % step == 0], whole)
            quotient, remainder = _divide(large, divisor // step)
            return quotient, remainder * step + small
    return None


def _nested(rest: Index, divisor: int) -> tuple[Index, Index] | None:
    """Quotients and remainders of a lone quotient or remainder."""
    if len(rest.terms) != 1 or rest.constant or rest.terms[0][1] != 1:
        return None
    (atom, _) = rest.terms[0]
    if isinstance(atom, Quotient):
        # (e // a) // b = e // (a * b)
        quotient = _divide(atom.operand, atom.divisor * divisor)[0]
        return quotient, Index(((Remainder(rest, divisor), 1),), 0)
    if isinstance(atom, Remainder) and atom.divisor % divisor == 0:
        # (e % (a * b)) // b = (e // b) % a, and (e % (a * b)) % b = e % b
        quotient, remainder = _divide(atom.operand, divisor)
        return quotient % (atom.divisor // divisor), remainder
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


def substitute(
    index: Index,
    replacement: Mapping[Var, Index],
    expression: Callable[[Any], Any] | None = None,
) -> Index:
    """The expression with variables replaced, simplified again.

    ``expression`` replaces what a ``Dynamic`` computes; without it those stay as they are.
    """
    result = Index((), index.constant)
    for atom, coefficient in index.terms:
        part = Index(((atom, 1),), 0)
        if isinstance(atom, Var):
            part = replacement.get(atom, part)
        elif isinstance(atom, Quotient):
            part = substitute(atom.operand, replacement, expression) // atom.divisor
        elif isinstance(atom, Remainder):
            part = substitute(atom.operand, replacement, expression) % atom.divisor
        elif expression is not None:
            part = dynamic(expression(atom.expression), atom.low, atom.high)
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
        divisor = max(extent, 1)  # an empty shape has no positions; any will do
        position.append(flat % divisor)
        flat = flat // divisor
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
