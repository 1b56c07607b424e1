"""Reading and writing along one axis at positions that tensors give: gather, scatter and so on.

Positions in memory are checked when the operation is recorded; later ones out of range read the
nearest element and write none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from treadle.functions import movement
from treadle.functions.axes import axis_of
from treadle.functions.filling import filling
from treadle.functions.index_assignment import scatter_value
from treadle.functions.indexing import empty_of, out_of_bounds
from treadle.inplace import Plan, accepts_separate_out, planned
from treadle.ir import build as b
from treadle.ir.types import DType, Scalar, bool_, int32, int64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import number_for, scalar_name
from treadle.tensor import Tensor

__all__ = ["gather", "scatter", "scatter_add", "scatter_reduce", "take_along_dim"]
METHODS = (
    "gather scatter scatter_ scatter_add scatter_add_ scatter_reduce scatter_reduce_ take_along_dim"
)

_COMBINES = {"sum": "add", "mean": "add", "prod": "mul", "amax": "max", "amin": "min"}
# Names that PyTorch takes beside those that it documents.
_OTHER_NAMES = {"max": "amax", "min": "amin"}


def lifted(value: Value) -> Value:
    """A 0-d value as one of one axis."""
    return value if value.ndim else b.reshape(value, (1,))


def _rank(tensor: Tensor) -> int:
    return max(tensor.ndim, 1)


def sizes_of(tensor: Tensor) -> list[int]:
    return list(tensor.shape) or [1]


def check_along(
    index: Tensor, input: Tensor, axis: int, error: type[Exception], text: str, lowest: int = 0
) -> None:
    """An error for indices in memory that are out of range along an axis."""
    extent = sizes_of(input)[axis]
    wrong = out_of_bounds(index, extent, lowest)
    if wrong is not None:
        raise error(text.format(index=wrong, axis=axis, extent=extent))


OUT_OF_BOUNDS = "index {index} is out of bounds for dimension {axis} with size {extent}"

# -- gather --------------------------------------------------------------------------------------


@operation("GatherBackward0")
def _gathered(input: Value, axis: int, index: Value) -> Value:
    if not index.type.numel:
        return empty_of(input, index.shape)
    found = b.gather(lifted(input), b.cast(lifted(index), int64), axis)
    return b.reshape(found, index.shape)


@accepts_separate_out
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """input[index[i][j]][j] for dim 0, and likewise for other axes.

    ``sparse_grad`` is accepted; gradients are dense.
    """
    if index.dtype not in (int32, int64) and index.shape.numel():
        raise RuntimeError("gather(): Expected dtype int32/int64 for index")
    axis = axis_of(dim, input.ndim)
    if index.shape.numel():
        if _rank(index) != _rank(input):
            raise RuntimeError(
                "Index tensor must have the same number of dimensions as input tensor"
            )
        for at, (have, want) in enumerate(zip(sizes_of(input), sizes_of(index), strict=True)):
            if at != axis and want > have:
                raise RuntimeError(
                    f"Size does not match at dimension {at} expected index {list(index.shape)} to "
                    f"be no larger than self {list(input.shape)} apart from dimension {axis}"
                )
        check_along(index, input, axis, RuntimeError, OUT_OF_BOUNDS)
    found: Tensor = _gathered(input, axis, index)
    return found


@operation("GatherBackward0")
def _gathered_broadcast(input: Value, indices: Value, axis: int) -> Value:
    shapes = [[*v.shape[:axis], 1, *v.shape[axis + 1 :]] for v in (input, indices)]
    shape = list(b.broadcast_shapes(*map(tuple, shapes)))

    def widened(value: Value) -> Value:
        return b.broadcast_to(value, [*shape[:axis], value.shape[axis], *shape[axis + 1 :]])

    index = widened(indices)
    if not index.type.numel:
        return empty_of(input, index.shape)
    wrapped = b.select(b.lt(index, 0), index + input.shape[axis], index)
    return b.gather(widened(input), wrapped, axis)


@accepts_separate_out
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """``gather`` where the other axes are broadcast; among all elements without ``dim``."""
    if indices.dtype is not int64:
        raise RuntimeError(
            "torch.take_along_dim(): dtype of indices should be Long but got "
            f"{scalar_name(indices.dtype)}"
        )
    if dim is None:
        input, indices, dim = movement.reshape(input, -1), movement.reshape(indices, -1), 0
    if indices.ndim != input.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, "
            f"but got {input.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
        )
    axis = axis_of(dim, input.ndim)
    check_along(indices, input, axis, RuntimeError, OUT_OF_BOUNDS, -sizes_of(input)[axis])
    found: Tensor = _gathered_broadcast(input, indices, axis)
    return found


# -- scatter -------------------------------------------------------------------------------------


def _combined(input: Value, axis: int, index: Value, source: Value, combine: str) -> Value:
    """``scatter_value`` for operands that may be 0-d; more source than index is left alone."""
    if not index.type.numel:
        return input
    places = b.cast(lifted(index), int64)
    whole = lifted(source)
    part = b.slice(whole, (0,) * whole.ndim, places.shape)
    return b.reshape(scatter_value(lifted(input), places, part, axis, combine), input.shape)


@operation("ScatterBackward0", overwrites=True)
def _scattered(input: Value, axis: int, index: Value, src: Value) -> Value:
    return _combined(input, axis, index, src, "set")


@operation("ScatterBackward1", overwrites=True, numbers=True)
def _scattered_number(input: Value, axis: int, index: Value, value: Any) -> Value:
    return _combined(input, axis, index, filling(value, input.dtype, index), "set")


@operation("ScatterBackward2", overwrites=True)
def _scattered_by(input: Value, axis: int, index: Value, src: Any, combine: str) -> Value:
    source = src if isinstance(src, Value) else filling(src, input.dtype, index)
    return _combined(input, axis, index, source, combine)


@operation("ScatterAddBackward0", overwrites=True)
def _scattered_sum(input: Value, axis: int, index: Value, src: Value) -> Value:
    return _combined(input, axis, index, src, "add")


def _check_scatter(name: str, input: Tensor, dim: int, index: Tensor, src: Tensor | None) -> int:
    """The axis of a scatter; errors in PyTorch's words."""
    if index.dtype not in (int32, int64):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    if src is not None and src.dtype is not input.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype")
    axis = axis_of(dim, input.ndim)
    if not index.shape.numel():
        return axis
    for what, tensor in (("self", input), ("src", src)):
        if tensor is not None and _rank(tensor) != _rank(index):
            raise RuntimeError(
                f"Index tensor must have the same number of dimensions as {what} tensor"
            )
    wanted, mine = sizes_of(index), sizes_of(input)
    wrong = any(
        want > have for at, (want, have) in enumerate(zip(wanted, mine, strict=True)) if at != axis
    )
    tail = ""
    if src is not None:
        tail = f" and to be no larger size than src {list(src.shape)}"
        wrong |= any(want > have for want, have in zip(wanted, sizes_of(src), strict=True))
    if wrong:
        raise RuntimeError(
            f"Expected index {list(index.shape)} to be no larger than self {list(input.shape)} "
            f"apart from dimension {axis}{tail}"
        )
    check_along(index, input, axis, RuntimeError, OUT_OF_BOUNDS)
    return axis


@planned
def scatter(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Any = None,
    *,
    value: Any = None,
    reduce: str | None = None,
) -> Plan:
    """A copy with ``src`` (or one number) at the positions that ``index`` gives along an axis.

    Where positions repeat, the last one wins; ``reduce`` may add or multiply instead.
    """
    source = value if src is None else src
    if source is None:
        raise TypeError("scatter() missing 1 required positional argument: 'src'")
    tensor = source if isinstance(source, Tensor) else None
    axis = _check_scatter("scatter", input, dim, index, tensor)
    if tensor is None:
        source = number_for(source, input.dtype)
    if reduce is not None:
        if reduce not in ("add", "multiply"):
            raise RuntimeError("reduce argument must be either add or multiply.")
        return _scattered_by, (input, axis, index, source, reduce[:3])
    return _scattered if tensor is not None else _scattered_number, (input, axis, index, source)


@planned
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Plan:
    """A copy with ``src`` added at the positions that ``index`` gives along an axis."""
    axis = _check_scatter("scatter", input, dim, index, src)
    return _scattered_sum, (input, axis, index, src)


@operation("ScatterReduceBackward0", overwrites=True)
def _scattered_reduction(
    input: Value, axis: int, index: Value, src: Value, reduce: str, include_self: bool
) -> Value:
    def run(base: Value, source: Value, combine: str) -> Value:
        return _combined(base, axis, index, source, combine)

    return reduced(input, src, reduce, include_self, run)


def reduced(
    input: Value,
    source: Value,
    reduce: str,
    include_self: bool,
    run: Callable[[Value, Value, str], Value],
) -> Value:
    """A reduction from scatters: ``run(base, source, combine)``."""
    base = input
    if not include_self:
        start = b.constant_like(source, _identity(reduce, input.dtype))
        base = run(input, start, "set")
    total = run(base, source, _COMBINES[reduce])
    if reduce != "mean":
        return total
    count = run(b.constant_like(input, int(include_self)), b.constant_like(source, 1), "add")
    if not include_self:
        count = b.maximum(count, 1)
    return _quotient(total, count)


def _quotient(total: Value, count: Value) -> Value:
    """Division, rounded down for integers; counts are above 0."""
    quotient = b.div(total, count)
    if total.dtype.kind in "fc":
        return quotient
    low = b.lt(b.sub(total, b.mul(quotient, count)), b.constant_like(total, 0))
    return b.sub(quotient, b.cast(low, total.dtype))


def _identity(reduce: str, dtype: DType) -> Scalar:
    """What leaves the other operand of a reduction as it is."""
    if reduce in ("sum", "mean"):
        return 0
    if reduce == "prod":
        return 1
    least = reduce == "amax"
    if dtype is bool_:
        return not least
    if dtype.kind == "f":
        return -np.inf if least else np.inf
    limits = np.iinfo(dtype.numpy)
    return int(limits.min if least else limits.max)


@planned
def scatter_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> Plan:
    """A copy with ``src`` reduced by sum, prod, mean, amax or amin into the positions of an axis.

    Without ``include_self`` the elements that were at those positions do not count.
    """
    axis = _check_scatter("scatter", input, dim, index, src)
    reduce = _OTHER_NAMES.get(reduce, reduce)
    if reduce not in _COMBINES:
        raise RuntimeError(
            "reduce argument must be either sum, prod, mean, amax or amin, got " + reduce
        )
    return _scattered_reduction, (input, axis, index, src, reduce, include_self)


scatter_, scatter_add_ = scatter.in_place, scatter_add.in_place
scatter_reduce_ = scatter_reduce.in_place
