"""Linear systems: inverses, solutions, least squares, determinants."""

from __future__ import annotations

import math
from typing import Any

from treadle.ir import build as b, matrices as m
from treadle.ir.types import float64, int64
from treadle.ir.value import Value
from treadle.linalg import checks
from treadle.operation import operation
from treadle.out_argument import accepts_out
from treadle.promotion import scalar_name
from treadle.return_types import return_type

_Inverse = return_type("linalg_inv_ex", "inverse info")
_Solution = return_type("linalg_solve_ex", "result info")
_LeastSquares = return_type("linalg_lstsq", "solution residuals rank singular_values")
_Slogdet = return_type("linalg_slogdet", "sign logabsdet")
_Triangular = return_type("triangular_solve", "solution cloned_coefficient")


# --- inverses and solutions -----------------------------------------------------------------------


@operation("LinalgInvExBackward0")
def _inverse(A: Value, name: str) -> Any:
    checks.square(A, name)
    checks.floating(A, name)
    return _Inverse(*b.library("inverse", [A]))


@accepts_out
def inv_ex(A: Any, *, check_errors: bool = False) -> Any:
    """The inverse, and for each matrix the first zero pivot, or 0."""
    found = _inverse(A, "linalg.inv_ex")
    if check_errors:
        checks.refuse_failures("linalg.inv_ex", found.info)
    return found


@accepts_out
def inv(A: Any) -> Any:
    """The inverse; LinAlgError for a singular matrix."""
    found = _inverse(A, "linalg.inv")
    checks.refuse_failures("linalg.inv", found.info)
    return found.inverse


def _is_vector(A: Value, B: Value) -> bool:
    """Whether right sides are vectors: one for all, or one for each matrix."""
    return B.ndim == 1 or (A.ndim - 1 == B.ndim and B.shape == A.shape[:-1])


@operation("LinalgSolveExBackward0")
def _solve(A: Value, B: Value, left: bool, name: str) -> Any:
    checks.square(A, name)
    checks.floating(A, name)
    checks.same_dtype(A, B, name)
    is_vector = _is_vector(A, B)
    if is_vector and not left:
        raise RuntimeError(
            f"{name}: Vector broadcasting of the left hand side is not supported for left=False. "
            "In this case linalg.solve is equivalent to B / A.squeeze(-1)"
        )
    right = m.rows(B) if is_vector else B
    checks.fitting(A, right, left, name)
    turned = A
    if not left:
        turned, right = b.transpose(A), b.transpose(right)
    batch = b.broadcast_shapes(A.shape[:-2], right.shape[:-2])
    turned = b.broadcast_to(turned, (*batch, *turned.shape[-2:]))
    found, info = b.library("solve", [turned, b.broadcast_to(right, (*batch, *right.shape[-2:]))])
    found = found if left else b.transpose(found)
    return _Solution(b.reshape(found, found.shape[:-1]) if is_vector else found, info)


@accepts_out
def solve_ex(A: Any, B: Any, *, left: bool = True, check_errors: bool = False) -> Any:
    """X with A X = B, and for each matrix the first zero pivot, or 0."""
    found = _solve(A, B, left, "linalg.solve")
    if check_errors:
        checks.refuse_failures("torch.linalg.solve_ex", found.info)
    return found


@accepts_out
def solve(A: Any, B: Any, *, left: bool = True) -> Any:
    """X with A X = B, or X A = B unless ``left``; LinAlgError for a singular matrix."""
    found = _solve(A, B, left, "linalg.solve")
    checks.refuse_failures("torch.linalg.solve", found.info)
    return found.result


@operation("LinalgSolveTriangularBackward0")
def _solve_triangular(A: Value, B: Value, upper: bool, left: bool, unitriangular: bool) -> Value:
    name = "linalg.solve_triangular"
    checks.square(A, name)
    checks.floating(A, name)
    checks.fitting(A, B, left, name)
    return _triangular(A, b.cast(B, A.dtype), upper, left, unitriangular)


def _triangular(A: Value, B: Value, upper: bool, left: bool, unit: bool) -> Value:
    batch = b.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    return m.solve_triangular(
        b.broadcast_to(A, (*batch, *A.shape[-2:])),
        b.broadcast_to(B, (*batch, *B.shape[-2:])),
        upper,
        left,
        unit,
    )


@accepts_out
def solve_triangular(
    A: Any, B: Any, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Any:
    """X with A X = B, or X A = B unless ``left``, of a triangular matrix; the rest is not read."""
    return _solve_triangular(A, B, upper, left, unitriangular)


@operation("TriangularSolveBackward0")
def _plain_triangular(B: Value, A: Value, upper: bool, transpose: bool, unitriangular: bool) -> Any:
    name = "triangular_solve"
    for operand, letter in ((B, "b"), (A, "A")):
        if operand.ndim < 2:
            raise RuntimeError(
                f"torch.{name}: Expected {letter} to have at least 2 dimensions, but it has "
                f"{operand.ndim} dimensions instead"
            )
    checks.square(A, name)
    checks.fitting(A, B, True, name)
    turned = m.adjoint(A) if transpose else A
    found = _triangular(turned, B, upper != transpose, True, unitriangular)
    return _Triangular(found, b.broadcast_to(A, (*found.shape[:-2], *A.shape[-2:])))


@accepts_out
def triangular_solve(
    b: Any, A: Any, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Any:
    """``torch.triangular_solve``: X with A X = b, and a copy of A."""
    return _plain_triangular(b, A, upper, transpose, unitriangular)


def _cholesky_solve_gradient(inputs: Any, outputs: Any, upstreams: Any, *, upper: bool) -> Any:
    """As PyTorch's: of the whole factor, though one triangle is all that is read."""
    B, L = inputs
    right = cholesky_solve.operation.body(upstreams[0], L, upper)
    both = m.dot(right, m.adjoint(outputs[0]))
    both = b.neg(b.add(both, m.adjoint(both)))
    found = m.dot(L, both) if upper else m.dot(both, L)
    return m.summed(right, B.shape), m.summed(found, L.shape)


def _cholesky_inverse_gradient(inputs: Any, outputs: Any, upstreams: Any, *, upper: bool) -> Any:
    """As PyTorch's: of the whole factor, though one triangle is all that is read."""
    both = b.add(upstreams[0], m.adjoint(upstreams[0]))
    both = b.neg(m.dot(outputs[0], both, outputs[0]))
    return (m.dot(inputs[0], both) if upper else m.dot(both, inputs[0]),)


@operation("CholeskySolveBackward0", vjp=_cholesky_solve_gradient)
def cholesky_solve(B: Value, L: Value, upper: bool = False) -> Value:
    """X with A X = B, given the Cholesky factor of A."""
    for operand, letter in ((B, "b"), (L, "u")):
        if operand.ndim < 2:
            raise RuntimeError(
                f"{letter} should have at least 2 dimensions, but has {operand.ndim} dimensions "
                "instead"
            )
    if L.shape[-1] != L.shape[-2]:
        checks.square(L, "cholesky_solve")
    if L.shape[-1] != B.shape[-2]:
        sizes = f"{L.shape[-2]} by {L.shape[-1]}"
        raise RuntimeError(
            f"Incompatible matrix sizes for cholesky_solve: each A matrix is {sizes} but each b "
            f"matrix is {B.shape[-2]} by {B.shape[-1]}"
        )
    checks.floating(L, "cholesky_solve")
    low = m.adjoint(L) if upper else L
    half = _triangular(low, B, False, True, False)
    return _triangular(m.adjoint(low), half, True, True, False)


@operation("CholeskyInverseBackward0", vjp=_cholesky_inverse_gradient)
def cholesky_inverse(L: Value, upper: bool = False) -> Value:
    """The inverse of A, given its Cholesky factor."""
    checks.square(L, "cholesky_inverse")
    checks.floating(L, "cholesky_inverse")
    low = m.adjoint(L) if upper else L
    half = m.solve_triangular(low, m.unit_like(low), upper=False)
    return m.dot(m.adjoint(half), half)


# --- determinants ---------------------------------------------------------------------------------


@operation("LinalgDetBackward0")
def det(A: Value) -> Value:
    """The determinant."""
    checks.square(A, "linalg.det")
    checks.floating(A, "linalg.det")
    return b.library("det", [A])[0]


@operation("LinalgSlogdetBackward0")
def _slogdet(A: Value, name: str) -> Any:
    checks.square(A, name)
    checks.floating(A, name)
    return _Slogdet(*b.library("slogdet", [A]))


@accepts_out
def slogdet(A: Any) -> Any:
    """The sign of the determinant and the logarithm of its absolute value."""
    return _slogdet(A, "linalg.slogdet")


@operation("LogdetBackward0")
def logdet(A: Value) -> Value:
    """The logarithm of the determinant: NaN for a negative one."""
    checks.square(A, "logdet")
    checks.floating(A, "logdet")
    sign, modulus = b.library("slogdet", [A])
    if A.dtype.is_complex:
        return b.add(b.log(sign), b.cast(modulus, sign.dtype))
    return b.select(b.eq(sign, -1), b.constant_like(modulus, math.nan), modulus)


# --- least squares --------------------------------------------------------------------------------

_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


def _check_least_squares(A: Value, B: Value) -> bool:
    """Whether right sides are vectors; raises RuntimeError for operands that do not fit."""
    name = "torch.linalg.lstsq"
    if A.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    checks.floating(A, "linalg.lstsq")
    if not B.ndim:
        raise RuntimeError(f"{name}: other must have at least 1 dimension.")
    if A.dtype is not B.dtype:
        raise RuntimeError(
            f"{name}: Expected input and other to have the same dtype, but got input's dtype "
            f"{scalar_name(A.dtype)} and other's dtype {scalar_name(B.dtype)}"
        )
    if A.ndim - B.ndim > 1:
        raise RuntimeError(
            f"{name}: input.dim() must be greater or equal to other.dim() and "
            "(input.dim() - other.dim()) <= 1"
        )
    is_vector = A.ndim - 1 == B.ndim and A.shape[:-1] == B.shape
    if is_vector:
        if A.shape[-2] != B.shape[-1]:
            raise RuntimeError(f"{name}: input.size(-2) should match other.size(-1)")
    elif B.ndim < 2 or A.shape[-2] != B.shape[-2]:
        raise RuntimeError(f"{name}: input.size(-2) should match other.size(-2)")
    return is_vector


def _broadcast(A: Value, B: Value) -> tuple[Value, Value, bool]:
    is_vector = _check_least_squares(A, B)
    right = m.rows(B) if is_vector else B
    batch = b.broadcast_shapes(A.shape[:-2], right.shape[:-2])
    a = b.broadcast_to(A, (*batch, *A.shape[-2:]))
    return a, b.broadcast_to(right, (*batch, *right.shape[-2:])), is_vector


def _singular_values(a: Value, rcond: float | None) -> tuple[Value, Value]:
    """Singular values, and up to what they count as zero."""
    eps = 2.0**-52 if a.dtype.to_real() is float64 else 2.0**-23
    tolerance = eps * max(a.shape[-2:]) if rcond is None else rcond
    values = b.library("svd", [a], False, False)[0]
    largest = b.max(values, (-1,)) if values.shape[-1] else m.like(values, values.shape[:-1])
    return values, b.mul(largest, tolerance)


@operation("LinalgLstsqBackward0")
def _least_squares(A: Value, B: Value, rcond: float | None) -> Any:
    a, right, is_vector = _broadcast(A, B)
    limit = _singular_values(a, rcond)[1]
    found = m.dot(b.library("pseudoinverse", [a, limit], False)[0], right)
    residuals = b.sum(m.squares(b.sub(m.dot(a, found), right)), (-2,))
    return b.reshape(found, found.shape[:-1]) if is_vector else found, residuals


@operation()
def _rank(A: Value, B: Value, rcond: float | None) -> Any:
    """Ranks and singular values; the program computes them once with the solution."""
    values, limit = _singular_values(_broadcast(A, B)[0], rcond)
    above = b.gt(values, b.broadcast_to(m.rows(limit), values.shape))
    return b.sum(b.cast(above, int64), (-1,)), values


def lstsq(A: Any, B: Any, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """The solution of least squares (of least norm where several are), residuals and rank.

    All drivers work through singular values; as in PyTorch, what a driver does not compute is
    empty.
    """
    driver = "gelsy" if driver is None else driver
    if driver not in _DRIVERS:
        raise RuntimeError(
            f"torch.linalg.lstsq: parameter `driver` should be one of ({', '.join(_DRIVERS)})"
        )
    solution, residuals = _least_squares(A, B, rcond)
    rank, values = _rank(A, B, rcond)
    rows, columns = A.shape[-2:]
    full = driver == "gels" or (driver != "gelsy" and bool((rank == columns).all()))
    if rows <= columns or not full:
        residuals = _no_residuals(residuals)
    if driver == "gels":
        rank = _empty(rank)
    if driver in ("gels", "gelsy"):
        values = _empty(values)
    return _LeastSquares(solution, residuals, rank, values)


@operation()
def _empty(like: Value) -> Value:
    return m.like(like, (0,))


@operation("LinalgLstsqBackward0")
def _no_residuals(like: Value) -> Value:
    return b.slice(b.reshape(like, (like.type.numel,)), (0,), (0,))
