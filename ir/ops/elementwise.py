"""Elementwise ops: each result element depends on the same element of every operand.

Operands have equal shapes and, but for ``select``'s condition, equal dtypes: broadcasting and
promotion are explicit in the IR.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from treadle.ir.errors import UnsupportedDTypeError
from treadle.ir.ops import special
from treadle.ir.types import DType, TensorType, bfloat16, bool_
from treadle.ir.value import Array, Attributes, LoopClass, Op, device_of


def _same_shape(name: str, types: Sequence[TensorType]) -> TensorType:
    for other in types[1:]:
        if other.shape != types[0].shape:
            raise ValueError(f"{name} needs operands of one shape, found {_listed(types)}")
    return types[0]._replace(device=device_of(types))


def _listed(types: Sequence[TensorType]) -> str:
    return " and ".join(map(str, types))


def _check_kind(name: str, dtype: DType, kinds: str) -> None:
    if dtype.kind not in kinds:
        raise UnsupportedDTypeError(name, dtype)


def _same_type(name: str, kinds: str) -> Callable[[Sequence[TensorType], Attributes], TensorType]:
    def infer(types: Sequence[TensorType], _attrs: Attributes) -> TensorType:
        result = _same_shape(name, types)
        for operand in types:
            if operand.dtype is not types[0].dtype:
                raise TypeError(f"{name} needs operands of one dtype, found {_listed(types)}")
        _check_kind(name, result.dtype, kinds)
        return result

    return infer


def _comparison(name: str) -> Callable[[Sequence[TensorType], Attributes], TensorType]:
    same = _same_type(name, "buif")

    def infer(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
        return same(types, attrs)._replace(dtype=bool_)

    return infer


def _select(types: Sequence[TensorType], _attrs: Attributes) -> TensorType:
    condition, yes, no = types
    _same_shape("select", types)
    if condition.dtype is not bool_ or yes.dtype is not no.dtype:
        raise TypeError(f"select needs a bool and two of one dtype, found {_listed(types)}")
    return yes._replace(device=device_of(types))


def _cast(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
    return types[0]._replace(dtype=attrs[0])


def _bitcast(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
    if types[0].dtype.itemsize != attrs[0].itemsize:
        raise TypeError(f"bitcast needs dtypes of one size, found {types[0]} and {attrs[0].name}")
    return types[0]._replace(dtype=attrs[0])


def _evaluate_cast(arrays: Sequence[Array], attrs: Attributes, _type: TensorType) -> Array:
    source, target = arrays[0], attrs[0]
    if source.dtype == bfloat16.numpy:
        source = source.astype(np.float32)
    if target is bfloat16:
        # Through float32, as in PyTorch, whatever the source.
        return source.astype(np.float32).astype(target.numpy)
    if source.dtype.kind == "f" and target.kind in "iu":
        # C leaves out-of-range conversions undefined; here they saturate and NaN gives 0.
        wide = np.where(np.isnan(source), 0, np.trunc(source.astype(np.float64)))
        limits = np.iinfo(target.numpy)
        inside = np.clip(wide, float(limits.min), float(limits.max))
        as_integer = inside.astype(np.uint64 if target.kind == "u" else np.int64)
        as_integer = np.where(wide >= float(limits.max), limits.max, as_integer)
        return as_integer.astype(target.numpy)
    return source.astype(target.numpy)


def _evaluate_pow(x: Array, y: Array) -> Array:
    if x.dtype.kind != "f" and x.dtype.kind != "b" and (y < 0).any():
        # Integer powers below zero are 0 but for bases 1 and -1, as PyTorch computes them.
        base = np.where(y < 0, np.where(np.abs(x) == 1, x, 0), x)
        return np.power(base, np.where(y < 0, (y % 2), y)) * np.where((y < 0) & (base == 0), 0, 1)
    # A square is one product, rounded once, whatever the library's power gives.
    return np.where(y == 2, x * x, np.power(x, y))


def _evaluate_divide(x: Array, y: Array) -> Array:
    if x.dtype.kind == "f":
        return np.divide(x, y)
    # Integers divide towards zero; a zero divisor gives 0 rather than a trap.
    safe = np.where(y == 0, 1, y)
    floored = x // safe
    # One more where rounding down went past zero; |x| would not exist for the least integer.
    past_zero = (floored * safe != x) & ((x < 0) != (safe < 0))
    quotient = floored + past_zero
    return np.where(y == 0, 0, quotient).astype(x.dtype)


def _evaluate_remainder(x: Array, y: Array) -> Array:
    if x.dtype.kind == "f":
        return np.asarray(np.remainder(x, y))
    return np.where(y == 0, 0, np.remainder(x, np.where(y == 0, 1, y))).astype(x.dtype)


def _sign(x: Array) -> Array:
    # PyTorch's sign of NaN is 0.
    signs = np.sign(x)
    return np.where(np.isnan(x), 0, signs).astype(x.dtype) if x.dtype.kind == "f" else signs


def _row(
    name: str, operands: str, kinds: str, evaluate: Callable[..., Any], compare: bool = False
) -> Op:
    def run(arrays: Sequence[Array], _attrs: Attributes, result: TensorType) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(evaluate(*arrays)).astype(result.dtype.numpy, copy=False)

    infer = _comparison(name) if compare else _same_type(name, kinds)
    return Op(name, tuple(operands.split()), (), LoopClass.ELEMENTWISE, infer, run)


NEG = _row("neg", "x", "uif", np.negative)
ABS = _row("abs", "x", "uif", np.abs)
SIGN = _row("sign", "x", "uif", _sign)
EXP = _row("exp", "x", "f", np.exp)
LOG = _row("log", "x", "f", np.log)
EXP2 = _row("exp2", "x", "f", np.exp2)
EXPM1 = _row("expm1", "x", "f", np.expm1)
LOG1P = _row("log1p", "x", "f", np.log1p)
LOG2 = _row("log2", "x", "f", np.log2)
LOG10 = _row("log10", "x", "f", np.log10)
SQRT = _row("sqrt", "x", "f", np.sqrt)
SIN = _row("sin", "x", "f", np.sin)
COS = _row("cos", "x", "f", np.cos)
TAN = _row("tan", "x", "f", np.tan)
ASIN = _row("asin", "x", "f", np.arcsin)
ACOS = _row("acos", "x", "f", np.arccos)
ATAN = _row("atan", "x", "f", np.arctan)
SINH = _row("sinh", "x", "f", np.sinh)
COSH = _row("cosh", "x", "f", np.cosh)
TANH = _row("tanh", "x", "f", np.tanh)
ASINH = _row("asinh", "x", "f", np.arcsinh)
ACOSH = _row("acosh", "x", "f", np.arccosh)
ATANH = _row("atanh", "x", "f", np.arctanh)
ERF = _row("erf", "x", "f", special.erf)
ERFC = _row("erfc", "x", "f", special.erfc)
ERFCX = _row("erfcx", "x", "f", special.erfcx)  # exp(x^2) * erfc(x)
ERFINV = _row("erfinv", "x", "f", special.erfinv)
LGAMMA = _row("lgamma", "x", "f", special.lgamma)  # log(abs(gamma(x)))
DIGAMMA = _row("digamma", "x", "f", special.digamma)  # NaN at negative whole numbers
FLOOR = _row("floor", "x", "f", np.floor)
CEIL = _row("ceil", "x", "f", np.ceil)
ROUND = _row("round", "x", "f", np.rint)  # to nearest, ties to even
TRUNC = _row("trunc", "x", "f", np.trunc)
NOT = _row("not", "x", "bui", np.invert)  # logical on bool, bitwise on integers

ADD = _row("add", "x y", "buif", np.add)
SUB = _row("sub", "x y", "uif", np.subtract)
MUL = _row("mul", "x y", "buif", np.multiply)
DIV = _row("div", "x y", "uif", _evaluate_divide)  # towards zero on integers
REMAINDER = _row("remainder", "x y", "uif", _evaluate_remainder)  # sign of the divisor
FMOD = _row("fmod", "x y", "f", np.fmod)  # sign of the dividend
ATAN2 = _row("atan2", "x y", "f", np.arctan2)  # the angle of the point (y, x)
POW = _row("pow", "x y", "uif", _evaluate_pow)
MAXIMUM = _row("maximum", "x y", "buif", np.maximum)  # NaN wins
MINIMUM = _row("minimum", "x y", "buif", np.minimum)
AND = _row("and", "x y", "bui", np.bitwise_and)
OR = _row("or", "x y", "bui", np.bitwise_or)
XOR = _row("xor", "x y", "bui", np.bitwise_xor)
SHL = _row("shl", "x y", "ui", np.left_shift)
SHR = _row("shr", "x y", "ui", np.right_shift)

EQ = _row("eq", "x y", "", np.equal, compare=True)
NE = _row("ne", "x y", "", np.not_equal, compare=True)
LT = _row("lt", "x y", "", np.less, compare=True)
LE = _row("le", "x y", "", np.less_equal, compare=True)
GT = _row("gt", "x y", "", np.greater, compare=True)
GE = _row("ge", "x y", "", np.greater_equal, compare=True)

SELECT = Op(
    "select",
    ("condition", "yes", "no"),
    (),
    LoopClass.ELEMENTWISE,
    _select,
    lambda arrays, _attrs, _type: np.where(arrays[0], arrays[1], arrays[2]),
)
CAST = Op("cast", ("x",), ("dtype",), LoopClass.ELEMENTWISE, _cast, _evaluate_cast)
BITCAST = Op(
    "bitcast",
    ("x",),
    ("dtype",),
    LoopClass.ELEMENTWISE,
    _bitcast,
    lambda arrays, attrs, _type: np.asarray(arrays[0], order="C").view(attrs[0].numpy),
)
