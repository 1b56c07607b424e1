"""Index expressions and guards as integer arithmetic, placed in the outermost loop they allow.

Partial sums are shared; vectors appear only where an expression differs between lanes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache

from treadle.codegen.llvm.code import Code, Computed
from treadle.codegen.llvm.types import Value, literal, type_of, vector_text
from treadle.codegen.loops import Expression
from treadle.ir import index as ix
from treadle.ir.index import Atom, Bound, Dynamic, Index, Quotient, Remainder, Var
from treadle.ir.types import DType, bool_, int32, int64

_I32 = range(-(1 << 31), 1 << 31)
_U32 = range(1 << 32)

# A guard: whether it holds for all lanes (a number where ranges decide), and a mask of lanes.
Guard = tuple[bool | Value, Value | None]

variables = lru_cache(maxsize=1 << 16)(ix.variables)


def is_dynamic(item: Index | Atom) -> bool:
    """Whether data decides the value, so that it must be computed where it is used."""
    # Most atoms are variables: asking them costs less than hashing the whole expression.
    if isinstance(item, Index):
        return any(not isinstance(atom, Var) and _is_dynamic(atom) for atom, _ in item.terms)
    return not isinstance(item, Var) and _is_dynamic(item)


@lru_cache(maxsize=1 << 16)
def _is_dynamic(atom: Quotient | Remainder | Dynamic) -> bool:
    return isinstance(atom, Dynamic) or is_dynamic(atom.operand)


class Indices:
    """Emits index arithmetic of one function.

    Args:
        expression: emits the scalar expression of a `Dynamic`.
    """

    def __init__(self, code: Code, expression: Callable[[Expression], Computed]) -> None:
        self._code = code
        self._expression = expression
        self._resolved: dict[Hashable, Index] = {}

    # --- facts ------------------------------------------------------------------------------------

    def resolve(self, index: Index) -> Index:
        """The index with unrolled variables replaced by their numbers."""
        numbers = self._code.numbers
        if not numbers or not index.terms:
            return index
        used = [var for var in variables(index) if var in numbers]
        if not used:
            return index
        key = (index, tuple((var, numbers[var]) for var in used))
        found = self._resolved.get(key)
        if found is None:
            found = ix.substitute(index, {var: ix.constant(numbers[var]) for var in used})
            self._resolved[key] = found
        return found

    def numbers(self, index: Index) -> tuple[tuple[Var, int], ...]:
        """The numbers of the unrolled variables in an index."""
        known = self._code.numbers
        return tuple((var, known[var]) for var in sorted(variables(index) & known.keys(), key=str))

    def number(self, index: Index) -> int:
        """An index as a number; ValueError where a loop that is not expanded decides it."""
        numbers = self._code.numbers
        total = index.constant
        for atom, factor in index.terms:
            if not isinstance(atom, Var) or atom not in numbers:
                resolved = self.resolve(index)
                if resolved.terms:
                    raise ValueError(f"the position {resolved} of a register is not a number")
                return resolved.constant
            total += factor * numbers[atom]
        return total

    def varies(self, item: Index | Atom) -> bool:
        """Whether lanes may have different values."""
        lane = self._code.lane
        if isinstance(item, Var):
            return item == lane
        if lane is not None:
            if isinstance(item, Index) and any(atom == lane for atom, _ in item.terms):
                return True
            if lane in variables(item):
                return True
        return is_dynamic(item) and any(value.lanes for value, _ in self._dynamics(item))

    def sources(self, index: Index) -> frozenset[str]:
        """Buffers and registers that a position computed from data depends on."""
        if not is_dynamic(index):
            return frozenset()
        return frozenset().union(*(reads for _, reads in self._dynamics(index)))

    def _dynamics(self, item: Index | Atom) -> list[Computed]:
        if isinstance(item, Dynamic):
            return [self._expression(item.expression)]
        if isinstance(item, Index):
            return [found for atom, _ in item.terms for found in self._dynamics(atom)]
        return [] if isinstance(item, Var) else self._dynamics(item.operand)

    def depth(self, item: Index | Atom) -> int:
        """The outermost scope in which all variables are known."""
        code = self._code
        known = code.variables
        if isinstance(item, Var):
            return known[item][1] if item in known else 0
        if is_dynamic(item):
            return len(code.scopes) - 1
        return max((known[var][1] for var in variables(item) if var in known), default=0)

    # --- scalars ----------------------------------------------------------------------------------

    def scalar(self, index: Index) -> Value:
        """A resolved index, equal in all lanes, as i64."""
        base, rest = self.split(index)
        if base is None:
            return literal(rest, int64)
        if not rest:
            return base
        return self._pure(
            ("offset", base.text, rest),
            self.depth(index),
            lambda depth: self._add(base, literal(rest, int64), depth),
        )

    def split(self, index: Index) -> tuple[Value | None, int]:
        """The variable part of a resolved index as i64, if there is one, and its constant."""
        terms = sorted(index.terms, key=lambda term: self.depth(term[0]))
        total: Value | None = None
        for count, (atom, factor) in enumerate(terms, 1):
            total = self._partial(total, tuple(terms[:count]), atom, factor)
        return total, index.constant

    def _partial(
        self, before: Value | None, key: tuple[tuple[Atom, int], ...], atom: Atom, factor: int
    ) -> Value:
        def make(depth: int) -> Value:
            part = self._scaled(atom, factor, depth)
            return part if before is None else self._add(before, part, depth)

        depth = self.depth(atom)
        if any(is_dynamic(each) for each, _ in key):
            return make(depth)
        return self._pure(("sum", key), depth, make)

    def _scaled(self, atom: Atom, factor: int, depth: int) -> Value:
        value = self._atom(atom)
        if factor == 1:
            return value
        if factor > 0 and factor & (factor - 1) == 0:
            instruction = f"shl nsw i64 {value.text}, {factor.bit_length() - 1}"
        else:
            instruction = f"mul nsw i64 {value.text}, {factor}"
        return self._code.value(instruction, int64, 0, depth)

    def _add(self, left: Value, right: Value, depth: int) -> Value:
        # Vectors may be 32 bits wide and wrap in lanes that are masked off.
        name = "add" if left.lanes else "add nsw"
        instruction = f"{name} {left.typed}, {right.text}"
        return self._code.value(instruction, left.dtype, left.lanes, depth)

    def _pure(self, key: Hashable, depth: int, make: Callable[[int], Value]) -> Value:
        found = self._code.known(key)
        if found is None:
            found = make(depth)
            self._code.scopes[depth].pure[key] = found
        return found

    def _atom(self, atom: Atom) -> Value:
        if isinstance(atom, Var):
            if atom not in self._code.variables:
                raise ValueError(f"loop variable {atom.name} is used outside its loop")
            return Value(self._code.variables[atom][0], int64)
        if isinstance(atom, Dynamic):
            value, _ = self._expression(atom.expression)
            return self._resize(value, int64, len(self._code.scopes) - 1)
        if is_dynamic(atom):
            return self._division(atom, self.scalar(atom.operand), len(self._code.scopes) - 1)
        return self._pure(
            ("atom", atom),
            self.depth(atom),
            lambda depth: self._division(atom, self.scalar(atom.operand), depth),
        )

    def _resize(self, value: Value, dtype: DType, depth: int) -> Value:
        """An integer of another width."""
        if value.dtype.itemsize == dtype.itemsize:
            return value._replace(dtype=dtype)
        if value.literal:
            return value._replace(dtype=dtype)
        wider = dtype.itemsize > value.dtype.itemsize
        name = "trunc" if not wider else "sext" if value.dtype.is_signed else "zext"
        instruction = f"{name} {value.typed} to {type_of(dtype, value.lanes)}"
        return self._code.value(instruction, dtype, value.lanes, depth)

    def _division(self, atom: Quotient | Remainder, operand: Value, depth: int) -> Value:
        """Floor division of scalars or vectors; negative operands are moved above zero first."""
        divisor = atom.divisor
        low, high = atom.operand.bounds()
        steps = -(low // divisor) if low < 0 else 0
        if steps:
            operand = self._add(operand, self._number(steps * divisor, operand), depth)
        power = divisor & (divisor - 1) == 0
        # 32-bit divisions by a constant cost half of 64-bit ones.
        narrow = not power and high + steps * divisor in _U32 and operand.dtype is int64
        if narrow:
            operand = self._resize(operand, int32, depth)
        if isinstance(atom, Quotient):
            name, number = ("lshr", divisor.bit_length() - 1) if power else ("udiv", divisor)
        else:
            name, number = ("and", divisor - 1) if power else ("urem", divisor)
        instruction = f"{name} {operand.typed}, {self._number(number, operand).text}"
        result = self._code.value(instruction, operand.dtype, operand.lanes, depth)
        if narrow:
            instruction = f"zext {result.typed} to {type_of(int64, result.lanes)}"
            result = self._code.value(instruction, int64, result.lanes, depth)
        if steps and isinstance(atom, Quotient):
            result = self._add(result, self._number(-steps, result), depth)
        return result

    def _number(self, number: int, like: Value) -> Value:
        return self._code.splat(literal(number, like.dtype), like.lanes)

    # --- vectors ----------------------------------------------------------------------------------

    def vector(self, index: Index) -> Value:
        """A resolved index in every lane, as i32 where its range allows, else i64."""
        code = self._code
        low, high = index.bounds()
        dtype = int32 if low in _I32 and high in _I32 else int64
        if is_dynamic(index):
            return self._vector(index, dtype, len(code.scopes) - 1)
        key = ("vector", index, code.lane, code.lanes)
        return self._pure(key, self.depth(index), lambda depth: self._vector(index, dtype, depth))

    def _vector(self, index: Index, dtype: DType, depth: int) -> Value:
        code = self._code
        same = tuple(term for term in index.terms if not self.varies(term[0]))
        total: Value | None = None
        if same or index.constant or len(same) == len(index.terms):
            base = self._resize(self.scalar(Index(same, index.constant)), dtype, depth)
            total = code.splat(base, code.lanes, depth)
        for atom, factor in index.terms:
            if self.varies(atom):
                part = self._lane_atom(atom, factor, dtype, depth)
                total = part if total is None else self._add(total, part, depth)
        assert total is not None
        return total

    def _lane_atom(self, atom: Atom, factor: int, dtype: DType, depth: int) -> Value:
        code = self._code
        if isinstance(atom, Var):
            return self.lane_numbers(factor, dtype)
        if isinstance(atom, Dynamic):
            value = self._resize(self._expression(atom.expression)[0], dtype, depth)
        else:
            operand = self.vector(atom.operand)
            value = self._resize(self._division(atom, operand, depth), dtype, depth)
        if factor == 1:
            return value
        scale = self._number(factor, value)
        return code.value(f"mul {value.typed}, {scale.text}", dtype, code.lanes, depth)

    def lane_numbers(self, factor: int, dtype: DType) -> Value:
        """The constant vector 0, factor, 2 * factor ..."""
        lanes = self._code.lanes
        texts = [str(lane * factor) for lane in range(lanes)]
        return Value(vector_text(texts, dtype), dtype, lanes)

    # --- guards -----------------------------------------------------------------------------------

    def guard(self, bounds: Sequence[Bound]) -> Guard:
        """Whether all bounds hold: the part that is the same for all lanes, and a mask."""
        uniform: bool | Value = True
        mask: Value | None = None
        for bound in bounds:
            found = self._condition(bound)
            if found is False:
                return False, None
            if isinstance(found, bool):
                continue
            if found.lanes:
                mask = found if mask is None else self.both(mask, found)
                if mask.literal and "true" not in mask.text:
                    return False, None
            else:
                uniform = found if isinstance(uniform, bool) else self.both(uniform, found)
        return uniform, mask

    def both(self, left: Value, right: Value) -> Value:
        """Both of two conditions, scalars or vectors."""
        if left.literal and right.literal and left.lanes:
            lanes = range(left.lanes)
            return self._mask([left.holds(lane) and right.holds(lane) for lane in lanes])
        return self._code.value(f"and {left.typed}, {right.text}", bool_, left.lanes)

    def _condition(self, bound: Bound) -> bool | Value:
        bound = Bound(self.resolve(bound.index), bound.low, bound.high, bound.step)
        bound = self._without_lane(bound)
        index = bound.index
        least, greatest = index.bounds()
        if bound.always():
            return True
        if greatest < bound.low or least >= bound.high:
            return False
        if not index.terms:
            return index.constant % bound.step == 0
        if is_dynamic(index):
            return self._compare(bound, len(self._code.scopes) - 1)
        if len(index.terms) == 1 and index.terms[0][0] == self._code.lane:
            return self._constant_mask(bound, index.terms[0][1])
        lanes = self._code.lanes if self.varies(index) else 0
        lane = self._code.lane if lanes else None
        return self._pure(
            ("bound", bound, lane, lanes),
            self.depth(index),
            lambda depth: self._compare(bound, depth),
        )

    def _without_lane(self, bound: Bound) -> Bound:
        """The condition on the first lane, where it begins and ends to hold for whole vectors."""
        index, lane = bound.index, self._code.lane
        if lane is None or bound.step != 1 or index.coefficient(lane) != 1:
            return bound
        rest = tuple(term for term in index.terms if term[0] != lane)
        edges = index.constant - bound.low, index.constant - bound.high
        if not rest or math.gcd(*edges, *(factor for _, factor in rest)) % self._code.lanes:
            return bound
        return Bound(Index(rest, index.constant), bound.low, bound.high)

    def _constant_mask(self, bound: Bound, factor: int) -> bool | Value:
        """A condition on the lane alone; lanes that do not run are off."""
        holds: list[bool] = []
        for lane in range(self._code.active):
            number = bound.index.constant + factor * lane
            holds.append(bound.low <= number < bound.high and number % bound.step == 0)
        if all(holds):
            return True
        if not any(holds):
            return False
        return self._mask(holds + [False] * (self._code.lanes - self._code.active))

    def _mask(self, holds: list[bool]) -> Value:
        texts = ["true" if each else "false" for each in holds]
        return Value(vector_text(texts, bool_), bool_, len(holds), literal=True)

    def _compare(self, bound: Bound, depth: int) -> Value:
        index = bound.index
        value = self.vector(index) if self.varies(index) else self.scalar(index)
        least, greatest = index.bounds()
        found: list[Value] = []
        if least < bound.low and greatest >= bound.high:
            # low <= x < high as one unsigned comparison.
            moved = self._add(value, self._number(-bound.low, value), depth) if bound.low else value
            found.append(self._test("ult", moved, bound.high - bound.low, depth))
        elif least < bound.low:
            found.append(self._test("sge", value, bound.low, depth))
        elif greatest >= bound.high:
            found.append(self._test("slt", value, bound.high, depth))
        if bound.step != 1:
            found.append(self._multiple(value, bound.step, least, depth))
        if len(found) == 1:
            return found[0]
        instruction = f"and {found[0].typed}, {found[1].text}"
        return self._code.value(instruction, bool_, value.lanes, depth)

    def _multiple(self, value: Value, step: int, least: int, depth: int) -> Value:
        name, number = ("urem" if least >= 0 else "srem"), step
        if step & (step - 1) == 0:
            name, number = "and", step - 1
        instruction = f"{name} {value.typed}, {self._number(number, value).text}"
        rest = self._code.value(instruction, value.dtype, value.lanes, depth)
        return self._test("eq", rest, 0, depth)

    def _test(self, relation: str, value: Value, number: int, depth: int) -> Value:
        operand = self._number(number, value).text
        instruction = f"icmp {relation} {value.typed}, {operand}"
        return self._code.value(instruction, bool_, value.lanes, depth)
