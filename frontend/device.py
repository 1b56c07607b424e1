"""``torch.device``: naming devices, which are there, and where tensors are made by default.

A device is plain data of the IR; whether it can be used is decided here.
"""

from __future__ import annotations

import threading
from typing import Any

from treadle.ir.types import CPU, Device

# All device types that PyTorch names; tensors can be on the CPU.
_KNOWN = (
    "cpu", "cuda", "ipu", "xpu", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve", "fpga", "maia",
    "xla", "lazy", "vulkan", "mps", "meta", "hpu", "mtia", "privateuseone",
)  # fmt: skip


class _Default(threading.local):
    """The default device of a thread, and those that its ``with`` blocks replaced."""

    device: Device | None = None

    def __init__(self) -> None:
        self.outer: list[Device | None] = []


_default = _Default()


class device(Device):
    """A device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, another device, or a type and an index.

    As a ``with`` block it is the default of functions that create tensors.

    Raises RuntimeError for text that names no device, TypeError for what is no text.
    """

    __slots__ = ()

    def __new__(cls, type: Any, index: int | None = None) -> device:
        """The device of that name; see the class."""
        if isinstance(type, Device):
            return super().__new__(cls, type.type, type.index)
        if isinstance(type, int) and not isinstance(type, bool):
            raise RuntimeError("Cannot access accelerator device when none is available.")
        if not isinstance(type, str):
            raise TypeError(
                "device() received an invalid combination of arguments - got "
                f"({type.__class__.__name__}), but expected one of:\n * (torch.device device)\n"
                " * (str type, int index = -1)"
            )
        name, number = _parsed(type)
        if number is not None and index is not None:
            raise RuntimeError(
                "type (string) must not include an index because index was passed explicitly: "
                f"{type}"
            )
        return super().__new__(cls, name, number if index is None else index)

    def __enter__(self) -> device:
        _default.outer.append(_default.device)
        _default.device = self
        return self

    def __exit__(self, *_error: object) -> None:
        _default.device = _default.outer.pop()

    def __reduce__(self) -> tuple[Any, ...]:
        return (device, (self.type, self.index))


def _parsed(text: str) -> tuple[str, int | None]:
    """Type and index of a device string."""
    if not text:
        raise RuntimeError("Device string must not be empty")
    name, colon, number = text.partition(":")
    if name.isalpha() and name not in _KNOWN:
        raise RuntimeError(
            f"Expected one of {', '.join(_KNOWN)} device type at start of device string: {name}"
        )
    plain = number.isdigit() and (number == "0" or number[0] != "0")
    if name not in _KNOWN or (colon and not plain):
        raise RuntimeError(f"Invalid device string: '{text}'")
    return name, int(number) if colon else None


def _named(given: Any) -> device:
    return device(given)


_DEVICES: dict[Device, device] = {CPU: device("cpu")}


def public_device(found: Device) -> device:
    """A device of the IR as users see it."""
    known = _DEVICES.get(found)
    if known is None:
        known = _DEVICES[found] = device(found)
    return known


def device_of(given: Any) -> Device:
    """The device that an argument names (the default one for None), if tensors can be there.

    Raises AssertionError, as PyTorch without CUDA does, for a CUDA device.
    """
    if given is None:
        if _default.device is None:
            return CPU
        given = _default.device
    chosen = given if isinstance(given, Device) else device(given)
    if chosen.type == "cuda":
        raise AssertionError("Torch not compiled with CUDA enabled")
    if chosen.type != "cpu":
        raise NotImplementedError(
            f"Could not run 'aten::empty.memory_format' with arguments from the '{chosen.type}' "
            "backend: tensors can be on the CPU"
        )
    return CPU


def get_default_device() -> device:
    """The device of tensors that are made without one."""
    return public_device(_default.device or CPU)


def set_default_device(device: Any) -> None:
    """Sets the device of tensors that are made without one; None is the CPU."""
    _default.device = None if device is None else _named(device)
