"""Factorisations of matrices, the last two axes of an operand; leading axes are a batch.

``info`` is LAPACK's, one i32 a matrix: 0, or where a factorisation failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from treadle.ir.library.function import Array, LibraryFunction, Options
from treadle.ir.library.triangular import substitute
from treadle.ir.types import TensorType, int32, int64

# Columns that a panel of the LU factorisation has: work right of it is matrix products.
_PANEL = 32
# What LAPACK's gesdd says of a matrix with infinities or NaN.
_NOT_FINITE = -4


def matrix(type: TensorType) -> tuple[tuple[int, ...], int, int]:
    """Batch, rows and columns; ValueError for what is no matrix of floating-point numbers."""
    if type.ndim < 2 or type.dtype.kind not in "fc" or type.dtype.itemsize < 4:
        raise ValueError(f"expected matrices of float32, float64 or complex numbers, found {type}")
    return type.shape[:-2], type.shape[-2], type.shape[-1]


def square(type: TensorType) -> tuple[tuple[int, ...], int]:
    """Batch and order; ValueError for what is not square."""
    batch, rows, columns = matrix(type)
    if rows != columns:
        raise ValueError(f"expected square matrices, found {type}")
    return batch, rows


def info_type(type: TensorType, batch: tuple[int, ...]) -> TensorType:
    """The type of LAPACK's verdict on each matrix."""
    return type._replace(dtype=int32, shape=batch)


def real(type: TensorType) -> TensorType:
    """A type with the dtype of its parts."""
    return type._replace(dtype=type.dtype.to_real())


def each(
    compute: Callable[..., Sequence[Array]],
    arrays: Sequence[Array],
    failed: Callable[..., Sequence[Any]],
) -> Sequence[Array]:
    """Results for a batch and ``info``; matrix by matrix where one of them fails."""
    batch = arrays[0].shape[:-2]
    try:
        return [*compute(*arrays), np.zeros(batch, np.int32)]
    except np.linalg.LinAlgError:
        pass
    flat = [array.reshape(-1, *array.shape[len(batch) :]) for array in arrays]

    def attempt(matrices: Sequence[Array]) -> Sequence[Any]:
        try:
            return [*compute(*matrices), np.int32(0)]
        except np.linalg.LinAlgError:
            *found, code = failed(*matrices)
            return [*found, np.int32(code)]

    rows = map(attempt, zip(*flat, strict=True))
    columns = [np.stack(list(map(np.asarray, column))) for column in zip(*rows, strict=True)]
    return [column.reshape((*batch, *column.shape[1:])) for column in columns]


def _adjoint(x: Array) -> Array:
    return np.swapaxes(x, -1, -2).conj()


# --- Cholesky -------------------------------------------------------------------------------------


def _cholesky_types(types: Sequence[TensorType], _options: Options) -> Sequence[TensorType]:
    batch, _order = square(types[0])
    return [types[0], info_type(types[0], batch)]


def _cholesky(arrays: Sequence[Array], options: Options) -> Sequence[Array]:
    """Options: whether the upper triangle is read and the factor is U with A = U^H U."""
    (upper,) = options

    def compute(a: Array) -> Sequence[Array]:
        factor = np.linalg.cholesky(_adjoint(a) if upper else a)
        if np.isnan(factor).any():
            raise np.linalg.LinAlgError
        return [_adjoint(factor) if upper else factor]

    def failed(a: Array) -> Sequence[Any]:
        factor, code = _part_of_cholesky(_adjoint(a) if upper else a)
        return [_adjoint(factor) if upper else factor, code]

    return each(compute, arrays, failed)


def _part_of_cholesky(a: Array) -> Sequence[Any]:
    """The columns before the leading minor that is not positive definite, and its order."""
    factor = np.zeros_like(a)
    for column in range(a.shape[-1]):
        known = factor[column:, :column]
        left = a[column:, column] - known @ known[0].conj()
        if not left[0].real > 0:
            return factor, column + 1
        factor[column:, column] = left / np.sqrt(left[0].real)
    return factor, 0


# --- QR -------------------------------------------------------------------------------------------


def _qr_types(types: Sequence[TensorType], options: Options) -> Sequence[TensorType]:
    batch, rows, columns = matrix(types[0])
    (mode,) = options
    kept = rows if mode == "complete" else min(rows, columns)
    q = types[0]._replace(shape=(*batch, rows, kept))
    r = types[0]._replace(shape=(*batch, kept, columns))
    return [r] if mode == "r" else [q, r]


def _qr(arrays: Sequence[Array], options: Options) -> Sequence[Array]:
    (mode,) = options
    found: Any = np.linalg.qr(arrays[0], mode)
    return [found] if mode == "r" else list(found)


def _geqrf_types(types: Sequence[TensorType], _options: Options) -> Sequence[TensorType]:
    batch, rows, columns = matrix(types[0])
    return [types[0], types[0]._replace(shape=(*batch, min(rows, columns)))]


def _geqrf(arrays: Sequence[Array], _options: Options) -> Sequence[Array]:
    raw: Any = np.linalg.qr(arrays[0], "raw")
    # NumPy computes in double precision here.
    return [np.swapaxes(raw[0], -1, -2).astype(arrays[0].dtype), raw[1].astype(arrays[0].dtype)]


def _steps(a: Array, tau: Array, transpose: bool) -> Iterator[tuple[int, Array, Array]]:
    """The reflectors of ``geqrf`` in the order of application: number, vector and factor."""
    count = tau.shape[-1]
    for number in range(count) if transpose else range(count - 1, -1, -1):
        vector = np.zeros((*a.shape[:-2], a.shape[-2], 1), a.dtype)
        vector[..., number, 0] = 1
        vector[..., number + 1 :, 0] = a[..., number + 1 :, number]
        factor = tau[..., number, None, None]
        yield number, vector, factor.conj() if transpose else factor


def _reflect(arrays: Sequence[Array], options: Options) -> Sequence[Array]:
    """Q C, or Q^H C with ``transpose``, Q being the product of the reflectors of ``geqrf``."""
    a, tau, columns = arrays
    (transpose,) = options
    result = columns.copy()
    for _number, vector, factor in _steps(a, tau, transpose):
        result -= factor * vector @ (_adjoint(vector) @ result)
    return [result]


def _reflect_gradient(arrays: Sequence[Array], options: Options) -> Sequence[Array]:
    """Gradients of ``reflect``'s operands: the reflectors backwards over what each was given."""
    a, tau, columns, upstream = arrays
    (transpose,) = options
    given = []
    result = columns.copy()
    for number, vector, factor in _steps(a, tau, transpose):
        given.append((number, vector, factor, result))
        result = result - factor * vector @ (_adjoint(vector) @ result)
    ga, gtau, g = np.zeros_like(a), np.zeros_like(tau), upstream
    for number, vector, factor, before in reversed(given):
        on_before, on_g = _adjoint(vector) @ before, _adjoint(vector) @ g
        slope = -(on_g * on_before.conj()).sum((-1, -2))
        gtau[..., number] = slope.conj() if transpose else slope
        gvector = -factor.conj() * (g @ _adjoint(on_before))
        gvector -= factor * (before @ _adjoint(on_g))
        ga[..., number + 1 :, number] += gvector[..., number + 1 :, 0]
        g = g - factor.conj() * vector @ on_g
    return [ga, gtau, g]


# --- eigenvalues and singular values --------------------------------------------------------------


def _eigh_types(types: Sequence[TensorType], options: Options) -> Sequence[TensorType]:
    batch, order = square(types[0])
    values = real(types[0])._replace(shape=(*batch, order))
    info = info_type(types[0], batch)
    return [values, types[0], info] if options[1] else [values, info]


def _eigh(arrays: Sequence[Array], options: Options) -> Sequence[Array]:
    """Options: which triangle is read (``L`` or ``U``), whether vectors are wanted."""
    triangle, vectors = options

    def compute(a: Array) -> Sequence[Array]:
        if not np.isfinite(a).all():
            raise np.linalg.LinAlgError
        found: Any = np.linalg.eigh(a, triangle) if vectors else [np.linalg.eigvalsh(a, triangle)]
        return list(found)

    def failed(a: Array) -> Sequence[Any]:
        values = np.full(a.shape[-1], np.nan, a.real.dtype)
        return [values, np.full_like(a, np.nan), len(a)] if vectors else [values, len(a)]

    return each(compute, arrays, failed)


def _eig_types(types: Sequence[TensorType], options: Options) -> Sequence[TensorType]:
    batch, order = square(types[0])
    wide = types[0]._replace(dtype=types[0].dtype.to_complex())
    values = wide._replace(shape=(*batch, order))
    info = info_type(types[0], batch)
    return [values, wide, info] if options[0] else [values, info]


def _eig(arrays: Sequence[Array], options: Options) -> Sequence[Array]:
    """Options: whether vectors are wanted."""
    (vectors,) = options
    wide = np.result_type(arrays[0].dtype, np.complex64)

    def compute(a: Array) -> Sequence[Array]:
        found: Any = np.linalg.eig(a) if vectors else [np.linalg.eigvals(a)]
        return [item.astype(wide) for item in found]

    def failed(a: Array) -> Sequence[Any]:
        values = np.full(a.shape[-1], np.nan, wide)
        return [values, np.full(a.shape, np.nan, wide), len(a)] if vectors else [values, len(a)]

    return each(compute, arrays, failed)


def _svd_types(types: Sequence[TensorType], options: Options) -> Sequence[TensorType]:
    batch, rows, columns = matrix(types[0])
    full, vectors = options
    count = min(rows, columns)
    values = real(types[0])._replace(shape=(*batch, count))
    info = info_type(types[0], batch)
    if not vectors:
        return [values, info]
    left = types[0]._replace(shape=(*batch, rows, rows if full else count))
    right = types[0]._replace(shape=(*batch, columns if full else count, columns))
    return [left, values, right, info]


def _svd(arrays: Sequence[Array], options: Options) -> Sequence[Array]:
    """Options: whether U and V^H are square, whether they are wanted."""
    full, vectors = options

    def compute(a: Array) -> Sequence[Array]:
        if not np.isfinite(a).all():
            raise np.linalg.LinAlgError
        if vectors:
            return list(np.linalg.svd(a, full))
        return [np.linalg.svd(a, compute_uv=False)]

    def failed(a: Array) -> Sequence[Any]:
        rows, columns = a.shape
        count = min(rows, columns)
        code = count if np.isfinite(a).all() else _NOT_FINITE
        values = np.full(count, np.nan, a.real.dtype)
        if not vectors:
            return [values, code]
        left = np.full((rows, rows if full else count), np.nan, a.dtype)
        right = np.full((columns if full else count, columns), np.nan, a.dtype)
        return [left, values, right, code]

    return each(compute, arrays, failed)


# --- LU -------------------------------------------------------------------------------------------


def _magnitude(x: Array) -> Array:
    """What LAPACK compares pivots by: of complex numbers the sum of the parts' sizes."""
    return np.abs(x.real) + np.abs(x.imag) if np.iscomplexobj(x) else np.abs(x)


def _lu_types(types: Sequence[TensorType], _options: Options) -> Sequence[TensorType]:
    batch, rows, columns = matrix(types[0])
    pivots = types[0]._replace(dtype=int32, shape=(*batch, min(rows, columns)))
    return [types[0], pivots, info_type(types[0], batch)]


def _lu(arrays: Sequence[Array], options: Options) -> Sequence[Array]:
    """Partial pivoting unless switched off; pivots count from 1, as LAPACK's getrf does.

    Panels of columns, then products with what lies right of them (Golub and Van Loan, Matrix
    Computations, 4th edition, algorithm 3.4.1 in blocks), over the whole batch at once.
    """
    (pivot,) = options
    batch, (rows, columns) = arrays[0].shape[:-2], arrays[0].shape[-2:]
    a = arrays[0].reshape(int(np.prod(batch)), rows, columns).copy()
    every = np.arange(len(a))
    count = min(rows, columns)
    pivots = np.tile(np.arange(1, count + 1, dtype=np.int32), (len(a), 1))
    info = np.zeros(len(a), np.int32)
    for start in range(0, count, _PANEL):
        stop = min(start + _PANEL, count)
        for at in range(start, stop):
            if pivot:
                chosen = at + np.argmax(_magnitude(a[:, at:, at]), axis=1)
                pivots[:, at] = chosen + 1
                held = a[:, at].copy()
                a[:, at] = a[every, chosen]
                a[every, chosen] = held
            diagonal = a[:, at, at]
            zero = diagonal == 0
            info[zero & (info == 0)] = at + 1
            a[:, at + 1 :, at] /= np.where(zero, 1, diagonal)[:, None]
            below, right = a[:, at + 1 :, at, None], a[:, None, at, at + 1 : stop]
            a[:, at + 1 :, at + 1 : stop] -= below * right
        right = substitute(a[:, start:stop, start:stop], a[:, start:stop, stop:], False, True)
        a[:, start:stop, stop:] = right
        a[:, stop:, stop:] -= a[:, stop:, start:stop] @ right
    return [a.reshape(arrays[0].shape), pivots.reshape(*batch, count), info.reshape(batch)]


def _permutation_types(types: Sequence[TensorType], options: Options) -> Sequence[TensorType]:
    (rows,) = options
    order = types[0]._replace(dtype=int64, shape=(*types[0].shape[:-1], rows))
    return [order, order]


def _permutation(arrays: Sequence[Array], options: Options) -> Sequence[Array]:
    """Where each row of P^T A comes from after the exchanges of pivots, and the inverse."""
    (pivots,) = arrays
    (rows,) = options
    flat = pivots.reshape(int(np.prod(pivots.shape[:-1])), pivots.shape[-1])
    every = np.arange(len(flat))
    order = np.tile(np.arange(rows), (len(flat), 1))
    for at in range(flat.shape[1]):
        chosen = np.clip(flat[:, at], 1, rows) - 1
        held = order[:, at].copy()
        order[:, at] = order[every, chosen]
        order[every, chosen] = held
    shape = (*pivots.shape[:-1], rows)
    return [order.reshape(shape), np.argsort(order, axis=1).reshape(shape)]


# --- LDL, which NumPy does not have ---------------------------------------------------------------


def _lapack(names: tuple[str, ...], array: Array) -> Any:
    try:
        from scipy.linalg import get_lapack_funcs  # noqa: PLC0415  # an optional dependency
    except ImportError:
        raise ImportError(
            "this function needs SciPy: install it, or Treadle with the extra treadle[linalg]"
        ) from None
    return get_lapack_funcs(names, (array,))


def _ldl_types(types: Sequence[TensorType], _options: Options) -> Sequence[TensorType]:
    batch, order = square(types[0])
    _lapack((), np.empty(0))  # missing, it is missed where the call is recorded
    return [
        types[0],
        types[0]._replace(dtype=int32, shape=(*batch, order)),
        info_type(types[0], batch),
    ]


def _ldl(arrays: Sequence[Array], options: Options) -> Sequence[Array]:
    """Options: hermitian. The lower triangle is read, as LAPACK's sytrf and hetrf do."""
    (a,) = arrays
    name = "hetrf" if options[0] and np.iscomplexobj(a) else "sytrf"
    (factor,) = _lapack((name,), a)
    flat = a.reshape(int(np.prod(a.shape[:-2])), *a.shape[-2:])
    found = [factor(matrix, lower=1) for matrix in flat] if a.size else []
    count = (len(flat), a.shape[-1])
    factors = np.tril(np.array([item[0] for item in found], a.dtype).reshape(a.shape))
    # SciPy counts pivots as LAPACK does.
    pivots = np.array([item[1] for item in found], np.int32).reshape(count)
    info = np.zeros(len(flat), np.int32)
    info[: len(found)] = [item[2] for item in found]
    return [factors, pivots.reshape(a.shape[:-1]), info.reshape(a.shape[:-2])]


def _ldl_solve(arrays: Sequence[Array], options: Options) -> Sequence[Array]:
    factors, pivots, right = arrays
    if not right.size:
        return [right]
    name = "hetrs" if options[0] and np.iscomplexobj(factors) else "sytrs"
    (solve,) = _lapack((name,), factors)
    count = int(np.prod(factors.shape[:-2]))
    order = factors.shape[-1]
    rows = zip(
        factors.reshape(count, order, order),
        pivots.reshape(count, order),
        right.reshape(count, order, right.shape[-1]),
        strict=True,
    )
    found = [solve(a, p, b, lower=1)[0] for a, p, b in rows]
    return [np.array(found, right.dtype).reshape(right.shape)]


ROWS = (
    LibraryFunction("cholesky", _cholesky_types, _cholesky),
    LibraryFunction("qr", _qr_types, _qr),
    LibraryFunction("geqrf", _geqrf_types, _geqrf),
    LibraryFunction("reflect", lambda types, _options: [types[2]], _reflect),
    LibraryFunction("reflect_gradient", lambda types, _options: types[:3], _reflect_gradient),
    LibraryFunction("eigh", _eigh_types, _eigh),
    LibraryFunction("eig", _eig_types, _eig),
    LibraryFunction("svd", _svd_types, _svd),
    LibraryFunction("lu_factor", _lu_types, _lu),
    LibraryFunction("permutation", _permutation_types, _permutation),
    LibraryFunction("ldl_factor", _ldl_types, _ldl),
    LibraryFunction("ldl_solve", lambda types, _options: [types[2]], _ldl_solve),
)
