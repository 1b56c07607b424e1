"""Facts about tensors: sizes, kinds of dtype and memory, and tensors made in their likeness.

``METHODS`` and ``PROPERTIES`` list what ``methods`` attaches to ``Tensor``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from treadle import engine, layouts
from treadle.functions import creation
from treadle.ir.types import contiguous_strides
from treadle.memory_sharing import SharedMemory
from treadle.methods.tensor_types import construct
from treadle.storages import TypedStorage, UntypedStorage
from treadle.tensor import Tensor, recorder_evaluate
from treadle.views import View

__all__ = ["is_complex", "is_floating_point"]
METHODS = (
    "dim ndimension numel nelement element_size is_floating_point is_complex is_signed "
    "dim_order is_distributed is_set_to is_inference is_pinned is_shared share_memory_ pin_memory "
    "get_device storage untyped_storage new apply_ map_ set_ _is_view as_subclass"
)
PROPERTIES = (
    "itemsize nbytes is_cuda is_cpu is_meta is_sparse is_quantized is_mps is_xpu is_mkldnn "
    "is_nested is_sparse_csr is_ipu is_maia is_mtia is_vulkan is_xla layout"
)


# -- sizes ---------------------------------------------------------------------------------------


def dim(self: Tensor) -> int:
    """Number of dimensions."""
    return self.ndim


ndimension = dim


def numel(input: Tensor) -> int:
    """Number of elements."""
    return input.shape.numel()


nelement = numel


def element_size(self: Tensor) -> int:
    """Bytes of an element."""
    return self.dtype.itemsize


itemsize = element_size


def nbytes(self: Tensor) -> int:
    """Bytes of all elements."""
    return numel(self) * self.dtype.itemsize


# -- dtypes --------------------------------------------------------------------------------------


def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype is a floating one."""
    return input.dtype.is_floating_point


def is_complex(input: Tensor) -> bool:
    """Whether the dtype is complex."""
    return input.dtype.is_complex


def is_signed(self: Tensor) -> bool:
    """Whether the dtype has negative numbers."""
    return self.dtype.is_signed


# -- memory --------------------------------------------------------------------------------------


def is_cuda(self: Tensor) -> bool:
    """Whether the memory is a CUDA device's."""
    return self.device.type == "cuda"


def is_cpu(self: Tensor) -> bool:
    """Whether the memory is the CPU's."""
    return self.device.type == "cpu"


def _never(self: Tensor) -> bool:
    """No tensor is: there is no such kind of tensor."""
    return False


is_meta = is_sparse = is_quantized = is_mps = is_xpu = is_mkldnn = is_nested = _never
is_sparse_csr = is_ipu = is_maia = is_mtia = is_vulkan = is_xla = _never
is_distributed = _never


def layout(self: Tensor) -> layouts.layout:
    """How elements are stored: strided."""
    return layouts.strided


def dim_order(self: Tensor) -> tuple[int, ...]:
    """The axes from the one of the greatest step to the one of the least."""
    stride = self.stride()
    return tuple(sorted(range(self.ndim), key=lambda axis: -stride[axis]))


def is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether two tensors are the same view of the same memory."""
    return self._storage is tensor._storage and self._layout == tensor._layout


def is_inference(self: Tensor) -> bool:
    """Whether the tensor was made where autograd can never record it; versions always count."""
    return False


def is_pinned(self: Tensor, device: Any = None) -> bool:
    """Whether the memory is locked for copies to a device."""
    return False


def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """The tensor in memory locked for copies to a device."""
    raise RuntimeError("Cannot access accelerator device when none is available.")


def share_memory_(self: Tensor) -> Tensor:
    """Moves the memory to where forked processes see it and write to it too."""
    recorder_evaluate(self)
    engine.share_between_processes(self._storage)
    return self


def is_shared(self: Tensor) -> bool:
    """Whether forked processes share the memory."""
    return isinstance(getattr(self._storage.buffer, "owner", None), SharedMemory)


def get_device(self: Tensor) -> int:
    """The number of the device, -1 for the CPU."""
    return -1 if self.device.index is None else self.device.index


def untyped_storage(self: Tensor) -> UntypedStorage:
    """The bytes that this tensor and its aliases share."""
    return UntypedStorage(self._storage)


def storage(self: Tensor) -> TypedStorage:
    """The elements that this tensor and its aliases share."""
    return TypedStorage(UntypedStorage(self._storage), self.dtype)


def _is_view(self: Tensor) -> bool:
    return self._base is not None


def as_subclass(self: Tensor, cls: type[Tensor]) -> Tensor:
    """The tensor as an instance of a subclass, with the same memory and history."""
    if not issubclass(cls, Tensor):
        raise TypeError(f"as_subclass(): argument 'cls' must be a Tensor type, not {cls}")
    made: Tensor = object.__new__(cls)
    vars(made).update({name: item for name, item in vars(self).items() if name != "_accumulate"})
    if self.requires_grad and self.is_leaf:
        aliased = self.view_as(self)
        made._grad_fn, made._output_nr = aliased._grad_fn, 0
    return made


def set_(
    self: Tensor,
    source: Any = None,
    storage_offset: int = 0,
    size: Sequence[int] | None = None,
    stride: Sequence[int] | None = None,
) -> Tensor:
    """Makes a tensor, or a part of a storage, the memory of this one; nothing makes it empty."""
    if isinstance(source, Tensor) and size is None:
        self.data = source
        return self
    if source is None:
        self.data = creation.empty(0, dtype=self.dtype)
        return self
    memory = source._storage if isinstance(source, Tensor) else source.untyped()._storage
    if memory.type.dtype is not self.dtype:
        raise RuntimeError(
            f"Expected a storage of type {self.dtype}, found one of type {memory.type.dtype}"
        )
    shape = (memory.type.numel,) if size is None else tuple(size)
    steps = contiguous_strides(shape) if stride is None else tuple(stride)
    self._storage, self._view, self._cached = memory, View(shape, steps, storage_offset), None
    return self


# -- other tensors -------------------------------------------------------------------------------


def new(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """A tensor of this dtype, made as the typed constructors make theirs."""
    return construct(Tensor, *args, dtype=self.dtype, **kwargs)


def apply_(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Replaces each element by what a Python function makes of it."""
    changed = [callable(element) for element in self.detach().reshape(-1).tolist()]
    return self.copy_(creation.tensor(changed, dtype=self.dtype).reshape(self.shape))


def map_(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Replaces each element by what a Python function makes of it and another tensor's."""
    pairs = zip(
        self.detach().reshape(-1).tolist(),
        tensor.detach().expand(self.shape).reshape(-1).tolist(),
        strict=True,
    )
    changed = [callable(*pair) for pair in pairs]
    return self.copy_(creation.tensor(changed, dtype=self.dtype).reshape(self.shape))
