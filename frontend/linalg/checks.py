"""What PyTorch asks of arguments of linear algebra, and what it says where LAPACK failed."""

from __future__ import annotations

from typing import Any

import numpy as np

from treadle.ir.types import DType
from treadle.ir.value import Value
from treadle.promotion import scalar_name


class LinAlgError(RuntimeError):
    """A matrix has no such factorisation, solution or inverse."""


LinAlgError.__name__ = LinAlgError.__qualname__ = "_LinAlgError"
LinAlgError.__module__ = "torch._C"


def floating(x: Value, name: str, narrow: bool = False) -> None:
    """RuntimeError for integers, and for 16-bit numbers unless ``narrow`` ones are allowed."""
    if x.dtype.kind not in "fc":
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got "
            f"{scalar_name(x.dtype)}"
        )
    if x.dtype.itemsize < 4 and not narrow:
        raise RuntimeError(
            f"{name}: Low precision dtypes not supported. Got {scalar_name(x.dtype)}"
        )


def matrices(x: Value, name: str, letter: str = "A") -> None:
    """RuntimeError for fewer than two axes."""
    if x.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor {letter} must have at least 2 dimensions.")


def square(x: Value, name: str, letter: str = "A") -> None:
    """RuntimeError for what are no square matrices."""
    matrices(x, name, letter)
    rows, columns = x.shape[-2:]
    if rows != columns:
        raise RuntimeError(
            f"{name}: {letter} must be batches of square matrices, but they are {rows} by "
            f"{columns} matrices"
        )


def same_dtype(a: Value, b: Value, name: str) -> None:
    """RuntimeError for different dtypes."""
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type "
            f"{scalar_name(a.dtype)} and B of type {scalar_name(b.dtype)} instead"
        )


def fitting(a: Value, b: Value, left: bool, name: str) -> None:
    """RuntimeError where A X = B, or X A = B unless ``left``, has no meaning."""
    matrices(b, name, "B")
    if a.shape[-2 if left else -1] != b.shape[-2 if left else -1]:
        equation = "AX = B" if left else "XA = B"
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {equation} "
            f"({a.shape[-2]}x{a.shape[-1]} and {b.shape[-2]}x{b.shape[-1]})"
        )


def converted(dtype: DType | None, x: Value, name: str) -> DType:
    """The dtype that a norm is computed in; RuntimeError where it would narrow the input."""
    if dtype is None:
        return x.dtype
    if dtype.kind not in "fc":
        raise RuntimeError(
            f"{name}: dtype should be floating point or complex, but got {scalar_name(dtype)}"
        )
    if x.dtype.is_complex != dtype.is_complex:
        kinds = ("complex", "complex") if x.dtype.is_complex else ("real", "real")
        raise RuntimeError(
            f"{name}: dtype should be {kinds[0]} for {kinds[1]} inputs, but got "
            f"{scalar_name(dtype)}"
        )
    if dtype.itemsize < x.dtype.itemsize:
        raise RuntimeError(
            f"{name}: the dtype of the input ({scalar_name(x.dtype)}) should be convertible "
            f"without narrowing to the specified dtype ({scalar_name(dtype)})"
        )
    return dtype


_FAILURES = {
    "inv": "The diagonal element {} is zero, the inversion could not be completed because the "
    "input matrix is singular.",
    "solve": "The solver failed because the input matrix is singular.",
    "cholesky": "The factorization could not be completed because the input is not "
    "positive-definite (the leading minor of order {} is not positive-definite).",
    "svd": "The algorithm failed to converge because the input matrix is ill-conditioned or has "
    "too many repeated singular values (error code: {}).",
    "eig": "The algorithm failed to converge because the input matrix is ill-conditioned or has "
    "too many repeated eigenvalues (error code: {}).",
    "lu_factor": "U[{0},{0}] is zero and using it on lu_solve would result in a division by zero. "
    "If you still want to perform the factorization, consider calling linalg.lu(A, pivot) or "
    "linalg.lu_factor_ex(A, pivot)",
    "ldl_factor": "D[{0},{0}] is zero. Therefore, the factorization could be completed, but it "
    "cannot be used to solve linear systems.",
}
_NOT_FINITE = (
    "The algorithm failed to converge because the input matrix contained non-finite values."
)


def refuse_failures(name: str, info: Any) -> None:
    """LinAlgError where LAPACK failed on one of the matrices.

    Reads ``info``, and so computes what is pending: as in PyTorch, the functions that end in
    ``_ex`` leave that out.
    """
    codes = np.asarray(info.detach()._concrete())
    if not codes.any():
        return
    first = int(np.flatnonzero(codes.reshape(-1))[0])
    code = int(codes.reshape(-1)[first])
    kind = next(kind for kind in _FAILURES if kind in name)
    text = _NOT_FINITE if code < 0 else _FAILURES[kind].format(code)
    where = f"(Batch element {first}): " if codes.ndim else ""
    error = RuntimeError if kind == "lu_factor" else LinAlgError
    raise error(f"{name}: {where}{text}")
