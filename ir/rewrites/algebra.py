"""Rules about elementwise ops: neutral elements, inverses, powers, casts and selections.

x + 0.0 stays: it turns -0.0 into 0.0. x * 0 stays: it keeps NaN and infinities.
"""

from __future__ import annotations

import math

import numpy as np

from treadle.ir import build as b
from treadle.ir.constants import constant_of, number_of
from treadle.ir.ops import elementwise as e
from treadle.ir.rewriter import Exactness, Rule
from treadle.ir.rewrites.constants import full_like, is_number
from treadle.ir.types import DType, bool_, float_limits, significand_bits
from treadle.ir.value import Op, Value, make


def _constant_right(value: Value) -> Value | None:
    x, y = value.inputs
    if constant_of(x) is None or constant_of(y) is not None:
        return None
    return make(value.op, (y, x))


def _add_zero(value: Value) -> Value | None:
    # -0.0 is the neutral element of float addition, 0.0 of subtraction.
    x, y = value.inputs
    neutral = -0.0 if x.dtype.is_floating_point and value.op is e.ADD else 0
    return x if is_number(y, neutral) else None


def _times_one(value: Value) -> Value | None:
    x, y = value.inputs
    return x if is_number(y, 1) else None


def _undo(value: Value) -> Value | None:
    x = value.inputs[0]
    return x.inputs[0] if x.op is value.op else None


def _abs_of_sign(value: Value) -> Value | None:
    x = value.inputs[0]
    if x.op is e.ABS:
        return x
    return b.abs(x.inputs[0]) if x.op is e.NEG and x.dtype.is_signed else None


def _add_negative(value: Value) -> Value | None:
    x, y = value.inputs
    if y.op is e.NEG:
        return (b.sub if value.op is e.ADD else b.add)(x, y.inputs[0])
    if value.op is e.ADD and x.op is e.NEG:
        return b.sub(y, x.inputs[0])
    return None


def _product_of_negatives(value: Value) -> Value | None:
    # Integer division is left out: the least integer is its own negative.
    x, y = value.inputs
    allowed = value.op is e.MUL or value.dtype.is_floating_point
    if allowed and x.op is e.NEG and y.op is e.NEG:
        return make(value.op, (x.inputs[0], y.inputs[0]))
    return None


def _idempotent(value: Value) -> Value | None:
    x, y = value.inputs
    return x if x is y else None


def _truth(value: Value) -> Value | None:
    x, y = value.inputs
    if value.dtype is not bool_ or number_of(y) is None:
        return None
    neutral = value.op is e.AND
    return x if number_of(y) == neutral else y


def _power(value: Value) -> Value | None:
    x, y = value.inputs
    exponent = number_of(y)
    if exponent == 0:
        return full_like(value, 1)
    if exponent == 1:
        return x
    return b.mul(x, x) if exponent == 2 else None


def _reciprocal(number: float, dtype: DType) -> float | None:
    """1 / number where both are normal powers of two of the dtype."""
    if not math.isfinite(number) or number == 0 or abs(math.frexp(number)[0]) != 0.5:
        return None
    info = float_limits(dtype.numpy)
    reciprocal = 1.0 / number
    smallest, greatest = float(info.tiny), float(info.max)
    return reciprocal if smallest <= abs(reciprocal) <= greatest else None


def _divide_by_power(value: Value) -> Value | None:
    x, y = value.inputs
    number = number_of(y)
    if number is None or not value.dtype.is_floating_point:
        return None
    reciprocal = _reciprocal(float(number), value.dtype)
    return None if reciprocal is None else b.mul(x, full_like(value, reciprocal))


def _divide_by_constant(value: Value) -> Value | None:
    x, y = value.inputs
    number = number_of(y)
    if not number or not value.dtype.is_floating_point or not math.isfinite(number):
        return None
    with np.errstate(all="ignore"):
        reciprocal = np.divide(1, np.array(number, value.dtype.numpy))
    if not np.isfinite(reciprocal):
        return None
    return b.mul(x, full_like(value, reciprocal.item()))


def _scale_twice(value: Value) -> Value | None:
    x, y = value.inputs
    if x.op is not e.MUL or constant_of(y) is None or constant_of(x.inputs[1]) is None:
        return None
    return b.mul(x.inputs[0], b.mul(x.inputs[1], y))


def _same_branches(value: Value) -> Value | None:
    _condition, yes, no = value.inputs
    return yes if yes is no else None


def _known_condition(value: Value) -> Value | None:
    condition, yes, no = value.inputs
    number = number_of(condition)
    return None if number is None else (yes if number else no)


def _inverted_condition(value: Value) -> Value | None:
    condition, yes, no = value.inputs
    return b.select(condition.inputs[0], no, yes) if condition.op is e.NOT else None


def _condition_itself(value: Value) -> Value | None:
    condition, yes, no = value.inputs
    if value.dtype is not bool_:
        return None
    if number_of(yes) is True and number_of(no) is False:
        return condition
    return b.logical_not(condition) if number_of(yes) is False and number_of(no) is True else None


def _nested_select(value: Value) -> Value | None:
    condition, yes, no = value.inputs
    if yes.op is e.SELECT and yes.inputs[0] is condition:
        return b.select(condition, yes.inputs[1], no)
    if no.op is e.SELECT and no.inputs[0] is condition:
        return b.select(condition, yes, no.inputs[2])
    return None


def holds_exactly(target: DType, source: DType) -> bool:
    """True where every number of ``source`` is one of ``target``."""
    if source is target or source is bool_:
        return True
    if target is bool_ or (source.kind == "f" and target.kind != "f"):
        return False
    if target.kind == "f":
        if source.kind == "f":
            # The two narrow formats hold each other's numbers neither way.
            return target.itemsize > source.itemsize
        return 8 * source.itemsize - (source.kind == "i") <= significand_bits(target)
    if source.kind == "i" and target.kind == "u":
        return False
    return target.itemsize > source.itemsize or (
        target.itemsize == source.itemsize and source.kind == target.kind
    )


def _cast_twice(value: Value) -> Value | None:
    middle = value.inputs[0]
    if middle.op is not e.CAST:
        return None
    x, target = middle.inputs[0], value.dtype
    if not holds_exactly(middle.dtype, x.dtype):
        return None
    # From float to integer a cast saturates, between integers it wraps.
    saturates = middle.dtype.kind == "f" and target.kind in "iu" and x.dtype.kind in "iu"
    if saturates and not holds_exactly(target, x.dtype):
        return None
    return b.cast(x, target)


def _cast_to_itself(value: Value) -> Value | None:
    x = value.inputs[0]
    return x if x.dtype is value.dtype else None


def _truth_of_cast(value: Value) -> Value | None:
    x, y = value.inputs
    if x.op is e.CAST and x.inputs[0].dtype is bool_ and number_of(y) == 0:
        return x.inputs[0]
    return None


_COMMUTATIVE: tuple[Op, ...] = (e.ADD, e.MUL, e.AND, e.OR, e.XOR, e.EQ, e.NE)

RULES: tuple[Rule, ...] = (
    Rule("constant-right", _COMMUTATIVE, _constant_right, "c + x = x + c"),
    Rule("add-zero", (e.ADD, e.SUB), _add_zero, "x + -0.0 = x, x - 0.0 = x, n + 0 = n"),
    Rule("multiply-by-one", (e.MUL, e.DIV), _times_one, "x * 1 = x, x / 1 = x"),
    Rule("undo-twice", (e.NEG, e.NOT), _undo, "-(-x) = x, not not x = x"),
    Rule("absolute-of-negative", (e.ABS,), _abs_of_sign, "||x|| = |-x| = |x|"),
    Rule("add-negative", (e.ADD, e.SUB), _add_negative, "x + -y = x - y, x - -y = x + y"),
    Rule("negatives-cancel", (e.MUL, e.DIV), _product_of_negatives, "-x * -y = x * y"),
    Rule(
        "idempotent",
        (e.MAXIMUM, e.MINIMUM, e.AND, e.OR),
        _idempotent,
        "max(x, x) = x, x and x = x",
    ),
    Rule("known-truth", (e.AND, e.OR), _truth, "x and true = x, x or true = true"),
    Rule("power-as-product", (e.POW,), _power, "x^0 = 1, x^1 = x, x^2 = x * x"),
    Rule(
        "divide-by-power-of-two",
        (e.DIV,),
        _divide_by_power,
        "x / 2^k = x * 2^-k, both round the same number",
    ),
    Rule("select-same", (e.SELECT,), _same_branches, "select(c, x, x) = x"),
    Rule("select-known", (e.SELECT,), _known_condition, "select(true, x, y) = x"),
    Rule("select-inverted", (e.SELECT,), _inverted_condition, "select(not c, x, y) = ..(c, y, x)"),
    Rule("select-truth", (e.SELECT,), _condition_itself, "select(c, true, false) = c"),
    Rule(
        "select-nested", (e.SELECT,), _nested_select, "select(c, select(c, x, y), z) = ..(c, x, z)"
    ),
    Rule("cast-twice", (e.CAST,), _cast_twice, "cast(cast(x, wider), t) = cast(x, t)"),
    Rule("cast-to-itself", (e.CAST,), _cast_to_itself, "cast(x, dtype of x) = x"),
    Rule("truth-of-cast", (e.NE,), _truth_of_cast, "cast(truth) != 0 = truth"),
    Rule(
        "scale-twice",
        (e.MUL,),
        _scale_twice,
        "(x * c) * d = x * (c * d)",
        Exactness.REASSOCIATING,
    ),
    Rule(
        "divide-by-constant",
        (e.DIV,),
        _divide_by_constant,
        "x / c = x * (1 / c) within 1.5 units in the last place",
        Exactness.APPROXIMATE,
    ),
)
