"""Copies of tensors: ``deepcopy``, ``copy`` and pickling, in which tensors keep sharing memory.

Both work storage by storage: tensors over one storage come out as tensors over one new storage.
"""

from __future__ import annotations

import copy
import copyreg
from typing import Any

import numpy as np
import numpy.typing as npt

from treadle import engine
from treadle.ir.types import Device, dtype_of
from treadle.tensor import Tensor
from treadle.tracer.segment import recorder
from treadle.tracer.storage import Storage

# What every tensor holds; the rest of its ``__dict__`` are attributes that users added.
_OWN = frozenset(Tensor.__annotations__)


def attributes_of(tensor: Tensor) -> dict[str, Any]:
    """The attributes that users added to a tensor."""
    return {name: item for name, item in vars(tensor).items() if name not in _OWN}


# -- storages ------------------------------------------------------------------------------------


def _reduce_storage(storage: Storage) -> tuple[Any, ...]:
    recorder.compute(storage)
    contents = np.array(engine.array_of(storage, None)).reshape(-1).view(np.uint8)
    return _rebuild_storage, (
        contents, storage.type.dtype.name, storage.type.shape, str(storage.type.device),
    )  # fmt: skip


def _rebuild_storage(
    contents: npt.NDArray[Any], dtype: str, shape: tuple[int, ...], device: str
) -> Storage:
    kind, _, index = device.partition(":")
    elements = contents.view(dtype_of(dtype).numpy).reshape(shape)
    return engine.adopt(elements, Device(kind, int(index) if index else None))


copyreg.pickle(Storage, _reduce_storage)


# -- tensors -------------------------------------------------------------------------------------


def reduced(self: Tensor, protocol: Any) -> tuple[Any, ...]:
    """How the tensor is pickled and shallowly copied: class, storage, layout, added attributes."""
    arguments = (type(self), self._storage, self._view, self.requires_grad)
    return rebuild_tensor, (*arguments, attributes_of(self))


def rebuild_tensor(
    kind: type[Tensor],
    storage: Storage,
    view: Any,
    requires_grad: bool,
    attributes: dict[str, Any],
) -> Tensor:
    """A leaf tensor over a storage."""
    made = object.__new__(kind)
    made._storage = storage
    made._view = view
    made._requires_grad = requires_grad
    vars(made).update(attributes)
    return made


def deep_copy(self: Tensor, memo: dict[int, Any]) -> Tensor:
    """A leaf over a copy of the storage, which one ``deepcopy`` makes once.

    Raises RuntimeError for tensors with a history.
    """
    known: Tensor | None = memo.get(id(self))
    if known is not None:
        return known
    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
            "protocol at the moment.  If you were attempting to deepcopy a module, this may be "
            "because of a torch.nn.utils.weight_norm usage, see "
            "https://github.com/pytorch/pytorch/pull/103001"
        )
    storage = copy.deepcopy(self._storage, memo)
    made = rebuild_tensor(type(self), storage, self._view, self.requires_grad, {})
    memo[id(self)] = made
    vars(made).update(copy.deepcopy(attributes_of(self), memo))
    if self.grad is not None:
        made._grad = copy.deepcopy(self.grad, memo)
    return made


def restore(self: Tensor, state: dict[str, Any]) -> None:
    """Restores attributes that a subclass pickled."""
    if not self.is_leaf:
        raise RuntimeError("__setstate__ can be only called on leaf Tensors")
    vars(self).update(state)


ATTRIBUTES = {"__deepcopy__": deep_copy, "__reduce_ex__": reduced, "__setstate__": restore}
