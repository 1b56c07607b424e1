"""Products against PyTorch: errors, einsum's notation, beta and alpha, orders of contraction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import treadle
from tests.frontend.agreement import assert_equal, oracle, run


def agree(program: Callable[[Any], Any]) -> None:
    assert_equal(run(program, treadle), run(program, oracle()))


def _ones(*shapes: tuple[int, ...]) -> Callable[[Any], list[Any]]:
    return lambda t: [t.ones(*shape) for shape in shapes]


FAILURES: dict[str, Callable[[Any], Any]] = {
    "mm": lambda t: t.mm(t.ones(2, 3), t.ones(4, 5)),
    "mm of a vector": lambda t: t.mm(t.ones(3), t.ones(3, 4)),
    "mm dtypes": lambda t: t.mm(t.ones(2, 3), t.ones(3, 4).double()),
    "mm of bool": lambda t: t.mm(t.ones(2, 2).bool(), t.ones(2, 2).bool()),
    "bmm": lambda t: t.bmm(t.ones(3, 4, 5), t.ones(2, 4, 5)),
    "bmm dtypes": lambda t: t.bmm(t.ones(2, 2, 2), t.ones(2, 2, 2).double()),
    "mv": lambda t: t.mv(t.ones(2, 3), t.ones(4)),
    "mv dtypes": lambda t: t.mv(t.ones(2, 3), t.ones(3).double()),
    "dot": lambda t: t.dot(t.ones(2), t.ones(4)),
    "dot of bool": lambda t: t.dot(t.ones(2).bool(), t.ones(2).bool()),
    "inner": lambda t: t.inner(t.ones(2, 3), t.ones(4, 5)),
    "outer": lambda t: t.outer(t.ones(2, 3), t.ones(4)),
    "addmm": lambda t: t.addmm(t.ones(5, 5), t.ones(2, 3), t.ones(3, 4)),
    "addmm rank": lambda t: t.addmm(t.ones(1, 1, 4), t.ones(2, 3), t.ones(3, 4)),
    "addmm dtypes": lambda t: t.addmm(t.ones(4).double(), t.ones(2, 3), t.ones(3, 4)),
    "addmv": lambda t: t.addmv(t.ones(5), t.ones(2, 3), t.ones(3)),
    "addr": lambda t: t.addr(t.ones(2, 3), t.ones(2), t.ones(4)),
    "addr alpha": lambda t: t.addr(
        t.ones(2, 3).long(), t.ones(2).long(), t.ones(3).long(), alpha=0.5
    ),
    "addbmm": lambda t: t.addbmm(t.ones(2, 3), t.ones(5, 2, 4), t.ones(5, 5, 3)),
    "baddbmm": lambda t: t.baddbmm(t.ones(2, 4), t.ones(5, 2, 4), t.ones(5, 4, 3)),
    "matmul of a number": lambda t: t.matmul(t.ones(()), t.ones(3)),
    "matmul": lambda t: t.matmul(t.ones(5, 2, 3), t.ones(5, 4, 3)),
    "matmul by a vector": lambda t: t.matmul(t.ones(5, 2, 3), t.ones(4)),
    "matmul batches": lambda t: t.matmul(t.ones(2, 5, 2, 3), t.ones(4, 3, 5)),
    "@ a number": lambda t: t.ones(3) @ 2,
    "a number @": lambda t: 2 @ t.ones(3),
    "tensordot": lambda t: t.tensordot(t.ones(2, 3), t.ones(4, 4), dims=1),
    "tensordot dims": lambda t: t.tensordot(t.ones(2, 3), t.ones(3, 4), dims=([0], [0, 1])),
    "trace": lambda t: t.trace(t.ones(3)),
    "cross": lambda t: t.cross(t.ones(2, 4), t.ones(2, 4)),
    "cdist": lambda t: t.cdist(t.ones(3, 2), t.ones(2, 3)),
    "cdist p": lambda t: t.cdist(t.ones(3, 2), t.ones(2, 2), p=-1),
    "cartesian_prod": lambda t: t.cartesian_prod(t.ones(3, 2), t.ones(2)),
    "bilinear": lambda t: t.bilinear(t.ones(2, 3), t.ones(2, 4), t.ones(5, 3, 3)),
}


@pytest.mark.parametrize("name", FAILURES)
def test_errors_are_pytorchs(name: str) -> None:
    agree(FAILURES[name])


EQUATIONS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ba,cb", (2, 3), (4, 2)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("iij,jk->ik", (3, 3, 2), (2, 4)),
    ("...ij,...jk->...ik", (5, 2, 3), (3, 4)),
    ("i...,...->...", (2, 3), (3,)),
    ("...ij->...ji", (2, 3, 4)),
    ("i,j,k->ijk", (2,), (3,), (4,)),
    ("ij,jk,kl,lm->im", (2, 3), (3, 4), (4, 5), (5, 2)),
    ("bij,bjk->bik", (1, 2, 3), (4, 3, 2)),
    ("bij,bjk->ik", (4, 2, 3), (4, 3, 2)),
    ("ij,ij->", (2, 3), (2, 3)),
    ("ij,kj->", (2, 3), (4, 3)),
    (" i j , j -> i ", (2, 3), (3,)),
    ("aij,ajk->aik", (1, 2, 3), (1, 3, 4)),
    ("ij,jk", (2, 3), (1, 4)),
]


@pytest.mark.parametrize("case", EQUATIONS, ids=[case[0] for case in EQUATIONS])
def test_equations_mean_what_they_mean_in_pytorch(case: tuple[Any, ...]) -> None:
    equation, *shapes = case
    draw = np.random.default_rng(0)
    arrays = [draw.standard_normal(shape) for shape in shapes]

    def program(t: Any) -> Any:
        operands = [t.tensor(array).requires_grad_() for array in arrays]
        found = t.einsum(equation, *operands)
        (found * found).sum().backward()
        return [found.detach(), *(operand.grad for operand in operands)]

    agree(program)


WRONG_EQUATIONS = [
    ("ij,jk", (2, 3)), ("ij", (2, 3), (2, 3)), ("ij,jk->i", (2, 3), (4, 2)), ("ijk", (2, 3)),
    ("ii", (2, 3)), ("i.j", (2, 3)), ("...i...", (2, 3)), ("ij->k", (2, 3)), ("ij->ii", (2, 3)),
    ("i1", (2, 3)), ("ij->i1", (2, 3)), ("...,...", (4, 2), (3,)),
]  # fmt: skip


@pytest.mark.parametrize("case", WRONG_EQUATIONS, ids=[str(case) for case in WRONG_EQUATIONS])
def test_wrong_equations_are_refused_in_pytorchs_words(case: tuple[Any, ...]) -> None:
    equation, *shapes = case
    agree(lambda t: t.einsum(equation, *_ones(*shapes)(t)))


def test_einsum_takes_lists_of_axes_and_lists_of_operands() -> None:
    def program(t: Any) -> Any:
        x, y = t.arange(6.0).reshape(2, 3), t.arange(12.0).reshape(3, 4)
        return [
            t.einsum(x, [0, 1], y, [1, 2], [2, 0]),
            t.einsum(x, [..., 1], y, [1, 2]),
            t.einsum("ij,jk", [x, y]),
        ]

    agree(program)


def test_what_beta_leaves_out_is_not_read() -> None:
    def program(t: Any) -> Any:
        nan = t.full((2, 2), float("nan"))
        x = t.arange(4.0).reshape(2, 2)
        i = t.arange(4).reshape(2, 2)
        return [
            t.addmm(nan, x, x, beta=0), t.addmm(x, x, x, beta=2, alpha=0.5),
            t.addmm(i, i, i, beta=2, alpha=3), t.addmm(i, i, i, beta=0.9, alpha=1.9),
            x.clone().addmm_(x, x, alpha=2), t.ones(2).addmv_(x, x[0]),
            t.ones(2, 2).addr_(x[0], x[1]),
        ]  # fmt: skip

    agree(program)


def test_a_chain_is_multiplied_in_the_cheapest_order() -> None:
    from treadle.functions.einsum import _multiply
    from treadle.ir.graph import input_value
    from treadle.ir.types import TensorType, float32

    shapes = ((10, 100), (100, 5), (5, 50))
    chain = [input_value(n, TensorType(float32, shape)) for n, shape in enumerate(shapes)]
    found = _multiply(chain)
    assert found.inputs[0].inputs == (chain[0], chain[1])
    assert found.inputs[1] is chain[2]


def test_distances_have_slope_0_where_points_meet() -> None:
    def program(t: Any) -> Any:
        results = []
        for p in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, float("inf")):
            x = t.tensor([[0.0, 1.0], [2.0, 3.5]]).requires_grad_()
            y = t.tensor([[0.0, 1.0], [-1.0, 7.0], [2.0, 3.0]]).requires_grad_()
            found = t.cdist(x, y, p=p)
            found.sum().backward()
            results += [found.detach(), x.grad, y.grad]
        return results

    agree(program)
