"""Every elementwise op on every dtype, as scalars and in lanes, against its NumPy meaning."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import ml_dtypes
import numpy as np
import pytest

from treadle.codegen.loops import (
    Apply,
    Buffer,
    Const,
    Expression,
    For,
    Kernel,
    Load,
    LoopKind,
    Statement,
    Store,
)
from treadle.ir.index import Var, constant, variable
from treadle.ir.ops import elementwise as ew
from treadle.ir.types import (
    REAL_DTYPES,
    DType,
    TensorType,
    bfloat16,
    bool_,
    float16,
    float32,
    float64,
    int16,
    int32,
    int64,
    uint8,
    uint32,
)
from treadle.ir.value import Array, Op

Run = Callable[..., str]
FLOATS = (float16, bfloat16, float32, float64)
INTEGERS = tuple(dtype for dtype in REAL_DTYPES if dtype.kind in "iu")

UNARY: dict[str, tuple[DType, ...]] = {
    "neg": INTEGERS + FLOATS,
    "abs": INTEGERS + FLOATS,
    "sign": INTEGERS + FLOATS,
    "sqrt": FLOATS,
    "floor": FLOATS,
    "ceil": FLOATS,
    "round": FLOATS,
    "trunc": FLOATS,
    "not": (*INTEGERS, bool_),
}
BINARY: dict[str, tuple[DType, ...]] = {
    "add": REAL_DTYPES,
    "sub": INTEGERS + FLOATS,
    "mul": REAL_DTYPES,
    "div": INTEGERS + FLOATS,
    "remainder": INTEGERS + FLOATS,
    "maximum": REAL_DTYPES,
    "minimum": REAL_DTYPES,
    "and": (*INTEGERS, bool_),
    "or": (*INTEGERS, bool_),
    "xor": (*INTEGERS, bool_),
    "shl": INTEGERS,
    "shr": INTEGERS,
    "eq": REAL_DTYPES,
    "ne": REAL_DTYPES,
    "lt": REAL_DTYPES,
    "le": REAL_DTYPES,
    "gt": REAL_DTYPES,
    "ge": REAL_DTYPES,
}
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")


def values(dtype: DType) -> Array:
    """Ordinary and extreme numbers of a dtype."""
    if dtype is bool_:
        return np.array([False, True])
    if dtype.is_floating_point:
        info = ml_dtypes.finfo(dtype.numpy)
        subnormal = info.tiny / dtype.numpy.type(4)
        extreme = [info.max, info.min, info.tiny, subnormal, np.inf, -np.inf, np.nan]
        usual = [0, -0.0, 1, -1, 0.5, 1.5, 2.5, -2.5, -0.3, 3, 7, 1000, -999.5, 65000]
        return np.array(usual + extreme).astype(dtype.numpy)
    info_i = np.iinfo(dtype.numpy)
    signed = [-1, -2, -3, -7, info_i.min + 1] if info_i.min else []
    return np.array([0, 1, 2, 3, 5, 31, 100, info_i.max, info_i.min, *signed], dtype.numpy)


def elementwise(op: str, result: DType, operands: list[Array], dtypes: list[DType]) -> list[Kernel]:
    """The op over arrays: once with scalars, once with lanes and a tail."""
    size = operands[0].size
    kernels = []
    for lanes in (0, 8):
        inputs = [Buffer(f"x{i}", dtype, size) for i, dtype in enumerate(dtypes)]
        output = Buffer("y", result, size)
        body: tuple[Statement, ...] = ()
        starts = [(0, size)] if not lanes else [(0, size // 8), (size // 8 * 8, size % 8)]
        for number, (start, count) in enumerate(starts):
            i, lane = Var(f"i{number}", count), Var(f"l{number}", 8)
            at = variable(i) + start
            if lanes and not number:
                at = variable(i) * 8 + variable(lane)
            loads: tuple[Expression, ...] = tuple(Load(each, at) for each in inputs)
            store = Store(output, at, Apply(op, loads, result))
            if not lanes:
                body += (For(i, LoopKind.SERIAL, (store,)),)
            elif number:
                body += (For(i, LoopKind.LANES, (store,), 8),)
            else:
                body += (For(i, LoopKind.SERIAL, (For(lane, LoopKind.LANES, (store,), 8),)),)
        kernels.append(Kernel(f"{op}{lanes}", (*inputs, output), 1, body))
    return kernels


def meaning(op: Op, operands: list[Array], result: DType, attrs: tuple[object, ...] = ()) -> Array:
    return op.run(operands, attrs, TensorType(result, operands[0].shape))


def check(run: Run, op: str, result: DType, operands: list[Array], expected: Array) -> None:
    dtypes = [next(d for d in REAL_DTYPES if d.numpy == x.dtype) for x in operands]
    kernels = elementwise(op, result, operands, dtypes)
    outputs = [np.zeros(operands[0].size, result.numpy) for _ in kernels]
    run(kernels, *operands, outputs[0], *operands, outputs[1])
    if result is bfloat16:  # NumPy does not take its NaNs for equal
        outputs, expected = [x.astype("f") for x in outputs], expected.astype("f")
    for found in outputs:
        np.testing.assert_array_equal(found, expected)
        if result.is_floating_point and op not in ("maximum", "minimum"):
            numbers = ~np.isnan(expected)
            np.testing.assert_array_equal(np.signbit(found[numbers]), np.signbit(expected[numbers]))


def op_named(name: str) -> Op:
    found: Op = getattr(ew, name.upper())
    return found


@pytest.mark.parametrize("op", UNARY)
def test_unary_ops(run: Run, op: str) -> None:
    for dtype in UNARY[op]:
        x = values(dtype)
        check(run, op, dtype, [x], meaning(op_named(op), [x], dtype))


@pytest.mark.parametrize("op", BINARY)
def test_binary_ops(run: Run, op: str) -> None:
    for dtype in BINARY[op]:
        pairs = np.array(list(itertools.product(values(dtype), repeat=2)), dtype.numpy)
        x, y = (np.ascontiguousarray(pairs[:, side]) for side in (0, 1))
        result = bool_ if op in COMPARISONS else dtype
        if op == "shr" and dtype.is_signed:
            # NumPy's result for negative amounts depends on the platform.
            y = np.maximum(y, 0)
        if op == "shl" and dtype.is_signed:
            y = np.maximum(y, 0)
        expected = meaning(op_named(op), [x, y], result)
        if op == "div" and dtype.is_signed and not dtype.is_floating_point:
            expected = np.array([truncated(int(a), int(b), dtype) for a, b in pairs], dtype.numpy)
        check(run, op, result, [x, y], expected)


def truncated(x: int, y: int, dtype: DType) -> int:
    """The quotient towards zero, wrapped; 0 for a zero divisor."""
    if y == 0:
        return 0
    quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
    bits = 8 * dtype.itemsize
    return (quotient + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


@pytest.mark.parametrize("source", REAL_DTYPES, ids=str)
def test_casts(run: Run, source: DType) -> None:
    x = values(source)
    for target in REAL_DTYPES:
        with np.errstate(all="ignore"):
            expected = meaning(ew.CAST, [x], target, (target,))
        check(run, "cast", target, [x], expected)


def test_float64_to_float16_rounds_once(run: Run) -> None:
    rng = np.random.default_rng(0)
    halves = rng.integers(0, 0x7C00, 2000).astype(np.uint16).view(np.float16).astype(np.float64)
    middle = halves * (1 + 2.0**-11)
    near = [middle, np.nextafter(middle, np.inf), np.nextafter(middle, 0), halves * 1.0001]
    x = np.concatenate([*near, [65519.999, 65520.0, 1e-8, 2.0**-25, np.nextafter(2.0**-25, 1)]])
    with np.errstate(over="ignore"):
        check(run, "cast", float16, [x], x.astype(np.float16))


def test_every_float16_is_converted_exactly(run: Run) -> None:
    x = np.arange(1 << 16).astype(np.uint16).view(np.float16)
    check(run, "cast", float32, [x], x.astype(np.float32))
    wide = x.astype(np.float32)
    check(run, "cast", float16, [wide], x)


def test_every_bfloat16_is_converted_exactly(run: Run) -> None:
    x = np.arange(1 << 16).astype(np.uint16).view(bfloat16.numpy)
    check(run, "cast", float32, [x], x.astype(np.float32))
    check(run, "cast", bfloat16, [x.astype(np.float32)], x)


def test_float32_is_rounded_to_the_nearest_even_bfloat16(run: Run) -> None:
    high = np.arange(0, 0x7F80, 7, dtype=np.uint32) << 16
    x = np.concatenate([high + low for low in (0x7FFF, 0x8000, 0x8001)]).view(np.float32)
    check(run, "cast", bfloat16, [x], x.astype(bfloat16.numpy))


def test_bitcasts(run: Run) -> None:
    x = values(float32)
    check(run, "bitcast", int32, [x], x.view(np.int32))
    check(run, "bitcast", float32, [x.view(np.int32)], x)
    short = values(bfloat16)
    check(run, "bitcast", int16, [short], short.view(np.int16))
    check(run, "bitcast", bfloat16, [short.view(np.int16)], short)
    y = values(float64)
    check(run, "bitcast", int64, [y], y.view(np.int64))
    b = np.array([False, True, True])
    check(run, "bitcast", uint8, [b], b.view(np.uint8))


def test_select(run: Run) -> None:
    condition = np.array([True, False] * 10)
    x, y = np.arange(20, dtype="f"), -np.arange(20, dtype="f")
    check(run, "select", float32, [condition, x, y], np.where(condition, x, y))


def test_fma_rounds_once(run: Run) -> None:
    x = np.full(9, 1 + 2.0**-12, "f")
    z = np.full(9, -1, "f")
    check(run, "fma", float32, [x, x, z], np.full(9, 2.0**-11 + 2.0**-24, "f"))


def test_mulhi_is_the_upper_half_of_a_product(run: Run) -> None:
    pairs = np.array(list(itertools.product(values(uint32), repeat=2)), np.uint32)
    x, y = (np.ascontiguousarray(pairs[:, side]) for side in (0, 1))
    expected = ((x.astype(np.uint64) * y) >> np.uint64(32)).astype(np.uint32)
    check(run, "mulhi", uint32, [x, y], expected)


@pytest.mark.parametrize("op, reference", [("number_max", np.fmax), ("number_min", np.fmin)])
def test_number_maximum_ignores_nan(run: Run, op: str, reference: Callable[..., Array]) -> None:
    pairs = np.array(list(itertools.product(values(float32), repeat=2)), "f")
    x, y = (np.ascontiguousarray(pairs[:, side]) for side in (0, 1))
    expected = reference(x, y)
    kernels = elementwise(op, float32, [x, y], [float32, float32])
    outputs = [np.zeros(x.size, "f") for _ in kernels]
    run(kernels, x, y, outputs[0], x, y, outputs[1])
    for found in outputs:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    "op, reference",
    [
        ("maximum", np.maximum),
        ("minimum", np.minimum),
        ("number_max", np.fmax),
        ("number_min", np.fmin),
    ],
)
def test_a_constant_bound_treats_nan_alike(
    run: Run, op: str, reference: Callable[..., Array], swapped: bool
) -> None:
    source = values(float32)
    x, y = Buffer("x", float32, source.size), Buffer("y", float32, source.size)
    i = Var("i", source.size)
    args: tuple[Expression, Expression] = (Load(x, variable(i)), Const(1.5, float32))
    value = Apply(op, args[::-1] if swapped else args, float32)
    body = (For(i, LoopKind.SERIAL, (Store(y, variable(i), value),)),)
    result = np.zeros_like(source)
    run(Kernel("bound", (x, y), 1, body), source, result)
    np.testing.assert_array_equal(result, reference(source, np.float32(1.5)))


def test_constants_are_exact(run: Run) -> None:
    numbers = [0.1, -0.0, 1e-45, 3.4e38, np.inf, -np.inf, np.nan]
    y = Buffer("y", float32, len(numbers))
    body = tuple(Store(y, constant(i), Const(n, float32)) for i, n in enumerate(numbers))
    result = np.zeros(len(numbers), "f")
    run(Kernel("constants", (y,), 1, body), result)
    np.testing.assert_array_equal(result.view(np.int32), np.array(numbers, "f").view(np.int32))


def test_philox_arithmetic_in_lanes(run: Run) -> None:
    rng = np.random.default_rng(3)
    x, y = Buffer("x", uint32, 8), Buffer("y", uint32, 8)
    lane = Var("l", 8)
    word: Expression = Load(x, variable(lane))
    for number in range(10):
        product = Apply("mulhi", (word, Const(0xD2511F53, uint32)), uint32)
        low = Apply("mul", (word, Const(0xD2511F53, uint32)), uint32)
        mixed = Apply("xor", (product, low), uint32)
        word = Apply("add", (mixed, Const(0x9E3779B9 * number & 0xFFFFFFFF, uint32)), uint32)
    kernel = Kernel(
        "philox", (x, y), 1, (For(lane, LoopKind.LANES, (Store(y, variable(lane), word),), 8),)
    )
    source, result = rng.integers(0, 1 << 32, 8).astype(np.uint32), np.zeros(8, np.uint32)
    run(kernel, source, result)
    expected = source.astype(np.uint64)
    for number in range(10):
        wide = expected * np.uint64(0xD2511F53)
        mixed_words = (wide >> np.uint64(32)) ^ (wide & np.uint64(0xFFFFFFFF))
        offset = np.uint64(0x9E3779B9 * number & 0xFFFFFFFF)
        expected = (mixed_words + offset) & np.uint64(0xFFFFFFFF)
    np.testing.assert_array_equal(result, expected.astype(np.uint32))
