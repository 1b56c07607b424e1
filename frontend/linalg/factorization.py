"""Factorisations: Cholesky, QR, LU and LDL, and what is put together from reflectors."""

from __future__ import annotations

from typing import Any

from treadle.ir import build as b, matrices as m
from treadle.ir.gradient_rules.library import permuted_rows
from treadle.ir.types import int32, int64
from treadle.ir.value import Value
from treadle.linalg import checks
from treadle.operation import operation
from treadle.out_argument import accepts_out
from treadle.promotion import scalar_name
from treadle.return_types import return_type

_Cholesky = return_type("linalg_cholesky_ex", "L info")
_Qr = return_type("linalg_qr", "Q R")
_Lu = return_type("linalg_lu", "P L U")
_LuFactor = return_type("linalg_lu_factor", "LU pivots")
_LuFactorEx = return_type("linalg_lu_factor_ex", "LU pivots info")
_Ldl = return_type("linalg_ldl_factor", "LD pivots")
_LdlEx = return_type("linalg_ldl_factor_ex", "LD pivots info")
_Geqrf = return_type("geqrf", "a tau")


# --- Cholesky -------------------------------------------------------------------------------------


@operation("LinalgCholeskyExBackward0")
def _cholesky(A: Value, upper: bool, name: str) -> Any:
    checks.square(A, name)
    checks.floating(A, name)
    # The half that is said to hold the matrix is the one that is read.
    return _Cholesky(*b.library("cholesky", [A], upper))


@accepts_out
def cholesky_ex(A: Any, *, upper: bool = False, check_errors: bool = False) -> Any:
    """A = L Lᴴ, and for each matrix the order of the leading minor that is not positive, or 0."""
    found = _cholesky(A, upper, "linalg.cholesky_ex")
    if check_errors:
        checks.refuse_failures("linalg.cholesky_ex", found.info)
    return found


@accepts_out
def cholesky(A: Any, *, upper: bool = False) -> Any:
    """L with A = L Lᴴ (Uᴴ U with ``upper``); LinAlgError for what is not positive definite."""
    found = _cholesky(A, upper, "linalg.cholesky")
    checks.refuse_failures("linalg.cholesky", found.info)
    return found.L


@accepts_out
def plain_cholesky(input: Any, upper: bool = False) -> Any:
    """``torch.cholesky``."""
    found = _cholesky(input, upper, "cholesky")
    checks.refuse_failures("cholesky", found.info)
    return found.L


# --- QR -------------------------------------------------------------------------------------------


@operation("LinalgQrBackward0")
def _qr(A: Value, mode: str) -> Any:
    checks.matrices(A, "linalg.qr")
    checks.floating(A, "linalg.qr")
    if mode not in ("reduced", "r", "complete"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), "
            "'r', or 'complete'"
        )
    if mode == "r":
        return _Qr(m.like(A, (0,)), *b.library("qr", [A], mode))
    return _Qr(*b.library("qr", [A], mode))


@accepts_out
def qr(A: Any, mode: str = "reduced") -> Any:
    """A = Q R with orthonormal columns in Q and an upper triangle R."""
    return _qr(A, mode)


@operation()
def _geqrf(input: Value) -> Any:
    if input.ndim < 2:
        raise RuntimeError("torch.geqrf: input must have at least 2 dimensions.")
    checks.floating(input, "torch.geqrf")
    return _Geqrf(*b.library("geqrf", [input]))


@accepts_out
def geqrf(input: Any) -> Any:
    """R and the reflectors that make Q, as LAPACK stores them."""
    return _geqrf(input)


@operation("LinalgHouseholderProductBackward0")
def householder_product(A: Value, tau: Value) -> Value:
    """The first columns of the product of the reflectors that ``geqrf`` gives."""
    name = "torch.linalg.householder_product"
    if A.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if A.shape[-2] < A.shape[-1]:
        raise RuntimeError(
            f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1]"
        )
    if A.shape[-1] < tau.shape[-1]:
        raise RuntimeError(
            f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1]"
        )
    if A.ndim - tau.ndim != 1:
        raise RuntimeError(
            f"{name}: Expected tau to have one dimension less than input, but got tau.ndim equal "
            f"to {tau.ndim} and input.ndim is equal to {A.ndim}"
        )
    _reflectors(A, tau, name)
    return b.library("reflect", [A, tau, m.unit_like(A)], False)[0]


def _reflectors(a: Value, tau: Value, name: str) -> None:
    if tau.shape[:-1] != a.shape[:-2]:
        raise RuntimeError(
            f"{name}: Expected batch dimensions of tau to be equal to input.shape[:-2], but got "
            f"{list(tau.shape[:-1])}"
        )
    if tau.dtype is not a.dtype:
        raise RuntimeError(
            f"{name}: tau dtype {scalar_name(tau.dtype)} does not match input dtype "
            f"{scalar_name(a.dtype)}"
        )


@operation("OrmqrBackward0")
def ormqr(
    input: Value, tau: Value, other: Value, left: bool = True, transpose: bool = False
) -> Value:
    """Q C, C Q, Qᴴ C or C Qᴴ with the whole Q of the reflectors that ``geqrf`` gives."""
    name = "torch.ormqr"
    if input.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if other.ndim < 2:
        raise RuntimeError(f"{name}: other must have at least 2 dimensions.")
    size = other.shape[-2 if left else -1]
    which = "-2" if left else "-1"
    if tau.shape[-1] > size:
        raise RuntimeError(
            f"{name}: other.shape[{which}] must be greater than or equal to tau.shape[-1]"
        )
    if input.shape[-2] != size:
        raise RuntimeError(f"{name}: other.shape[{which}] must be equal to input.shape[-2]")
    if input.shape[-1] < tau.shape[-1]:
        raise RuntimeError(
            f"{name}: tau.shape[-1] must be equal to min(other.shape[{which}], input.shape[-1])"
        )
    _reflectors(input, tau, name)
    if other.shape[:-2] != input.shape[:-2]:
        raise RuntimeError(
            f"{name}: Expected batch dimensions of other to be equal to input.shape[:-2], but got "
            f"{list(other.shape[:-2])}"
        )
    if other.dtype is not input.dtype:
        raise RuntimeError(
            f"{name}: Expected input and other to have the same dtype, but input has dtype "
            f"{scalar_name(input.dtype)} and other has dtype {scalar_name(other.dtype)}"
        )
    if left:
        return b.library("reflect", [input, tau, other], transpose)[0]
    turned = b.library("reflect", [input, tau, m.adjoint(other)], not transpose)[0]
    return m.adjoint(turned)


# --- LU -------------------------------------------------------------------------------------------


def _lu_checked(A: Value, pivot: bool, name: str) -> None:
    if A.ndim < 2:
        raise RuntimeError(
            f"{name}: Expected tensor with 2 or more dimensions. Got size: {list(A.shape)} instead"
        )
    if A.dtype.kind not in "fc" or A.dtype.itemsize < 4:
        raise NotImplementedError(f"\"lu_factor_cpu\" not implemented for '{scalar_name(A.dtype)}'")
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")


@operation("LinalgLuFactorExBackward0")
def _lu_factor(A: Value, pivot: bool) -> Any:
    _lu_checked(A, pivot, "torch.lu_factor")
    return _LuFactorEx(*b.library("lu_factor", [A], pivot))


@accepts_out
def lu_factor_ex(A: Any, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """L and U in one matrix, the exchanges of rows, and the first zero on U's diagonal, or 0."""
    found = _lu_factor(A, pivot)
    if check_errors:
        checks.refuse_failures("torch.linalg.lu_factor_ex", found.info)
    return found


@accepts_out
def lu_factor(A: Any, *, pivot: bool = True) -> Any:
    """L and U in one matrix, and the exchanges of rows; RuntimeError for a zero on U's diagonal."""
    found = _lu_factor(A, pivot)
    checks.refuse_failures("torch.linalg.lu_factor", found.info)
    return _LuFactor(found.LU, found.pivots)


def unpacked(lu: Value) -> tuple[Value, Value]:
    """L, with ones on its diagonal, and U."""
    rows, columns = lu.shape[-2:]
    count = min(rows, columns)
    low = m.lower(m.part(lu, slice(None), slice(0, count)), -1)
    return b.add(low, m.unit_like(low)), m.upper(m.part(lu, slice(0, count), slice(None)))


def permutation_matrix(pivots: Value, rows: int, like: Value) -> Value:
    """P with A = P L U."""
    order = b.library("permutation", [pivots], rows)[0]
    shape = (*order.shape[:-1], rows, rows)
    at = b.iota(shape, len(shape) - 2, int64, like.type.device)
    return b.cast(b.eq(at, m.columns(order)), like.dtype)


@operation("LinalgLuBackward0")
def triangles(LU: Value) -> Any:
    """L and U out of one matrix."""
    return unpacked(LU)


@operation()
def permutation_of(pivots: Value, rows: int, like: Value) -> Value:
    """P with A = P L U, in the dtype of a tensor; it has no gradient."""
    return permutation_matrix(pivots, rows, like)


@accepts_out
def lu(A: Any, *, pivot: bool = True) -> Any:
    """A = P L U with a permutation, a lower and an upper triangle."""
    found = _lu_factor(A, pivot)
    low, high = triangles(found.LU)
    return _Lu(permutation_of(found.pivots, A.shape[-2], A), low, high)


@operation("LinalgLuSolveBackward0")
def _lu_solve(LU: Value, pivots: Value, B: Value, left: bool, adjoint: bool) -> Value:
    name = "linalg.lu_solve"
    checks.floating(LU, name)
    if LU.dtype is not B.dtype:
        raise RuntimeError(
            f"{name}: Expected LU and B to have the same dtype, but found LU of type "
            f"{scalar_name(LU.dtype)} and B of type {scalar_name(B.dtype)} instead"
        )
    if pivots.dtype is not int32:
        raise RuntimeError(f"{name}: pivots should be a Tensor of scalar type torch.int32")
    checks.square(LU, name, "LU")
    checks.fitting(LU, B, left, name)
    if LU.shape[-1] != pivots.shape[-1]:
        raise RuntimeError(
            f"{name}: Number of pivots per batch should be same as the dimension of the matrix"
        )
    if LU.shape[:-2] != pivots.shape[:-1]:
        raise RuntimeError(
            f"{name}: Expected LU.shape[:-1] and pivots.shape to be the same, but got pivots with "
            f"shape {list(pivots.shape)} instead"
        )
    if not left:
        # X A = B is Aᴴ Xᴴ = Bᴴ.
        return m.adjoint(_solved(LU, pivots, m.adjoint(B), not adjoint))
    return _solved(LU, pivots, B, adjoint)


def _solved(LU: Value, pivots: Value, B: Value, adjoint: bool) -> Value:
    order = LU.shape[-1]
    batch = b.broadcast_shapes(LU.shape[:-2], B.shape[:-2])
    LU = b.broadcast_to(LU, (*batch, order, order))
    B = b.broadcast_to(B, (*batch, *B.shape[-2:]))
    rows, inverse = b.library("permutation", [pivots], order)
    rows, inverse = (b.broadcast_to(x, (*batch, order)) for x in (rows, inverse))
    if adjoint:
        turned = m.adjoint(LU)
        found = m.solve_triangular(turned, B, upper=False)
        found = m.solve_triangular(turned, found, upper=True, unit=True)
        return permuted_rows(found, inverse)
    found = m.solve_triangular(LU, permuted_rows(B, rows), upper=False, unit=True)
    return m.solve_triangular(LU, found, upper=True)


@accepts_out
def lu_solve(LU: Any, pivots: Any, B: Any, *, left: bool = True, adjoint: bool = False) -> Any:
    """X with A X = B, given what ``lu_factor`` made of A."""
    return _lu_solve(LU, pivots, B, left, adjoint)


# --- LDL ------------------------------------------------------------------------------------------


@operation()
def _ldl_factor(A: Value, hermitian: bool) -> Any:
    checks.square(A, "torch.linalg.ldl_factor_ex")
    checks.floating(A, "torch.linalg.ldl_factor_ex")
    return _LdlEx(*b.library("ldl_factor", [A], hermitian))


@accepts_out
def ldl_factor_ex(A: Any, *, hermitian: bool = False, check_errors: bool = False) -> Any:
    """LAPACK's L and D in one matrix, its pivots, and the first zero block of D, or 0."""
    found = _ldl_factor(A, hermitian)
    if check_errors:
        checks.refuse_failures("torch.linalg.ldl_factor_ex", found.info)
    return found


@accepts_out
def ldl_factor(A: Any, *, hermitian: bool = False) -> Any:
    """A = L D Lᵀ (Lᴴ) of a symmetric matrix as LAPACK stores it, and its pivots."""
    found = _ldl_factor(A, hermitian)
    checks.refuse_failures("torch.linalg.ldl_factor", found.info)
    return _Ldl(found.LD, found.pivots)


@operation()
def ldl_solve(LD: Value, pivots: Value, B: Value, *, hermitian: bool = False) -> Value:
    """X with A X = B, given what ``ldl_factor`` made of A."""
    name = "torch.linalg.ldl_solve"
    checks.floating(LD, name)
    checks.square(LD, name, "LD")
    checks.fitting(LD, B, True, name)
    if LD.shape[:-1] != pivots.shape:
        raise RuntimeError(
            f"{name}: Expected LD.shape[:-1] and pivots.shape to be the same, but got pivots with "
            f"shape {list(pivots.shape)} instead"
        )
    if pivots.dtype.kind not in "iu":
        raise RuntimeError(
            f"{name}: Expected pivots to be integers. Got {scalar_name(pivots.dtype)}"
        )
    if LD.dtype is not B.dtype:
        raise RuntimeError(
            f"{name}: LD dtype {scalar_name(LD.dtype)} does not match b dtype "
            f"{scalar_name(B.dtype)}"
        )
    batch = b.broadcast_shapes(LD.shape[:-2], B.shape[:-2])
    operands = [
        b.broadcast_to(LD, (*batch, *LD.shape[-2:])),
        b.broadcast_to(pivots, (*batch, pivots.shape[-1])),
        b.broadcast_to(B, (*batch, *B.shape[-2:])),
    ]
    return b.library("ldl_solve", operands, hermitian)[0]
