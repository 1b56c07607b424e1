"""``torch.utils.dlpack``: exchanging memory with other libraries through DLPack capsules."""

from treadle.methods.interchange import DLDeviceType, from_dlpack, to_dlpack

__all__ = ["DLDeviceType", "from_dlpack", "to_dlpack"]
