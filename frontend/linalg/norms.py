"""Norms of vectors and matrices, and condition numbers."""

from __future__ import annotations

import math
from typing import Any

from treadle.functions.axes import Dim, axes_of
from treadle.functions.movement import movedim, reshape
from treadle.functions.norms import vector_norm as plain_vector_norm
from treadle.ir import build as b, matrices as m
from treadle.ir.types import DType
from treadle.ir.value import Value
from treadle.linalg import checks
from treadle.linalg.solving import inv_ex
from treadle.linalg.spectrum import svdvals
from treadle.operation import operation
from treadle.out_argument import accepts_out


def _refuse_empty(x: Any, order: float, dim: Dim) -> None:
    """RuntimeError for norms that have no value for no elements."""
    if not (order < 0 or order == math.inf) or x.shape.numel():
        return
    if dim is None or (not isinstance(dim, int) and not len(dim)):
        where = "an empty tensor because the operation does not have an identity"
    else:
        axis = next((axis for axis in axes_of(x, dim) if not x.shape[axis]), None)
        if axis is None:
            return
        where = (
            f"the dimension {axis}because this dimension is empty and the operation does not have "
            "an identity"
        )
    raise RuntimeError(f"linalg.vector_norm cannot compute the {order:g} norm on {where}")


@accepts_out
def vector_norm(
    x: Any, ord: Any = 2, dim: Dim = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Any:
    """(sum |x|^ord)^(1/ord) over axes; the number of nonzeros for 0, extrema for infinities."""
    if isinstance(ord, str):
        raise TypeError("linalg_vector_norm(): argument 'ord' (position 2) must be Number, not str")
    name = "linalg.vector_norm"
    checks.floating(x, name, narrow=True)
    if dtype is not None:
        checks.converted(dtype, x, name)
    _refuse_empty(x, float(ord), dim)
    return plain_vector_norm(x, float(ord), dim, keepdim, dtype)


# --- matrices -------------------------------------------------------------------------------------


@operation("LinalgMatrixNormBackward0")
def _sums(x: Value, order: float, axes: tuple[int, int], keepdim: bool) -> Value:
    """Norms of order 1 and infinity: the extreme sum of absolute values."""
    first, second = axes if abs(order) == 1.0 else axes[::-1]
    size = b.sum(b.abs(x), (first,), True)
    if not size.shape[second] and order > 0:
        shape = [1 if at in axes else n for at, n in enumerate(x.shape)]
        extreme = m.like(size, tuple(shape))
    else:
        extreme = (b.max if order > 0 else b.min)(size, (second,), True)
    kept = [n for at, n in enumerate(x.shape) if at not in axes]
    return extreme if keepdim else b.reshape(extreme, kept)


@operation("LinalgMatrixNormBackward0")
def _of_singular_values(values: Value, order: Any) -> Value:
    if order == "nuc":
        return b.sum(values, (-1,))
    if not values.shape[-1]:
        if order < 0:
            raise IndexError("amin(): Expected reduction dim -1 to have non-zero size.")
        return m.like(values, values.shape[:-1])
    return (b.max if order > 0 else b.min)(values, (-1,))


@operation("ToCopyBackward0")
def _prepared(x: Value, dtype: DType | None) -> Value:
    checks.matrices(x, "linalg.matrix_norm")
    checks.floating(x, "linalg.matrix_norm", narrow=True)
    return b.cast(x, checks.converted(dtype, x, "linalg.matrix_norm"))


def _axes(A: Any, dim: Any) -> tuple[int, int]:
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    if len(dims) != 2:
        raise RuntimeError(
            f"linalg.matrix_norm: dim must be a 2-tuple. Got {' '.join(map(str, dims))}"
        )
    for axis in dims:
        if not -A.ndim <= axis < A.ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-A.ndim}, {A.ndim - 1}], "
                f"but got {axis})"
            )
    if dims[0] % A.ndim == dims[1] % A.ndim:
        raise RuntimeError(
            f"linalg.matrix_norm: dims must be different. Got ({dims[0]}, {dims[1]})"
        )
    return dims[0] % A.ndim, dims[1] % A.ndim


def _order(ord: Any) -> Any:
    """The order as a number or name; RuntimeError for one that matrices do not have."""
    if ord in ("fro", "nuc"):
        return ord
    if isinstance(ord, str):
        if ord not in ("inf", "-inf"):
            raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
        return float(ord)
    if abs(float(ord)) not in (1.0, 2.0, math.inf):
        shown = int(ord) if float(ord) == int(ord) else ord
        raise RuntimeError(f"linalg.matrix_norm: Order {shown} not supported.")
    return float(ord)


@accepts_out
def matrix_norm(
    A: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False,
    *, dtype: DType | None = None,
) -> Any:  # fmt: skip
    """Frobenius, nuclear, spectral (2) norms, and largest sums of columns (1) and rows (inf).

    Negative orders give the least in place of the greatest.
    """
    A = _prepared(A, dtype) if dtype is not None or not _is_matrix(A) else A
    axes = _axes(A, dim)
    ord = _order(ord)
    if ord == "fro":
        return plain_vector_norm(A, 2.0, axes, keepdim, None)
    if ord != "nuc" and abs(ord) != 2.0:
        return _sums(A, ord, axes, keepdim)
    found = _of_singular_values(svdvals(movedim(A, axes, (-2, -1))), ord)
    if not keepdim:
        return found
    return reshape(found, [1 if at in axes else n for at, n in enumerate(A.shape)])


def _is_matrix(A: Any) -> bool:
    return bool(A.ndim >= 2 and A.dtype.kind in "fc")


@accepts_out
def norm(
    input: Any, ord: Any = None, dim: Any = None, keepdim: bool = False,
    *, dtype: DType | None = None,
) -> Any:  # fmt: skip
    """The norm of vectors (one axis) or matrices (two); of all elements where nothing is said."""
    if dim is not None:
        dims = (dim,) if isinstance(dim, int) else tuple(dim)
        if len(dims) not in (1, 2):
            raise RuntimeError(
                f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}"
            )
    elif ord is not None and input.ndim not in (1, 2):
        raise RuntimeError(
            "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got "
            f"{input.ndim}D."
        )
    if isinstance(ord, str):
        dims = dim if dim is not None else tuple(range(input.ndim))
        return matrix_norm(input, ord, dims, keepdim, dtype=dtype)
    if ord is not None and (
        (dim is not None and len(dims) == 2) or (dim is None and input.ndim == 2)
    ):
        return matrix_norm(input, ord, (0, 1) if dim is None else dims, keepdim, dtype=dtype)
    return vector_norm(input, 2 if ord is None else ord, dim, keepdim, dtype=dtype)


# --- condition numbers ----------------------------------------------------------------------------


@operation("LinalgCondBackward0")
def _ratio(values: Value, inverted: bool) -> Value:
    if not values.shape[-1]:
        return m.like(values, values.shape[:-1])
    count = values.ndim
    last = values.shape[-1]
    batch = values.shape[:-1]
    zeros = [0] * (count - 1)
    largest = b.reshape(b.slice(values, [*zeros, 0], (*batch, 1)), batch)
    least = b.reshape(b.slice(values, [*zeros, last - 1], (*batch, last)), batch)
    return b.div(least, largest) if inverted else b.div(largest, least)


@operation("MulBackward0")
def _product(norm: Value, other: Value, info: Value) -> Value:
    """Infinite for a matrix that has no inverse."""
    product = b.mul(norm, other)
    return b.select(b.eq(info, 0), product, b.constant_like(product, math.inf))


@accepts_out
def cond(A: Any, p: Any = None) -> Any:
    """The condition number: the norm times that of the inverse; infinite for singular matrices."""
    if A.ndim < 2:
        raise RuntimeError("linalg.cond: The input tensor must have at least 2 dimensions.")
    if not (
        p is None or p in ("fro", "nuc") or (not isinstance(p, str) and abs(p) in (1, 2, math.inf))
    ):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    if p is None or (not isinstance(p, str) and abs(p) == 2):
        return _ratio(svdvals(A), p is not None and p < 0)
    rows, columns = A.shape[-2:]
    if rows != columns:
        raise RuntimeError(
            f"linalg.cond(ord={p}): A must be batches of square matrices, but they are {rows} by "
            f"{columns} matrices"
        )
    if not A.shape.numel():
        return _of_singular_values(A.reshape(*A.shape[:-2], 0), "nuc")
    inverse, info = inv_ex(A)
    return _product(matrix_norm(A, p), matrix_norm(inverse, p), info)
