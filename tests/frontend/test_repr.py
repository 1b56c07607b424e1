"""Tensors of random contents, shapes and dtypes print as PyTorch prints them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays

import treadle
from tests.frontend.agreement import oracle

SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9)
LONG = st.sampled_from([(1001,), (20, 60), (3, 4, 100), (1200, 1), (1, 2000), (7, 7, 7, 7)])
DTYPES = ("float32", "float64", "float16", "int64", "int32", "int8", "uint8", "bool")


def numbers(dtype: str) -> Any:
    """Elements of a dtype with NaN, infinities and all magnitudes, often simple ones."""
    if not dtype.startswith("float"):
        return arrays.from_dtype(np.dtype(dtype))
    width = int(dtype.removeprefix("float"))
    simple = st.sampled_from([0.0, -0.0, 1.0, -2.0, 0.5, 1000.0, 1001.0, 1e-4, 99999.0])
    return st.one_of(simple, simple, st.floats(width=width))


@st.composite
def contents(draw: Any) -> Any:
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.one_of(SHAPES, LONG))
    fill = draw(st.sampled_from([st.nothing(), None]))
    return draw(arrays.arrays(dtype, shape, elements=numbers(dtype), fill=fill))


def both(array: Any) -> tuple[Any, Any]:
    torch = oracle()
    return treadle.tensor(array), torch.tensor(array)


@pytest.mark.oracle
@given(contents())
@settings(deadline=None, max_examples=300)
def test_a_tensor_prints_as_in_pytorch(array: Any) -> None:
    ours, theirs = both(array)
    assert repr(ours) == repr(theirs)


@pytest.mark.oracle
@given(contents())
@settings(deadline=None, max_examples=60)
def test_a_tensor_inside_containers_prints_as_in_pytorch(array: Any) -> None:
    ours, theirs = both(array)
    assert str([ours, {"a": (ours,)}]) == str([theirs, {"a": (theirs,)}])


@pytest.mark.oracle
@pytest.mark.parametrize(
    "options",
    [
        {"precision": 2},
        {"edgeitems": 1, "threshold": 5},
        {"linewidth": 40},
        {"sci_mode": True},
        {"sci_mode": False},
        {"profile": "short"},
        {"profile": "full"},
    ],
    ids=str,
)
def test_print_options_do_what_they_do_in_pytorch(options: dict[str, Any]) -> None:
    torch = oracle()
    generator = np.random.default_rng(0)
    shapes = [(), (3,), (30,), (8, 9), (2, 600)]
    samples = [generator.normal(size=s) * 10.0**power for s in shapes for power in (-6, 0, 5)]
    try:
        treadle.set_printoptions(**options)
        torch.set_printoptions(**options)
        for array in samples:
            ours, theirs = both(array)
            assert repr(ours) == repr(theirs)
    finally:
        treadle.set_printoptions(profile="default")
        torch.set_printoptions(profile="default")
