"""Rules about constants: what can be computed now, and one form for a constant of any shape.

Only ops that IEEE 754 rounds exactly are computed here: exp and its like may differ by a unit in
the last place between NumPy and a kernel, and a rewrite must not show.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from treadle.ir import build as b
from treadle.ir.constants import constant_of, number_of, scalar_of
from treadle.ir.ops import TABLE, elementwise as e, indexing as i, movement as m, reduction as r
from treadle.ir.ops.source import IOTA
from treadle.ir.rewriter import Rule
from treadle.ir.types import DType, Scalar, TensorType, float_limits, significand_bits
from treadle.ir.value import LoopClass, Op, Value

_ROUNDED_EXACTLY: tuple[Op, ...] = (
    e.NEG, e.ABS, e.SIGN, e.SQRT, e.FLOOR, e.CEIL, e.ROUND, e.TRUNC, e.NOT,
    e.ADD, e.SUB, e.MUL, e.DIV, e.FMOD, e.MAXIMUM, e.MINIMUM, e.AND, e.OR, e.XOR,
    e.EQ, e.NE, e.LT, e.LE, e.GT, e.GE, e.SELECT, e.CAST, e.BITCAST,
)  # fmt: skip
_EXACT_ON_INTEGERS: tuple[Op, ...] = (e.POW, e.REMAINDER, e.SHL, e.SHR)


def full_like(value: Value, number: Scalar) -> Value:
    """A constant of a value's shape, dtype and device."""
    return b.full(value.shape, number, value.dtype, value.type.device)


def is_number(value: Value, number: Scalar) -> bool:
    """True where every element is ``number``, zeros told apart by sign and NaN by nothing."""
    found = number_of(value)
    return found is not None and found == number and _sign(found) == _sign(number)


def _sign(number: Scalar) -> float:
    return math.copysign(1.0, number)


def _is_defined(op: Op, numbers: Sequence[Scalar], dtype: DType) -> bool:
    """False where targets may differ in the result: these are left to the target."""
    if op in (e.SHL, e.SHR):
        return 0 <= numbers[1] < 8 * dtype.itemsize
    if op in (e.MAXIMUM, e.MINIMUM):
        return numbers[0] != numbers[1] or _sign(numbers[0]) == _sign(numbers[1])
    return True


def _fold(value: Value) -> Value | None:
    found = [constant_of(operand) for operand in value.inputs]
    numbers = [number_of(operand) for operand in value.inputs]
    constants = [constant for constant in found if constant is not None]
    known = [number for number in numbers if number is not None]
    if len(known) != len(value.inputs):
        return None
    if value.op in _EXACT_ON_INTEGERS and value.dtype.is_floating_point:
        return None
    if not _is_defined(value.op, known, value.dtype):
        return None
    arrays = [
        np.array(number, constant.dtype.numpy)
        for number, constant in zip(known, constants, strict=True)
    ]
    result = value.op.run(arrays, value.attrs, TensorType(value.dtype, ()))
    if value.op is e.BITCAST and any(map(_is_nan, (*arrays, result))):
        return None  # constants keep no bits of a NaN
    return full_like(value, scalar_of(result))


def _is_nan(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bool:
    return array.dtype.kind in "fV" and bool(np.isnan(array).any())


def _moved(value: Value) -> Value | None:
    number = number_of(value.inputs[0])
    return None if number is None else full_like(value, number)


def _padded(value: Value) -> Value | None:
    around = number_of(b.constant(value.attr("value"), value.dtype))
    if around is None or not is_number(value.inputs[0], around):
        return None
    return full_like(value, around)


def _joined(value: Value) -> Value | None:
    number = number_of(value.inputs[0])
    if number is None or not all(is_number(part, number) for part in value.inputs):
        return None
    return full_like(value, number)


def _replaced(value: Value) -> Value | None:
    base, part = value.inputs
    number = number_of(part)
    return base if number is not None and is_number(base, number) else None


def _empty(value: Value) -> Value | None:
    return full_like(value, 0) if value.type.numel == 0 else None


def _reduced_count(value: Value) -> int:
    count = 1
    for axis in value.attrs[0]:
        count *= value.inputs[0].shape[axis]
    return count


def _empty_reduction(value: Value) -> Value | None:
    if _reduced_count(value):
        return None
    return full_like(value, 0 if value.op is r.SUM else 1)


def _sum(value: Value) -> Value | None:
    number, count = number_of(value.inputs[0]), _reduced_count(value)
    if number is None or not count:
        return None
    if not value.dtype.is_floating_point:
        bits = 8 * value.dtype.itemsize
        total = int(number) * count % (1 << bits)
        signed = value.dtype.is_signed and total >= 1 << (bits - 1)
        return full_like(value, total - (1 << bits) if signed else total)
    if number == 0:
        return full_like(value, 0.0)  # sums start from +0.0
    if not math.isfinite(number):
        return None
    # number = odd * 2^k: every partial sum is a multiple of 2^k below the significand's range.
    numerator = abs(float(number).as_integer_ratio()[0])
    odd = numerator // (numerator & -numerator)
    total_number = float(number) * count
    if odd * count > 1 << significand_bits(value.dtype):
        return None
    if abs(total_number) > float(float_limits(value.dtype.numpy).max):
        return None
    return full_like(value, total_number)


def _chosen(value: Value) -> Value | None:
    number = number_of(value.inputs[0])
    return None if number is None else full_like(value, number)


def _product_of_ones(value: Value) -> Value | None:
    return full_like(value, 1) if is_number(value.inputs[0], 1) else None


def _short_ramp(value: Value) -> Value | None:
    return full_like(value, 0) if value.attrs[0] == 1 else None


_COMPUTED = tuple(
    op
    for op in TABLE.values()
    if op.loop_class not in (LoopClass.SOURCE, LoopClass.LIBRARY, LoopClass.KERNEL)
)

RULES: tuple[Rule, ...] = (
    Rule("fold-empty", _COMPUTED, _empty, "a value without elements is any constant"),
    Rule(
        "fold-constants",
        _ROUNDED_EXACTLY + _EXACT_ON_INTEGERS,
        _fold,
        "f(constant) = constant, f rounded exactly",
    ),
    Rule("fold-short-iota", (IOTA,), _short_ramp, "iota(1) = [0]"),
    Rule(
        "move-constant",
        (m.RESHAPE, m.PERMUTE, m.EXPAND, m.SLICE, m.FLIP, m.WINDOWS, m.AS_STRIDED, i.GATHER),
        _moved,
        "move(full(c)) = full(c)",
    ),
    Rule("pad-constant", (m.PAD,), _padded, "pad(full(c), c) = full(c)"),
    Rule("concat-constants", (m.CONCAT,), _joined, "concat(full(c), full(c)) = full(c)"),
    Rule(
        "update-constant",
        (i.VIEW_UPDATE,),
        _replaced,
        "view_update(full(c), full(c)) = full(c)",
    ),
    Rule("fold-empty-reduction", (r.SUM, r.PROD), _empty_reduction, "sum() = 0, prod() = 1"),
    Rule("fold-sum", (r.SUM,), _sum, "sum of n times c = n * c, all partial sums exact"),
    Rule("fold-extreme", (r.MAX, r.MIN), _chosen, "max(full(c)) = min(full(c)) = c"),
    Rule("fold-product-of-ones", (r.PROD,), _product_of_ones, "1 * 1 * ... = 1"),
)
