"""Limits of number types: ``finfo`` for floating point, ``iinfo`` for integers."""

from __future__ import annotations

import numpy as np

from treadle.ir.types import DType, float_limits
from treadle.promotion import default_dtype

__all__ = ["finfo", "iinfo"]


class _TypeInfo:
    """What both have in common: attributes that compare and print as PyTorch's do."""

    _shown: tuple[str, ...] = ()
    dtype: str
    bits: int

    def __repr__(self) -> str:
        # Numbers as C++ streams print them: six significant digits.
        numbers = [f"{name}={getattr(self, name):g}" for name in self._shown]
        return f"{type(self).__name__}({', '.join([*numbers, f'dtype={self.dtype}'])})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.dtype == getattr(other, "dtype", None)

    def __hash__(self) -> int:
        return hash((type(self), self.dtype))


class finfo(_TypeInfo):  # PyTorch's name
    """Limits of a floating point dtype, or of a complex dtype's parts.

    Attributes:
        bits: size of a number.
        eps: the least number for which 1 + eps is not 1.
        max, min: greatest and least finite number.
        tiny, smallest_normal: the least positive normal number.
        resolution: ten to the minus number of decimal digits that every number keeps.
        dtype: name of the dtype.
    """

    _shown = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")

    def __init__(self, type: DType | None = None) -> None:
        dtype = (default_dtype() if type is None else type).to_real()
        if not dtype.is_floating_point:
            raise TypeError(
                "torch.finfo() requires a floating point input type. "
                "Use torch.iinfo to handle 'torch.finfo'"
            )
        info = float_limits(dtype.numpy)
        self.bits = 8 * dtype.itemsize
        self.eps = float(info.eps)
        self.max, self.min = float(info.max), float(info.min)
        self.tiny = self.smallest_normal = float(info.smallest_normal)
        self.resolution = float(f"1e-{info.precision}")
        self.dtype = dtype.name


class iinfo(_TypeInfo):  # PyTorch's name
    """Limits of an integer dtype.

    Attributes:
        bits: size of a number.
        max, min: greatest and least number.
        dtype: name of the dtype.
    """

    _shown = ("min", "max")

    def __init__(self, type: DType) -> None:
        if type.kind in "fc":
            raise TypeError(
                "torch.iinfo() requires an integer input type. "
                "Use torch.finfo to handle 'torch.iinfo'"
            )
        if type.kind == "b":
            raise TypeError("torch.bool is not supported by torch.iinfo")
        info = np.iinfo(type.numpy)
        self.bits = 8 * type.itemsize
        self.max, self.min = int(info.max), int(info.min)
        self.dtype = type.name
