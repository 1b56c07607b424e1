"""Fully connected layers.

The arithmetic is ``functional.linear``; these hold the parameters.
"""

from __future__ import annotations

import math
from typing import Any

import treadle
from treadle.nn import functional as F, init
from treadle.nn.module import Module
from treadle.nn.parameter import Parameter
from treadle.tensor import Tensor


class Identity(Module):
    """Returns its input; takes and ignores any arguments."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """``input`` itself."""
        return input


class Linear(Module):
    """``x @ weight.T + bias``.

    Args:
        in_features: last extent of the input.
        out_features: last extent of the output.
        bias: whether a bias is added.

    Attributes:
        weight: [out, in], from the uniform distribution over +-1 / sqrt(in).
        bias: [out], from the same distribution; None without.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        options = {"device": device, "dtype": dtype}
        self.weight = Parameter(treadle.empty((out_features, in_features), **options))
        if bias:
            self.bias = Parameter(treadle.empty((out_features,), **options))
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
        """[..., in] -> [..., out]."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The extents and whether there is a bias."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )
