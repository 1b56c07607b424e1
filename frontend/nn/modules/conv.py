"""Convolution layers in one, two and three dimensions.

The arithmetic is in ``functional.convolution``; these hold the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import treadle
from treadle.nn import functional as F, init
from treadle.nn.functional.windowing import Extents
from treadle.nn.module import Module
from treadle.nn.parameter import Parameter
from treadle.tensor import Tensor

_PADDING_MODES = {"zeros", "reflect", "replicate", "circular"}


class _Conv(Module):
    """What the convolutions share.

    Attributes:
        weight: [out, in / groups, *kernel], uniform over +-1 / sqrt(in / groups * kernel).
        bias: [out], from the same distribution; None without.
    """

    weight: Tensor
    bias: Tensor | None
    _axes: ClassVar[int]
    _convolve: ClassVar[Callable[..., Tensor]]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Extents,
        stride: Extents = 1,
        padding: Extents | str = 0,
        dilation: Extents = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check(in_channels, out_channels, stride, padding, groups, padding_mode)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _repeated(kernel_size, self._axes)
        self.stride = _repeated(stride, self._axes)
        self.padding = padding if isinstance(padding, str) else _repeated(padding, self._axes)
        self.dilation = _repeated(dilation, self._axes)
        self.groups = groups
        self.padding_mode = padding_mode
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        options = {"device": device, "dtype": dtype}
        self.weight = Parameter(treadle.empty(shape, **options))
        if bias:
            self.bias = Parameter(treadle.empty((out_channels,), **options))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new parameters."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = init.default_bound(self.weight)
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """[N, in, *S] -> [N, out, *OS]; the batch axis is optional."""
        return type(self)._convolve(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )

    def extra_repr(self) -> str:
        """The channels, then the options that differ from their defaults."""
        parts = [f"{self.in_channels}, {self.out_channels}"]
        parts.append(f"kernel_size={self.kernel_size}, stride={self.stride}")
        if self.padding != (0,) * self._axes:
            parts.append(f"padding={self.padding}")
        if self.dilation != (1,) * self._axes:
            parts.append(f"dilation={self.dilation}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        return ", ".join(parts)


class Conv1d(_Conv):
    """Correlation of [N, in, L] with ``out_channels`` kernels; options as in ``F.conv1d``."""

    _axes = 1
    _convolve = staticmethod(F.conv1d)


class Conv2d(_Conv):
    """Correlation of [N, in, H, W] with ``out_channels`` kernels; options as in ``F.conv2d``."""

    _axes = 2
    _convolve = staticmethod(F.conv2d)


class Conv3d(_Conv):
    """Correlation of [N, in, D, H, W] with ``out_channels`` kernels; options as ``F.conv3d``."""

    _axes = 3
    _convolve = staticmethod(F.conv3d)


def _repeated(value: Extents, count: int) -> tuple[int, ...]:
    return (value,) * count if isinstance(value, int) else tuple(value)


def _check(
    in_channels: int,
    out_channels: int,
    stride: Extents,
    padding: Extents | str,
    groups: int,
    padding_mode: str,
) -> None:
    if groups <= 0:
        raise ValueError("groups must be a positive integer")
    if in_channels % groups != 0:
        raise ValueError("in_channels must be divisible by groups")
    if out_channels % groups != 0:
        raise ValueError("out_channels must be divisible by groups")
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(
                f"Invalid padding string {padding!r}, should be one of {{'valid', 'same'}}"
            )
        steps = (stride,) if isinstance(stride, int) else stride
        if padding == "same" and any(step != 1 for step in steps):
            raise ValueError("padding='same' is not supported for strided convolutions")
    if padding_mode not in _PADDING_MODES:
        raise ValueError(
            f"padding_mode must be one of {_PADDING_MODES}, but got padding_mode='{padding_mode}'"
        )
    if padding_mode != "zeros":
        raise NotImplementedError(
            f"padding_mode={padding_mode!r} is not supported yet; 'zeros' is the known one"
        )
