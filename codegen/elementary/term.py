"""Formulas written with Python's operators, as loop-IR expressions.

A term is an expression that is built once and may be used many times; numbers take the dtype of
the term beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from treadle.codegen.loops import Apply, Const, Expression
from treadle.ir.types import DType, bool_, float32, float64, int32, int64

Operand: TypeAlias = "Term | float"


@dataclass(frozen=True, eq=False)
class Term:
    """An expression with operators."""

    expression: Expression

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self.expression.dtype

    @property
    def integer(self) -> DType:
        """The signed integer type of the same size."""
        return int64 if self.dtype.itemsize == 8 else int32

    def _operand(self, other: Operand) -> Expression:
        return other.expression if isinstance(other, Term) else Const(other, self.dtype)

    def _two(self, op: str, other: Operand) -> Term:
        return Term(Apply(op, (self.expression, self._operand(other)), self.dtype))

    def _swapped(self, op: str, other: Operand) -> Term:
        return Term(Apply(op, (self._operand(other), self.expression), self.dtype))

    def _test(self, op: str, other: Operand) -> Term:
        return Term(Apply(op, (self.expression, self._operand(other)), bool_))

    def _one(self, op: str) -> Term:
        return Term(Apply(op, (self.expression,), self.dtype))

    def __add__(self, other: Operand) -> Term:
        return self._two("add", other)

    def __radd__(self, other: float) -> Term:
        return self._swapped("add", other)

    def __sub__(self, other: Operand) -> Term:
        return self._two("sub", other)

    def __rsub__(self, other: float) -> Term:
        return self._swapped("sub", other)

    def __mul__(self, other: Operand) -> Term:
        return self._two("mul", other)

    def __rmul__(self, other: float) -> Term:
        return self._swapped("mul", other)

    def __truediv__(self, other: Operand) -> Term:
        return self._two("div", other)

    def __rtruediv__(self, other: float) -> Term:
        return self._swapped("div", other)

    def __neg__(self) -> Term:
        return self._one("neg")

    def __and__(self, other: Operand) -> Term:
        return self._two("and", other)

    def __or__(self, other: Operand) -> Term:
        return self._two("or", other)

    def __xor__(self, other: Operand) -> Term:
        return self._two("xor", other)

    def __invert__(self) -> Term:
        return self._one("not")

    def __lshift__(self, other: int) -> Term:
        return self._two("shl", other)

    def __rshift__(self, other: int) -> Term:
        return self._two("shr", other)

    def __lt__(self, other: Operand) -> Term:
        return self._test("lt", other)

    def __le__(self, other: Operand) -> Term:
        return self._test("le", other)

    def __gt__(self, other: Operand) -> Term:
        return self._test("gt", other)

    def __ge__(self, other: Operand) -> Term:
        return self._test("ge", other)

    def equals(self, other: Operand) -> Term:
        """Equality as a bool term."""
        return self._test("eq", other)

    def differs(self, other: Operand) -> Term:
        """Inequality as a bool term."""
        return self._test("ne", other)

    def is_nan(self) -> Term:
        """Whether a float is NaN."""
        return self._test("ne", self)

    def abs(self) -> Term:
        """Magnitude."""
        return self._one("abs")

    def round(self) -> Term:
        """The nearest integer, ties to even."""
        return self._one("round")

    def at_least(self, low: float) -> Term:
        """Clamped from below; NaN stays."""
        return self._two("maximum", low)

    def at_most(self, high: float) -> Term:
        """Clamped from above; NaN stays."""
        return self._two("minimum", high)

    def cast(self, dtype: DType) -> Term:
        """Converted, if it has another dtype."""
        if dtype is self.dtype:
            return self
        return Term(Apply("cast", (self.expression,), dtype))

    def bits(self) -> Term:
        """The bits of a float as a signed integer."""
        return Term(Apply("bitcast", (self.expression,), self.integer))

    def floating(self) -> Term:
        """Bits as a float of the same size."""
        dtype = float64 if self.dtype.itemsize == 8 else float32
        return Term(Apply("bitcast", (self.expression,), dtype))

    def head(self) -> Term:
        """A float with the lower half of its significand cleared."""
        return (self.bits() & -(1 << (12 if self.dtype is float32 else 32))).floating()

    def sqrt(self) -> Term:
        """The square root, rounded once."""
        return self._one("sqrt")

    def sign_bit(self) -> Term:
        """The bits of a float with all but the sign cleared."""
        return self.bits() & -(1 << (8 * self.dtype.itemsize - 1))

    def signed_as(self, other: Term) -> Term:
        """A float that is not negative, with another's sign."""
        return (self.bits() | other.sign_bit()).floating()


def number(value: float, dtype: DType) -> Term:
    """A constant."""
    return Term(Const(value, dtype))


def select(condition: Term, yes: Term, no: Operand) -> Term:
    """``yes`` where the condition holds, else ``no``."""
    other = no if isinstance(no, Term) else number(no, yes.dtype)
    args = (condition.expression, yes.expression, other.expression)
    return Term(Apply("select", args, yes.dtype))


def select_rare(condition: Term, yes: Term, no: Term) -> Term:
    """`select` where emitters may branch around the computation of ``yes``."""
    args = (condition.expression, yes.expression, no.expression)
    return Term(Apply("select_rare", args, yes.dtype))


def apply(op: str, x: Term) -> Term:
    """Another op of one operand."""
    return Term(Apply(op, (x.expression,), x.dtype))


def fma(x: Term, y: Operand, z: Operand) -> Term:
    """x*y + z rounded once."""
    args = (x.expression, x._operand(y), x._operand(z))
    return Term(Apply("fma", args, x.dtype))


@dataclass(frozen=True)
class Arithmetic:
    """How polynomials are evaluated.

    Attributes:
        fused: with fused multiply-add, which must be an instruction then.
    """

    fused: bool

    def mad(self, x: Term, y: Operand, z: Operand) -> Term:
        """x*y + z, rounded once or twice."""
        return fma(x, y, z) if self.fused else x * y + z

    def polynomial(self, x: Term, coefficients: Sequence[float]) -> Term:
        """Horner's rule, highest degree first."""
        result = number(coefficients[0], x.dtype)
        for coefficient in coefficients[1:]:
            result = self.mad(result, x, coefficient)
        return result

    def two_sum(self, x: Term, y: Term) -> tuple[Term, Term]:
        """A sum and its rounding error (Knuth)."""
        total = x + y
        part = total - x
        return total, (x - (total - part)) + (y - part)
