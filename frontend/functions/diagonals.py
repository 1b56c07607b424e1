"""Matrices made of diagonals, and sums along them; ``diagonal`` itself is a view (``slicing``)."""

from __future__ import annotations

from treadle.functions import movement, slicing, striding
from treadle.functions.axes import axis_of
from treadle.ir import build as b
from treadle.ir.types import int64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.out_argument import accepts_out, takes_tensor
from treadle.tensor import Tensor

__all__ = ["diag", "diag_embed", "diagflat", "trace"]
METHODS = "diag diag_embed diagflat fill_diagonal_ trace"


@operation("DiagEmbedBackward0")
def _embedded(input: Value, offset: int, first: int, second: int) -> Value:
    """The last axis along a diagonal of square matrices, which become the axes named."""
    count, rest = input.shape[-1], input.shape[:-1]
    side = count + abs(offset)
    row, column = max(-offset, 0), max(offset, 0)
    if count:
        before = row * side + column
        after = side * side - before - (count - 1) * (side + 1) - 1
        zeros = (0,) * len(rest)
        flat = b.pad(input, (*zeros, before), (*zeros, after), (*zeros, side))
        square = b.reshape(flat, (*rest, side, side))
    else:
        square = b.full((*rest, side, side), 0, input.dtype, input.type.device)
    order = list(range(len(rest)))
    for axis, place in sorted([(first, len(rest)), (second, len(rest) + 1)]):
        order.insert(axis, place)
    return b.permute(square, order)


@takes_tensor
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices of zeros with the last axis along a diagonal."""
    rank = input.ndim + 1
    first, second = axis_of(dim1, rank), axis_of(dim2, rank)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    made: Tensor = _embedded(input, offset, first, second)
    return made


@accepts_out
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A matrix with a vector along a diagonal, or a copy of a matrix's diagonal."""
    if input.ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    copy: Tensor = slicing.diagonal(input, diagonal).clone()
    return copy


@takes_tensor
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """A matrix with all elements along a diagonal."""
    return diag_embed(movement.ravel(input), offset)


@operation("TraceBackward0")
def trace(input: Value) -> Value:
    """The sum of a matrix's diagonal; integers and bool add up as int64."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    rows, columns = input.shape
    count = min(rows, columns)
    x = input if input.dtype.kind in "fc" else b.cast(input, int64)
    if not count:
        return b.constant(0, x.dtype, x.type.device)
    flat = b.reshape(x, (rows * columns,))
    return b.sum(b.slice(flat, (0,), ((count - 1) * (columns + 1) + 1,), (columns + 1,)))


def fill_diagonal_(input: Tensor, fill_value: float, wrap: bool = False) -> Tensor:
    """Fills the main diagonal, all of whose indices are equal, in place.

    With ``wrap`` the diagonal of a tall matrix starts again after every square of it.
    """
    shape, rank = tuple(input.shape), input.ndim
    if rank < 2:
        raise RuntimeError("dimensions must larger than 1")
    if rank > 2 and len(set(shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    step, offset = sum(input.stride()), input.storage_offset()
    count = min(shape)
    striding.as_strided(input, (count,), (step,), offset).fill_(fill_value)
    if wrap and rank == 2 and shape[0] > shape[1] + 1:
        first = (shape[1] + 1) * input.stride(0)
        rest = -(-(shape[0] * shape[1] - (shape[1] + 1) * shape[1]) // (shape[1] + 1))
        striding.as_strided(input, (rest,), (step,), offset + first).fill_(fill_value)
    return input
