"""Scalar ops as C expressions: arithmetic, comparison, bits, selection.

The meaning is that of the tensor ops on one element; what C leaves undefined goes through device
functions that define it. Conversions are in ``conversion.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from treadle.codegen.cuda.conversion import bitcast, cast
from treadle.codegen.cuda.prelude import Prelude
from treadle.codegen.cuda.types import Operand, literal, type_name, unsigned_name
from treadle.ir.types import NARROW_FLOATS, DType, bool_, float32, float64

_FLOAT_BINARY = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_INTEGER_BINARY = {"add": "+", "sub": "-", "mul": "*", "and": "&", "or": "|", "xor": "^"}
_BITWISE = ("and", "or", "xor")
_BOOL_BINARY = {
    "add": "||", "mul": "&&", "maximum": "||", "minimum": "&&",
    "and": "&&", "or": "||", "xor": "!=",
}  # fmt: skip
_FLOAT_UNARY = {
    "abs": "fabs", "sqrt": "sqrt", "floor": "floor", "ceil": "ceil", "trunc": "trunc",
    "round": "rint", "sin_library": "sin", "cos_library": "cos",
}  # fmt: skip
_COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_SELECTING = {"maximum": ">", "minimum": "<", "number_max": ">", "number_min": "<"}


class Scalars:
    """Prints the ops of one source; the device functions that they need go to its prelude."""

    def __init__(self, prelude: Prelude) -> None:
        self._prelude = prelude

    def apply(self, op: str, dtype: DType, args: Sequence[Operand]) -> Operand:
        """The op on operands; ValueError if it is unknown."""
        if op == "cast":
            return cast(args[0], dtype, self._prelude)
        if op == "bitcast":
            return bitcast(args[0], dtype, self._prelude)
        if op == "select":
            condition, yes, no = args
            return Operand(f"{condition} ? {yes} : {no}", dtype, False)
        operand = args[0].dtype
        if operand in NARROW_FLOATS:
            return self._through_float(op, dtype, args)
        if op in _COMPARISONS:
            return Operand(f"{args[0]} {_COMPARISONS[op]} {args[1]}", bool_, False)
        if operand is bool_:
            found = self._logical(op, args)
        elif operand.is_floating_point:
            found = self._floating(op, operand, args)
        else:
            found = self._integer(op, operand, args)
        if found is None:
            raise ValueError(f"no CUDA code for op {op!r} on {operand.name}")
        return found

    def _through_float(self, op: str, dtype: DType, args: Sequence[Operand]) -> Operand:
        """Narrow floats compute in float32, which rounds twice but never differently."""
        wide = [cast(arg, float32, self._prelude) for arg in args]
        if op in _COMPARISONS:
            return self.apply(op, dtype, wide)
        return cast(self.apply(op, float32, wide), dtype, self._prelude)

    def _call(self, name: str, dtype: DType, args: Sequence[Operand]) -> Operand:
        return Operand(f"{name}({', '.join(arg.text for arg in args)})", dtype)

    def _function(self, op: str, dtype: DType, args: Sequence[Operand], value: str) -> Operand:
        """A call of the device function of an op, which is one expression of x and y."""
        name, c_type = f"{op}_{dtype.short}", type_name(dtype)
        parameters = ", ".join(f"{c_type} {each}" for each in "xyz"[: len(args)])
        self._prelude.expression(name, c_type, parameters, value)
        return self._call(name, dtype, args)

    # --- bool -------------------------------------------------------------------------------------

    def _logical(self, op: str, args: Sequence[Operand]) -> Operand | None:
        if op == "not":
            return Operand(f"!{args[0]}", bool_)
        symbol = _BOOL_BINARY.get(op)
        return None if symbol is None else Operand(f"{args[0]} {symbol} {args[1]}", bool_, False)

    # --- floats -----------------------------------------------------------------------------------

    def _floating(self, op: str, dtype: DType, args: Sequence[Operand]) -> Operand | None:
        if op in _FLOAT_BINARY:
            return Operand(f"{args[0]} {_FLOAT_BINARY[op]} {args[1]}", dtype, False)
        suffix = "f" if dtype is float32 else ""
        if op in _FLOAT_UNARY:
            return self._call(_FLOAT_UNARY[op] + suffix, dtype, args)
        if op in ("fma", "fmod"):
            return self._call(op + suffix, dtype, args)
        if op == "neg":
            return Operand(f"-{args[0]}", dtype, False)
        if op == "sign":
            # Both comparisons with NaN are false, which gives 0.
            value = f"({type_name(dtype)})((x > 0) - (x < 0))"
            return self._function(op, dtype, args, value)
        if op in _SELECTING:
            return self._choose(op, dtype, args)
        return self._float_remainder(dtype, args) if op == "remainder" else None

    def _choose(self, op: str, dtype: DType, args: Sequence[Operand]) -> Operand:
        """Maximum or minimum, with the zeros and NaN that the CPU gives.

        A constant operand goes where its place decides between equal zeros as it does there.
        """
        nan_wins = op in ("maximum", "minimum")
        first, second = args
        if _is_number(second if nan_wins else first):
            args = (second, first)
        other = "x" if nan_wins else "y"
        value = f"{other} != {other} ? x : x {_SELECTING[op]} y ? x : y"
        return self._function(op, dtype, args, value)

    def _float_remainder(self, dtype: DType, args: Sequence[Operand]) -> Operand:
        """C's fmod moved to the divisor's sign; a zero result has that sign too."""
        name, c_type = f"remainder_{dtype.short}", type_name(dtype)
        suffix = "" if dtype is float64 else "f"
        zero = literal(0.0, dtype).text
        body = [
            f"  const {c_type} rest = fmod{suffix}(x, y);",
            f"  if (rest == 0) return copysign{suffix}({zero}, y);",
            "  return (rest < 0) != (y < 0) ? rest + y : rest;",
        ]
        self._prelude.define(name, c_type, f"{c_type} x, {c_type} y", body)
        return self._call(name, dtype, args)

    # --- integers ---------------------------------------------------------------------------------

    def _integer(self, op: str, dtype: DType, args: Sequence[Operand]) -> Operand | None:
        if op in _INTEGER_BINARY:
            return self._binary(op, dtype, args)
        if op in _SELECTING:
            return self._function(op, dtype, args, f"x {_SELECTING[op]} y ? x : y")
        if op in ("shl", "shr"):
            return self._shift(op, dtype, args)
        if op == "mulhi":
            return self._call("__umulhi", dtype, args)
        special: Callable[[DType, Sequence[Operand]], Operand] | None
        special = getattr(self, f"_integer_{op}", None)
        return None if special is None else special(dtype, args)

    def _binary(self, op: str, dtype: DType, args: Sequence[Operand]) -> Operand:
        """Arithmetic that wraps; C leaves the overflow of signed types undefined."""
        symbol = _INTEGER_BINARY[op]
        plain = f"{args[0]} {symbol} {args[1]}"
        if op in _BITWISE or (dtype.itemsize >= 4 and not dtype.is_signed):
            return Operand(plain, dtype, False)
        if dtype.itemsize < 4:
            # Computed as int, which holds every result of narrower types.
            return Operand(f"({type_name(dtype)})({plain})", dtype)
        return self._function(op, dtype, args, _wrapping(dtype, f"x {symbol} y"))

    def _shift(self, op: str, dtype: DType, args: Sequence[Operand]) -> Operand:
        """Shifts; amounts of the width or more give 0, or the sign for signed right shifts."""
        bits = 8 * dtype.itemsize
        value, amount = args
        c_type, unsigned = type_name(dtype), unsigned_name(dtype)
        if amount.number is not None and 0 <= int(amount.number) < bits:
            by = int(amount.number)
            if op == "shr":
                return Operand(f"{value} >> {by}", dtype, False)
            return Operand(f"({c_type})(({unsigned}){value} << {by})", dtype)
        # A negative amount is a large one.
        inside = f"({unsigned})y < {bits}"
        if op == "shl":
            result = f"{inside} ? ({c_type})(({unsigned})x << y) : 0"
        elif dtype.is_signed:
            result = f"x >> ({inside} ? y : {bits - 1})"
        else:
            result = f"{inside} ? x >> y : 0"
        return self._function(op, dtype, args, result)

    def _integer_not(self, dtype: DType, args: Sequence[Operand]) -> Operand:
        if dtype.itemsize < 4:
            return Operand(f"({type_name(dtype)})~{args[0]}", dtype)
        return Operand(f"~{args[0]}", dtype)

    def _integer_neg(self, dtype: DType, args: Sequence[Operand]) -> Operand:
        return self._function("neg", dtype, args, _wrapping(dtype, "x", "-"))

    def _integer_abs(self, dtype: DType, args: Sequence[Operand]) -> Operand:
        if not dtype.is_signed:
            return args[0]
        return self._function("abs", dtype, args, f"x < 0 ? {_wrapping(dtype, 'x', '-')} : x")

    def _integer_sign(self, dtype: DType, args: Sequence[Operand]) -> Operand:
        value = "(x > 0) - (x < 0)" if dtype.is_signed else "x > 0"
        return self._function("sign", dtype, args, value)

    def _integer_div(self, dtype: DType, args: Sequence[Operand]) -> Operand:
        """Towards zero; by zero it is 0, and the least number by -1 wraps."""
        body = ["  if (y == 0) return 0;"]
        if dtype.is_signed:
            body.append(f"  if (y == -1) return {_wrapping(dtype, 'x', '-')};")
        return self._divided("div", dtype, args, [*body, f"  return ({type_name(dtype)})(x / y);"])

    def _integer_remainder(self, dtype: DType, args: Sequence[Operand]) -> Operand:
        """The remainder with the sign of the divisor; by zero it is 0."""
        c_type = type_name(dtype)
        if not dtype.is_signed:
            return self._function("remainder", dtype, args, "y == 0 ? 0 : x % y")
        body = [
            "  if (y == 0 || y == -1) return 0;",
            f"  const {c_type} rest = ({c_type})(x % y);",
            f"  return rest != 0 && (rest < 0) != (y < 0) ? ({c_type})(rest + y) : rest;",
        ]
        return self._divided("remainder", dtype, args, body)

    def _divided(
        self, op: str, dtype: DType, args: Sequence[Operand], body: Sequence[str]
    ) -> Operand:
        name, c_type = f"{op}_{dtype.short}", type_name(dtype)
        self._prelude.define(name, c_type, f"{c_type} x, {c_type} y", body)
        return self._call(name, dtype, args)


def _wrapping(dtype: DType, value: str, sign: str = "") -> str:
    """An expression of x and y evaluated modulo the width of a type."""
    unsigned = unsigned_name(dtype)
    for operand in "xy":
        value = value.replace(operand, f"({unsigned}){operand}")
    inner = f"0 - {value}" if sign else value
    return f"({type_name(dtype)})({inner})"


def _is_number(operand: Operand) -> bool:
    return operand.number is not None and not math.isnan(operand.number)
