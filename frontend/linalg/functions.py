"""Functions of whole matrices and tensors: powers, exponentials, inverses of higher rank."""

from __future__ import annotations

import math
from typing import Any

from treadle.functions.movement import movedim
from treadle.functions.slicing import diagonal as plain_diagonal
from treadle.ir import build as b, matrices as m
from treadle.ir.types import bool_
from treadle.ir.value import Value
from treadle.linalg import checks
from treadle.linalg.solving import _inverse, inv, solve
from treadle.operation import operation
from treadle.out_argument import accepts_out
from treadle.promotion import scalar_name


@operation("LinalgMatrixExpBackward0")
def matrix_exp(A: Value) -> Value:
    """1 + A + A A / 2! + A A A / 3! + ..."""
    checks.floating(A, "linalg.matrix_exp", narrow=True)
    checks.square(A, "linalg.matrix_exp")
    return b.library("matrix_exp", [A])[0]


# The unit that a power of 0 gives is written over a copy: the gradient is zeros.
@operation("MatrixPowerBackward0", overwrites=True)
def _positive_power(A: Value, n: int) -> Value:
    checks.square(A, "linalg.matrix_power")
    if n == 0:
        return m.unit_like(A)
    result = None
    factor = A
    while True:
        if n & 1:
            result = factor if result is None else m.dot(result, factor)
        n >>= 1
        if not n:
            assert result is not None
            return result
        factor = m.dot(factor, factor)


@accepts_out
def matrix_power(A: Any, n: int) -> Any:
    """The product of n equal matrices, of inverses for a negative n, by repeated squaring."""
    if n < 0:
        return _positive_power(inv(A), -n)
    return _positive_power(A, n)


def diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """A view of the diagonals of matrices."""
    return plain_diagonal(A, offset, dim1, dim2)


@operation("LinalgVecdotBackward0")
def vecdot(x: Value, y: Value, *, dim: int = -1) -> Value:
    """Inner products along an axis, the first operand conjugated."""
    checks.floating(x, "linalg.vecdot", narrow=True)
    if x.dtype is not y.dtype:
        raise RuntimeError(
            "linalg.vecdot: Expected x and y to have the same dtype, but found x of type "
            f"{scalar_name(x.dtype)} and y of type {scalar_name(y.dtype)} instead"
        )
    product = b.mul(b.conj(x), y)
    rank = max(product.ndim, 1)
    if not -rank <= dim < rank:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but got "
            f"{dim})"
        )
    return b.sum(product, (dim,)) if product.ndim else product


def _powers(x: Value, count: int, increasing: bool) -> Value:
    x = x if x.ndim else b.reshape(x, (1,))
    column = m.rows(x)
    powers = [b.constant_like(column, 1)]
    for _ in range(1, count):
        powers.append(column if len(powers) == 1 else b.mul(powers[-1], column))
    if not count:
        return m.like(x, (*x.shape, 0))
    return b.concat(powers if increasing else powers[::-1], x.ndim)


@operation("LinalgVanderBackward0")
def vander(x: Value, *, N: int | None = None) -> Value:
    """Powers 0, 1, ..., N - 1 of every element along a new last axis."""
    if x.dtype is bool_:
        raise RuntimeError(
            "linalg.vander supports floating point, complex, and integer tensors, but got Bool"
        )
    count = N if N is not None else x.shape[-1] if x.ndim else 1
    if count <= 1:
        raise RuntimeError("N must be greater than 1.")
    return _powers(x, count, increasing=True)


@operation("VanderBackward0")
def plain_vander(x: Value, N: int | None = None, increasing: bool = False) -> Value:
    """``torch.vander``: powers of the elements of a vector, the highest first."""
    if x.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    if N is not None and N < 0:
        raise RuntimeError("N must be non-negative.")
    return _powers(x, x.shape[0] if N is None else N, increasing)


# --- tensors as matrices --------------------------------------------------------------------------


@accepts_out
def tensorinv(A: Any, ind: int = 2) -> Any:
    """The inverse of a tensor as a matrix from its axes from ``ind`` on to those before."""
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    rows, columns = math.prod(A.shape[:ind]), math.prod(A.shape[ind:])
    if rows != columns:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), but got {columns} != {rows}"
        )
    found = _inverse(A.reshape(rows, columns), "inv")
    checks.refuse_failures("inv", found.info)
    return found.inverse.reshape(*A.shape[ind:], *A.shape[:ind])


@accepts_out
def tensorsolve(A: Any, B: Any, dims: Any = None) -> Any:
    """X with tensordot(A, X) = B; the axes ``dims`` of A are moved to its end first."""
    if dims is not None:
        dims = (dims,) if isinstance(dims, int) else tuple(dims)
        A = movedim(A, dims, tuple(range(A.ndim - len(dims), A.ndim)))
    shape = A.shape[B.ndim :]
    rows, columns = B.shape.numel(), math.prod(shape)
    if rows != columns:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {columns} != {rows}"
        )
    return solve(A.reshape(rows, columns), B.reshape(rows)).reshape(shape)
