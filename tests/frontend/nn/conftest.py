"""Fixtures of the tests of ``treadle.nn``.

``same_as_torch`` runs a function with both libraries; it skips where PyTorch is not installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import treadle


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test that asks for a comparison with PyTorch."""
    for item in items:
        if {"same_as_torch", "same_error_as_torch"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.oracle)


def _run(library: Any, build: Callable[..., Any], arrays: tuple[Any, ...]) -> dict[str, Any]:
    tensors = []
    for array in arrays:
        tensor = library.tensor(array)
        if array.dtype.kind == "f":
            tensor.requires_grad_()
        tensors.append(tensor)
    result = build(library, *tensors)
    found: dict[str, Any] = {
        "value": result.detach().numpy(),
        "dtype": str(result.dtype),
        "grad_fn": _node_name(result),
    }
    if result.requires_grad:
        weights = np.random.default_rng(7).standard_normal(tuple(result.shape))
        result.backward(library.tensor(weights, dtype=result.dtype))
        for number, tensor in enumerate(tensors):
            if tensor.grad is not None:
                found[f"grad {number}"] = tensor.grad.numpy()
    return found


def _node_name(result: Any) -> str:
    return "" if result.grad_fn is None else str(result.grad_fn.name())


@pytest.fixture
def same_as_torch() -> Callable[..., None]:
    """Asserts that value, dtype, node name and gradients agree with PyTorch's."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

    def check(build: Callable[..., Any], *arrays: Any, rtol: float = 1e-5) -> None:
        expected = _run(torch, build, arrays)
        found = _run(treadle, build, arrays)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            if isinstance(value, str):
                assert found[name] == value, name
            else:
                np.testing.assert_allclose(
                    found[name], value, rtol=rtol, atol=rtol * 0.1, err_msg=name
                )

    return check


@pytest.fixture
def same_error_as_torch() -> Callable[..., None]:
    """Asserts that a call raises PyTorch's exception type with PyTorch's text."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

    def check(call: Callable[[Any], Any]) -> None:
        with pytest.raises(Exception) as expected:
            call(torch)
        with pytest.raises(expected.type) as found:
            call(treadle)
        assert str(found.value) == str(expected.value).split("\nException raised from")[0]

    return check


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(0)
