"""Scalar ops as instructions on scalars or vectors: arithmetic, comparison, bits, selection.

The meaning is that of the tensor ops on one element; conversions are in ``conversion.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from treadle.codegen.llvm.code import Code
from treadle.codegen.llvm.conversion import Conversions
from treadle.codegen.llvm.types import Value, literal, suffix
from treadle.ir.types import NARROW_FLOATS, DType, bool_, float32, int64, uint32

_FLOAT_BINARY = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv", "fmod": "frem"}
_INTEGER_BINARY = {
    "add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor",
}  # fmt: skip
_BOOL_BINARY = {
    "add": "or", "mul": "and", "maximum": "or", "minimum": "and",
    "and": "and", "or": "or", "xor": "xor",
}  # fmt: skip
# llvm.rint rounds to even in the default rounding mode, which nothing here changes; unlike
# roundeven it is a function of every C library, for CPUs without the instruction.
_FLOAT_UNARY = {
    "abs": "fabs", "sqrt": "sqrt", "floor": "floor", "ceil": "ceil", "trunc": "trunc",
    "round": "rint", "sin_library": "sin", "cos_library": "cos",
}  # fmt: skip
_ORDERED = {"eq": "oeq", "ne": "une", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge"}
_SELECTING = {"maximum": "gt", "minimum": "lt", "number_max": "gt", "number_min": "lt"}


class Scalars:
    """Emits the ops of one function."""

    def __init__(self, code: Code, conversions: Conversions) -> None:
        self._code = code
        self._convert = conversions

    def apply(self, op: str, dtype: DType, args: Sequence[Value]) -> Value:
        """The op on operands of which some may be vectors; ValueError if it is unknown."""
        if op == "cast":
            return self._convert.cast(args[0], dtype)
        if op == "bitcast":
            return self._convert.bitcast(args[0], dtype)
        lanes = max(arg.lanes for arg in args)
        if op == "select":
            return self._select(*(self._code.splat(arg, lanes) for arg in args))
        operand = args[0].dtype
        if operand in NARROW_FLOATS:
            return self._through_float(op, dtype, args)
        constant = [arg.literal for arg in args]
        operands = [self._code.splat(arg, lanes) for arg in args]
        if op in _ORDERED:
            return self.compare(op, operands[0], operands[1])
        if op in _SELECTING and operand.is_floating_point:
            return self._choose(op, operands, constant, args)
        if op in ("shl", "shr"):
            return self._shift(op, operands[0], operands[1], args[1])
        found = self._simple(op, operand, operands)
        if found is None:
            found = self._special(op, operands)
        return found

    def _through_float(self, op: str, dtype: DType, args: Sequence[Value]) -> Value:
        """Narrow floats compute in float32: rounding twice differs from once for ``fma`` only."""
        wide = [self._convert.cast(arg, float32) for arg in args]
        if op in _ORDERED:
            return self.apply(op, dtype, wide)
        return self._convert.cast(self.apply(op, float32, wide), dtype)

    # --- one instruction --------------------------------------------------------------------------

    def _simple(self, op: str, dtype: DType, args: list[Value]) -> Value | None:
        """Ops that are one instruction, or None."""
        if len(args) == 2:
            if dtype is bool_:
                name = _BOOL_BINARY.get(op)
            elif dtype.is_floating_point:
                name = _FLOAT_BINARY.get(op)
            else:
                name = _INTEGER_BINARY.get(op)
                if name is None and op in _SELECTING:
                    sign = "s" if dtype.is_signed else "u"
                    return self.call(sign + ("max" if "max" in op else "min"), args)
            return None if name is None else self._binary(name, args[0], args[1])
        if op == "fma" and dtype.is_floating_point:
            return self.call("fma", args)
        if dtype.is_floating_point:
            if op == "neg":
                return self._code.value(f"fneg {args[0].typed}", dtype, args[0].lanes)
            if op in _FLOAT_UNARY and len(args) == 1:
                return self.call(_FLOAT_UNARY[op], args)
        return None

    def _binary(self, name: str, left: Value, right: Value) -> Value:
        return self._code.value(f"{name} {left.typed}, {right.text}", left.dtype, left.lanes)

    def call(self, name: str, args: Sequence[Value], extra: str = "") -> Value:
        """An intrinsic of the type of its first operand."""
        first = args[0]
        listed = ", ".join(arg.typed for arg in args) + extra
        symbol = f"@llvm.{name}.{suffix(first.dtype, first.lanes)}"
        return self._code.value(f"call {first.type} {symbol}({listed})", first.dtype, first.lanes)

    def compare(self, op: str, left: Value, right: Value) -> Value:
        """A comparison; NaN is unequal to everything."""
        if left.dtype.is_floating_point:
            instruction = f"fcmp {_ORDERED[op]} {left.typed}, {right.text}"
        else:
            sign = "" if op in ("eq", "ne") else "s" if left.dtype.is_signed else "u"
            instruction = f"icmp {sign}{op} {left.typed}, {right.text}"
        return self._code.value(instruction, bool_, left.lanes)

    def _select(self, condition: Value, yes: Value, no: Value) -> Value:
        instruction = f"select {condition.typed}, {yes.typed}, {no.typed}"
        return self._code.value(instruction, yes.dtype, yes.lanes)

    def choose(self, condition: Value, yes: Value, no: Value) -> Value:
        """``yes`` where the condition holds, else ``no``; vectors where any is one."""
        return self.apply("select", yes.dtype, (condition, yes, no))

    # --- several instructions ---------------------------------------------------------------------

    def _choose(
        self, op: str, operands: list[Value], constant: list[bool], args: Sequence[Value]
    ) -> Value:
        """Maximum or minimum of floats.

        A comparison and a selection that returns its second operand for NaN is one instruction on
        x86, so the operand whose NaN matters comes second; a constant is no NaN.
        """
        first, second = operands
        nan_wins = op in ("maximum", "minimum")
        if constant[1] and not _is_nan(args[1]) and nan_wins:
            return self._pick(op, second, first)
        if constant[0] and not _is_nan(args[0]) and not nan_wins:
            return self._pick(op, second, first)
        picked = self._pick(op, first, second)
        if any(constant) and not any(map(_is_nan, args)):
            return picked
        # NaN wins: where the first is NaN take it. NaN is ignored: where the second is, drop it.
        suspect = first if nan_wins else second
        unordered = self._code.value(
            f"fcmp uno {suspect.typed}, {suspect.text}", bool_, first.lanes
        )
        return self._select(unordered, first, picked)

    def _pick(self, op: str, first: Value, second: Value) -> Value:
        return self._select(self.compare(_SELECTING[op], first, second), first, second)

    def _shift(self, op: str, value: Value, amount: Value, given: Value) -> Value:
        """Shifts; amounts of the width or more give 0, or the sign for signed right shifts."""
        bits = 8 * value.dtype.itemsize
        name = "shl" if op == "shl" else "ashr" if value.dtype.is_signed else "lshr"
        if given.literal and 0 <= int(given.text) < bits:
            return self._binary(name, value, amount)
        last = self._number(bits - 1, value)
        limited = self.call("umin", [amount, last])
        shifted = self._binary(name, value, limited)
        if name == "ashr":
            return shifted
        inside = self._code.value(f"icmp ule {amount.typed}, {last.text}", bool_, value.lanes)
        return self._select(inside, shifted, self._number(0, value))

    def _number(self, number: float, like: Value) -> Value:
        return self._code.splat(literal(number, like.dtype), like.lanes)

    def _special(self, op: str, args: list[Value]) -> Value:
        emit: Callable[..., Value] | None = getattr(self, f"_emit_{op}", None)
        if emit is None:
            raise ValueError(f"no LLVM code for op {op!r} on {args[0].dtype.name}")
        return emit(*args)

    def _emit_neg(self, value: Value) -> Value:
        return self._binary("sub", self._number(0, value), value)

    def _emit_not(self, value: Value) -> Value:
        return self._binary("xor", value, self._number(-1, value))

    def _emit_abs(self, value: Value) -> Value:
        return self.call("abs", [value], ", i1 false") if value.dtype.is_signed else value

    def _emit_sign(self, value: Value) -> Value:
        zero, one = self._number(0, value), self._number(1, value)
        positive = self._select(self.compare("gt", value, zero), one, zero)
        if not value.dtype.is_signed:
            return positive
        negative = self.compare("lt", value, zero)
        return self._select(negative, self._number(-1, value), positive)

    def _emit_mulhi(self, left: Value, right: Value) -> Value:
        wide = [self._convert.cast(arg, int64) for arg in (left, right)]
        product = self._binary("mul", wide[0], wide[1])
        high = self._binary("lshr", product, self._number(32, product))
        return self._convert.cast(high, uint32)

    def _emit_div(self, left: Value, right: Value) -> Value:
        """Integer division towards zero; by zero it is 0, and INT_MIN / -1 wraps."""
        safe, fits = self._divisor(left, right)
        quotient = self._binary("sdiv" if left.dtype.is_signed else "udiv", left, safe)
        if left.dtype.is_signed:
            minus = self.compare("eq", right, self._number(-1, right))
            quotient = self._select(minus, self._emit_neg(left), quotient)
        return self._select(fits, quotient, self._number(0, left))

    def _emit_remainder(self, left: Value, right: Value) -> Value:
        """The remainder with the sign of the divisor."""
        if left.dtype.is_floating_point:
            return self._float_remainder(left, right)
        safe, fits = self._divisor(left, right)
        signed = left.dtype.is_signed
        rest = self._binary("srem" if signed else "urem", left, safe)
        zero = self._number(0, left)
        if signed:
            differs = self.compare("lt", self._binary("xor", rest, safe), zero)
            nonzero = self.compare("ne", rest, zero)
            adjust = self._binary("and", differs, nonzero)
            rest = self._select(adjust, self._binary("add", rest, safe), rest)
        return self._select(fits, rest, zero)

    def _divisor(self, left: Value, right: Value) -> tuple[Value, Value]:
        """A divisor that does not trap, and where the true one is not zero."""
        fits = self.compare("ne", right, self._number(0, right))
        unsafe = self.compare("eq", right, self._number(0, right))
        if left.dtype.is_signed:
            minus = self.compare("eq", right, self._number(-1, right))
            unsafe = self._binary("or", unsafe, minus)
        return self._select(unsafe, self._number(1, right), right), fits

    def _float_remainder(self, left: Value, right: Value) -> Value:
        """C's fmod moved to the divisor's sign; a zero result has that sign too."""
        rest = self._binary("frem", left, right)
        zero = self._number(0.0, left)
        nonzero = self.compare("ne", rest, zero)
        signs = [self.compare("lt", value, zero) for value in (rest, right)]
        adjust = self._binary("and", nonzero, self._binary("xor", signs[0], signs[1]))
        moved = self._select(adjust, self._binary("fadd", rest, right), rest)
        exact = self.compare("eq", rest, zero)
        return self._select(exact, self.call("copysign", [zero, right]), moved)

    def unordered(self, value: Value) -> Value:
        """Where a float is NaN."""
        return self._code.value(f"fcmp uno {value.typed}, {value.text}", bool_, value.lanes)


def _is_nan(value: Value) -> bool:
    return value.literal and value.dtype.is_floating_point and _bits_are_nan(value.text)


def _bits_are_nan(text: str) -> bool:
    if text.startswith("0xH"):
        return int(text[3:], 16) & 0x7FFF > 0x7C00
    return int(text, 16) & (2**63 - 1) > 0x7FF0000000000000
