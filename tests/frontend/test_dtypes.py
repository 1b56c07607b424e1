"""Element types: their facts and limits, promotion, and bfloat16."""

from __future__ import annotations

import copy
import itertools
import pickle
from typing import Any

import numpy as np
import pytest

import treadle
from tests.frontend.agreement import check, oracle

pytestmark = pytest.mark.oracle

NAMES = (
    "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32",
    "float64", "complex64", "complex128",
)  # fmt: skip
# PyTorch's complex dtype of two float16 is none of ours.
PAIRS = [
    pair for pair in itertools.product(NAMES, repeat=2)
    if not ("float16" in pair and pair[0].startswith("complex") != pair[1].startswith("complex"))
]  # fmt: skip


def both(program: Any) -> None:
    """Asserts that a program's result prints alike with both libraries."""
    check(lambda t: repr(program(t)))


def test_promotion_and_casting_rules_are_pytorchs() -> None:
    for first, second in PAIRS:
        both(lambda t, a=first, b=second: t.promote_types(getattr(t, a), getattr(t, b)))
        both(lambda t, a=first, b=second: t.can_cast(getattr(t, a), getattr(t, b)))


@pytest.mark.parametrize("number", [True, 3, 2.5, 1j])
def test_numbers_promote_tensors_by_category_alone(number: Any) -> None:
    for name in NAMES:
        if name == "float16" and isinstance(number, complex):
            continue
        both(lambda t, n=name: t.result_type(t.ones(2, dtype=getattr(t, n)), number))
        both(lambda t, n=name: t.result_type(t.ones((), dtype=getattr(t, n)), number))
        both(lambda t, n=name: (t.ones(2, dtype=getattr(t, n)) * number).dtype)


def test_tensors_without_dimensions_decide_less_than_others() -> None:
    for first, second in PAIRS:
        both(
            lambda t, a=first, b=second: t.result_type(
                t.ones(2, dtype=getattr(t, a)), t.ones((), dtype=getattr(t, b))
            )
        )


@pytest.mark.parametrize("name", NAMES)
def test_facts_of_dtypes(name: str) -> None:
    both(lambda t: getattr(t, name))
    for fact in ("is_floating_point", "is_complex", "is_signed", "itemsize"):
        both(lambda t, f=fact: getattr(getattr(t, name), f))
    kind = getattr(treadle, name)
    assert pickle.loads(pickle.dumps(kind)) is kind


def test_real_and_complex_dtypes_belong_together() -> None:
    for name in ("float32", "float64", "complex64", "complex128"):
        both(lambda t, n=name: getattr(t, n).to_real())
        both(lambda t, n=name: getattr(t, n).to_complex())


@pytest.mark.parametrize("name", NAMES)
def test_limits_of_dtypes(name: str) -> None:
    for info in ("finfo", "iinfo"):
        both(lambda t, i=info: getattr(t, i)(getattr(t, name)))
    attributes = ("bits", "dtype", "eps", "max", "min", "resolution", "smallest_normal", "tiny")
    if getattr(treadle, name).kind in "fc":
        both(lambda t: [getattr(t.finfo(getattr(t, name)), each) for each in attributes])
    elif name != "bool":
        both(lambda t: [getattr(t.iinfo(getattr(t, name)), e) for e in ("bits", "max", "min")])


def test_limits_compare_by_dtype() -> None:
    assert treadle.finfo() == treadle.finfo(treadle.float32) != treadle.finfo(treadle.float64)
    assert hash(treadle.iinfo(treadle.int8)) == hash(treadle.iinfo(treadle.int8))


# -- bfloat16 ------------------------------------------------------------------------------------

DATA = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32) * 3


def narrow(t: Any) -> Any:
    return t.tensor(DATA).bfloat16()


PROGRAMS = {
    "conversion rounds to nearest even": lambda t: t.tensor([1.00390625, 1.01171875]).bfloat16(),
    "special numbers": lambda t: t.tensor([float("nan"), float("-inf"), 1e39, -0.0]).bfloat16(),
    "from float64": lambda t: t.tensor(DATA, dtype=t.float64).to(t.bfloat16),
    "from int64": lambda t: t.tensor([257, 2**40 + 1, -3]).to(t.bfloat16),
    "to int32": lambda t: narrow(t).int(),
    "to float16": lambda t: narrow(t).half(),
    "to bool": lambda t: t.zeros(3, dtype=t.bfloat16).bool(),
    "arithmetic": lambda t: narrow(t) * 1.5 + narrow(t) / 3 - 0.1,
    "with float16": lambda t: narrow(t) + narrow(t).half(),
    "with int64": lambda t: narrow(t) * t.arange(7),
    "elementary": lambda t: [narrow(t).exp(), narrow(t).sin(), narrow(t).abs().sqrt()],
    "comparison": lambda t: [narrow(t) > 0, narrow(t) == narrow(t), narrow(t).maximum(-narrow(t))],
    "sum": lambda t: [t.ones(3000, dtype=t.bfloat16).sum(), narrow(t).sum(1), narrow(t).amax(0)],
    "product of matrices": lambda t: narrow(t) @ narrow(t).t(),
    "long product of matrices": lambda t: t.ones(2, 600, dtype=t.bfloat16)
    @ t.ones(600, 3, dtype=t.bfloat16),
    "position": lambda t: narrow(t).argmax(1),
    "creation": lambda t: [
        t.zeros(2, dtype=t.bfloat16), t.full((2,), 3.3, dtype=t.bfloat16),
        t.arange(5, dtype=t.bfloat16), t.tensor([1, 2.5], dtype=t.bfloat16),
    ],
    "printing": lambda t: repr(t.tensor([1.0, 2.5, -3.125, 1e-3], dtype=t.bfloat16)),
    "numbers": lambda t: [narrow(t).tolist(), narrow(t)[0, 0].item()],
    "type": lambda t: [narrow(t).type(), narrow(t).element_size(), t.bfloat16.is_floating_point],
    "no array": lambda t: narrow(t).numpy(),
}  # fmt: skip


def shown(result: Any) -> Any:
    """Tensors as float32 arrays with their dtype: bfloat16 has no array of its own."""
    if isinstance(result, (list, tuple)):
        return [shown(item) for item in result]
    if not hasattr(result, "detach"):
        return result
    tensor = result.detach()
    return [str(tensor.dtype), tensor.float() if "bfloat16" in str(tensor.dtype) else tensor]


@pytest.mark.parametrize("name", PROGRAMS)
def test_bfloat16_behaves_as_in_pytorch(name: str) -> None:
    check(lambda t: shown(PROGRAMS[name](t)), rtol=1e-2)


def test_bfloat16_arithmetic_has_pytorchs_bits() -> None:
    torch = oracle()
    x = np.random.default_rng(1).standard_normal(4000).astype(np.float32)
    for build in (lambda t, a: a * a.flip(0), lambda t, a: a + 0.3, lambda t, a: a / a.flip(0)):
        found, expected = (
            build(t, t.tensor(x).bfloat16()).float().numpy() for t in (treadle, torch)
        )
        np.testing.assert_array_equal(found, expected)


def test_gradients_are_bfloat16() -> None:
    def program(t: Any) -> Any:
        x = narrow(t).requires_grad_()
        ((x * x).exp() * 1e-3 + x).sum().backward()
        return shown(x.grad)

    check(program, rtol=1e-2)


def test_in_place_changes_and_copies() -> None:
    def program(t: Any) -> Any:
        x = t.zeros(4, dtype=t.bfloat16)
        x[1:3] = 2.5
        x += 1
        again = copy.deepcopy(x)
        x.zero_()
        return shown([x, again, pickle.loads(pickle.dumps(again))])

    check(program)
