"""Elementary functions against float64 and mpmath references, with and without fused arithmetic."""

from __future__ import annotations

import ctypes
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from treadle.codegen.elementary import expand
from treadle.codegen.llvm import KernelCall, Module, emit_entry
from treadle.codegen.loops import Apply, Buffer, Const, For, Kernel, Load, LoopKind, Store
from treadle.codegen.target import AVX2, BASELINE, Target
from treadle.ir.index import Var, constant, variable
from treadle.ir.ops import special
from treadle.ir.types import DType, float16, float32, float64, int32, int64, uint8
from treadle.ir.value import Array
from treadle.runtime import jit

LANES, BLOCK = 8, 1 << 16
_loaded: list[jit.LoadedObject] = []
_cache: dict[tuple[str, DType, Target, int], Callable[[int], None]] = {}


def compiled(op: str, dtype: DType, target: Target, arity: int) -> Callable[[int], None]:
    """A native function of a pointer table that applies the op to BLOCK elements."""
    key = (op, dtype, target, arity)
    if key not in _cache:
        inputs = [Buffer(f"x{number}", dtype, BLOCK) for number in range(arity)]
        result = Buffer("y", dtype, BLOCK)
        block, lane = Var("block", BLOCK // LANES), Var("lane", LANES)
        at = variable(block) * LANES + variable(lane)
        value = Apply(op, tuple(Load(x, at) for x in inputs), dtype)
        inner = For(lane, LoopKind.LANES, (Store(result, at, value),), LANES)
        body = (For(block, LoopKind.SERIAL, (inner,)),)
        module = Module(target)
        symbol = module.add_kernel(Kernel(op, (*inputs, result), 1, body))
        slots = tuple((slot, 0) for slot in range(arity + 1))
        emit_entry(module, "main", [KernelCall(symbol, 1, slots)])
        loaded = jit.load_object(jit.compile_object(module.text()), ["main"])
        _loaded.append(loaded)
        _cache[key] = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(loaded.addresses["main"])
    return _cache[key]


def compute(op: str, target: Target, *operands: Array) -> Array:
    """The op on arrays of one dtype, in blocks."""
    dtype = {"f": {2: float16, 4: float32, 8: float64}, "i": {4: int32, 8: int64}, "u": {1: uint8}}
    first = operands[0]
    function = compiled(op, dtype[first.dtype.kind][first.itemsize], target, len(operands))
    result = np.empty_like(first)
    for start in range(0, first.size, BLOCK):
        parts = [x[start : start + BLOCK] for x in operands]
        size = parts[0].size
        padded = [np.concatenate([x, np.ones(BLOCK - size, x.dtype)]) for x in parts]
        out = np.empty(BLOCK, first.dtype)
        table = np.array([array.ctypes.data for array in (*padded, out)], np.uintp)
        function(table.ctypes.data)
        result[start : start + size] = out[:size]
    return result


FLOAT32: dict[str, tuple[Callable[..., Array], float]] = {
    # The largest errors in units of the last place, fused or not.
    "exp": (np.exp, 1.02),
    "exp2": (np.exp2, 1.1),
    "expm1": (np.expm1, 1.5),
    "log": (np.log, 0.87),
    "log1p": (np.log1p, 1.0),
    "log2": (np.log2, 0.8),
    "log10": (np.log10, 0.8),
    "sin": (np.sin, 0.61),
    "cos": (np.cos, 0.61),
    "tan": (np.tan, 0.8),
    "asin": (np.arcsin, 2.6),
    "acos": (np.arccos, 1.4),
    "atan": (np.arctan, 1.9),
    "sinh": (np.sinh, 1.7),
    "cosh": (np.cosh, 1.7),
    "tanh": (np.tanh, 1.33),
    "asinh": (np.arcsinh, 0.51),
    "acosh": (np.arccosh, 0.51),
    "atanh": (np.arctanh, 0.51),
    "erf": (special.erf, 1.2),
    "erfc": (special.erfc, 0.51),
    "erfcx": (special.erfcx, 0.51),
    "erfinv": (special.erfinv, 5.0),
    "lgamma": (special.lgamma, 0.6),
    "digamma": (special.digamma, 0.6),
}
# Their references are computed one element at a time.
SLOW = ("erf", "erfc", "erfcx", "erfinv", "lgamma", "digamma")


def check_float32(op: str, target: Target, bits: Array) -> None:
    reference, bound = FLOAT32[op]
    x = bits.astype(np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        exact = reference(x.astype(np.float64))
        rounded = exact.astype(np.float32)
    found = compute(op, target, x)
    finite = np.isfinite(rounded) & np.isfinite(found)
    same = (np.isnan(rounded) & np.isnan(found)) | (rounded == found)
    # Just below the largest number, rounding up to infinity is within the bound.
    assert np.all(finite | same), x[~(finite | same)][:5]
    assert np.all((found != 0) | (rounded != 0) | (np.signbit(found) == np.signbit(rounded)))
    unit = np.abs(np.spacing(rounded[finite])).astype(np.float64)
    errors = np.abs(found[finite] - exact[finite]) / unit
    assert errors.max() <= bound, (x[finite][errors.argmax()], errors.max())


@pytest.mark.parametrize("target", [AVX2, BASELINE], ids=["fused", "unfused"])
@pytest.mark.parametrize("op", FLOAT32)
def test_float32_is_within_its_bound(op: str, target: Target) -> None:
    stride = 65521 if op in SLOW else 4099
    check_float32(op, target, np.arange(0, 1 << 32, stride))


@pytest.mark.slow
@pytest.mark.parametrize("target", [AVX2, BASELINE], ids=["fused", "unfused"])
@pytest.mark.parametrize("op", FLOAT32)
def test_every_float32_is_within_its_bound(op: str, target: Target) -> None:
    if op in SLOW:
        scipy = pytest.importorskip("scipy.special")
        names = {"lgamma": "gammaln", "digamma": "psi"}
        FLOAT32[op] = (getattr(scipy, names.get(op, op)), FLOAT32[op][1])
    for start in range(0, 1 << 32, 1 << 24):
        check_float32(op, target, np.arange(start, start + (1 << 24)))


SPECIAL: dict[str, list[tuple[float, float]]] = {
    "exp": [(0, 1), (-0.0, 1), (math.inf, math.inf), (-math.inf, 0), (800, math.inf), (-800, 0)],
    "log": [(0, -math.inf), (-0.0, -math.inf), (1, 0), (-1, math.nan), (math.inf, math.inf)],
    "tanh": [(0, 0), (-0.0, -0.0), (math.inf, 1), (-math.inf, -1), (100, 1)],
    "erf": [(0, 0), (-0.0, -0.0), (math.inf, 1), (-math.inf, -1), (100, 1)],
    "sin": [(0, 0), (-0.0, -0.0), (math.inf, math.nan), (-math.inf, math.nan)],
    "cos": [(0, 1), (-0.0, 1), (math.inf, math.nan), (-math.inf, math.nan)],
    "exp2": [(0, 1), (10, 1024), (-1, 0.5), (math.inf, math.inf), (-math.inf, 0), (2000, math.inf)],
    "expm1": [(0, 0), (-0.0, -0.0), (math.inf, math.inf), (-math.inf, -1), (800, math.inf)],
    "log1p": [(0, 0), (-0.0, -0.0), (-1, -math.inf), (-2, math.nan), (math.inf, math.inf)],
    "log2": [(0, -math.inf), (1, 0), (8, 3), (0.25, -2), (-1, math.nan), (math.inf, math.inf)],
    "log10": [(0, -math.inf), (1, 0), (1000, 3), (-1, math.nan), (math.inf, math.inf)],
    "tan": [(0, 0), (-0.0, -0.0), (math.inf, math.nan), (-math.inf, math.nan)],
    "asin": [(0, 0), (-0.0, -0.0), (2, math.nan), (-2, math.nan), (math.inf, math.nan)],
    "acos": [(1, 0), (2, math.nan), (-2, math.nan), (math.inf, math.nan)],
    "atan": [(0, 0), (-0.0, -0.0), (math.inf, math.pi / 2), (-math.inf, -math.pi / 2)],
    "sinh": [(0, 0), (-0.0, -0.0), (math.inf, math.inf), (-math.inf, -math.inf), (800, math.inf)],
    "cosh": [(0, 1), (-0.0, 1), (math.inf, math.inf), (-math.inf, math.inf), (-800, math.inf)],
    "asinh": [(0, 0), (-0.0, -0.0), (math.inf, math.inf), (-math.inf, -math.inf)],
    "acosh": [(1, 0), (0.5, math.nan), (-3, math.nan), (math.inf, math.inf)],
    "atanh": [(0, 0), (-0.0, -0.0), (1, math.inf), (-1, -math.inf), (2, math.nan)],
    "erfc": [(0, 1), (-0.0, 1), (math.inf, 0), (-math.inf, 2), (100, 0)],
    "erfcx": [(0, 1), (math.inf, 0), (-math.inf, math.inf), (-100, math.inf)],
    "erfinv": [(0, 0), (-0.0, -0.0), (1, math.inf), (-1, -math.inf), (2, math.nan)],
    "lgamma": [(1, 0), (2, 0), (0, math.inf), (-3, math.inf), (-math.inf, math.inf)],
    "digamma": [(0, -math.inf), (-0.0, math.inf), (-2, math.nan), (math.inf, math.inf)],
}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("op", SPECIAL)
def test_special_values_are_exact(op: str, dtype: type) -> None:
    inputs = np.array([x for x, _ in SPECIAL[op]] + [math.nan], dtype)
    expected = np.array([y for _, y in SPECIAL[op]] + [math.nan], dtype)
    for target in (AVX2, BASELINE):
        found = compute(op, target, inputs)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(
            np.signbit(found[:-1]),
            np.signbit(expected[:-1]) | (np.isnan(expected[:-1]) & np.signbit(found[:-1])),
        )


def samples(op: str) -> Array:
    """Random float64 arguments where the function is interesting."""
    rng = np.random.default_rng(7)
    count = 600

    def uniform(low: float, high: float) -> Array:
        return rng.uniform(low, high, count)

    wide = uniform(-1, 1) * 10.0 ** rng.integers(-300, 300, count)
    near_one = 1 - 10.0 ** uniform(-15, -1)
    small = np.abs(wide[np.abs(wide) < 1])
    parts = {
        "exp": [uniform(-745, 709), uniform(-1, 1)],
        "log": [np.abs(wide), uniform(0.5, 2), uniform(0.9, 1.1), uniform(0, 2e-308)],
        "tanh": [uniform(-1, 1), uniform(-20, 20), wide],
        "erf": [uniform(-1.2, 1.2), uniform(-6.2, 6.2), uniform(-1e-300, 1e-300)],
        "sin": [uniform(-4, 4), uniform(-1e6, 1e6), np.arange(1, count) * np.pi, wide],
        "cos": [uniform(-4, 4), uniform(-1e6, 1e6), np.arange(1, count) * np.pi / 2, wide],
        "exp2": [uniform(-1000, 1000), uniform(-1, 1)],
        "expm1": [uniform(-40, 700), uniform(-1, 1), small],
        "log1p": [uniform(-1, 1), uniform(-0.3, 0.5), small, np.abs(wide)],
        "log2": [np.abs(wide), uniform(0.5, 2), uniform(0.9, 1.1)],
        "log10": [np.abs(wide), uniform(0.5, 2), uniform(0.9, 1.1)],
        "tan": [uniform(-4, 4), uniform(-1e6, 1e6), np.arange(1, count) * np.pi / 2],
        "asin": [uniform(-1, 1), uniform(0.49, 0.52), near_one, small],
        "acos": [uniform(-1, 1), uniform(0.49, 0.52), near_one, -near_one],
        "atan": [uniform(-5, 5), uniform(0.4, 0.42), uniform(2.3, 2.5), wide],
        "sinh": [uniform(-1.2, 1.2), uniform(-710, 710), small],
        "cosh": [uniform(-1.2, 1.2), uniform(-710, 710), small],
        "asinh": [uniform(-5, 5), wide],
        "acosh": [uniform(1, 2), 2 - near_one, 1 + np.abs(wide)],
        "atanh": [uniform(-1, 1), near_one, small],
        "erfc": [uniform(-2, 4), uniform(0, 26.5), small],
        "erfcx": [uniform(-5, 5), uniform(-26, 50)],
        "erfinv": [uniform(-1, 1), near_one, small],
        "lgamma": [uniform(0, 3), uniform(0.9, 1.1), uniform(1.9, 2.1), uniform(0, 20), small],
        "digamma": [uniform(2, 20), small, 20 + np.abs(wide)],
    }
    return np.concatenate(parts[op])


FLOAT64 = {
    "exp": 1.0, "exp2": 1.1, "expm1": 2.2, "log": 0.9, "log1p": 1.0, "log2": 0.8, "log10": 0.8,
    "sin": 1.7, "cos": 1.7, "tan": 3.5, "asin": 2.6, "acos": 1.4, "atan": 1.9, "sinh": 1.7,
    "cosh": 1.7, "tanh": 1.3, "asinh": 2.2, "acosh": 2.2, "atanh": 2.2, "erf": 1.1, "erfc": 5.5,
    "erfcx": 2.5, "erfinv": 2.5, "lgamma": 5.0, "digamma": 9.0,
}  # fmt: skip


def exactly(op: str, x: Any) -> Any:
    """The function of a number by mpmath."""
    mpmath = pytest.importorskip("mpmath")
    special_names: dict[str, Callable[[Any], Any]] = {
        "exp2": lambda z: mpmath.mpf(2) ** z,
        "log2": lambda z: mpmath.log(z, 2),
        "lgamma": lambda z: mpmath.log(abs(mpmath.gamma(z))),
        "erfcx": lambda z: mpmath.exp(z * z) * mpmath.erfc(z),
    }
    function = special_names.get(op) or getattr(mpmath, op)
    return function(x)


@pytest.mark.parametrize("target", [AVX2, BASELINE], ids=["fused", "unfused"])
@pytest.mark.parametrize("op", FLOAT64)
def test_float64_is_within_its_bound(op: str, target: Target) -> None:
    mpmath = pytest.importorskip("mpmath")
    x = samples(op)
    found = compute(op, target, x)
    with mpmath.workprec(160):
        for argument, result in zip(x, found, strict=True):
            exact = exactly(op, mpmath.mpf(float(argument)))
            unit = max(abs(float(np.spacing(float(exact)))), 5e-324)
            assert abs(float((float(result) - exact) / unit)) <= FLOAT64[op], argument


# Python has an lgamma of its own, which is coarse near its zeros.
@pytest.mark.parametrize("op", [op for op in FLOAT64 if hasattr(math, op) and op != "lgamma"])
def test_float64_agrees_with_the_c_library(op: str) -> None:
    x = samples(op)
    expected = np.array([getattr(math, op)(each) for each in x])
    np.testing.assert_array_max_ulp(compute(op, AVX2, x), expected, 6)


def test_float16_is_computed_in_float32() -> None:
    x = np.arange(1 << 16).astype(np.uint16).view(np.float16)
    for op, reference in (("exp", np.exp), ("tanh", np.tanh), ("sin", np.sin)):
        with np.errstate(all="ignore"):
            expected = reference(x.astype(np.float64)).astype(np.float16)
        for target in (AVX2, BASELINE):
            found = compute(op, target, x)
            finite = np.isfinite(expected)
            np.testing.assert_array_equal(np.isfinite(found), finite)
            np.testing.assert_array_max_ulp(found[finite], expected[finite], 1)


@pytest.mark.parametrize("op", ["lgamma", "digamma"])
@pytest.mark.parametrize("target", [AVX2, BASELINE], ids=["fused", "unfused"])
def test_gamma_functions_of_negative_numbers_are_reflected(op: str, target: Target) -> None:
    mpmath = pytest.importorskip("mpmath")
    x = -np.random.default_rng(9).uniform(0, 40, 400)
    for argument, found in zip(x, compute(op, target, x), strict=True):
        exact = float(exactly(op, mpmath.mpf(float(argument))).real)
        assert abs(found - exact) <= 1e-12 * max(abs(exact), 10.0), argument


# --- angles ---------------------------------------------------------------------------------------

AXES = (0.0, -0.0, 1.0, -1.0, 3.0, 1e-300, 1e300, -1e300, 5e-324, math.inf, -math.inf, math.nan)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("target", [AVX2, BASELINE], ids=["fused", "unfused"])
def test_angles_of_special_points(dtype: type, target: Target) -> None:
    with np.errstate(all="ignore"):
        pairs = np.array(list(itertools.product(AXES, AXES))).astype(dtype)
    y, x = np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
    expected, found = np.arctan2(y, x), compute("atan2", target, y, x)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(found), ~numbers)
    np.testing.assert_array_equal(np.signbit(found[numbers]), np.signbit(expected[numbers]))
    np.testing.assert_array_max_ulp(found[numbers], expected[numbers], 2)


@pytest.mark.parametrize("target", [AVX2, BASELINE], ids=["fused", "unfused"])
def test_angles_are_within_their_bound(target: Target) -> None:
    mpmath = pytest.importorskip("mpmath")
    rng = np.random.default_rng(10)
    y, x = rng.normal(size=1500), rng.normal(size=1500)
    with mpmath.workprec(160):
        for up, across, found in zip(y, x, compute("atan2", target, y, x), strict=True):
            exact = mpmath.atan2(mpmath.mpf(float(up)), mpmath.mpf(float(across)))
            unit = abs(float(np.spacing(float(exact))))
            assert abs(float((float(found) - exact) / unit)) <= 2.0, (up, across)


# --- powers ---------------------------------------------------------------------------------------

CORNERS = (
    0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 0.5, -0.5, 1.5, -1.5, 1e-40, -1e-40, 1e30, -1e30,
    math.inf, -math.inf, math.nan, 16777217.0, -16777217.0, 1e-320, 2.0**53, 2.0**53 + 2,
)  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("target", [AVX2, BASELINE], ids=["fused", "unfused"])
def test_powers_of_special_values(dtype: type, target: Target) -> None:
    pairs = np.array(list(itertools.product(CORNERS, CORNERS))).astype(dtype)
    x, y = np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
    with np.errstate(all="ignore"):
        expected = np.power(x, y)
    found = compute("pow", target, x, y)
    special = ~np.isfinite(expected) | (expected == 0)
    np.testing.assert_array_equal(found[special], expected[special])
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found[numbers]), np.signbit(expected[numbers]))
    np.testing.assert_array_max_ulp(found[~special], expected[~special], 1)


def powers() -> Iterator[tuple[Array, Array]]:
    rng = np.random.default_rng(8)
    yield rng.uniform(0, 10, 2000), rng.uniform(-300, 300, 2000)
    yield rng.uniform(0.9, 1.1, 2000), rng.uniform(-5000, 5000, 2000)
    yield 10.0 ** rng.uniform(-300, 300, 2000), rng.uniform(-1, 1, 2000)
    yield rng.uniform(0, 1e-308, 500), rng.uniform(-1, 1, 500)


@pytest.mark.parametrize("target", [AVX2, BASELINE], ids=["fused", "unfused"])
def test_powers_of_float64_are_within_their_bound(target: Target) -> None:
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workprec(160):
        for x, y in powers():
            for base, exponent, found in zip(x, y, compute("pow", target, x, y), strict=True):
                exact = mpmath.power(mpmath.mpf(float(base)), mpmath.mpf(float(exponent)))
                if abs(exact) >= mpmath.mpf(2) ** 1024:
                    assert found == math.inf
                    continue
                unit = max(abs(float(np.spacing(float(exact)))), 5e-324)
                assert abs(float((float(found) - exact) / unit)) <= 0.9, (base, exponent)


@pytest.mark.parametrize("target", [AVX2, BASELINE], ids=["fused", "unfused"])
def test_powers_of_float32_are_nearly_rounded(target: Target) -> None:
    for x, y in powers():
        with np.errstate(all="ignore"):
            base, exponent = x.astype(np.float32), y.astype(np.float32)
            exact = np.power(base.astype(np.float64), exponent.astype(np.float64))
            rounded = exact.astype(np.float32)
        found = compute("pow", target, base, exponent)
        finite = np.isfinite(rounded)
        np.testing.assert_array_equal(found[~finite], rounded[~finite])
        unit = np.abs(np.spacing(rounded[finite])).astype(np.float64)
        assert (np.abs(found[finite] - exact[finite]) / unit).max() <= 0.51


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
def test_integer_powers_wrap_and_negative_exponents_truncate(dtype: type) -> None:
    values = np.arange(0 if dtype is np.uint8 else -12, 13)
    pairs = np.array(list(itertools.product(values, values)), dtype)
    x, y = np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])

    def expected(base: int, exponent: int) -> int:
        if exponent >= 0:
            bits = 8 * np.dtype(dtype).itemsize
            result = pow(base, exponent, 1 << bits)
            signed = dtype is not np.uint8 and result >> (bits - 1)
            return result - (1 << bits) if signed else result
        return base if base == 1 else (base if exponent % 2 else 1) if base == -1 else 0

    wanted = [expected(int(a), int(b)) for a, b in zip(x, y, strict=True)]
    np.testing.assert_array_equal(compute("pow", AVX2, x, y), np.array(wanted, dtype))


def test_constant_exponents_become_products() -> None:
    load = Load(Buffer("x", float32, 1), constant(0))
    for exponent, op in ((2.0, "mul"), (3.0, "mul"), (-1.0, "div")):
        node = Apply("pow", (load, Const(exponent, float32)), float32)
        expanded = expand(node)
        assert isinstance(expanded, Apply) and expanded.op == op


def test_other_ops_are_left_alone() -> None:
    node = Apply("sqrt", (Const(2.0, float32),), float32)
    assert expand(node) is node
