"""Order of elements of every dtype: NaN last, zeros equal, equal elements in their order."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tests.ir.finite_differences import inputs_for
from treadle.ir import build as b, ordering
from treadle.ir.interpreter import evaluate
from treadle.ir.types import REAL_DTYPES, DType, bfloat16, int32
from treadle.ir.value import Value, topological

Array = np.ndarray[Any, Any]
NAMES = [dtype.name for dtype in REAL_DTYPES]


def numbers(dtype: DType, *shape: int) -> Array:
    """Few different numbers, so that many are equal, and the ends of the range."""
    random = np.random.default_rng(0)
    found = random.integers(0 if dtype.kind in "bu" else -3, 4, shape)
    made = found.astype(dtype.numpy)
    if dtype.kind == "f":
        made.reshape(-1)[::7] = np.nan
        made.reshape(-1)[1::9] = -np.inf
        made.reshape(-1)[2::11] = -0.0
        return made
    if dtype.kind in "ui":
        limits = np.iinfo(dtype.numpy)
        made.reshape(-1)[::7] = limits.max
        made.reshape(-1)[1::9] = limits.min
    return made


def run(value: Value, x: Value, array: Array) -> Array:
    return evaluate([value], {x: array})[0]


def ranks(array: Array) -> Array:
    """Numbers that NumPy orders as we order elements."""
    if array.dtype in (np.float16, ml_dtypes.bfloat16):
        array = array.astype(np.float32)
    return np.unique(array.reshape(-1), return_inverse=True)[1].reshape(array.shape)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", REAL_DTYPES, ids=NAMES)
def test_argsort_is_numpys_stable_one(dtype: DType, axis: int, descending: bool) -> None:
    array = numbers(dtype, 5, 23, 2)
    (x,) = inputs_for([array])
    found = run(ordering.argsort(x, axis, descending), x, array)
    wanted = ranks(array)
    expected = np.argsort(-wanted if descending else wanted, axis, kind="stable")
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("dtype", REAL_DTYPES, ids=NAMES)
def test_sorted_values_are_the_elements_in_order(dtype: DType, descending: bool) -> None:
    array = numbers(dtype, 23, 4)
    (x,) = inputs_for([array])
    found = run(ordering.sorted_values(x, 0, descending), x, array)
    order = np.argsort(-ranks(array) if descending else ranks(array), 0, kind="stable")
    expected = np.take_along_axis(array, order, 0)
    if dtype is bfloat16:
        found, expected = found.astype(np.float32), expected.astype(np.float32)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("length", [1, 40, 2048, 2049, 9000])
@pytest.mark.parametrize("count", [0, 1, 5, 40, 1024, 2000])
@pytest.mark.parametrize("name", ["float32", "int64", "uint8"])
def test_the_first_positions_are_those_of_argsort(name: str, count: int, length: int) -> None:
    if count > length:
        return
    dtype = next(dtype for dtype in REAL_DTYPES if dtype.name == name)
    array = numbers(dtype, 2, length)
    (x,) = inputs_for([array])
    found = run(ordering.first_positions(x, 1, count, True), x, array)
    expected = run(ordering.argsort(x, 1, True), x, array)
    np.testing.assert_array_equal(found, expected[:, :count])


def words(value: Value) -> set[str]:
    return {each.dtype.short for each in topological([value]) if each.op.name == "sort"}


def test_short_rows_of_small_numbers_are_sorted_as_32_bit_words() -> None:
    x, y = inputs_for([numbers(next(d for d in REAL_DTYPES if d.name == "int16"), 2, 300)] * 2)
    assert words(ordering.argsort(x, 1)) == {"i32"}
    assert words(ordering.argsort(b.cast(y, int32), 1)) == {"i64"}


def test_the_last_of_equal_extrema_is_where_a_running_extremum_comes_from() -> None:
    array = np.array([1.0, 3.0, 3.0, 2.0, np.nan, 5.0, np.nan], np.float32)
    (x,) = inputs_for([array])
    found = run(ordering.extreme_positions(b.cummax(x, 0)), x, array)
    np.testing.assert_array_equal(found, [0, 1, 2, 2, 4, 4, 6])
    backwards = run(ordering.extreme_positions(b.cummin(x, 0, True)), x, array)
    np.testing.assert_array_equal(backwards, [4, 4, 4, 4, 4, 6, 6])


def test_no_elements_are_in_order() -> None:
    array = np.zeros((2, 0), np.float32)
    (x,) = inputs_for([array])
    assert run(ordering.argsort(x, 1), x, array).shape == (2, 0)
    assert run(ordering.sorted_values(x, 0), x, array).shape == (2, 0)
