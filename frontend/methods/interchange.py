"""Exchanging tensors with other libraries: NumPy's protocols and DLPack, sharing memory.

How memory stays in order while others see it is ``engine.expose``'s and ``memory_sharing``'s.
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
import numpy.typing as npt

from treadle import engine
from treadle.functions import creation
from treadle.ir.types import bfloat16
from treadle.tensor import Tensor, recorder_evaluate

METHODS = "numpy"


class DLDeviceType(enum.IntEnum):
    """DLPack's kinds of devices."""

    kDLCPU = 1  # noqa: N815  # DLPack's names
    kDLCUDA = 2  # noqa: N815  # DLPack's names
    kDLCUDAHost = 3  # noqa: N815  # DLPack's names


def numpy(self: Tensor, *, force: bool = False) -> npt.NDArray[Any]:
    """The elements as an array that shares this memory; computes what is pending.

    With ``force`` the tensor may require gradients.
    """
    if self.requires_grad and not force:
        raise RuntimeError(
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
        )
    if self.dtype is bfloat16:
        raise TypeError("Got unsupported ScalarType BFloat16")
    recorder_evaluate(self)
    return engine.expose(self._storage, self._view)


def as_array(self: Tensor, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
    """NumPy's view of the elements, converted or copied where it asks for that."""
    array = numpy(self)
    if dtype is not None and array.dtype != dtype:
        if copy is False:
            raise ValueError("Unable to avoid copy while creating an array as requested.")
        return array.astype(dtype)
    return np.array(array) if copy else array


def wrapped_array(
    self: Tensor, array: Any, context: Any = None, return_scalar: bool = False
) -> Tensor:
    """What a NumPy function made of this tensor, as a tensor; bools become bytes."""
    array = np.asarray(array)
    return creation.from_numpy(array.astype(np.uint8) if array.dtype == np.bool_ else array)


# -- DLPack --------------------------------------------------------------------------------------


def dlpack_capsule(
    self: Tensor, *, stream: Any = -1, max_version: tuple[int, int] | None = None,
    dl_device: Any = None, copy: bool | None = None,
) -> Any:  # fmt: skip
    """A DLPack capsule over this memory, or over a copy of it.

    Raises BufferError for tensors that require gradients.
    """
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if dl_device is not None and tuple(dl_device) != dlpack_device(self):
        raise BufferError(f"cannot export a tensor on {self.device} to DLPack device {dl_device}")
    array = np.array(numpy(self)) if copy else numpy(self)
    return array.__dlpack__() if max_version is None else array.__dlpack__(max_version=max_version)


def dlpack_device(self: Tensor) -> tuple[DLDeviceType, int]:
    """Device kind and number in DLPack's terms."""
    return (DLDeviceType.kDLCPU, 0)


class _Capsule:
    """A bare DLPack capsule as an object with the protocol."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **_options: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (DLDeviceType.kDLCPU, 0)


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor over the memory of an object with the DLPack protocol, or of a capsule."""
    source = ext_tensor if hasattr(ext_tensor, "__dlpack__") else _Capsule(ext_tensor)
    shared = creation.from_numpy(np.from_dlpack(source))
    return shared.clone() if copy else shared


def to_dlpack(tensor: Tensor) -> Any:
    """A DLPack capsule over the memory of a tensor."""
    return dlpack_capsule(tensor)


ATTRIBUTES = {
    "__array__": as_array, "__array_wrap__": wrapped_array, "__dlpack__": dlpack_capsule,
    "__dlpack_device__": dlpack_device,
}  # fmt: skip
