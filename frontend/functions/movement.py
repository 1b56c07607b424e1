"""Views under another shape: tensors that alias the memory of their argument.

Layouts and errors are PyTorch's; what a view records is ``aliasing``'s. Parts are ``slicing``'s.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from treadle.functions.aliasing import inplace_view, view_operation
from treadle.functions.axes import (
    axis_of,
    distinct_axes,
    extents,
    inferred_shape,
    named_extents,
)
from treadle.functions.bits import reinterpreted
from treadle.functions.slicing import select as select, slice_axis as slice_axis
from treadle.ir import build as b
from treadle.ir.types import DType, Shape, contiguous_strides, element_count
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.out_argument import takes_tensor
from treadle.promotion import scalar_name
from treadle.tensor import Tensor
from treadle.views import View, reshaped_strides

__all__ = [
    "adjoint", "broadcast_to", "flatten", "moveaxis", "movedim", "permute", "ravel", "reshape",
    "squeeze", "swapaxes", "swapdims", "t", "transpose", "unflatten", "unsqueeze",
]  # fmt: skip
METHODS = (
    "view view_as reshape reshape_as flatten unflatten ravel permute transpose swapaxes swapdims t "
    "adjoint movedim moveaxis expand expand_as broadcast_to squeeze unsqueeze t_ transpose_ "
    "swapaxes_ swapdims_ squeeze_ unsqueeze_"
)
PROPERTIES = "T H mT mH"


# -- shapes --------------------------------------------------------------------------------------


@view_operation("ViewBackward0")
def _reshaped(input: Value, shape: Shape) -> Value:
    return b.reshape(input, shape)


@view_operation("AliasBackward0")
def _same(input: Value) -> Value:
    return input


def alias_of(input: Tensor) -> Tensor:
    """The same memory, dtype and shape as another tensor object."""
    return _same(input, input._layout)


@operation("UnsafeViewBackward0")
def _reshaped_copy(input: Value, shape: Shape) -> Value:
    return b.reshape(input, shape)


def _reshaped_layout(input: Tensor, target: Shape) -> View | None:
    """How the elements lie under another shape; None where they must be copied."""
    if input._view is None:
        return View(target, contiguous_strides(target), 0)
    strides = reshaped_strides(input._layout, target)
    return None if strides is None else View(target, strides, input.storage_offset())


def view(input: Tensor, *shape: Any, dtype: DType | None = None, size: Any = None) -> Tensor:
    """The same memory under another shape; RuntimeError where strides do not allow it.

    With a dtype, the bits of the elements read as another type (a copy).
    """
    if shape and isinstance(shape[0], DType):
        dtype = shape[0]
    if dtype is not None:
        return reinterpreted(input, dtype)
    if size is not None:
        shape = (size,)
    if not shape:
        raise TypeError("view() received an invalid combination of arguments - got ()")
    target = inferred_shape(extents(shape), input.numel())
    layout = _reshaped_layout(input, target)
    if layout is None:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return _reshaped(input, layout, target)


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """The same memory under another tensor's shape."""
    return view(input, tuple(other.shape))


@takes_tensor
def reshape(input: Tensor, *sizes: Any, shape: Any = None) -> Tensor:
    """The elements under another shape: a view where strides allow it, else a copy."""
    return _with_shape(input, inferred_shape(named_extents(sizes, shape), input.numel()))


def _with_shape(input: Tensor, target: Shape) -> Tensor:
    layout = _reshaped_layout(input, target)
    if layout is None:
        copy: Tensor = _reshaped_copy(input, target)
        return copy
    return _reshaped(input, layout, target)


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """The elements under another tensor's shape."""
    return reshape(input, tuple(other.shape))


@takes_tensor
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Axes from ``start_dim`` to ``end_dim`` joined into one."""
    start, end = axis_of(start_dim, input.ndim), axis_of(end_dim, input.ndim)
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if not input.ndim:
        return _with_shape(input, (1,))
    if start == end:
        return input
    shape = tuple(input.shape)
    joined = element_count(shape[start : end + 1])
    return _with_shape(input, (*shape[:start], joined, *shape[end + 1 :]))


@takes_tensor
def ravel(input: Tensor) -> Tensor:
    """All elements in one axis."""
    return _with_shape(input, (input.numel(),))


@takes_tensor
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """An axis split into several."""
    axis = axis_of(dim, input.ndim)
    if not len(sizes):
        raise RuntimeError("unflatten: sizes must be non-empty")
    shape = tuple(input.shape)
    try:
        inner = inferred_shape(extents((sizes,)), shape[axis])
    except RuntimeError:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} "
            f"({shape[axis]}) in the input tensor"
        ) from None
    return view(input, (*shape[:axis], *inner, *shape[axis + 1 :]))


# -- order of axes -------------------------------------------------------------------------------


@view_operation("PermuteBackward0")
def _permuted(input: Value, dims: tuple[int, ...]) -> Value:
    return b.permute(input, dims)


@view_operation("TransposeBackward0")
def _transposed(input: Value, dims: tuple[int, ...]) -> Value:
    return b.permute(input, dims)


@view_operation("TBackward0")
def _t(input: Value, dims: tuple[int, ...]) -> Value:
    return b.permute(input, dims)


def _reordered(input: Tensor, dims: tuple[int, ...], run: Callable[..., Tensor]) -> Tensor:
    size, stride, offset = input._layout
    layout = View(tuple(size[axis] for axis in dims), tuple(stride[axis] for axis in dims), offset)
    return run(input, layout, dims)


@takes_tensor
def permute(input: Tensor, *axes: Any, dims: Any = None) -> Tensor:
    """Axes reordered."""
    given = named_extents(axes, dims)
    if len(given) != input.ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the "
            f"length of the desired ordering of dimensions i.e. input.dim() = {input.ndim} is not "
            f"equal to len(dims) = {len(given)}"
        )
    order = tuple(axis_of(axis, input.ndim) for axis in given)
    if len(set(order)) != len(order):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return _reordered(input, order, _permuted)


@takes_tensor
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two axes swapped."""
    first, second = axis_of(dim0, input.ndim), axis_of(dim1, input.ndim)
    order = list(range(input.ndim))
    if order:
        order[first], order[second] = order[second], order[first]
    return _reordered(input, tuple(order), _transposed)


@takes_tensor
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Two axes swapped: ``transpose`` under NumPy's name."""
    return transpose(input, axis0, axis1)


@takes_tensor
def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two axes swapped: ``transpose`` under another name."""
    return transpose(input, dim0, dim1)


@takes_tensor
def t(input: Tensor) -> Tensor:
    """A matrix transposed; vectors and numbers as they are."""
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return _reordered(input, tuple(reversed(range(input.ndim))), _t)


def _matrices(input: Tensor, name: str) -> Tensor:
    if input.ndim == 1:
        raise RuntimeError(
            f"tensor.{name} is only supported on matrices or batches of matrices. Got 1-D tensor."
        )
    return transpose(input, -2, -1) if input.ndim else alias_of(input)


def _conjugate(input: Tensor) -> Tensor:
    return input.conj() if input.dtype.is_complex else input


@takes_tensor
def adjoint(input: Tensor) -> Tensor:
    """Matrices transposed and conjugated."""
    return _conjugate(_matrices(input, "adjoint()"))


def T(input: Tensor) -> Tensor:  # PyTorch's name
    """All axes reversed; meant for matrices, a warning for others."""
    if input.ndim == 0:
        _warn(
            "Tensor.T is deprecated on 0-D tensors. This function is the identity in these cases."
        )
    elif input.ndim != 2 and input.ndim != 1:
        _warn(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is "
            "deprecated and it will throw an error in a future release. Consider `x.mT` to "
            "transpose batches of matrices or `x.permute(*torch.arange(x.ndim - 1, -1, -1))` to "
            "reverse the dimensions of a tensor."
        )
    return _reordered(input, tuple(reversed(range(input.ndim))), _permuted)


def H(input: Tensor) -> Tensor:  # PyTorch's name
    """A matrix transposed and conjugated."""
    if input.ndim not in (0, 2):
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {input.ndim}-D tensor."
            + (" For batches of matrices, consider using tensor.mH" if input.ndim > 2 else "")
        )
    if not input.ndim:
        _warn("Tensor.H is deprecated on 0-D tensors. Consider using x.conj().")
    return _conjugate(_matrices(input, "H"))


def mT(input: Tensor) -> Tensor:  # PyTorch's name
    """Matrices transposed."""
    if not input.ndim:
        _warn(
            "Tensor.mT is deprecated on 0-D tensors. This function is the identity in these cases."
        )
    return _matrices(input, "mT")


def mH(input: Tensor) -> Tensor:  # PyTorch's name
    """Matrices transposed and conjugated."""
    if not input.ndim:
        _warn("Tensor.mH is deprecated on 0-D tensors. Consider using x.conj().")
    return _conjugate(_matrices(input, "mH"))


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=3)


@takes_tensor
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Axes moved to other places, the rest kept in order."""
    sources = (source,) if isinstance(source, int) else tuple(source)
    targets = (destination,) if isinstance(destination, int) else tuple(destination)
    if len(sources) != len(targets):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(sources)} dims) should "
            f"contain the same number of dims as destination ({list(targets)} dims)"
        )
    rank = input.ndim
    taken = [axis_of(axis, rank) for axis in sources]
    places = [axis_of(axis, rank) for axis in targets]
    for name, axes, given in (("source", taken, sources), ("destination", places, targets)):
        if len(set(axes)) != len(axes):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({list(given)})")
    if not rank:
        return alias_of(input)
    order = [axis for axis in range(rank) if axis not in taken]
    for place, axis in sorted(zip(places, taken, strict=True)):
        order.insert(place, axis)
    return _reordered(input, tuple(order), _permuted)


@takes_tensor
def moveaxis(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Axes moved to other places: ``movedim`` under NumPy's name."""
    return movedim(input, source, destination)


# -- extents of 1 --------------------------------------------------------------------------------


@view_operation("ExpandBackward0")
def _expanded(input: Value, shape: Shape) -> Value:
    return b.broadcast_to(input, shape)


def expansion(size: Sequence[int], sizes: Sequence[int], input: Tensor) -> Shape:
    """The shape that ``size`` expands to; RuntimeError in PyTorch's words where it does not."""
    lead = len(sizes) - len(size)
    if lead < 0:
        raise RuntimeError(
            f"expand(torch.{scalar_name(input.dtype)}Tensor{{{list(size)}}}, size={list(sizes)}): "
            f"the number of sizes provided ({len(sizes)}) must be greater or equal to the number "
            f"of dimensions in the tensor ({len(size)})"
        )
    shape = []
    for axis, extent in enumerate(sizes):
        have = size[axis - lead] if axis >= lead else 1
        wanted = have if extent == -1 and axis >= lead else extent
        if have not in (1, wanted):
            raise RuntimeError(
                f"The expanded size of the tensor ({wanted}) must match the existing size "
                f"({have}) at non-singleton dimension {axis}.  Target sizes: {list(sizes)}.  "
                f"Tensor sizes: {list(size)}"
            )
        if wanted < 0:
            raise RuntimeError(
                f"The expanded size of the tensor ({extent}) isn't allowed in a leading, "
                f"non-existing dimension {axis}"
            )
        shape.append(wanted)
    return tuple(shape)


def expand(input: Tensor, *sizes: Any, size: Any = None, implicit: bool = False) -> Tensor:
    """Extents of 1 repeated without copying; -1 keeps an extent."""
    have, stride, offset = input._layout
    shape = expansion(have, named_extents(sizes, size), input)
    lead = len(shape) - len(have)
    steps = tuple(
        stride[axis - lead] if axis >= lead and have[axis - lead] == extent else 0
        for axis, extent in enumerate(shape)
    )
    return _expanded(input, View(shape, steps, offset), shape)


@takes_tensor
def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """Extents of 1 repeated without copying, up to a shape."""
    return expand(input, tuple(size))


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """Expanded to another tensor's shape."""
    return expand(input, tuple(other.shape))


_squeezed = view_operation("SqueezeBackward0")(b.reshape)
_squeezed_axis = view_operation("SqueezeBackward1")(b.reshape)
_squeezed_axes = view_operation("SqueezeBackward2")(b.reshape)


@view_operation("UnsqueezeBackward0")
def _unsqueezed(input: Value, shape: Shape) -> Value:
    return b.reshape(input, shape)


@takes_tensor
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without axes of extent 1: all of them, or those named."""
    size, stride, offset = input._layout
    gone = tuple(range(len(size))) if dim is None else distinct_axes(dim, len(size))
    kept = [axis for axis in range(len(size)) if axis not in gone or size[axis] != 1]
    shape = tuple(size[axis] for axis in kept)
    run = _squeezed if dim is None else _squeezed_axis if isinstance(dim, int) else _squeezed_axes
    return run(input, View(shape, tuple(stride[axis] for axis in kept), offset), shape)


@takes_tensor
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A new axis of extent 1 before ``dim``."""
    size, stride, offset = input._layout
    axis = axis_of(dim, len(size) + 1)
    step = size[axis] * stride[axis] if axis < len(size) else 1
    shape = (*size[:axis], 1, *size[axis:])
    return _unsqueezed(input, View(shape, (*stride[:axis], step, *stride[axis:]), offset), shape)


t_ = inplace_view(t)
transpose_ = inplace_view(transpose)
swapaxes_ = inplace_view(swapaxes)
swapdims_ = inplace_view(swapdims)
squeeze_ = inplace_view(squeeze)
unsqueeze_ = inplace_view(unsqueeze)
