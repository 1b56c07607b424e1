"""Tensors print as PyTorch prints them: literal strings, and random arrays against PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from treadle import printing
from treadle.printing import tensor_repr


@pytest.fixture(autouse=True)
def _default_options() -> Iterator[None]:
    yield
    printing.set_printoptions(profile="default")


def f32(values: Any) -> Any:
    return np.array(values, np.float32)


NAN, INF = float("nan"), float("inf")

LITERAL: list[tuple[Any, dict[str, Any], str]] = [
    (f32([1.0, 2.0, 3.0]), {}, "tensor([1., 2., 3.])"),
    (f32([1.5, -2.0]), {}, "tensor([ 1.5000, -2.0000])"),
    (
        f32([[1.0, 2.0], [3.5, 4.0]]),
        {},
        "tensor([[1.0000, 2.0000],\n        [3.5000, 4.0000]])",
    ),
    (f32(3.14159), {}, "tensor(3.1416)"),
    (f32(2.0), {}, "tensor(2.)"),
    (f32([0.0, -0.0]), {}, "tensor([0., -0.])"),
    (f32([1e-5, 1.0]), {}, "tensor([1.0000e-05, 1.0000e+00])"),
    (f32([1.0, 1001.0]), {}, "tensor([1.0000e+00, 1.0010e+03])"),
    (f32([1.0, 1000.0]), {}, "tensor([   1., 1000.])"),
    (f32([2e8]), {}, "tensor([2.0000e+08])"),
    (f32([NAN, INF, -INF, 1.0]), {}, "tensor([nan, inf, -inf, 1.])"),
    (f32([NAN, 0.25]), {}, "tensor([   nan, 0.2500])"),
    (f32([NAN, INF]), {}, "tensor([nan, inf])"),
    (np.array([1, -20, 3]), {}, "tensor([  1, -20,   3])"),
    (np.array(7), {}, "tensor(7)"),
    (np.array([True, False]), {}, "tensor([ True, False])"),
    (np.array([1, 2], np.int32), {}, "tensor([1, 2], dtype=torch.int32)"),
    (np.array([1.5], np.float64), {}, "tensor([1.5000], dtype=torch.float64)"),
    (np.array([1.5], np.float16), {}, "tensor([1.5000], dtype=torch.float16)"),
    (np.array([1 + 2j, -1.5j], np.complex64), {}, "tensor([1.+2.0000j, -0.-1.5000j])"),
    (f32([]), {}, "tensor([])"),
    (np.zeros((0, 3), np.float32), {}, "tensor([], size=(0, 3))"),
    (np.zeros(0, np.int64), {}, "tensor([], dtype=torch.int64)"),
    (f32([1.0]), {"requires_grad": True}, "tensor([1.], requires_grad=True)"),
    (
        f32(0.5),
        {"requires_grad": True, "grad_fn_name": "AddBackward0"},
        "tensor(0.5000, grad_fn=<AddBackward0>)",
    ),
    (f32([1.0]), {"device": "cuda:0"}, "tensor([1.], device='cuda:0')"),
    (
        f32([1.5] * 8),
        {"grad_fn_name": "MulBackward0"},
        "tensor([1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000],\n"
        "       grad_fn=<MulBackward0>)",
    ),
    (
        np.arange(2000.0, dtype=np.float32),
        {},
        "tensor([0.0000e+00, 1.0000e+00, 2.0000e+00,  ..., 1.9970e+03, 1.9980e+03,\n"
        "        1.9990e+03])",
    ),
    (np.arange(1001), {}, "tensor([   0,    1,    2,  ...,  998,  999, 1000])"),
]


@pytest.mark.parametrize(("array", "options", "expected"), LITERAL, ids=range(len(LITERAL)))
def test_known_tensors_print_as_in_pytorch(
    array: Any, options: dict[str, Any], expected: str
) -> None:
    assert tensor_repr(array, array.dtype.name, **options) == expected


def test_summaries_show_the_edges_of_every_axis() -> None:
    text = tensor_repr(np.zeros((50, 50), np.float32), "float32")
    row = "[0., 0., 0.,  ..., 0., 0., 0.]"
    gap = ",\n        "
    assert text == f"tensor([{gap.join([row] * 3)}{gap}...{gap}{gap.join([row] * 3)}])"


def test_options_change_the_format() -> None:
    printing.set_printoptions(precision=2, sci_mode=True)
    assert tensor_repr(f32([1.0]), "float32") == "tensor([1.00e+00])"
    printing.set_printoptions(profile="short")
    assert tensor_repr(f32([1.25]), "float32") == "tensor([1.25])"
    with printing.printoptions(threshold=2, edgeitems=1):
        assert tensor_repr(np.arange(5), "int64") == "tensor([0,  ..., 4])"
    assert tensor_repr(np.arange(5), "int64") == "tensor([0, 1, 2, 3, 4])"


def _random_arrays(rng: np.random.Generator) -> Iterator[Any]:
    shapes = [
        (),
        (1,),
        (7,),
        (25,),
        (3, 4),
        (2, 3, 4),
        (12, 100),
        (9, 2, 70),
        (1200,),
        (0, 2),
    ]
    dtypes = [
        "float32",
        "float64",
        "float16",
        "int64",
        "int32",
        "uint8",
        "bool",
        "complex64",
    ]
    for number in range(400):
        shape = shapes[number % len(shapes)]
        kind = dtypes[int(rng.integers(len(dtypes)))]
        scale = 10.0 ** rng.integers(-6, 7)
        array = rng.standard_normal(shape) * scale
        if rng.random() < 0.3:
            array = np.round(array)
        array = np.asarray(array)
        if kind in ("float32", "float64") and rng.random() < 0.3 and array.size:
            array.flat[rng.integers(array.size)] = rng.choice([NAN, INF, -INF, 0.0, -0.0])
        if kind == "complex64":
            array = array + 1j * rng.standard_normal(shape)
        elif kind in ("int64", "int32", "uint8"):
            array = np.abs(array) % 200 if kind == "uint8" else np.clip(array, -1e9, 1e9)
        with np.errstate(all="ignore"):
            yield np.asarray(array).astype(kind)


@pytest.mark.oracle
def test_random_arrays_print_as_in_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    rng = np.random.default_rng(3)
    for array in _random_arrays(rng):
        tensor = torch.from_numpy(np.array(array))
        options: dict[str, Any] = {}
        if array.dtype.kind in "fc" and rng.random() < 0.4:
            tensor.requires_grad_()
            options["requires_grad"] = True
            if rng.random() < 0.5:
                tensor = tensor.clone()
                options["grad_fn_name"] = "CloneBackward0"
        assert tensor_repr(array, array.dtype.name, **options) == repr(tensor)


@pytest.mark.oracle
@pytest.mark.parametrize(
    "options",
    [
        {"precision": 1},
        {"precision": 8, "linewidth": 40},
        {"sci_mode": True},
        {"sci_mode": False},
        {"threshold": 10, "edgeitems": 2},
        {"threshold": 5, "edgeitems": 0},
        {"profile": "full"},
        {"profile": "short"},
    ],
    ids=str,
)
def test_options_act_as_in_pytorch(options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    rng = np.random.default_rng(4)
    printing.set_printoptions(**options)
    torch.set_printoptions(**options)
    try:
        for shape in [(), (3,), (12,), (4, 5), (20, 60), (3, 4, 5)]:
            array = (rng.standard_normal(shape) * 10 ** rng.integers(-3, 4)).astype(np.float32)
            array = np.asarray(array)
            assert tensor_repr(array, "float32") == repr(torch.from_numpy(array))
        assert printing.get_printoptions() == torch._tensor_str.get_printoptions()
    finally:
        torch.set_printoptions(profile="default")
