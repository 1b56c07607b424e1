"""Tensors: views of storages with autograd's bookkeeping, and how their contents are reached.

What tensors can do besides is attached by ``methods``; computing is the engine's.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from treadle import engine, views
from treadle.autograd_graph.node import MODIFIED_BASE, AccumulateGrad, Node, modified_view
from treadle.device import device, public_device
from treadle.ir.types import Device, DType, TensorType, bfloat16
from treadle.ir.value import Value
from treadle.layouts import channels_lie_innermost, contiguous_format, memory_format
from treadle.printing import tensor_repr
from treadle.promotion import cpp_name, default_dtype, scalar_name
from treadle.size import Size, size_of
from treadle.tracer.segment import Segment, recorder
from treadle.tracer.storage import Storage
from treadle.views import TypedView, View

if TYPE_CHECKING:
    from treadle.methods.attached import AttachedMethods
else:
    AttachedMethods = object


class Tensor(AttachedMethods):
    """A multi-dimensional array that records what is done with it.

    Create tensors with ``treadle.tensor``, ``zeros``, ``randn`` and the like.
    """

    # Defaults live on the class: a new tensor sets its storage alone.
    _storage: Storage
    _view: View | None = None
    _cached: tuple[Segment, int, Value] | None = None
    _base: Tensor | None = None
    _one_of_several: bool = False
    _untracked: bool = False
    _made_without_grad: bool = False  # a view that ``no_grad`` kept autograd from noticing
    _grad: Any = None
    _grad_fn: Node | None = None
    _output_nr: int = 0
    _changes: int = 0
    _base_changes: int = 0
    _accumulate: AccumulateGrad | None = None
    _requires_grad: bool = False
    _prints_as_tensor: bool = True  # false for subclasses of users
    __array_priority__ = 1000

    # -- contents --------------------------------------------------------------------------------

    def _value(self, segment: Segment) -> Value:
        """The elements as a value of the segment."""
        storage = self._storage
        if storage.exposed is not None:
            engine.protect(storage)
            value = segment.read(storage)
            return value if self._view is None else views.read(value, self._view)
        if self._view is None:
            if storage.segment is segment:
                return storage.value  # type: ignore[return-value]
            return segment.read(storage)
        cached = self._cached
        if cached is not None and cached[0] is segment and cached[1] == storage.writes:
            return cached[2]
        if storage.buffer is not None:
            value = engine.read_part(segment, storage, self._view)
        else:
            value = views.read(segment.read(storage), self._view)
        self._cached = (segment, storage.writes, value)
        return value

    def _replace(self, value: Value) -> None:
        """Makes ``value`` (of this shape and dtype) the contents, in place."""
        segment = recorder.segment
        storage = self._storage
        if self._view is not None:
            if storage.exposed is not None:
                engine.protect(storage)
            value = engine.write_part(segment, storage, value, self._view)
        memory = storage.buffer if storage.exposed is not None else None
        segment.write(storage, value, tracked=not self._untracked)
        if memory is not None and storage.is_exposed():
            engine.write_through(storage, memory)

    def _updated_leaf(self, segment: Segment) -> bool:
        """Whether this is a leaf whose in-place update is pending in the segment."""
        storage = self._storage
        return self._grad_fn is None and storage.updated and storage.segment is segment

    def _concrete(self) -> npt.NDArray[Any]:
        """The elements in memory as an array that must not be written to."""
        recorder_evaluate(self)
        return engine.array_of(self._storage, self._view)

    # -- shape -----------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """Extents."""
        return size_of(self._storage.type.shape if self._view is None else self._view.size)

    @property
    def dtype(self) -> DType:
        """Element type."""
        view = self._view
        return view.dtype if isinstance(view, TypedView) else self._storage.type.dtype

    @property
    def device(self) -> device:
        """Where the memory is."""
        return public_device(self._storage.type.device)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self._storage.type.shape if self._view is None else self._view.size)

    @property
    def _layout(self) -> View:
        """Size, stride and offset within the storage."""
        return views.whole(self._storage.type.shape) if self._view is None else self._view

    def stride(self, dim: int | None = None) -> Any:
        """Steps in elements along every axis, or along one."""
        stride = self._layout.stride
        return stride if dim is None else stride[self._axis(dim)]

    def size(self, dim: int | None = None) -> Any:
        """Extents, or the extent of one axis."""
        return self.shape if dim is None else self.shape[self._axis(dim)]

    def _axis(self, dim: int) -> int:
        """An axis that may count from the end; IndexError in PyTorch's words for another."""
        rank = self.ndim
        if not -max(rank, 1) <= dim < max(rank, 1) or not rank:
            if not rank:
                raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but "
                f"got {dim})"
            )
        return dim

    def storage_offset(self) -> int:
        """Position of the first element in the storage."""
        return self._layout.offset

    def is_contiguous(self, memory_format: memory_format | None = None) -> bool:
        """Whether the elements lie in row-major order (or the format's) without gaps."""
        if memory_format in (None, contiguous_format):
            return self._view is None or self._view.is_contiguous()
        return channels_lie_innermost(self._layout.size, self._layout.stride, memory_format)

    @property
    def _version(self) -> int:
        """How often the memory was changed in place."""
        return 0 if self._untracked else self._storage.version

    def data_ptr(self) -> int:
        """Address of the first element; computes what is pending."""
        recorder_evaluate(self)
        address: int = self._storage.buffer.address
        return address + self.storage_offset() * self.dtype.itemsize

    # -- autograd --------------------------------------------------------------------------------

    @property
    def grad_fn(self) -> Node | None:
        """The operation that made this tensor, None for a leaf."""
        base = self._base
        if base is not None and base._changes != self._base_changes:
            # The base was written through another view: this one is a view of its new contents.
            if self._one_of_several and self._grad_fn is not None:
                raise modified_view(self._grad_fn, self._output_nr, MODIFIED_BASE)
            self._base_changes = base._changes
            self._grad_fn, self._output_nr = view_node(self, base), 0
            self._requires_grad = base._requires_grad
        return self._grad_fn

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded for autograd."""
        if self._base is not None:
            self.grad_fn  # noqa: B018  # a view learns here that its base was written through
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if not self.is_leaf and wanted is not True:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a "
                "computed variable in a subgraph that doesn't require differentiation use "
                "var_no_grad = var.detach()."
            )
        if wanted and self.dtype.kind not in "fc":
            raise RuntimeError(
                "only Tensors of floating point and complex dtype can require gradients"
            )
        self._requires_grad = bool(wanted)

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor."""
        return self.grad_fn is None

    @property
    def output_nr(self) -> int:
        """Which result of ``grad_fn`` this is."""
        return self._output_nr

    @property
    def grad(self) -> Tensor | None:
        """The accumulated gradient."""
        grad: Tensor | None = self._grad
        if grad is None and self._requires_grad and self.grad_fn is not None:
            self._warn_of_no_gradient()
        return grad

    @grad.setter
    def grad(self, grad: Tensor | None) -> None:
        if grad is not None:
            if not isinstance(grad, Tensor):
                raise TypeError(
                    f"assigned grad expected to be a Tensor or None but got grad of type "
                    f"{type(grad).__name__}"
                )
            if grad is self:
                raise RuntimeError("can't assign Variable as its own grad")
            check_gradient(self, grad)
        self._grad = grad

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    def _warn_of_no_gradient(self) -> None:
        """A tensor that is no leaf is asked for the gradient that only ``retain_grad`` keeps."""
        if not self.retains_grad:
            warnings.warn(
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its "
                ".grad attribute won't be populated during autograd.backward(). If you indeed "
                "want the .grad field to be populated for a non-leaf Tensor, use .retain_grad() on "
                "the non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure you "
                "access the leaf Tensor instead. See github.com/pytorch/pytorch/pull/30531 for "
                "more informations.",
                UserWarning,
                stacklevel=3,
            )

    def _accumulator(self) -> AccumulateGrad:
        """The end of the autograd graph at this leaf."""
        if self._accumulate is None:
            self._accumulate = AccumulateGrad(weakref.ref(self))
        return self._accumulate

    @property
    def data(self) -> Tensor:
        """The same memory outside autograd, whose changes autograd does not notice."""
        alias = self._alias(self._view)
        alias._untracked = True
        return alias

    @data.setter
    def data(self, new: Tensor) -> None:
        if not isinstance(new, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(new).__name__}")
        if self._requires_grad and new.dtype.kind not in "fc":
            raise RuntimeError(
                "data set to a tensor that requires gradients must be floating point or complex "
                "dtype"
            )
        self._storage = new._storage
        self._view = new._view
        self._cached = None

    def detach(self) -> Tensor:
        """The same memory outside autograd; in-place changes are noticed on both."""
        alias = self._alias(self._view)
        alias._untracked = self._untracked
        return alias

    def _alias(self, view: View | None) -> Tensor:
        """A tensor over the same storage, outside autograd."""
        alias = object.__new__(Tensor)
        alias._storage = self._storage
        alias._view = view
        return alias

    @classmethod
    def _make_subclass(cls, kind: type, data: Tensor, requires_grad: bool = False) -> Any:
        """A tensor of a subclass that shares the memory of ``data``."""
        made: Any = object.__new__(kind)
        made._storage = data._storage
        made._view = data._view
        made._requires_grad = requires_grad
        return made

    # -- Python ----------------------------------------------------------------------------------

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d tensor")
        parts: tuple[Tensor, ...] = self.unbind(0)
        return iter(parts)

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        node = self.grad_fn
        return tensor_repr(
            _plain(self._concrete()),
            self.dtype,
            requires_grad=self._requires_grad,
            grad_fn_name=None if node is None else node.label,
            device=self.device,
            default_dtype=default_dtype().name,
            prefix="tensor(" if type(self)._prints_as_tensor else f"{type(self).__name__}(",
        )

    def __format__(self, spec: str) -> str:
        if not self.ndim and type(self) is Tensor:
            return format(self.item(), spec)
        return object.__format__(self, spec)

    def item(self) -> Any:
        """The number that a tensor of one element holds; computes what is pending."""
        array = self._concrete()
        if array.size != 1:
            raise RuntimeError(f"a Tensor with {array.size} elements cannot be converted to Scalar")
        return _plain(array).item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers, or one number; computes what is pending."""
        return _plain(self._concrete()).tolist()

    def __bool__(self) -> bool:
        count = self.shape.numel()
        if count != 1:
            kind = "no values" if count == 0 else "more than one value"
            raise RuntimeError(f"Boolean value of Tensor with {kind} is ambiguous")
        return bool(self.item())

    def __float__(self) -> float:
        return float(self._real_number("double"))

    def __int__(self) -> int:
        return int(self._real_number("int64_t"))

    def _number(self) -> Any:
        if self.shape.numel() != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return self.item()

    def _real_number(self, kind: str) -> Any:
        number = self._number()
        if isinstance(number, complex):
            if number.imag:
                raise RuntimeError(f"value cannot be converted to type {kind} without overflow")
            return number.real
        return number

    def __complex__(self) -> complex:
        return complex(self._number())

    def __contains__(self, element: Any) -> bool:
        if not isinstance(element, (Tensor, int, float, complex)):
            raise RuntimeError(
                "Tensor.__contains__ only supports Tensor or scalar, but you passed in a "
                f"{type(element)}."
            )
        return bool(self.eq(element).any().item())

    def __index__(self) -> int:
        if self.dtype.is_floating_point or self.shape.numel() != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())


def check_gradient(tensor: Tensor, grad: Tensor) -> None:
    """RuntimeError in PyTorch's words for a gradient that does not fit a tensor."""
    if grad.shape != tensor.shape:
        raise RuntimeError(
            f"attempting to assign a gradient of size '{list(grad.shape)}' to a tensor of size "
            f"'{list(tensor.shape)}'. Please ensure that the gradient and the tensor are the same "
            "size"
        )
    if grad.dtype is not tensor.dtype:
        raise RuntimeError(
            f"attempting to assign a gradient with dtype '{cpp_name(grad.dtype)}' to a tensor "
            f"with grad_dtype '{scalar_name(tensor.dtype)}'. The gradient must match the tensor's "
            "grad_dtype (defaults to the tensor's dtype). You can set the tensor's grad_dtype "
            "attribute with a specific dtype, or None to allow any dtype. Set grad_dtype with "
            "caution. Diverging the dtypes of a tensor and its gradient may break downstream "
            "systems that assume they match."
        )


_view_node: list[Callable[[Tensor, Tensor], Node | None]] = []


def view_node(view: Tensor, base: Tensor) -> Node | None:
    """The autograd node from a view back to its base, as the base is now."""
    return _view_node[0](view, base)


def set_view_node(make: Callable[[Tensor, Tensor], Node | None]) -> None:
    """Installs the function that records a view of a base: an operation, which needs tensors."""
    _view_node[:] = [make]


_new = object.__new__


def new_tensor(value: Value, segment: Segment) -> Tensor:
    """A tensor with storage of its own that holds a value of the segment."""
    storage = Storage(value.type, value, segment)
    segment.storages.append(storage)
    tensor = _new(Tensor)
    tensor._storage = storage
    return tensor


def from_array(array: npt.NDArray[Any], device: Device) -> Tensor:
    """A tensor that takes over the memory of an array nobody else uses."""
    tensor = _new(Tensor)
    tensor._storage = engine.adopt(array, device)
    return tensor


def scalar_tensor(value: float, type: TensorType) -> Tensor:
    """A concrete 0-d tensor."""
    return from_array(np.array(value, type.dtype.numpy), type.device)


def _plain(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Elements of a dtype from outside NumPy in one that Python has numbers for."""
    return array.astype(np.float32) if array.dtype == bfloat16.numpy else array


def recorder_evaluate(tensor: Tensor) -> None:
    """Computes what is pending if the tensor's storage needs it."""
    recorder.compute(tensor._storage)


def evaluation_boundary() -> None:
    """Computes what is pending: the end of an outermost module call without gradients."""
    recorder.evaluate()
