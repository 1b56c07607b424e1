"""Linear algebra: ``treadle.linalg``.

Factorisations are library calls inside programs; norms, products and gradients are compiled.
"""

from treadle.functions.contraction import matmul
from treadle.functions.einsum import multi_dot
from treadle.functions.vectors import linalg_cross as cross
from treadle.linalg.checks import LinAlgError
from treadle.linalg.factorization import (
    cholesky,
    cholesky_ex,
    householder_product,
    ldl_factor,
    ldl_factor_ex,
    ldl_solve,
    lu,
    lu_factor,
    lu_factor_ex,
    lu_solve,
    qr,
)
from treadle.linalg.functions import (
    diagonal,
    matrix_exp,
    matrix_power,
    tensorinv,
    tensorsolve,
    vander,
    vecdot,
)
from treadle.linalg.norms import cond, matrix_norm, norm, vector_norm
from treadle.linalg.solving import (
    det,
    inv,
    inv_ex,
    lstsq,
    slogdet,
    solve,
    solve_ex,
    solve_triangular,
)
from treadle.linalg.spectrum import (
    eig,
    eigh,
    eigvals,
    eigvalsh,
    matrix_rank,
    pinv,
    svd,
    svdvals,
)

__all__ = [
    "LinAlgError",
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "householder_product",
    "inv",
    "inv_ex",
    "ldl_factor",
    "ldl_factor_ex",
    "ldl_solve",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "lu_solve",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]
