"""Linear algebra under the names that it also has in ``treadle`` itself and as methods."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from treadle.ir.types import int32
from treadle.linalg.factorization import (
    _lu_factor,
    geqrf,
    householder_product,
    lu_solve as _lu_solve,
    ormqr as _ormqr,
    permutation_of,
    plain_cholesky as cholesky,
    qr as _qr,
    triangles,
)
from treadle.linalg.functions import (
    matrix_exp as _matrix_exp,
    matrix_power as _matrix_power,
    plain_vander as vander,
)
from treadle.linalg.solving import (
    cholesky_inverse as _cholesky_inverse,
    cholesky_solve as _cholesky_solve,
    det as _det,
    inv as _inv,
    logdet as _logdet,
    slogdet as _slogdet,
    triangular_solve as _triangular_solve,
)
from treadle.linalg.spectrum import pinv as _pinv, plain_svd as svd
from treadle.out_argument import accepts_out
from treadle.return_types import return_type

__all__ = [
    "cholesky",
    "cholesky_inverse",
    "cholesky_solve",
    "det",
    "geqrf",
    "inverse",
    "logdet",
    "lu",
    "lu_solve",
    "lu_unpack",
    "matrix_exp",
    "matrix_power",
    "orgqr",
    "ormqr",
    "pinverse",
    "qr",
    "slogdet",
    "svd",
    "triangular_solve",
    "vander",
]
METHODS = (
    "cholesky cholesky_inverse cholesky_solve det geqrf inverse logdet lu lu_solve matrix_exp "
    "matrix_power orgqr ormqr pinverse qr slogdet svd triangular_solve"
)

_Qr = return_type("qr", "Q R")
_LuUnpack = return_type("lu_unpack", "P L U")


def _named(name: str, function: Callable[..., Any], **names: str) -> Any:
    """A function of ``linalg`` under its older name, whose arguments have other names."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            kwargs = {names.get(given, given): item for given, item in kwargs.items()}
        return function(*args, **kwargs)

    call.__name__ = call.__qualname__ = name
    return call


cholesky_inverse = _named("cholesky_inverse", _cholesky_inverse, input="L")
cholesky_solve = _named("cholesky_solve", _cholesky_solve, input="B", input2="L")
det = _named("det", _det, input="A")
inverse = _named("inverse", _inv, input="A")
logdet = _named("logdet", _logdet, input="A")
matrix_exp = _named("matrix_exp", _matrix_exp, input="A")
matrix_power = _named("matrix_power", _matrix_power, input="A")
orgqr = _named("orgqr", householder_product, input="A", input2="tau")
ormqr = _named("ormqr", _ormqr, input2="tau", input3="other")
slogdet = _named("slogdet", _slogdet, input="A")
triangular_solve = _named("triangular_solve", _triangular_solve, input="b")


@accepts_out
def qr(input: Any, some: bool = True) -> Any:
    """``torch.qr``: Q and R, reduced or complete."""
    return _Qr(*_qr(input, "reduced" if some else "complete"))


def pinverse(input: Any, rcond: float = 1e-15) -> Any:
    """The Moore-Penrose inverse."""
    return _pinv(input, rcond)


def lu(A: Any, pivot: bool = True, get_infos: bool = False, out: Any = None) -> Any:
    """L and U in one matrix, the exchanges of rows, and where U has a zero on its diagonal."""
    found = _lu_factor(A, pivot)
    results = tuple(found) if get_infos else tuple(found)[:2]
    if out is None:
        return results
    for target, result in zip(out, results, strict=True):
        target.copy_(result)
    return out


@accepts_out
def lu_solve(input: Any, LU_data: Any, LU_pivots: Any) -> Any:
    """X with A X = input, given what ``lu`` made of A."""
    return _lu_solve(LU_data, LU_pivots, input)


@accepts_out
def lu_unpack(
    LU_data: Any, LU_pivots: Any, unpack_data: bool = True, unpack_pivots: bool = True
) -> Any:
    """P, L and U of what ``linalg.lu_factor`` gives."""
    if LU_pivots.dtype is not int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 "
            "dtype.\nNote: this function is intended to be used with the output produced by "
            "torch.linalg.lu_factor"
        )
    nothing = LU_data.new_empty(0)
    order, low, high = nothing, nothing, nothing
    if unpack_pivots:
        rows = LU_data.shape[-2]
        numbers = LU_pivots._concrete()
        if numbers.size and (numbers.min() < 1 or numbers.max() > rows):
            raise RuntimeError(
                "pivots passed to lu_unpack must be between 1 and LU.size(-2) inclusive.Did you "
                "properly pass the result of lu_factor?"
            )
        order = permutation_of(LU_pivots, rows, LU_data)
    if unpack_data:
        low, high = triangles(LU_data)
    return _LuUnpack(order, low, high)
