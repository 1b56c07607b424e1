"""``Tensor.storage()`` and ``untyped_storage()``: the memory under a tensor, as users see it.

A thin view of the tracer's storage; tensors that alias have equal ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from treadle import engine
from treadle.device import device, public_device
from treadle.ir.types import DType
from treadle.tracer.segment import recorder
from treadle.tracer.storage import Storage


class UntypedStorage:
    """The bytes that tensors share.

    ``tensor.untyped_storage()`` makes one; it keeps the memory alive.
    """

    __slots__ = ("_storage",)

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    @property
    def device(self) -> device:
        """Where the memory is."""
        return public_device(self._storage.type.device)

    def untyped(self) -> UntypedStorage:
        """The bytes: this storage itself."""
        return self

    def nbytes(self) -> int:
        """Number of bytes."""
        return self._storage.type.nbytes

    def size(self) -> int:
        """Number of bytes."""
        return self.nbytes()

    def __len__(self) -> int:
        return self.nbytes()

    def data_ptr(self) -> int:
        """Address of the first byte; computes what is pending."""
        recorder.compute(self._storage)
        return int(self._storage.buffer.address)

    def tolist(self) -> list[int]:
        """The bytes as numbers."""
        recorder.compute(self._storage)
        return list(engine.array_of(self._storage, None).tobytes())

    def __getitem__(self, index: int) -> int:
        return self.tolist()[index]

    def __iter__(self) -> Iterator[int]:
        return iter(self.tolist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and other._storage is self._storage

    def __hash__(self) -> int:
        return hash(id(self._storage))

    def is_shared(self) -> bool:
        """Whether other processes see the memory."""
        return False

    def __repr__(self) -> str:
        listed = "".join(f"\n {byte}" for byte in self.tolist())
        return f"{listed}\n[torch.storage.UntypedStorage(device={self.device}) of size {len(self)}]"


class TypedStorage:
    """The elements of the memory that tensors share, in order.

    Attributes:
        dtype: element type.
    """

    __slots__ = ("_untyped_storage", "dtype")

    def __init__(self, storage: UntypedStorage, dtype: DType) -> None:
        self._untyped_storage = storage
        self.dtype = dtype

    @property
    def device(self) -> device:
        """Where the memory is."""
        return self._untyped_storage.device

    def untyped(self) -> UntypedStorage:
        """The bytes."""
        return self._untyped_storage

    def nbytes(self) -> int:
        """Number of bytes."""
        return self._untyped_storage.nbytes()

    def size(self) -> int:
        """Number of elements."""
        return self.nbytes() // self.dtype.itemsize

    def __len__(self) -> int:
        return self.size()

    def data_ptr(self) -> int:
        """Address of the first element; computes what is pending."""
        return self._untyped_storage.data_ptr()

    def tolist(self) -> list[Any]:
        """The elements as Python numbers."""
        storage = self._untyped_storage._storage
        recorder.compute(storage)
        elements: list[Any] = engine.array_of(storage, None).reshape(-1).tolist()
        return elements

    def __getitem__(self, index: int) -> Any:
        return self.tolist()[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TypedStorage) and other._untyped_storage == self._untyped_storage

    def __hash__(self) -> int:
        return hash(self._untyped_storage)

    def __repr__(self) -> str:
        listed = "".join(f"\n {element}" for element in self.tolist())
        kind = f"torch.storage.TypedStorage(dtype={self.dtype}, device={self.device})"
        return f"{listed}\n[{kind} of size {len(self)}]"


def is_storage(obj: Any) -> bool:
    """Whether an object is the storage of a tensor."""
    return isinstance(obj, (UntypedStorage, TypedStorage))
