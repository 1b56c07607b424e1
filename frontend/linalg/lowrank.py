"""Singular values of matrices of low rank, by products with random ones.

Halko, Martinsson and Tropp, Finding Structure with Randomness (2009), algorithms 4.4 and 5.1.
"""

from __future__ import annotations

from typing import Any

from treadle.functions.random import randn
from treadle.linalg.factorization import qr
from treadle.linalg.spectrum import svd

__all__ = ["pca_lowrank", "svd_lowrank"]


def _basis(A: Any, q: int, niter: int) -> Any:
    """Orthonormal columns that span nearly what the columns of A do."""
    random = randn(A.shape[-1], q, dtype=A.dtype, device=A.device)
    found = qr(A @ random)[0]
    for _ in range(niter):
        found = qr(A.mH @ found)[0]
        found = qr(A @ found)[0]
    return found


def svd_lowrank(
    A: Any, q: int | None = 6, niter: int | None = 2, M: Any = None
) -> tuple[Any, Any, Any]:
    """U, S and V of A - M, of a rank of ``q`` at most; ``niter`` rounds sharpen the result."""
    rows, columns = A.shape[-2:]
    if M is not None:
        A = A - M.expand(*A.shape)
    tall = A.mH if rows < columns else A
    basis = _basis(tall, 6 if q is None else q, 2 if niter is None else niter)
    left, values, right = svd(basis.mH @ tall, full_matrices=False)
    u, v = basis @ left, right.mH
    return (v, values, u) if rows < columns else (u, values, v)


def pca_lowrank(
    A: Any, q: int | None = None, center: bool = True, niter: int = 2
) -> tuple[Any, Any, Any]:
    """Principal components: ``svd_lowrank`` of A with its columns' means taken off."""
    least = min(A.shape[-2:])
    if q is None:
        q = min(6, least)
    elif not 0 <= q <= least:
        raise ValueError(
            f"q(={q}) must be non-negative integer and not greater than min(m, n)={least}"
        )
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(dim=-2, keepdim=True) if center else A, q, niter)
