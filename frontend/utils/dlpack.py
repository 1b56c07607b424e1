"""``torch.utils.dlpack``: exchanging memory with other libraries through DLPack capsules."""

from treadle.interchange import DLDeviceType, from_dlpack, to_dlpack

__all__ = ["DLDeviceType", "from_dlpack", "to_dlpack"]
