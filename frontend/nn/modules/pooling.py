"""Pooling layers.

The arithmetic is in ``functional.pooling``; these hold the options.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from treadle.nn import functional as F
from treadle.nn.functional.windowing import Extents
from treadle.nn.module import Module
from treadle.tensor import Tensor


class _MaxPool(Module):
    """The largest element of each window; with ``return_indices`` also where it was."""

    _pool: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        kernel_size: Extents,
        stride: Extents | None = None,
        padding: Extents = 0,
        dilation: Extents = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        """[N, C, *S] -> [N, C, *OS]; the batch axis is optional."""
        return type(self)._pool(
            input, self.kernel_size, self.stride, self.padding, self.dilation,
            ceil_mode=self.ceil_mode, return_indices=self.return_indices,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """The window."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """Maximum pooling of [N, C, L]."""

    _pool = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """Maximum pooling of [N, C, H, W]."""

    _pool = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    """Maximum pooling of [N, C, D, H, W]."""

    _pool = staticmethod(F.max_pool3d)


class AvgPool1d(Module):
    """Mean of each window of [N, C, L]."""

    def __init__(
        self,
        kernel_size: Extents,
        stride: Extents | None = None,
        padding: Extents = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = _single(kernel_size)
        self.stride = self.kernel_size if stride is None else _single(stride)
        self.padding = _single(padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, L] -> [N, C, L']; the batch axis is optional."""
        return F.avg_pool1d(
            input, self.kernel_size, self.stride, self.padding,
            self.ceil_mode, self.count_include_pad,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """The window."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(Module):
    """Mean of each window, or its sum over ``divisor_override``."""

    _pool: ClassVar[Callable[..., Tensor]]

    def __init__(
        self,
        kernel_size: Extents,
        stride: Extents | None = None,
        padding: Extents = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, *S] -> [N, C, *OS]; the batch axis is optional."""
        return type(self)._pool(
            input, self.kernel_size, self.stride, self.padding,
            self.ceil_mode, self.count_include_pad, self.divisor_override,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """The window."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """Average pooling of [N, C, H, W]."""

    _pool = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPool):
    """Average pooling of [N, C, D, H, W]."""

    _pool = staticmethod(F.avg_pool3d)


def _single(value: Extents) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(value)
