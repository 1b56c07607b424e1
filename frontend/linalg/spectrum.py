"""Eigenvalues and singular values, and what follows from them: pseudoinverse and rank."""

from __future__ import annotations

from typing import Any

import numpy as np

from treadle.ir import build as b, matrices as m
from treadle.ir.types import DType, int64
from treadle.ir.value import Value
from treadle.linalg import checks
from treadle.operation import operation
from treadle.out_argument import accepts_out
from treadle.promotion import scalar_name
from treadle.return_types import return_type
from treadle.tensor import Tensor
from treadle.tracer.segment import recorder

_Eigh = return_type("linalg_eigh", "eigenvalues eigenvectors")
_Eig = return_type("linalg_eig", "eigenvalues eigenvectors")
_Svd = return_type("linalg_svd", "U S Vh")
_PlainSvd = return_type("svd", "U S V")


def _differentiated(x: Any) -> bool:
    return bool(recorder.grad_enabled and x.requires_grad)


# --- eigenvalues ----------------------------------------------------------------------------------


def _triangle(UPLO: str) -> str:
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return UPLO.upper()


@operation("LinalgEighBackward0")
def _eigh(A: Value, UPLO: str, name: str) -> Any:
    checks.square(A, name)
    checks.floating(A, name)
    return _Eigh(*b.library("eigh", [A], _triangle(UPLO), True)[:2])


@operation("LinalgEighBackward0")
def _eigvalsh(A: Value, UPLO: str) -> Value:
    checks.square(A, "linalg.eigvalsh")
    checks.floating(A, "linalg.eigvalsh")
    return b.library("eigh", [A], _triangle(UPLO), False)[0]


@accepts_out
def eigh(A: Any, UPLO: str = "L") -> Any:
    """Eigenvalues, ascending, and eigenvectors of a hermitian matrix; one triangle is read."""
    return _eigh(A, UPLO, "linalg.eigh")


@accepts_out
def eigvalsh(A: Any, UPLO: str = "L") -> Any:
    """Eigenvalues of a hermitian matrix, ascending; one triangle is read."""
    # Gradients need the vectors: they are computed once, not again for them.
    return _eigh(A, UPLO, "linalg.eigvalsh")[0] if _differentiated(A) else _eigvalsh(A, UPLO)


@operation("LinalgEigBackward0")
def _eig(A: Value) -> Any:
    checks.square(A, "linalg.eig")
    checks.floating(A, "linalg.eig")
    return _Eig(*b.library("eig", [A], True)[:2])


@operation("LinalgEigBackward0")
def _eigvals(A: Value) -> Value:
    checks.square(A, "linalg.eigvals")
    checks.floating(A, "linalg.eigvals")
    return b.library("eig", [A], False)[0]


def _refuse_not_finite(A: Any) -> None:
    if A.dtype.kind in "fc" and not np.isfinite(A.detach()._concrete()).all():
        raise RuntimeError("torch.linalg.eig: input tensor should not contain infs or NaNs.")


@accepts_out
def eig(A: Any) -> Any:
    """Eigenvalues and eigenvectors, complex numbers; RuntimeError for infinities and NaN."""
    _refuse_not_finite(A)
    return _eig(A)


@accepts_out
def eigvals(A: Any) -> Any:
    """Eigenvalues, complex numbers; RuntimeError for infinities and NaN."""
    _refuse_not_finite(A)
    return _eig(A)[0] if _differentiated(A) else _eigvals(A)


# --- singular values ------------------------------------------------------------------------------


def _check_svd(A: Value) -> None:
    checks.matrices(A, "linalg.svd")
    checks.floating(A, "linalg.svd")


@operation("LinalgSvdBackward0")
def _svd(A: Value, full_matrices: bool) -> Any:
    _check_svd(A)
    return b.library("svd", [A], full_matrices, True)


@operation("LinalgSvdBackward0")
def _svdvals(A: Value) -> Any:
    _check_svd(A)
    return b.library("svd", [A], False, False)


def _refuse_driver(driver: str | None, name: str) -> None:
    if driver is not None:
        raise RuntimeError(
            f"torch.{name}: keyword argument `driver=` is only supported on CUDA inputs with "
            "cuSOLVER backend."
        )


@accepts_out
def svd(A: Any, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """A = U diag(S) Vᴴ, singular values descending; LinAlgError for infinities and NaN."""
    _refuse_driver(driver, "linalg.svd")
    u, s, vh, info = _svd(A, full_matrices)
    checks.refuse_failures("linalg.svd", info)
    return _Svd(u, s, vh)


@accepts_out
def svdvals(A: Any, *, driver: str | None = None) -> Any:
    """Singular values, descending."""
    _refuse_driver(driver, "linalg.svdvals")
    found = _svd(A, False)[1:] if _differentiated(A) else _svdvals(A)
    checks.refuse_failures("linalg.svd", found[-1])
    return found[0]


@accepts_out
def plain_svd(input: Any, some: bool = True, compute_uv: bool = True) -> Any:
    """``torch.svd``: as ``linalg.svd``, with V in place of Vᴴ and matrices reduced by default."""
    if input.ndim < 2:
        raise RuntimeError(
            "linalg.svd: input should have at least 2 dimensions, but has "
            f"{input.ndim} dimensions instead"
        )
    if not compute_uv:
        batch, (rows, columns) = input.shape[:-2], input.shape[-2:]
        u, v = (_zeros(input, (*batch, n, n)) for n in (rows, columns))
        return _PlainSvd(u, svdvals(input), v)
    u, s, vh = svd(input, full_matrices=not some)
    return _PlainSvd(u, s, vh.mH)


@operation()
def _zeros(like: Value, shape: tuple[int, ...]) -> Value:
    return m.like(like, shape)


# --- pseudoinverse and rank -----------------------------------------------------------------------


def _tolerance(values: Value, shape: tuple[int, ...], atol: Any, rtol: Any) -> Value:
    """max(atol, rtol * the largest of the values), below which they count as zero.

    ``rtol`` is the rounding error of the larger extent by default, 0 where ``atol`` is given.
    """
    largest = b.max(values, (-1,)) if values.shape[-1] else m.like(values, values.shape[:-1])
    dtype: DType = values.dtype

    def number(tolerance: Any) -> Value:
        if isinstance(tolerance, Value):
            return b.cast(tolerance, dtype)
        return b.constant(float(tolerance), dtype, values.type.device)

    if rtol is None:
        default = float(np.finfo(dtype.numpy).eps) * max(shape[-2:])
        rtol = number(default)
        if atol is not None:
            given = number(atol)
            rtol = b.select(b.gt(given, 0), b.constant_like(given, 0), default)
    absolute = number(0.0 if atol is None else atol)
    relative = b.mul(number(rtol), largest)
    return b.maximum(absolute, relative)


def _moduli(A: Value, hermitian: bool) -> Value:
    if hermitian:
        return b.abs(b.library("eigh", [A], "L", False)[0])
    return b.library("svd", [A], False, False)[0]


@operation("LinalgPinvBackward0")
def _pinv(A: Value, atol: Any, rtol: Any, hermitian: bool) -> Value:
    if A.ndim < 2 or A.dtype.kind not in "fc":
        kind = f"{scalar_name(A.dtype)}{{{list(A.shape)}}}"
        raise RuntimeError(
            f"linalg.pinv({kind}): expected a tensor with 2 or more dimensions of float, double, "
            "cfloat or cdouble types"
        )
    if hermitian:
        checks.square(A, "linalg.pinv")
    limit = _tolerance(_moduli(A, hermitian), A.shape, atol, rtol)
    limit = b.broadcast_to(limit, b.broadcast_shapes(limit.shape, A.shape[:-2]))
    A = b.broadcast_to(A, (*limit.shape, *A.shape[-2:]))
    return b.library("pseudoinverse", [A, limit], hermitian)[0]


@accepts_out
def pinv(
    A: Any, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Any:
    """The Moore-Penrose inverse; singular values up to the tolerance count as zero."""
    if isinstance(rcond, bool):
        rcond, hermitian = None, rcond
    return _pinv(A, atol, rcond if rtol is None else rtol, hermitian)


@operation()
def _rank(A: Value, atol: Any, rtol: Any, hermitian: bool) -> Value:
    name = "torch.linalg.matrix_rank"
    checks.matrices(A, name, "input")
    if hermitian:
        checks.square(A, "linalg.matrix_rank")
    for tolerance, which in ((atol, "atol"), (rtol, "rtol")):
        if isinstance(tolerance, Value) and tolerance.dtype.is_complex:
            raise RuntimeError(
                f"{name}: {which} tensor of complex type is not supported. Got "
                f"{scalar_name(tolerance.dtype)}"
            )
    if not A.type.numel:
        return b.full(A.shape[:-2], 0, int64, A.type.device)
    values = _moduli(A, hermitian)
    limit = _tolerance(values, A.shape, atol, rtol)
    shape = b.broadcast_shapes(limit.shape, values.shape[:-1])
    above = b.gt(
        b.broadcast_to(values, (*shape, values.shape[-1])), m.rows(b.broadcast_to(limit, shape))
    )
    return b.sum(b.cast(above, int64), (-1,))


@accepts_out
def matrix_rank(
    A: Any, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Any:
    """How many singular values exceed the tolerance."""
    if isinstance(tol, bool):
        tol, hermitian = None, tol
    # A tolerance given by position is absolute.
    atol, rtol = (tol, 0.0) if tol is not None else (atol, rtol)
    if isinstance(A, Tensor) and A.dtype.kind not in "fc":
        A = A.float()
    return _rank(A, atol, rtol, hermitian)
