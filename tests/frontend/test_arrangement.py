"""Joining, repeating, rearranging and padding; errors and warnings in PyTorch's words."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import treadle
from tests.frontend.agreement import Program, check

pytestmark = pytest.mark.oracle


def _x(t: Any) -> Any:
    return t.arange(12.0).reshape(3, 4)


ERRORS: dict[str, Program] = {
    "cat of nothing": lambda t: t.cat([]),
    "cat of a tensor": lambda t: t.cat(t.zeros(2)),
    "cat of None": lambda t: t.cat([t.zeros(2), None]),
    "cat of numbers": lambda t: t.cat([t.tensor(1.0), t.tensor(2.0)]),
    "stack of nothing": lambda t: t.stack([]),
    "hstack of nothing": lambda t: t.hstack([]),
    "vstack of other ranks": lambda t: t.vstack([t.zeros(2), t.zeros(2, 2, 2)]),
    "block_diag of a cube": lambda t: t.block_diag(t.zeros(1, 1, 1)),
    "combinations of a matrix": lambda t: t.combinations(_x(t)),
    "combinations of -1": lambda t: t.combinations(t.zeros(2), -1),
    "cartesian_prod of a matrix": lambda t: t.cartesian_prod(_x(t)),
    "meshgrid with another indexing": lambda t: t.meshgrid(t.zeros(2), indexing="ab"),
    "meshgrid of two dtypes": lambda t: t.meshgrid(
        t.zeros(2), t.zeros(2, dtype=t.int64), indexing="ij"
    ),
    "broadcast_shapes": lambda t: t.broadcast_shapes((2,), (3,)),
    "broadcast_tensors": lambda t: t.broadcast_tensors(t.zeros(2), t.zeros(3)),
    "repeat of too few": lambda t: _x(t).repeat(2),
    "repeat of -1": lambda t: _x(t).repeat(-1, 1),
    "repeat_interleave of another size": lambda t: t.zeros(3).repeat_interleave(t.tensor([1, 2])),
    "repeat_interleave of floats": lambda t: t.zeros(2).repeat_interleave(t.tensor([1.0, 2.0])),
    "repeat_interleave of -1": lambda t: t.zeros(2).repeat_interleave(t.tensor([1, -2])),
    "roll without shifts": lambda t: t.roll(_x(t), ()),
    "roll of too few": lambda t: t.roll(_x(t), (1, 2), 0),
    "rot90 in a line": lambda t: t.rot90(_x(t), dims=[0, 0]),
    "rot90 of three axes": lambda t: t.rot90(_x(t), dims=[0, 1, 2]),
    "flip of an axis twice": lambda t: _x(t).flip(0, 0),
    "fliplr of a vector": lambda t: t.fliplr(t.zeros(2)),
    "flipud of a number": lambda t: t.flipud(t.tensor(1.0)),
    "tril of a vector": lambda t: t.tril(t.zeros(2)),
    "diag of a cube": lambda t: t.diag(t.zeros(1, 1, 1)),
    "diag_embed of one axis": lambda t: t.diag_embed(_x(t), dim1=1, dim2=1),
    "trace of a vector": lambda t: t.trace(t.zeros(2)),
    "pad of an odd number": lambda t: t.constant_pad_nd(_x(t), (1,)),
    "pad of too many": lambda t: t.constant_pad_nd(t.zeros(2), (1, 1, 1, 1)),
    "pad below nothing": lambda t: t.constant_pad_nd(t.zeros(2), (-3, 0)),
    "view of the wrong size": lambda t: _x(t).view(5, 3),
    "view of an ambiguous size": lambda t: t.zeros(0, 5).view(0, -1),
    "unflatten to another size": lambda t: _x(t).unflatten(1, (3,)),
    "unflatten to nothing": lambda t: _x(t).unflatten(1, ()),
    "movedim of other counts": lambda t: _x(t).movedim((0, 1), (0,)),
    "movedim of an axis twice": lambda t: _x(t).movedim((0, 0), (0, 1)),
    "narrow beyond the end": lambda t: _x(t).narrow(0, 1, 3),
    "narrow of -1": lambda t: _x(t).narrow(0, 1, -1),
    "narrow of a number": lambda t: t.tensor(1.0).narrow(0, 0, 1),
    "select of a number": lambda t: t.tensor(1.0).select(0, 0),
    "split of a number": lambda t: t.tensor(1.0).split(1),
    "split into -1": lambda t: _x(t).split(-1),
    "split into other sizes": lambda t: _x(t).split([1, 1]),
    "split into negative sizes": lambda t: _x(t).split([4, -1]),
    "chunk into nothing": lambda t: _x(t).chunk(0),
    "chunk of a number": lambda t: t.tensor(1.0).chunk(1),
    "hsplit into unequal parts": lambda t: _x(t).hsplit(3),
    "vsplit of a vector": lambda t: t.zeros(2).vsplit(1),
    "unfold beyond the end": lambda t: _x(t).unfold(0, 4, 1),
    "unfold in steps of 0": lambda t: _x(t).unfold(0, 1, 0),
    "diagonal of one axis": lambda t: _x(t).diagonal(0, 1, 1),
    "squeeze of an axis twice": lambda t: _x(t).squeeze((0, 0)),
    "H of a cube": lambda t: t.zeros(1, 1, 1).H,
    "mT of a vector": lambda t: t.zeros(2).mT,
    "adjoint of a vector": lambda t: t.zeros(2).adjoint(),
    "expand to fewer axes": lambda t: _x(t).expand(4),
    "sum_to_size of another shape": lambda t: _x(t).sum_to_size(2, 4),
    "renorm of a vector": lambda t: t.zeros(2).renorm(2, 0, 1.0),
    "cov of a cube": lambda t: t.cov(t.zeros(1, 1, 1)),
    "permute of a number": lambda t: t.permute(3, (0,)),
    "squeeze of a list": lambda t: t.numel(3),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_wrong_arrangement_raises_pytorchs_error(name: str) -> None:
    check(ERRORS[name])


def _warned(run: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run()
    return [str(warning.message).split(" (Triggered")[0] for warning in caught]


WARNINGS: dict[str, Program] = {
    "T of a cube": lambda t: t.zeros(1, 2, 3).T,
    "T of a number": lambda t: t.tensor(1.0).T,
    "mH of a number": lambda t: t.tensor(1.0).mH,
    "meshgrid without indexing": lambda t: t.meshgrid(t.zeros(2), t.zeros(3)),
    "a copy of a tensor": lambda t: t.tensor(t.zeros(2)),
    "range": lambda t: t.range(0, 3),
    "std of one element": lambda t: t.zeros(1).std(),
    "var_mean of one element": lambda t: t.var_mean(t.zeros(1)),
    "out of another shape": lambda t: t.add(t.zeros(2), 1, out=t.zeros(3)),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_a_warning_is_pytorchs(name: str) -> None:
    torch = pytest.importorskip("torch")
    torch.set_warn_always(True)
    try:
        expected = _warned(lambda: WARNINGS[name](torch))
    finally:
        torch.set_warn_always(False)
    assert _warned(lambda: WARNINGS[name](treadle)) == expected


def test_out_may_not_be_a_part_of_an_argument() -> None:
    def program(t: Any) -> Any:
        x = t.zeros(8, 6)
        return t.cat([x[:4], x[4:]], out=x[2:])

    check(program)


def test_numpys_names_of_arguments_are_taken() -> None:
    def program(t: Any) -> Any:
        x = _x(t)
        return [
            t.sum(x, axis=0, keepdims=True),
            t.cat([x, x], axis=1),
            x.unsqueeze(axis=0),
            t.stack((x, x), axis=1),
            x.std(axis=1),
            t.unbind(x, axis=1),
            x.max(axis=1).values,
        ]

    check(program)
