"""Running the same small program with Treadle and with PyTorch, and comparing what comes out.

A program is a function of the library; it returns tensors, numbers, text or nested lists of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import treadle

Program = Callable[[Any], Any]


def oracle() -> Any:
    """PyTorch; skips the test where it is not installed."""
    return pytest.importorskip("torch", reason="PyTorch is the oracle of this test")


def plain(result: Any) -> Any:
    """A result without reference to its library."""
    if hasattr(result, "detach"):
        array = np.array(result.detach().numpy())
        return (str(result.dtype), bool(result.requires_grad), array)
    if isinstance(result, (list, tuple)):
        return [plain(item) for item in result]
    if isinstance(result, dict):
        return {name: plain(item) for name, item in result.items()}
    return result


def run(program: Program, library: Any) -> Any:
    """What a program gives, or the kind and first line of the error it raises."""
    try:
        return plain(program(library))
    except Exception as error:
        return ["raises", type(error).__name__, first_line(error)]


def first_line(error: Exception) -> str:
    """The message without PyTorch's name of the operation that last wrote to a tensor."""
    return re.sub(r", which is output \d+ of [\w:]+,", "", str(error).split("\n")[0])


def assert_equal(found: Any, expected: Any, rtol: float = 1e-5, where: str = "") -> None:
    """Structures of arrays and plain values are equal, floating point up to ``rtol``."""
    if isinstance(expected, np.ndarray):
        assert found.shape == expected.shape, where
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * 0.1, err_msg=where)
    elif isinstance(expected, float):
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * 0.1, err_msg=where)
    elif isinstance(expected, (list, tuple)):
        assert isinstance(found, (list, tuple)), f"{where}: {found!r}, expected {expected!r}"
        assert len(found) == len(expected), f"{where}: {found!r}, expected {expected!r}"
        for number, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
            assert_equal(ours, theirs, rtol, f"{where}[{number}]")
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for name in expected:
            assert_equal(found[name], expected[name], rtol, f"{where}.{name}")
    else:
        assert found == expected, f"{where}: {found!r}, expected {expected!r}"


def check(program: Program, rtol: float = 1e-5) -> None:
    """Asserts that both libraries give the same results or raise the same error."""
    assert_equal(run(program, treadle), run(program, oracle()), rtol)
