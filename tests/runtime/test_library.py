"""Library functions called by native code: operands, results, errors, and threads."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from treadle.codegen.artifact import LibraryCall
from treadle.ir import library
from treadle.ir.library.function import LibraryFunction
from treadle.runtime.library import HostFunction, raise_stored_error

Array = np.ndarray[Any, Any]
F32 = ("f32", (2, 2))
_SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)


def called(function: HostFunction, *arrays: Array) -> None:
    """As native code calls it: with an array of pointers."""
    pointers = (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
    _SIGNATURE(function.address)(ctypes.addressof(pointers), 0)


def host_function(
    monkeypatch: pytest.MonkeyPatch, evaluate: Any, results: Sequence[int] = (0,)
) -> HostFunction:
    row = LibraryFunction("probe", lambda types, _options: types, evaluate)
    monkeypatch.setitem(library.FUNCTIONS, "probe", row)
    wanted = tuple((F32, number) for number in results)
    return HostFunction(LibraryCall("library_probe", "probe", (7,), (), ((F32, 0),), wanted))


def test_operands_are_memory_and_results_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def evaluate(arrays: Sequence[Array], options: Any) -> Sequence[Array]:
        seen.append((arrays[0].copy(), arrays[0].flags.writeable, options))
        return [arrays[0] * 2, arrays[0].T]

    function = host_function(monkeypatch, evaluate, results=(1, 0, 1))
    x = np.array([[1, 2], [3, 4]], np.float32)
    found = [np.zeros((2, 2), np.float32) for _ in range(3)]
    called(function, x, *found)
    raise_stored_error()
    np.testing.assert_array_equal(seen[0][0], x)
    assert seen[0][1:] == (False, (7,))
    for array, expected in zip(found, (x.T, x * 2, x.T), strict=True):
        np.testing.assert_array_equal(array, expected)


def test_an_error_waits_until_it_is_asked_for_and_ends_later_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs: list[int] = []

    def evaluate(_arrays: Sequence[Array], _options: Any) -> Sequence[Array]:
        runs.append(1)
        raise KeyboardInterrupt("stop")

    function = host_function(monkeypatch, evaluate)
    x = np.zeros((2, 2), np.float32)
    called(function, x, x)
    called(function, x, x)
    assert runs == [1]
    with pytest.raises(KeyboardInterrupt, match="stop"):
        raise_stored_error()
    raise_stored_error()  # once is enough


def test_errors_of_one_thread_are_not_seen_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def evaluate(_arrays: Sequence[Array], _options: Any) -> Sequence[Array]:
        raise ValueError("mine")

    function = host_function(monkeypatch, evaluate)
    x = np.zeros((2, 2), np.float32)
    other: list[BaseException] = []

    def run() -> None:
        called(function, x, x)
        try:
            raise_stored_error()
        except ValueError as error:
            other.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    raise_stored_error()
    assert [str(error) for error in other] == ["mine"]
