"""What each op means: its evaluation against numbers written by hand and against PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tests.ir.finite_differences import inputs_for
from treadle.ir import build as b
from treadle.ir.interpreter import evaluate
from treadle.ir.ops import TABLE, random as random_ops
from treadle.ir.types import (
    bool_,
    float16,
    float32,
    float64,
    int8,
    int32,
    int64,
    uint8,
    uint32,
)
from treadle.ir.value import Value

Array = np.ndarray[Any, Any]
INF, NAN = np.inf, np.nan


def run(build: Callable[..., Value], *arrays: Any) -> Array:
    bound = [np.asarray(array) for array in arrays]
    inputs = inputs_for(bound)
    return evaluate([build(*inputs)], dict(zip(inputs, bound, strict=True)))[0]


def f32(*numbers: Any) -> Array:
    return np.array(numbers, np.float32)


def i64(*numbers: Any) -> Array:
    return np.array(numbers, np.int64)


GRID = np.arange(12, dtype=np.float32).reshape(3, 4)

# name -> [(function, arguments, expected)]
WRITTEN: dict[str, list[tuple[Callable[..., Value], Sequence[Any], Any]]] = {
    "constant": [(lambda x: b.constant(-0.0, float32) * x, [f32(1, INF)], [-0.0, NAN])],
    "iota": [(lambda x: b.iota((2, 3), 1, int64) + x, [i64(0)], [[0, 1, 2], [0, 1, 2]])],
    "neg": [(b.neg, [f32(1, -0.0, INF)], [-1, 0.0, -INF])],
    "abs": [(b.abs, [f32(-1, -0.0, -INF, NAN)], [1, 0.0, INF, NAN])],
    "sign": [(b.sign, [f32(-3, -0.0, 2, NAN)], [-1, 0.0, 1, 0]), (b.sign, [i64(-4, 0)], [-1, 0])],
    "exp": [(b.exp, [f32(0, -INF, INF)], [1, 0, INF])],
    "log": [(b.log, [f32(1, 0, -1)], [0, -INF, NAN])],
    "sqrt": [(b.sqrt, [f32(4, -0.0, -1)], [2, -0.0, NAN])],
    "sin": [(b.sin, [f32(0, INF)], [0, NAN])],
    "cos": [(b.cos, [f32(0, INF)], [1, NAN])],
    "tanh": [(b.tanh, [f32(0, INF, -INF)], [0, 1, -1])],
    "erf": [(b.erf, [f32(0, INF, -INF)], [0, 1, -1]), (b.erf, [np.zeros((0,), "f4")], [])],
    "exp2": [(b.exp2, [f32(3, -1, INF, -INF)], [8, 0.5, INF, 0])],
    "expm1": [(b.expm1, [f32(0, -INF, INF)], [0, -1, INF])],
    "log1p": [(b.log1p, [f32(0, -1, -2, INF)], [0, -INF, NAN, INF])],
    "log2": [(b.log2, [f32(8, 0, -1)], [3, -INF, NAN])],
    "log10": [(b.log10, [f32(100, 0, -1)], [2, -INF, NAN])],
    "tan": [(b.tan, [f32(0, INF)], [0, NAN])],
    "asin": [(b.asin, [f32(0, 1, 2)], [0, np.pi / 2, NAN])],
    "acos": [(b.acos, [f32(1, 0, 2)], [0, np.pi / 2, NAN])],
    "atan": [(b.atan, [f32(0, INF, -INF)], [0, np.pi / 2, -np.pi / 2])],
    "atan2": [(b.atan2, [f32(0.0, -0.0, 1, 1), f32(-1, -1, 0, 1)], [np.pi, -np.pi, np.pi / 2,
                                                                    np.pi / 4])],
    "sinh": [(b.sinh, [f32(0, INF, -INF)], [0, INF, -INF])],
    "cosh": [(b.cosh, [f32(0, INF, -INF)], [1, INF, INF])],
    "asinh": [(b.asinh, [f32(0, INF, -INF)], [0, INF, -INF])],
    "acosh": [(b.acosh, [f32(1, 0, INF)], [0, NAN, INF])],
    "atanh": [(b.atanh, [f32(0, 1, -1, 2)], [0, INF, -INF, NAN])],
    "erfc": [(b.erfc, [f32(0, INF, -INF)], [1, 0, 2])],
    "erfcx": [(b.erfcx, [f32(0, INF, -INF)], [1, 0, INF])],
    "erfinv": [(b.erfinv, [f32(0, 1, -1, 2)], [0, INF, -INF, NAN])],
    "lgamma": [(b.lgamma, [f32(1, 3, 0, -2, INF)], [0, np.log(2), INF, INF, INF])],
    "digamma": [(b.digamma, [f32(1, 0.0, -0.0, -1)], [-0.57721566, -INF, INF, NAN])],
    "fmod": [(b.fmod, [f32(5, -5, 5, 1), f32(3, 3, -3, INF)], [2, -2, 2, 1])],
    "floor": [(b.floor, [f32(-1.5, 2.5)], [-2, 2])],
    "ceil": [(b.ceil, [f32(-1.5, 2.5)], [-1, 3])],
    "round": [(b.round, [f32(0.5, 1.5, -2.5)], [0, 2, -2])],
    "trunc": [(b.trunc, [f32(-1.5, 2.5)], [-1, 2])],
    "not": [(b.logical_not, [[True, False]], [False, True]), (b.logical_not, [i64(5)], [-6])],
    "add": [(b.add, [f32(1, INF), f32(2, -INF)], [3, NAN])],
    "sub": [(b.sub, [i64(1, 2), i64(5, 2)], [-4, 0])],
    "mul": [(b.mul, [f32(2, 0), f32(3, INF)], [6, NAN])],
    "div": [
        (b.div, [f32(1, -1, 0), f32(0, 0, 0)], [INF, -INF, NAN]),
        (b.div, [i64(7, -7, 5), i64(2, 2, 0)], [3, -3, 0]),
    ],
    "remainder": [
        (b.remainder, [f32(5, -5, 5), f32(3, 3, -3)], [2, 1, -1]),
        (b.remainder, [i64(5, -5, 5, 5), i64(3, 3, -3, 0)], [2, 1, -1, 0]),
    ],
    "pow": [
        (b.pow, [f32(2, -2, 0, -8), f32(3, 2, 0, 1 / 3)], [8, 4, 1, NAN]),
        (b.pow, [i64(2, 1, -1, 2, 0), i64(3, -1, -3, -1, -1)], [8, 1, -1, 0, 0]),
    ],
    "maximum": [(b.maximum, [f32(1, NAN, 1), f32(2, 1, NAN)], [2, NAN, NAN])],
    "minimum": [(b.minimum, [f32(1, NAN, 1), f32(2, 1, NAN)], [1, NAN, NAN])],
    "and": [(b.logical_and, [i64(6), i64(3)], [2])],
    "or": [(b.logical_or, [i64(6), i64(3)], [7])],
    "xor": [(b.logical_xor, [i64(6), i64(3)], [5])],
    "shl": [(b.shift_left, [i64(3), i64(2)], [12])],
    "shr": [(b.shift_right, [i64(-8), i64(1)], [-4])],
    "eq": [(b.eq, [f32(0.0, NAN), f32(-0.0, NAN)], [True, False])],
    "ne": [(b.ne, [f32(0.0, NAN), f32(-0.0, NAN)], [False, True])],
    "lt": [(b.lt, [f32(1, NAN), f32(2, 1)], [True, False])],
    "le": [(b.le, [f32(2, NAN), f32(2, 1)], [True, False])],
    "gt": [(b.gt, [f32(1, NAN), f32(2, 1)], [False, False])],
    "ge": [(b.ge, [f32(2, NAN), f32(2, 1)], [True, False])],
    "select": [(b.select, [[True, False], f32(1, 2), f32(3, 4)], [1, 4])],
    "cast": [
        (lambda x: b.cast(x, int8), [f32(1.9, -1.9, 300, -300, NAN)], [1, -1, 127, -128, 0]),
        (lambda x: b.cast(x, uint8), [f32(-5, 256)], [0, 255]),
        (lambda x: b.cast(x, int64), [f32(1e30, -INF)], [2**63 - 1, -(2**63)]),
        (lambda x: b.cast(x, uint8), [i64(257, -1)], [1, 255]),
        (lambda x: b.cast(x, bool_), [f32(0.0, -0.0, NAN, 0.1)], [False, False, True, True]),
        (lambda x: b.cast(x, float16), [f32(1e6)], [INF]),
    ],
    "bitcast": [
        (lambda x: b.bitcast(x, uint32), [f32(1.0)], [0x3F800000]),
        (lambda x: b.bitcast(x, int32), [np.float32(-0.0)], -(2**31)),
    ],
    "reshape": [(lambda x: b.reshape(x, (4, 1)), [[[1.0, 2], [3, 4]]], [[1], [2], [3], [4]])],
    "permute": [(lambda x: b.permute(x, (1, 0)), [[[1.0, 2]]], [[1], [2]])],
    "expand": [(lambda x: b.broadcast_to(x, (2, 2)), [[[1.0], [2]]], [[1, 1], [2, 2]])],
    "slice": [(lambda x: b.slice(x, (1,), (6,), (2,)), [i64(0, 1, 2, 3, 4, 5, 6)], [1, 3, 5])],
    "pad": [
        (lambda x: b.pad(x, (1,), (2,), (1,), 9), [i64(1, 2)], [9, 1, 9, 2, 9, 9]),
        (lambda x: b.pad(x, (-1,), (1,)), [i64(1, 2, 3)], [2, 3, 0]),
    ],
    "flip": [(lambda x: b.flip(x, (1,)), [[[1.0, 2], [3, 4]]], [[2, 1], [4, 3]])],
    "concat": [(lambda x, y: b.concat([x, y], 0), [i64(1), i64(2, 3)], [1, 2, 3])],
    "windows": [
        (lambda x: b.windows(x, (0,), (2,), (2,), (2,)), [i64(0, 1, 2, 3, 4)], [[0, 2], [2, 4]])
    ],
    "fold": [
        (lambda x: b.fold(x, (4,), (0,), (2,), (1,), (1,)), [[[1.0, 2], [3, 4], [5, 6]]],
         [1, 5, 9, 6])
    ],
    "view_as_real": [(b.view_as_real, [np.array([1 + 2j, 4j], np.complex64)], [[1, 2], [0, 4]])],
    "view_as_complex": [(b.view_as_complex, [f32([1, 2], [0, 4])], [1 + 2j, 4j])],
    "as_strided": [(lambda x: b.as_strided(x, (2, 2), (1, 4), 1), [GRID], [[1, 5], [2, 6]])],
    "sum": [
        (lambda x: b.sum(x, (0,)), [GRID], [12, 15, 18, 21]),
        (lambda x: b.sum(x), [f32(-0.0)], 0.0),
        (lambda x: b.sum(x, ()), [f32(-0.0)], [-0.0]),
    ],
    "prod": [(lambda x: b.prod(x, (1,)), [np.zeros((2, 0), "f4")], [1, 1])],
    "max": [(lambda x: b.max(x, (1,)), [[[1.0, NAN], [2, 3]]], [NAN, 3])],
    "min": [(lambda x: b.min(x, (0,)), [[[1.0, NAN], [2, 3]]], [1, NAN])],
    "argmax": [(lambda x: b.argmax(x, 0), [f32(1, 3, 3)], 1), (lambda x: b.argmax(x, 0),
               [f32(1, NAN, 3)], 1)],
    "argmin": [(lambda x: b.argmin(x, 0), [f32(3, 1, 1)], 1)],
    "library": [
        (lambda x: b.library("cholesky", [x], False)[0], [[[4.0, 2], [2, 10]]], [[2, 0], [1, 3]])
    ],
    "dot": [(b.dot, [[[1.0, 2]], [[3.0], [4]]], [[11]])],
    "conv": [
        (lambda x, w: b.conv(x, w, (1,), ((1, 0),), (1,), (2,)),
         [f32([[[1, 2, 3]]]), f32([[[1, 10]]])], [[[[10, 1, 20, 2, 30]]]]),
        (lambda x, w: b.conv(x, w, (1,), ((0, 0),), (1,), (1,)),
         [np.zeros((0, 1, 2, 5), "f4"), np.zeros((1, 3, 2, 2), "f4")], np.zeros((0, 1, 3, 4))),
    ],
    "cumsum": [
        (lambda x: b.cumsum(x, 0), [f32(-0.0, 1, INF, -INF)], [-0.0, 1, INF, NAN]),
        (lambda x: b.cumsum(x, 1, True), [[[1, 2, 3], [4, 5, 6]]], [[6, 5, 3], [15, 11, 6]]),
    ],
    "cumprod": [
        (lambda x: b.cumprod(x, 0), [f32(2, 0, 5)], [2, 0, 0]),
        (lambda x: b.cumprod(x, 0), [np.zeros((0, 2), "f4")], np.zeros((0, 2))),
    ],
    "cummax": [
        (lambda x: b.cummax(x, 0), [f32(1, 3, 2, NAN, 5)], [1, 3, 3, NAN, NAN]),
        (lambda x: b.cummax(x, 0, True), [[False, True, False]], [True, True, False]),
    ],
    "cummin": [(lambda x: b.cummin(x, 0), [i64(3, 5, 1, 2)], [3, 3, 1, 1])],
    "recurrence": [
        (lambda x, y: b.recurrence(x, y, 0), [f32(NAN, 2, 3), f32(1, 1, 1)], [1, 3, 10]),
        (lambda x, y: b.recurrence(x, y, 0, True), [f32(2, 3, NAN), f32(1, 1, 1)], [9, 4, 1]),
    ],
    "sort": [(b.sort, [[[3, 1, 2], [-1, -2, 7]]], [[1, 2, 3], [-2, -1, 7]])],
    "merge": [(lambda x: b.merge(x, 2), [i64(2, 5, 1, 3, 4)], [1, 2, 3, 5, 4])],
    "gather": [(lambda x, i: b.gather(x, i, 0), [f32(5, 6, 7), i64(2, -9, 9)], [7, 5, 7])],
    "scatter": [
        (lambda x, i, y, c=combine: b.scatter(x, i, y, 0, c),
         [f32(1, 1, 4), i64(1, 1, 9, -1), f32(2, 3, 4, 5)], [1, expected, 4])
        for combine, expected in [("set", 3), ("add", 6), ("mul", 6), ("min", 1), ("max", 3)]
    ] + [
        (lambda x, i, y: b.scatter(x, i, y, 0, "max"),
         [f32(1, 2), i64(0, 0), f32(NAN, 3)], [NAN, 2]),
    ],
    "view_update": [
        (lambda x, y: b.view_update(x, y, (2,), (2,), 1), [i64(0, 1, 2, 3), i64(8, 9)],
         [0, 8, 2, 9])
    ],
    # Known answers of Random123 (kat_vectors): counter 0, key 0.
    "random_bits": [
        (lambda s: b.random_bits(s, (5,)), [i64(0, 0)],
         [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8, None])
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_results_written_by_hand(name: str) -> None:
    for build, arrays, expected in WRITTEN[name]:
        found = run(build, *arrays)
        if name == "random_bits":
            found, expected = found[:4], expected[:4]
        wanted = np.array(expected, found.dtype)
        np.testing.assert_array_equal(found, wanted)
        if found.dtype.kind == "f":
            known = ~np.isnan(wanted)
            np.testing.assert_array_equal(np.signbit(found)[known], np.signbit(wanted)[known])


def test_every_op_has_results_written_by_hand() -> None:
    # Inputs and fused kernels are the interpreter's own: test_interpreter.
    assert set(TABLE) - set(WRITTEN) == {"input", "kernel", "item"}


def test_philox_takes_the_seed_as_key_and_counts_blocks() -> None:
    state = np.array([-1, -1], np.int64)
    # Random123's second vector has all 128 bits of the counter set; ours has 64 of them.
    all_ones = random_ops.philox(np.array([2**64 - 1], np.uint64), 2**64 - 1)[0]
    first = run(lambda s: b.random_bits(s, (4,)), state)
    np.testing.assert_array_equal(first, all_ones)
    both = run(lambda s: b.random_bits(s, (2, 4)), np.array([7, 3], np.int64))
    second = run(lambda s: b.random_bits(s, (4,)), np.array([7, 4], np.int64))
    np.testing.assert_array_equal(both[1], second)


def numbers(*shape: int) -> Array:
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


@pytest.mark.oracle
def test_elementwise_ops_agree_with_pytorch() -> None:
    torch = pytest.importorskip("torch")
    x, y = numbers(50) * 3, numbers(100)[50:]
    special = f32(0, -0.0, INF, -INF, NAN, 1, -1, 0.5)
    x = np.concatenate([x, np.repeat(special, 8)])
    y = np.concatenate([y, np.tile(special, 8)])
    for name in ("neg", "abs", "sign", "exp", "exp2", "expm1", "log", "log1p", "log2", "log10",
                 "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh",
                 "asinh", "acosh", "atanh", "erf", "erfc", "erfinv", "lgamma", "floor", "ceil",
                 "round", "trunc"):  # fmt: skip
        found = run(getattr(b, name), x)
        expected = getattr(torch, name)(torch.tensor(x)).numpy()
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-7, err_msg=name)
    for name in ("add", "sub", "mul", "div", "remainder", "fmod", "atan2", "pow", "maximum",
                 "minimum",
                 "eq", "ne", "lt", "le", "gt", "ge"):  # fmt: skip
        found = run(getattr(b, name), x, y)
        expected = getattr(torch, name)(torch.tensor(x), torch.tensor(y)).numpy()
        np.testing.assert_allclose(found, expected, rtol=2e-6, err_msg=name)


@pytest.mark.oracle
def test_convolution_agrees_with_pytorch() -> None:
    torch = pytest.importorskip("torch")
    x, w = numbers(2, 4, 7, 8), numbers(6, 2, 3, 2)
    expected = torch.nn.functional.conv2d(
        torch.tensor(x), torch.tensor(w), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2
    ).numpy()
    found = run(
        lambda a, c: b.conv(a, c, (2, 1), ((1, 1), (2, 2)), (1, 2), (1, 1)),
        x.reshape(2, 2, 2, 7, 8),
        w.reshape(2, 3, 2, 3, 2),
    )
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.oracle
def test_gather_and_scatter_agree_with_pytorch() -> None:
    torch = pytest.importorskip("torch")
    x, index = numbers(4, 5), np.array([[3, 0, 1], [2, 2, 0]], np.int64)
    found = run(lambda a, i: b.gather(a, i, 0), x, index)
    np.testing.assert_array_equal(found, torch.gather(torch.tensor(x), 0, torch.tensor(index)))
    y = numbers(2, 3)
    added = run(lambda a, i, s: b.scatter_add(a, i, s, 0), x, index, y)
    expected = torch.tensor(x).scatter_add(0, torch.tensor(index), torch.tensor(y))
    np.testing.assert_allclose(added, expected, rtol=1e-6)


def test_type_rules_say_what_they_want() -> None:
    x, y = inputs_for([np.zeros((2, 3), "f4"), np.zeros((4, 5), "f4")])
    whole = b.cast(x, int64)
    wrong: list[tuple[Callable[[], Value], str]] = [
        (lambda: b.dot(x, y), r"dot needs \[..., m, k\] and \[..., k, n\] of one dtype"),
        (lambda: b.add(x, y), r"tensor a \(3\) must match .* b \(5\) at non-singleton dimension 1"),
        (lambda: b.add(x, whole), "add needs operands of one dtype, found f32.* and i64"),
        (lambda: b.exp(whole), "exp is not defined for int64"),
        (lambda: b.reshape(x, (4,)), r"reshape cannot make \[4\] out of f32\[2,3\]"),
        (lambda: b.slice(x, (0, 2), (2, 4)), "slice 2:4:1 does not fit in an extent of 3"),
        (lambda: b.gather(x, whole, 1) * b.gather(x, x, 1), "gather along axis 1 needs i64"),
        (lambda: b.max(b.slice(x, (0, 0), (0, 3))), "has no elements to choose from"),
        (lambda: b.as_strided(x, (4,), (2,), 0), "reach elements 0 to 6 of 6"),
        (lambda: b.bitcast(x, float64), "bitcast needs dtypes of one size"),
    ]
    for build, message in wrong:
        with pytest.raises((TypeError, ValueError, RuntimeError), match=message):
            build()
