"""``torch.device``: naming devices, and which are there.

A device is plain data of the IR; whether it can be used is decided here.
"""

from __future__ import annotations

from typing import Any

from treadle.ir.types import CPU, Device

_KNOWN = ("cpu", "cuda")


def device(type: Any, index: int | None = None) -> Device:
    """A device from ``"cpu"``, ``"cuda"``, ``"cuda:1"``, another device, or a CUDA index."""
    if isinstance(type, Device):
        return type
    if isinstance(type, int):
        return Device("cuda", type)
    if not isinstance(type, str):
        raise TypeError(f"device(): argument 'type' must be str, not {type.__class__.__name__}")
    name, _, number = type.partition(":")
    if name not in _KNOWN or (number and not number.isdigit()):
        raise RuntimeError(
            f"Expected one of {', '.join(_KNOWN)} device type at start of device string: {type}"
        )
    if number and index is not None:
        raise RuntimeError(
            f"type (string) must not include an index because index was passed: {type}"
        )
    return Device(name, int(number) if number else index)


def device_of(given: Any) -> Device:
    """The device that an argument names (the CPU for None), if tensors can be there.

    Raises AssertionError, as PyTorch without CUDA does, for a CUDA device.
    """
    if given is None:
        return CPU
    chosen = device(given)
    if chosen.type == "cuda":
        raise AssertionError("Torch not compiled with CUDA enabled")
    return CPU if chosen.type == "cpu" else chosen
