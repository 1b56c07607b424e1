"""Tensors joined, stacked, and brought to one shape."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from treadle.functions import movement
from treadle.functions.axes import axis_of
from treadle.ir import build as b
from treadle.ir.types import CPU, DType
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.out_argument import accepts_out, takes_tensor
from treadle.promotion import promote_types
from treadle.size import Size
from treadle.tensor import Tensor, from_array

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_shapes",
    "broadcast_tensors", "cartesian_prod", "cat", "column_stack", "combinations", "concat",
    "concatenate", "dstack", "hstack", "meshgrid", "row_stack", "stack", "vstack",
]  # fmt: skip


def _check_list(name: str, tensors: Any) -> None:
    """TypeError unless the argument is a sequence of values."""
    if isinstance(tensors, Value):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor"
        )
    for number, item in enumerate(tensors):
        if not isinstance(item, Value):
            raise TypeError(
                f"expected Tensor as element {number} in argument 0, but got {type(item).__name__}"
            )


def _common_dtype(tensors: Sequence[Value]) -> DType:
    dtype = tensors[0].dtype
    for part in tensors[1:]:
        dtype = promote_types(dtype, part.dtype)
    return dtype


def _joinable(tensors: Sequence[Value], dim: int) -> int:
    axis = axis_of(dim, tensors[0].ndim)
    first = tensors[0].shape
    for number, other in enumerate(tensors[1:], 1):
        if len(other.shape) != len(first):
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {len(first)} and "
                f"{len(other.shape)}"
            )
        for at, (have, want) in enumerate(zip(other.shape, first, strict=True)):
            if at != axis and have != want:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {axis}. Expected size "
                    f"{want} but got size {have} for tensor number {number} in the list."
                )
    return axis


@operation("CatBackward0")
def cat(tensors: Sequence[Value], dim: int = 0) -> Value:
    """Tensors joined along an axis."""
    _check_list("cat", tensors)
    if not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    for number, part in enumerate(tensors):
        if not part.ndim:
            raise RuntimeError(
                f"zero-dimensional tensor (at position {number}) cannot be concatenated"
            )
    dtype = _common_dtype(tensors)
    # Vectors of nothing go with every shape, as they did in the first releases of PyTorch.
    parts = [part for part in tensors if part.shape != (0,)] or list(tensors)
    axis = _joinable(parts, dim)
    nothing = [0 if at == axis else extent for at, extent in enumerate(parts[0].shape)]
    fitting = [b.reshape(p, nothing) if p.shape == (0,) else p for p in tensors]
    return b.concat([b.cast(part, dtype) for part in fitting], axis)


concat = concatenate = cat


@operation("StackBackward0")
def stack(tensors: Sequence[Value], dim: int = 0) -> Value:
    """Tensors of one shape joined along a new axis."""
    _check_list("stack", tensors)
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    first = tensors[0].shape
    for number, other in enumerate(tensors[1:], 1):
        if other.shape != first:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 "
                f"and {list(other.shape)} at entry {number}"
            )
    dtype = _common_dtype(tensors)
    axis = axis_of(dim, len(first) + 1)
    shape = (*first[:axis], 1, *first[axis:])
    return b.concat([b.reshape(b.cast(part, dtype), shape) for part in tensors], axis)


# -- at least so many axes -----------------------------------------------------------------------


def _atleast(one: Callable[[Tensor], Tensor], name: str, doc: str) -> Callable[..., Any]:
    def function(*tensors: Any) -> Any:
        if len(tensors) == 1:
            if isinstance(tensors[0], Tensor):
                return one(tensors[0])
            tensors = tuple(tensors[0])
        return tuple(one(tensor) for tensor in tensors)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def _one(input: Tensor) -> Tensor:
    return input if input.ndim else movement.reshape(input, 1)


def _two(input: Tensor) -> Tensor:
    if not input.ndim:
        return movement.reshape(input, 1, 1)
    return movement.unsqueeze(input, 0) if input.ndim == 1 else input


def _three(input: Tensor) -> Tensor:
    if input.ndim == 2:
        return movement.unsqueeze(input, -1)
    return input if input.ndim > 2 else movement.unsqueeze(_two(input), -1)


atleast_1d = _atleast(_one, "atleast_1d", "Tensors with an axis added to numbers.")
atleast_2d = _atleast(_two, "atleast_2d", "Tensors with axes added in front up to two.")
atleast_3d = _atleast(_three, "atleast_3d", "Tensors with three axes: vectors in the middle.")


def _stacked(name: str, arrange: Callable[[Tensor], Tensor], axis: int, what: str) -> Any:
    def function(tensors: Sequence[Tensor]) -> Tensor:
        if isinstance(tensors, Tensor):
            raise TypeError(
                f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor"
            )
        if not len(tensors):
            raise RuntimeError(f"{name} expects a non-empty TensorList")
        parts = [arrange(tensor) for tensor in tensors]
        joined: Tensor = cat(parts, min(axis, parts[0].ndim - 1))
        return joined

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Tensors joined along the {what}."
    return accepts_out(function)


hstack = _stacked("hstack", _one, 1, "second axis, vectors along their only one")
vstack = row_stack = _stacked("vstack", _two, 0, "first axis, vectors as rows")
dstack = _stacked("dstack", _three, 2, "third axis")
column_stack = _stacked(
    "column_stack",
    lambda tensor: movement.reshape(tensor, -1, 1) if tensor.ndim < 2 else tensor,
    1,
    "second axis, vectors as columns",
)


@operation("BlockDiagBackward0")
def _block_diag(tensors: tuple[Value, ...]) -> Value:
    blocks = []
    for number, part in enumerate(tensors):
        if part.ndim > 2:
            raise RuntimeError(
                "torch.block_diag: Input tensors must have 2 or fewer dimensions. Input "
                f"{number} has {part.ndim} dimensions"
            )
        matrix = b.reshape(part, ((1, 1, *part.shape)[-2:] if part.ndim < 2 else part.shape))
        blocks.append(b.cast(matrix, _common_dtype(tensors)))
    width = sum(block.shape[1] for block in blocks)
    rows, before = [], 0
    for block in blocks:
        after = width - before - block.shape[1]
        rows.append(b.pad(block, (0, before), (0, after)))
        before += block.shape[1]
    return b.concat(rows, 0)


def block_diag(*tensors: Any) -> Tensor:
    """A matrix with matrices along its diagonal and zeros elsewhere."""
    if not tensors:
        return from_array(np.zeros((1, 0), np.float32), CPU)
    for number, part in enumerate(tensors):
        if not isinstance(part, Tensor):
            raise TypeError(
                f"block_diag(): argument 'tensors' (position {number + 1}) must be Tensor, not "
                f"{type(part).__name__}"
            )
    made: Tensor = _block_diag(tensors)
    return made


# -- one shape -----------------------------------------------------------------------------------


def _listed(tensors: tuple[Any, ...]) -> tuple[Any, ...]:
    single = len(tensors) == 1 and isinstance(tensors[0], (tuple, list))
    return tuple(tensors[0]) if single else tensors


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """Tensors expanded to their common shape."""
    parts = _listed(tensors)
    shape = b.broadcast_shapes(*(tuple(part.shape) for part in parts))
    return tuple(movement.expand(part, shape) for part in parts)


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that all of the shapes expand to."""
    given = [(shape,) if isinstance(shape, int) else tuple(shape) for shape in shapes]
    result = [1] * max(map(len, given), default=0)
    for number, shape in enumerate(given):
        for at in range(-1, -1 - len(shape), -1):
            if shape[at] in (1, result[at]):
                continue
            if result[at] != 1 or shape[at] < 0:
                raise RuntimeError(
                    f"Attempting to broadcast a dimension of length {shape[at]} at {at}! "
                    f"Mismatching argument at index {number} had {shape}; but expected shape "
                    f"should be broadcastable to {result}"
                )
            result[at] = shape[at]
    return Size(result)


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Coordinates of a grid: every vector repeated along the axes of the others.

    ``indexing`` is "ij" (the default: axis k belongs to vector k) or "xy" (the first two swapped).
    """
    vectors = _listed(tensors)
    if not vectors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing is None:
        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing "
            "argument.",
            UserWarning,
            stacklevel=2,
        )
    elif indexing not in ("xy", "ij"):
        raise RuntimeError(
            f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}'
        )
    for vector in vectors:
        if vector.ndim > 1:
            raise RuntimeError(
                "torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: "
                f"{vector.ndim}"
            )
        if vector.dtype is not vectors[0].dtype:
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    swap = indexing == "xy" and len(vectors) > 1
    if swap:
        vectors = (vectors[1], vectors[0], *vectors[2:])
    shape = tuple(vector.numel() for vector in vectors)
    grids = []
    for axis, vector in enumerate(vectors):
        aligned = tuple(extent if at == axis else 1 for at, extent in enumerate(shape))
        grids.append(movement.expand(movement.view(vector, aligned), shape))
    if swap:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def _check_vector(input: Tensor) -> None:
    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")


def cartesian_prod(*tensors: Any) -> Tensor:
    """Every choice of one element from each vector, a row each."""
    vectors = _listed(tensors)
    for vector in vectors:
        _check_vector(vector)
    if len(vectors) == 1:
        return movement.alias_of(vectors[0])
    grids = meshgrid(*vectors, indexing="ij")
    made: Tensor = stack([movement.ravel(grid) for grid in grids], 1)
    return made


@operation("MaskedSelectBackward0")
def _chosen(input: Value, index: Value) -> Value:
    rows, width = index.shape
    return b.reshape(b.gather(input, b.reshape(index, (rows * width,)), 0), index.shape)


@takes_tensor
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """Every choice of ``r`` elements of a vector in order, a row each."""
    _check_vector(input)
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return from_array(np.zeros((0,), input.dtype.numpy), input.device)
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = list(choose(range(input.numel()), r))
    index = from_array(np.array(rows, np.int64).reshape(len(rows), r), input.device)
    made: Tensor = _chosen(input, index)
    return made
