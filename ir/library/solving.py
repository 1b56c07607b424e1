"""Linear systems and functions of matrices, the last two axes; leading axes are a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from treadle.ir.library.factorization import each, info_type, matrix, real, square
from treadle.ir.library.function import Array, LibraryFunction, Options
from treadle.ir.library.triangular import substitute
from treadle.ir.types import TensorType


def _systems(types: Sequence[TensorType], _options: Options) -> Sequence[TensorType]:
    batch, order = square(types[0])
    if types[1].shape[:-2] != batch or types[1].shape[-2] != order:
        raise ValueError(f"systems {types[0]} do not fit right sides {types[1]}")
    return [types[1]]


def _first_zero_pivot(a: Array) -> int:
    """The position, from 1, of the first zero that elimination with pivoting meets."""
    work = np.array(a)
    for at in range(len(work)):
        chosen = at + int(np.argmax(np.abs(work[at:, at])))
        work[[at, chosen]] = work[[chosen, at]]
        if work[at, at] == 0:
            return at + 1
        work[at + 1 :, at:] -= work[at + 1 :, at, None] / work[at, at] * work[at, at:]
    # LAPACK found one with roundings of its own.
    return len(work)


def _solve(arrays: Sequence[Array], _options: Options) -> Sequence[Array]:
    def failed(a: Array, right: Array) -> Sequence[Any]:
        return np.full_like(right, np.nan), _first_zero_pivot(a)

    return each(lambda a, right: (np.linalg.solve(a, right),), arrays, failed)


def _inverse(arrays: Sequence[Array], _options: Options) -> Sequence[Array]:
    def failed(a: Array) -> Sequence[Any]:
        return np.full_like(a, np.nan), _first_zero_pivot(a)

    return each(lambda a: (np.linalg.inv(a),), arrays, failed)


def _triangular(arrays: Sequence[Array], options: Options) -> Sequence[Array]:
    """Options: whether the upper triangle is read, whether its diagonal is taken for ones."""
    upper, unit = options
    return [substitute(arrays[0], arrays[1], upper, unit)]


def _determinant(arrays: Sequence[Array], _options: Options) -> Sequence[Array]:
    return [np.linalg.det(arrays[0])]


def _cofactors(arrays: Sequence[Array], _options: Options) -> Sequence[Array]:
    """conj(det A) A^-H by singular values, so that it has a value where A has no inverse."""
    (a,) = arrays
    left, values, right = np.linalg.svd(a)
    order = values.shape[-1]
    others = np.repeat(values[..., None, :], order, -2)
    others[..., np.arange(order), np.arange(order)] = 1
    turn = (np.linalg.det(left) * np.linalg.det(right)).conj()[..., None, None]
    # A = U S V^H: the product of the other singular values in place of each one.
    return [(turn * (left * others.prod(-1)[..., None, :]) @ right).astype(a.dtype)]


def _pseudoinverse(arrays: Sequence[Array], options: Options) -> Sequence[Array]:
    """Operands: matrices, and below what a singular value counts as zero.

    Options: hermitian.
    """
    a, tolerance = arrays
    if options[0]:
        values, left = np.linalg.eigh(a)
        right = np.swapaxes(left, -1, -2).conj()
    else:
        left, values, right = np.linalg.svd(a, full_matrices=False)
    kept = np.abs(values) > tolerance[..., None]
    inverse = np.where(kept, 1 / np.where(kept, values, 1), 0)
    turned = np.swapaxes(right, -1, -2).conj() * inverse[..., None, :].astype(a.dtype)
    return [turned @ np.swapaxes(left, -1, -2).conj()]


def _transposed(types: Sequence[TensorType], _options: Options) -> Sequence[TensorType]:
    batch, rows, columns = matrix(types[0])
    return [types[0]._replace(shape=(*batch, columns, rows))]


def _sign_and_log(types: Sequence[TensorType], _options: Options) -> Sequence[TensorType]:
    batch, _order = square(types[0])
    return [types[0]._replace(shape=batch), real(types[0])._replace(shape=batch)]


# Padé approximant of degree 13 and the norm up to which it is exact to double precision
# (Higham, The Scaling and Squaring Method for the Matrix Exponential Revisited, 2005).
_PADE = (
    64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000,
    10559470521600, 670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1,
)  # fmt: skip
_LARGEST_NORM = 5.371920351148152


def _exponential(arrays: Sequence[Array], _options: Options) -> Sequence[Array]:
    (a,) = arrays
    if not a.size:
        return [a]
    wide = a.astype(np.result_type(a.dtype, np.float64))
    norm = np.abs(wide).sum(-2).max(-1)
    finite = np.isfinite(norm)
    needed = np.log2(np.maximum(np.where(finite, norm, 1) / _LARGEST_NORM, 1))
    squarings = np.ceil(needed).astype(np.int64)[..., None, None]
    x = np.where(finite[..., None, None], wide, 0) / np.exp2(squarings)
    unit = np.eye(a.shape[-1], dtype=wide.dtype)
    x2 = x @ x
    x4 = x2 @ x2
    x6 = x2 @ x4
    c = _PADE
    odd = x6 @ (c[13] * x6 + c[11] * x4 + c[9] * x2) + c[7] * x6 + c[5] * x4 + c[3] * x2
    odd = x @ (odd + c[1] * unit)
    even = x6 @ (c[12] * x6 + c[10] * x4 + c[8] * x2) + c[6] * x6 + c[4] * x4 + c[2] * x2
    even = even + c[0] * unit
    found = np.linalg.solve(even - odd, even + odd)
    for step in range(int(squarings.max(initial=0))):
        found = np.where(squarings > step, found @ found, found)
    found = np.where(finite[..., None, None], found, np.nan)
    return [found.astype(a.dtype)]


ROWS = (
    LibraryFunction(
        "solve",
        lambda types, options: [
            *_systems(types, options),
            info_type(types[0], types[0].shape[:-2]),
        ],
        _solve,
    ),
    LibraryFunction(
        "inverse",
        lambda types, _options: [types[0], info_type(types[0], square(types[0])[0])],
        _inverse,
    ),
    LibraryFunction("solve_triangular", _systems, _triangular),
    LibraryFunction(
        "det", lambda types, _options: [types[0]._replace(shape=square(types[0])[0])], _determinant
    ),
    LibraryFunction(
        "cofactors", lambda types, _options: [types[0]._replace(shape=types[0].shape)], _cofactors
    ),
    LibraryFunction("pseudoinverse", _transposed, _pseudoinverse),
    LibraryFunction(
        "slogdet", _sign_and_log, lambda arrays, _options: list(np.linalg.slogdet(arrays[0]))
    ),
    LibraryFunction("matrix_exp", lambda types, _options: [types[0]], _exponential),
)
