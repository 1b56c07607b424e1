"""``torch.signal.windows``: windows of signal processing, symmetric or periodic.

Formulas as in PyTorch (and SciPy); computed in float64 and rounded once. The functions without
``sym`` (``torch.hann_window`` and its like) are ``functions.windows``'s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from treadle.device import device_of
from treadle.functions.data import require_grad
from treadle.ir.types import DType, float32, float64
from treadle.layouts import strided
from treadle.promotion import default_dtype
from treadle.tensor import Tensor, from_array

__all__ = [
    "bartlett", "blackman", "cosine", "exponential", "gaussian", "general_cosine",
    "general_hamming", "hamming", "hann", "kaiser", "nuttall",
]  # fmt: skip

Array = npt.NDArray[np.float64]


def _made(
    name: str,
    M: int,  # PyTorch's name
    values: Callable[[], Array],
    dtype: DType | None,
    layout: Any,
    device: Any,
    requires_grad: bool,
) -> Tensor:
    kind = default_dtype() if dtype is None else dtype
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    if layout is not strided:
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    if kind not in (float32, float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {kind}")
    window = values() if M else np.zeros(0)
    return require_grad(from_array(window.astype(kind.numpy), device_of(device)), requires_grad)


def _positions(M: int) -> Array:
    return np.arange(M, dtype=np.float64)


def _period(M: int, sym: bool) -> int:
    """Steps from the first sample to where the window repeats."""
    return M - 1 if sym else M


def exponential(
    M: int, *, center: float | None = None, tau: float = 1.0, sym: bool = True,
    dtype: DType | None = None, layout: Any = strided, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """exp(-|n - center| / tau)."""

    def values() -> Array:
        middle = (M if not sym and M > 1 else M - 1) / 2.0 if center is None else center
        found: Array = np.exp(-np.abs(_positions(M) - middle) / tau)
        return found

    if M >= 0 and layout is strided and (dtype in (None, float32, float64)):
        if tau <= 0:
            raise ValueError(f"Tau must be positive, got: {tau} instead.")
        if sym and center is not None:
            raise ValueError("Center must be None for symmetric windows")
    return _made("exponential", M, values, dtype, layout, device, requires_grad)


def cosine(
    M: int, *, sym: bool = True, dtype: DType | None = None, layout: Any = strided,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """sin(pi (n + 1/2) / M)."""

    def values() -> Array:
        extent = M + 1 if not sym and M > 1 else M
        found: Array = np.sin(math.pi / extent * (_positions(M) + 0.5))
        return found

    return _made("cosine", M, values, dtype, layout, device, requires_grad)


def gaussian(
    M: int, *, std: float = 1.0, sym: bool = True, dtype: DType | None = None,
    layout: Any = strided, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """exp(-(n / std)^2 / 2) around the middle."""

    def values() -> Array:
        middle = (M if not sym and M > 1 else M - 1) / 2.0
        found: Array = np.exp(-(((_positions(M) - middle) / std) ** 2) / 2.0)
        return found

    if M >= 0 and layout is strided and dtype in (None, float32, float64) and std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    return _made("gaussian", M, values, dtype, layout, device, requires_grad)


def kaiser(
    M: int, *, beta: float = 12.0, sym: bool = True, dtype: DType | None = None,
    layout: Any = strided, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """I0(beta sqrt(1 - x^2)) / I0(beta) for x from -1 to 1."""

    def values() -> Array:
        return kaiser_values(M, beta, sym)

    if M >= 0 and layout is strided and dtype in (None, float32, float64) and beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    return _made("kaiser", M, values, dtype, layout, device, requires_grad)


def kaiser_values(M: int, beta: float, sym: bool) -> Array:
    """The numbers of a Kaiser window."""
    if M == 1:
        return np.ones(1)
    x = 2.0 * _positions(M) / _period(M, sym) - 1.0
    found: Array = np.i0(beta * np.sqrt(np.maximum(1.0 - x * x, 0.0))) / np.i0(beta)
    return found


def bartlett(
    M: int, *, sym: bool = True, dtype: DType | None = None, layout: Any = strided,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """1 - |x| for x from -1 to 1."""

    def values() -> Array:
        if M == 1:
            return np.ones(1)
        found: Array = 1.0 - np.abs(2.0 * _positions(M) / _period(M, sym) - 1.0)
        return found

    return _made("bartlett", M, values, dtype, layout, device, requires_grad)


def cosine_sum(M: int, coefficients: Iterable[float], sym: bool) -> Array:
    """a0 - a1 cos(x) + a2 cos(2x) - ... over one period."""
    if M == 1:
        return np.ones(1)
    x = 2.0 * math.pi * _positions(M) / _period(M, sym)
    total = np.zeros(M)
    for order, factor in enumerate(coefficients):
        total += (-1) ** order * factor * np.cos(order * x)
    return total


def general_cosine(
    M: int, *, a: Iterable[float], sym: bool = True, dtype: DType | None = None,
    layout: Any = strided, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A sum of cosines of one period and its fractions, with coefficients of alternating sign."""

    def values() -> Array:
        if M > 1 and not isinstance(a, (list, tuple)):
            raise TypeError("Coefficients must be a list/tuple")
        if M > 1 and not a:
            raise ValueError("Coefficients cannot be empty")
        return cosine_sum(M, a, sym)

    return _made("general_cosine", M, values, dtype, layout, device, requires_grad)


def general_hamming(
    M: int, *, alpha: float = 0.54, sym: bool = True, dtype: DType | None = None,
    layout: Any = strided, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """alpha - (1 - alpha) cos(x)."""
    return general_cosine(
        M, a=[alpha, 1.0 - alpha], sym=sym, dtype=dtype, layout=layout, device=device,
        requires_grad=requires_grad,
    )  # fmt: skip


def _of_coefficients(name: str, coefficients: list[float]) -> Callable[..., Tensor]:
    def function(
        M: int, *, sym: bool = True, dtype: DType | None = None, layout: Any = strided,
        device: Any = None, requires_grad: bool = False,
    ) -> Tensor:  # fmt: skip
        return general_cosine(
            M, a=coefficients, sym=sym, dtype=dtype, layout=layout, device=device,
            requires_grad=requires_grad,
        )  # fmt: skip

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The sum of cosines with coefficients {coefficients}."
    return function


hamming = _of_coefficients("hamming", [0.54, 0.46])
hann = _of_coefficients("hann", [0.5, 0.5])
blackman = _of_coefficients("blackman", [0.42, 0.5, 0.08])
nuttall = _of_coefficients("nuttall", [0.3635819, 0.4891775, 0.1365995, 0.0106411])
