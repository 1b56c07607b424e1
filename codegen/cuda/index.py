"""Index expressions and guards as C integer arithmetic, 32 bits wide where their ranges allow.

Common parts are left to the C compiler, which shares and hoists them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from treadle.codegen.cuda.types import Operand
from treadle.codegen.loops import Expression
from treadle.ir.index import Atom, Bound, Dynamic, Index, Quotient, Remainder, Var
from treadle.ir.types import bool_, int32, int64

# The variable that numbers the threads of a block.
LANE = "lane"
_LIMIT = 1 << 31


class Indices:
    """Prints index arithmetic of one function.

    Args:
        expression: prints the scalar expression of a `Dynamic`.

    Attributes:
        variables: the text of each loop variable in scope.
    """

    def __init__(self, expression: Callable[[Expression], Operand]) -> None:
        self._expression = expression
        self.variables: dict[Var, str] = {}

    def text(self, index: Index) -> Operand:
        """An index as ``int``, or as ``long long`` where a part of it may not fit."""
        wide = _is_wide(index)
        parts: list[str] = []
        if index.constant > 0 and all(factor < 0 for _, factor in index.terms):
            parts.append(_number(index.constant, wide))
        # As one reads addresses: large steps first, lanes last; what is subtracted after the rest.
        order = sorted(
            index.terms, key=lambda term: (term[1] < 0, self._is_lane(term[0]), -abs(term[1]))
        )
        for atom, factor in order:
            value = self._atom(atom)
            # A sum is as wide as what stands first in it.
            narrow = value.dtype is int32 and (not parts or not _fits(atom, factor))
            text = f"(long long){value}" if wide and narrow else str(value)
            size = text if abs(factor) == 1 else f"{abs(factor)} * {text}"
            sign = " - " if factor < 0 else " + "
            parts.append(sign + size if parts else ("-" if factor < 0 else "") + size)
        if not parts:
            parts.append(_number(index.constant, wide))
        elif index.constant and len(parts) == len(index.terms):
            sign = " - " if index.constant < 0 else " + "
            parts.append(sign + _number(abs(index.constant), wide))
        lone = len(parts) == 1 and not (index.terms and index.terms[0][1] != 1)
        dtype = int64 if wide else int32
        return Operand("".join(parts), dtype, lone and index.constant >= 0)

    def _is_lane(self, atom: Atom) -> bool:
        return isinstance(atom, Var) and self.variables.get(atom) == LANE

    def _atom(self, atom: Atom) -> Operand:
        if isinstance(atom, Var):
            if atom not in self.variables:
                raise ValueError(f"no loop around runs {atom.name} over 0..{atom.extent}")
            return Operand(self.variables[atom], int32)
        if isinstance(atom, Dynamic):
            value = self._expression(atom.expression)
            fits = atom.low >= -_LIMIT and atom.high < _LIMIT
            if value.dtype is (int32 if fits else int64):
                return value
            name, dtype = ("int", int32) if fits else ("long long", int64)
            return Operand(f"({name}){value}", dtype)
        return self._division(atom)

    def _division(self, atom: Quotient | Remainder) -> Operand:
        """Floor division; negative operands are moved above zero first."""
        divisor = atom.divisor
        inner = self.text(atom.operand)
        if divisor & (divisor - 1) == 0:
            # On two's complement these round down, whatever the sign.
            shift = divisor.bit_length() - 1
            if isinstance(atom, Quotient):
                return Operand(f"({inner} >> {shift})", inner.dtype)
            return Operand(f"({inner} & {divisor - 1})", inner.dtype)
        low, high = atom.operand.bounds()
        steps = -(low // divisor) if low < 0 else 0
        symbol = "/" if isinstance(atom, Quotient) else "%"
        if not steps:
            return Operand(f"({inner} {symbol} {divisor})", inner.dtype)
        wide = high + steps * divisor >= _LIMIT and inner.dtype is int32
        text = f"(long long){inner}" if wide else str(inner)
        result = f"({text} + {steps * divisor}) {symbol} {divisor}"
        if isinstance(atom, Quotient):
            result += f" - {steps}"
        return Operand(f"({result})", int64 if wide else inner.dtype)

    # --- guards -----------------------------------------------------------------------------------

    def guard(self, bounds: Sequence[Bound]) -> Operand | bool:
        """Whether all bounds hold; a bool where ranges decide."""
        parts: list[str] = []
        for bound in bounds:
            least, greatest = bound.index.bounds()
            if greatest < bound.low or least >= bound.high:
                return False
            if not bound.index.terms and bound.index.constant % bound.step:
                return False
            if bound.always() or not bound.index.terms:
                continue
            # Constants are taken to the other side.
            moved, constant = Index(bound.index.terms), bound.index.constant
            if least < bound.low:
                parts.append(f"{self.text(moved).text} >= {bound.low - constant}")
            if greatest >= bound.high:
                parts.append(f"{self.text(moved).text} < {bound.high - constant}")
            if bound.step != 1:
                parts.append(f"{self.text(bound.index)} % {bound.step} == 0")
        if not parts:
            return True
        return Operand(" && ".join(parts), bool_, False)


def _number(number: int, wide: bool) -> str:
    return f"{number}LL" if wide else str(number)


def _fits(atom: Atom, factor: int) -> bool:
    """Whether a multiple of a part fits 32 bits."""
    return abs(factor) * max(map(abs, atom.bounds())) < _LIMIT


def _is_wide(index: Index) -> bool:
    """Whether a sum or product on the way to an index may not fit 32 bits."""
    total = abs(index.constant)
    for atom, factor in index.terms:
        low, high = atom.bounds()
        total += abs(factor) * max(abs(low), abs(high), 1)
        if isinstance(atom, (Quotient, Remainder)) and _is_wide(atom.operand):
            return True
    return total >= _LIMIT
