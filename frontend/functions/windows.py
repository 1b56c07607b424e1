"""``torch.hann_window`` and its like: periodic windows unless asked otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from treadle.device import device_of
from treadle.functions.data import given_dtype, refuse_pinned, require_grad
from treadle.layouts import check_layout
from treadle.promotion import cpp_name, default_dtype
from treadle.signal.windows import Array, cosine_sum, kaiser_values
from treadle.tensor import Tensor, from_array

__all__ = [
    "bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window",
]  # fmt: skip


def _window(name: str, values: Callable[..., Array], doc: str) -> Callable[..., Tensor]:
    def function(
        window_length: int, periodic: bool = True, *parameters: float, dtype: Any = None,
        layout: Any = None, device: Any = None, pin_memory: bool = False,
        requires_grad: bool = False, **named: float,
    ) -> Tensor:  # fmt: skip
        kind = given_dtype(name, dtype) or default_dtype()
        check_layout(layout)
        refuse_pinned(pin_memory)
        if not kind.is_floating_point:
            raise RuntimeError(
                f"{name} expects floating point dtypes, got: TensorOptions(dtype="
                f"{cpp_name(kind)}, device=cpu, layout=Strided (default), requires_grad=false "
                "(default), pinned_memory=false, memory_format=(nullopt))"
            )
        if window_length < 0:
            raise RuntimeError(
                f"{name} requires non-negative window_length, got window_length={window_length}"
            )
        found = values(window_length, not periodic, *parameters, **named)
        found = found if window_length else np.zeros(0)
        return require_grad(from_array(found.astype(kind.numpy), device_of(device)), requires_grad)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def _bartlett(length: int, sym: bool) -> Array:
    if length == 1:
        return np.ones(1)
    x = 2.0 * np.arange(length) / (length - 1 if sym else max(length, 1)) - 1.0
    found: Array = 1.0 - np.abs(x)
    return found


def _hamming(length: int, sym: bool, alpha: float = 0.54, beta: float = 0.46) -> Array:
    return cosine_sum(length, [alpha, beta], sym)


def _kaiser(length: int, sym: bool, beta: float = 12.0) -> Array:
    return kaiser_values(length, beta, sym)


hann_window = _window(
    "hann_window",
    lambda length, sym: cosine_sum(length, [0.5, 0.5], sym),
    "sin(pi n / N)^2: a raised cosine that ends in zeros.",
)
hamming_window = _window("hamming_window", _hamming, "alpha - beta cos(2 pi n / N).")
blackman_window = _window(
    "blackman_window",
    lambda length, sym: cosine_sum(length, [0.42, 0.5, 0.08], sym),
    "0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N).",
)
bartlett_window = _window("bartlett_window", _bartlett, "A triangle.")
kaiser_window = _window(
    "kaiser_window", _kaiser, "I0(beta sqrt(1 - x^2)) / I0(beta) for x from -1 to 1."
)
