"""Tensors from data, filled tensors and ranges: results, dtypes, errors and warnings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import treadle
from tests.frontend.agreement import Program, check

pytestmark = pytest.mark.oracle


class Other:
    """No number."""


DATA: dict[str, Program] = {
    "ragged": lambda t: t.tensor([[1, 2], [3]]),
    "a list among numbers": lambda t: t.tensor([1, [2]]),
    "a number among lists": lambda t: t.tensor([[1], 2]),
    "text": lambda t: t.tensor("a"),
    "a list of text": lambda t: t.tensor(["a"]),
    "None": lambda t: t.tensor(None),
    "None among numbers": lambda t: t.tensor([1, None]),
    "another object": lambda t: t.tensor(Other()),
    "a set": lambda t: t.tensor({1}),
    "too large": lambda t: t.tensor(1 << 70),
    "too large in a list": lambda t: t.tensor([1 << 63]),
    "too large for bytes": lambda t: t.tensor([300], dtype=t.uint8),
    "infinity as integer": lambda t: t.tensor(float("inf"), dtype=t.int32),
    "complex as float": lambda t: t.tensor(1j, dtype=t.float32),
    "gradients of integers": lambda t: t.tensor([1], requires_grad=True),
    "a list of matrices": lambda t: t.tensor([t.zeros(2), t.zeros(2)]),
    "an array of text": lambda t: str(t.from_numpy is not None),
    "empty": lambda t: [t.tensor([]), t.tensor([[]]), t.tensor([[], [1]])],
    "mixed": lambda t: [t.tensor([True, 2]), t.tensor([True, 2.5]), t.tensor([1, 2.5])],
    "a range": lambda t: t.tensor(range(3)),
    "NumPy's numbers": lambda t: [t.tensor(np.float64(1)), t.tensor([np.int32(1)]),
                                  t.tensor(np.bool_(True)), t.tensor([np.float32(1), 2.0])],
    "arrays in a list": lambda t: t.tensor([np.array([1, 2]), np.array([3, 4])]),
    "numbers without dimensions": lambda t: t.tensor([t.tensor(1.5), 2]),
    "truncated": lambda t: t.tensor([1.9, -1.9], dtype=t.int64),
    "asarray of a list": lambda t: t.asarray([1, 2], dtype=t.float32),
    "asarray that must not copy": lambda t: t.asarray([1], copy=False),
    "asarray of an array": lambda t: t.asarray(np.zeros(2), copy=True),
    "asarray that requires gradients": lambda t: t.asarray([1.0], requires_grad=True),
    "from_numpy of a list": lambda t: t.from_numpy([1]),
    "from_numpy of negative strides": lambda t: t.from_numpy(np.zeros(3)[::-1]),
    "from_numpy of other bytes": lambda t: t.from_numpy(np.zeros(2, ">f4")),
    "frombuffer": lambda t: t.frombuffer(bytearray(b"abcdefgh"), dtype=t.int32, offset=4),
    "frombuffer of bytes left": lambda t: t.frombuffer(bytearray(b"abcdefg"), dtype=t.int32),
    "frombuffer of too many": lambda t: t.frombuffer(bytearray(8), dtype=t.int32, count=3),
    "frombuffer of nothing": lambda t: t.frombuffer(bytearray(0), dtype=t.int32),
    "frombuffer beyond the end": lambda t: t.frombuffer(bytearray(4), dtype=t.int32, offset=4),
    "scalar_tensor": lambda t: [t.scalar_tensor(3), t.scalar_tensor(True, dtype=t.int16)],
    "scalar_tensor of a list": lambda t: t.scalar_tensor([1]),
}  # fmt: skip
FILLED: dict[str, Program] = {
    "negative": lambda t: t.zeros(2, -1),
    "a float": lambda t: t.zeros(2.0),
    "text": lambda t: t.ones("a"),
    "bool": lambda t: t.zeros(True),
    "nothing": lambda t: t.zeros(),
    "a keyword": lambda t: [t.zeros(size=(2,)), t.ones([2, t.tensor(3)])],
    "another keyword": lambda t: t.ones(2, foo=1),
    "a shape and more": lambda t: t.zeros((2,), 3),
    "Python's types": lambda t: [t.zeros(2, dtype=int), t.ones(2, dtype=float)],
    "a dtype by name": lambda t: t.zeros(2, dtype="float"),
    "out": lambda t: t.ones(2, out=t.empty(0, dtype=t.int64)),
    "out of another dtype": lambda t: t.zeros(2, out=t.empty(0), dtype=t.int64),
    "full by kind": lambda t: [t.full((2,), 1), t.full((2,), True), t.full((2,), 1.5)],
    "full out": lambda t: t.full((2,), 1, out=t.empty(0)),
    "full of a number": lambda t: t.full(2, 1),
    "full of text": lambda t: t.full((2,), "a"),
    "full of a tensor": lambda t: t.full((2,), t.tensor(3)),
    "full_like truncates": lambda t: t.full_like(t.zeros(2, dtype=t.int64), 1.7),
    "like": lambda t: [t.zeros_like(t.ones(2), dtype=t.int32), t.ones_like(t.zeros(2, 1))],
    "like a number": lambda t: t.zeros_like(3),
    "like, with gradients of integers": lambda t: t.zeros_like(
        t.ones(2), dtype=t.int32, requires_grad=True
    ),
    "new": lambda t: [t.zeros(2).double().new_ones(2, 3), t.zeros(1).new_full((2,), True),
                      t.zeros(2).new_tensor([1]), t.zeros(1).new_zeros(2, requires_grad=True)],
    "empty_strided": lambda t: list(t.empty_strided((2, 3), (1, 4)).stride()),
    "empty_strided of other counts": lambda t: t.empty_strided((2,), (1, 2)),
    "empty_permuted": lambda t: list(t.empty_permuted((2, 3, 4), (2, 0, 1)).stride()),
    "empty_permuted twice": lambda t: t.empty_permuted((2, 3), (0, 0)),
    "fill": lambda t: [t.fill(t.zeros(2), 2.0), t.fill(t.zeros(2), t.tensor(3.0))],
    "fill of a vector": lambda t: t.fill(t.zeros(2), t.zeros(1)),
}  # fmt: skip
RANGES: dict[str, Program] = {
    "arange": lambda t: [t.arange(3), t.arange(3.0), t.arange(1, 7, 2), t.arange(0, 1, 0.3)],
    "arange by name": lambda t: [t.arange(end=3), t.arange(start=1, end=3)],
    "arange of tensors": lambda t: [t.arange(t.tensor(3)), t.arange(t.tensor(3.0))],
    "arange into integers": lambda t: t.arange(-0.9, 2.1, 2.0, dtype=t.int64),
    "arange of bool": lambda t: t.arange(5, dtype=t.bool),
    "arange to infinity": lambda t: t.arange(float("inf")),
    "arange in steps of 0": lambda t: t.arange(0, 3, 0),
    "arange the wrong way": lambda t: t.arange(0, -3),
    "arange of text": lambda t: t.arange("a"),
    "arange out": lambda t: t.arange(3, out=t.empty(0)),
    "linspace": lambda t: [t.linspace(0, 1, 5), t.linspace(3, -1, 1), t.linspace(0, 1, 0)],
    "linspace of integers": lambda t: t.linspace(0, 9.9, 4, dtype=t.int64),
    "linspace of tensors": lambda t: t.linspace(t.tensor(1), t.tensor(2.0), 3),
    "linspace of vectors": lambda t: t.linspace(t.zeros(2), t.zeros(2), 3),
    "linspace of -1": lambda t: t.linspace(0, 1, -1),
    "logspace": lambda t: [t.logspace(0, 2, 3), t.logspace(0, 3, 4, base=2.0)],
    "logspace of integers": lambda t: t.logspace(0, 3, 4, dtype=t.int64),
    "eye": lambda t: [t.eye(2), t.eye(2, 3, dtype=t.int64)],
    "eye of -1": lambda t: t.eye(-1),
    "eye of a float": lambda t: t.eye(2.0),
    "triangles": lambda t: [t.tril_indices(3, 4, 1), t.triu_indices(3, 3, dtype=t.int32)],
    "a triangle of -1": lambda t: t.tril_indices(-1, 3),
    "vander": lambda t: [t.vander(t.arange(3)), t.vander(t.tensor([1.0, 2.0]), 3, True)],
    "vander of a matrix": lambda t: t.vander(t.zeros(2, 2)),
}


@pytest.mark.parametrize("name", DATA)
@pytest.mark.filterwarnings("ignore")
def test_data_become_pytorchs_tensors_or_errors(name: str) -> None:
    check(DATA[name])


@pytest.mark.parametrize("name", FILLED)
def test_filled_tensors_are_pytorchs(name: str) -> None:
    check(FILLED[name])


@pytest.mark.parametrize("name", RANGES)
def test_ranges_are_pytorchs(name: str) -> None:
    check(RANGES[name])


WINDOWS: dict[str, Program] = {
    "hann_window": lambda t: [t.hann_window(n) for n in (0, 1, 2, 7)],
    "hamming_window": lambda t: t.hamming_window(6, True, 0.5, 0.4),
    "blackman_window": lambda t: t.blackman_window(5, periodic=False),
    "bartlett_window": lambda t: [t.bartlett_window(6), t.bartlett_window(5, False)],
    "kaiser_window": lambda t: [t.kaiser_window(6), t.kaiser_window(6, True, 5.0)],
    "a negative length": lambda t: t.hann_window(-1),
    "integers": lambda t: t.signal.windows.hann(3, dtype=t.int64),
    "nuttall": lambda t: [t.signal.windows.nuttall(n, sym=s) for n in (1, 5) for s in (0, 1)],
    "a centre of a symmetric window": lambda t: t.signal.windows.exponential(3, center=1),
    "gradients": lambda t: t.signal.windows.cosine(3, requires_grad=True),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_are_pytorchs(name: str) -> None:
    check(WINDOWS[name])


def test_from_numpy_shares_memory() -> None:
    array = np.zeros(3, np.float32)
    shared: Any = treadle.as_tensor(array)
    shared.add_(1)
    assert array.tolist() == [1.0, 1.0, 1.0]
