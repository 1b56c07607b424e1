"""Reading and writing along one axis at positions that tensors give: gather, scatter, index_*.

Positions in memory are checked when the operation is recorded; later ones out of range read the
nearest element and write none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from treadle.functions import movement
from treadle.functions.axes import axis_of
from treadle.functions.index_assignment import filling, scatter_value
from treadle.functions.indexing import empty_of, out_of_bounds
from treadle.inplace import Plan, accepts_separate_out, planned
from treadle.ir import build as b
from treadle.ir.types import DType, Scalar, bool_, int32, int64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import number_for, scalar_name
from treadle.tensor import Tensor

__all__ = [
    "gather", "index_add", "index_copy", "index_fill", "index_reduce", "index_select", "scatter",
    "scatter_add", "scatter_reduce", "take_along_dim",
]  # fmt: skip
METHODS = (
    "gather index_add index_add_ index_copy index_copy_ index_fill index_fill_ index_reduce "
    "index_reduce_ index_select scatter scatter_ scatter_add scatter_add_ scatter_reduce "
    "scatter_reduce_ take_along_dim"
)

_COMBINES = {"sum": "add", "mean": "add", "prod": "mul", "amax": "max", "amin": "min"}


def _lifted(value: Value) -> Value:
    """A 0-d value as one of one axis."""
    return value if value.ndim else b.reshape(value, (1,))


def _rank(tensor: Tensor) -> int:
    return max(tensor.ndim, 1)


def _sizes(tensor: Tensor) -> list[int]:
    return list(tensor.shape) or [1]


def _check_along(
    index: Tensor, input: Tensor, axis: int, error: type[Exception], text: str, lowest: int = 0
) -> None:
    """An error for indices in memory that are out of range along an axis."""
    extent = _sizes(input)[axis]
    wrong = out_of_bounds(index, extent, lowest)
    if wrong is not None:
        raise error(text.format(index=wrong, axis=axis, extent=extent))


_OUT_OF_BOUNDS = "index {index} is out of bounds for dimension {axis} with size {extent}"
_OUT_OF_RANGE = "index out of range in self"

# -- gather --------------------------------------------------------------------------------------


@operation("GatherBackward0")
def _gathered(input: Value, axis: int, index: Value) -> Value:
    if not index.type.numel:
        return empty_of(input, index.shape)
    found = b.gather(_lifted(input), b.cast(_lifted(index), int64), axis)
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
        for at, (have, want) in enumerate(zip(_sizes(input), _sizes(index), strict=True)):
            if at != axis and want > have:
                raise RuntimeError(
                    f"Size does not match at dimension {at} expected index {list(index.shape)} to "
                    f"be no larger than self {list(input.shape)} apart from dimension {axis}"
                )
        _check_along(index, input, axis, RuntimeError, _OUT_OF_BOUNDS)
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
    _check_along(indices, input, axis, RuntimeError, _OUT_OF_BOUNDS, -_sizes(input)[axis])
    found: Tensor = _gathered_broadcast(input, indices, axis)
    return found


@operation("IndexSelectBackward0")
def _index_selected(input: Value, axis: int, index: Value) -> Value:
    lifted = _lifted(input)
    shape = [*lifted.shape[:axis], index.type.numel, *lifted.shape[axis + 1 :]]
    if 0 in shape:
        return empty_of(input, shape)
    found = b.gather(lifted, _spread(index, shape, axis), axis)
    return found if input.ndim else b.reshape(found, ())


def _spread(index: Value, shape: list[int], axis: int) -> Value:
    """A vector of indices of an axis at every element of a shape."""
    aligned = [index.type.numel if at == axis else 1 for at in range(len(shape))]
    return b.broadcast_to(b.reshape(b.cast(index, int64), aligned), shape)


@accepts_separate_out
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Slices of an axis at the positions of a vector."""
    axis = axis_of(dim, input.ndim)
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if index.dtype not in (int32, int64):
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    if not input.ndim and index.shape.numel() != 1:
        raise RuntimeError("index_select(): Index to scalar can have only 1 value, got "
                           f"{index.shape.numel()} value(s)")
    _check_along(index, input, axis, IndexError, _OUT_OF_RANGE)
    found: Tensor = _index_selected(input, axis, index)
    return found


# -- scatter -------------------------------------------------------------------------------------


def _combined(input: Value, axis: int, index: Value, source: Value, combine: str) -> Value:
    """``scatter_value`` for operands that may be 0-d; more source than index is left alone."""
    if not index.type.numel:
        return input
    places = b.cast(_lifted(index), int64)
    lifted = _lifted(source)
    part = b.slice(lifted, (0,) * lifted.ndim, places.shape)
    return b.reshape(scatter_value(_lifted(input), places, part, axis, combine), input.shape)


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


def _check_scatter(
    name: str, input: Tensor, dim: int, index: Tensor, src: Tensor | None
) -> int:
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
    wanted, mine = _sizes(index), _sizes(input)
    wrong = any(want > have for at, (want, have) in enumerate(zip(wanted, mine, strict=True))
                if at != axis)
    tail = ""
    if src is not None:
        tail = f" and to be no larger size than src {list(src.shape)}"
        wrong |= any(want > have for want, have in zip(wanted, _sizes(src), strict=True))
    if wrong:
        raise RuntimeError(
            f"Expected index {list(index.shape)} to be no larger than self {list(input.shape)} "
            f"apart from dimension {axis}{tail}"
        )
    _check_along(index, input, axis, RuntimeError, _OUT_OF_BOUNDS)
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

    return _reduced(input, src, reduce, include_self, run)


def _reduced(
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
    if reduce not in _COMBINES:
        raise RuntimeError(
            "reduce argument must be either sum, prod, mean, amax or amin, got " + reduce
        )
    return _scattered_reduction, (input, axis, index, src, reduce, include_self)


# -- index_* -------------------------------------------------------------------------------------


def _along(input: Value, axis: int, index: Value, source: Value, combine: str) -> Value:
    """Slices of an axis combined with those of ``source`` at a vector of positions."""
    lifted = _lifted(input)
    shape = [*lifted.shape[:axis], index.type.numel, *lifted.shape[axis + 1 :]]
    if 0 in shape:
        return input
    part = b.reshape(source, shape) if source.type.numel > 1 else b.broadcast_to(
        b.reshape(source, (1,) * len(shape)), shape
    )
    made = scatter_value(lifted, _spread(index, shape, axis), part, axis, combine)
    return b.reshape(made, input.shape)


@operation("IndexAddBackward0", overwrites=True)
def _index_added(input: Value, axis: int, index: Value, source: Value, alpha: Any) -> Value:
    scaled = source if alpha == 1 else b.mul(source, b.constant_like(source, alpha))
    return _along(input, axis, index, scaled, "add")


@operation("IndexCopyBackward0", overwrites=True)
def _index_copied(input: Value, axis: int, index: Value, source: Value) -> Value:
    return _along(input, axis, index, source, "set")


def _index_filled_gradient(
    inputs: Any, _outputs: Any, upstreams: Any, *, axis: int, value: Any = None
) -> tuple[Value | None, ...]:
    """A number written to a place twice gets that place's gradient once."""
    (g,) = upstreams
    left = _along(g, axis, inputs[1], b.constant(0, g.dtype), "set")
    if len(inputs) == 2:
        return left, None
    return left, None, b.cast(b.sum(b.sub(g, left)), inputs[2].dtype)


@operation(
    "IndexFillBackward0", vjp=_index_filled_gradient, overwrites=True, numbers=True
)
def _index_filled(input: Value, axis: int, index: Value, value: Any) -> Value:
    number = value if isinstance(value, Value) else b.constant(value, input.dtype)
    return _along(input, axis, index, b.cast(number, input.dtype), "set")


@operation("IndexReduceBackward0", overwrites=True)
def _index_reduced(
    input: Value, axis: int, index: Value, source: Value, reduce: str, include_self: bool
) -> Value:
    def run(base: Value, part: Value, combine: str) -> Value:
        return _along(base, axis, index, part, combine)

    return _reduced(input, source, reduce, include_self, run)


def _check_slices(name: str, input: Tensor, dim: int, index: Tensor, source: Tensor) -> int:
    """The axis of ``index_add`` and its like; errors in PyTorch's words."""
    axis = axis_of(dim, input.ndim)
    if index.ndim > 1:
        raise IndexError(
            f"{name}(): Index is supposed to be a vector, but got dim: {index.ndim} with type: "
            f"{scalar_name(index.dtype)} and size: {list(index.shape)}"
        )
    if index.dtype not in (int32, int64):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index.")
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"{name}(): self ({scalar_name(input.dtype)}) and source "
            f"({scalar_name(source.dtype)}) must have the same scalar type"
        )
    if source.ndim and axis >= source.ndim:
        raise RuntimeError(
            f"{name}(): Indexing dim {axis} is out of bounds of the source tensor with dim "
            f"{source.ndim}"
        )
    count = index.shape.numel()
    if count != (source.shape[axis] if source.ndim else 1):
        raise RuntimeError(
            f"{name}(): Number of indices ({count}) should be equal to source.size(dim): "
            f"({source.shape[axis] if source.ndim else 1}), for dim: {axis}"
        )
    mine, other = list(input.shape), list(source.shape)
    if input.ndim and source.ndim:
        mine[axis : axis + 1], other[axis : axis + 1] = [], []
    if input.ndim and source.ndim and mine != other:
        raise RuntimeError(
            f"source tensor shape must match self tensor shape, excluding the specified dimension. "
            f"Got self.shape = {list(input.shape)} source.shape = {list(source.shape)}"
        )
    return axis


@planned
def index_add(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1
) -> Plan:
    """A copy with ``alpha`` times the slices of ``source`` added at positions of an axis."""
    axis = _check_slices("index_add", input, dim, index, source)
    if input.dtype.kind not in "fc" and isinstance(alpha, float):
        raise RuntimeError(
            "For integral input tensors, argument alpha must not be a floating point number."
        )
    _check_along(index, input, axis, IndexError, _OUT_OF_RANGE)
    return _index_added, (input, axis, index, source, alpha)


@planned
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Plan:
    """A copy with the slices of ``source`` at positions of an axis."""
    if index.ndim < 2 and index.dtype is not int64:
        raise RuntimeError(
            f"index_copy_(): Expected a long tensor for index, but got {scalar_name(index.dtype)}"
        )
    axis = _check_slices("index_copy_", input, dim, index, source)
    text = "index_copy_(): " + _OUT_OF_BOUNDS
    _check_along(index, input, axis, IndexError, text)
    return _index_copied, (input, axis, index, source)


@planned
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Plan:
    """A copy with a number in the slices at positions of an axis."""
    axis = axis_of(dim, input.ndim)
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                f"{value.ndim} dimension(s)."
            )
    else:
        value = number_for(value, input.dtype)
    if index.dtype is not int64:
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    if index.ndim > 1:
        raise RuntimeError("Index has to be a vector/scalar")
    extent = _sizes(input)[axis]
    _check_along(index, input, axis, IndexError, _OUT_OF_BOUNDS, -extent)
    return _index_filled, (input, axis, index, value)


@planned
def index_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    source: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> Plan:
    """A copy with the slices of ``source`` reduced by prod, mean, amax or amin into an axis.

    Without ``include_self`` the slices that were at those positions do not count.
    """
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(
            "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got "
            f"{reduce}."
        )
    axis = _check_slices("index_reduce", input, dim, index, source)
    _check_along(index, input, axis, IndexError, _OUT_OF_RANGE)
    return _index_reduced, (input, axis, index, source, reduce, include_self)


scatter_, scatter_add_ = scatter.in_place, scatter_add.in_place
scatter_reduce_, index_reduce_ = scatter_reduce.in_place, index_reduce.in_place
index_add_, index_copy_, index_fill_ = (
    index_add.in_place, index_copy.in_place, index_fill.in_place,
)  # fmt: skip
