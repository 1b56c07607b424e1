"""Parameters of distributions: brought to one shape, and probabilities as logits and back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from numbers import Number
from typing import Any

import treadle
from treadle.autograd.grad_mode import enable_grad
from treadle.tensor import Tensor


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """Numbers and tensors as tensors of one shape; ValueError for anything else."""
    if not all(isinstance(value, (Tensor, Number)) for value in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects "
            "implementing __torch_function__."
        )
    like = next((value for value in values if isinstance(value, Tensor)), None)
    dtype = treadle.get_default_dtype() if like is None else like.dtype
    made = [v if isinstance(v, Tensor) else treadle.tensor(v, dtype=dtype) for v in values]
    return tuple(treadle.broadcast_tensors(*made))


class lazy_property(functools.cached_property):  # type: ignore[type-arg]
    """A property computed once, with gradients recorded."""

    def __init__(self, wrapped: Callable[[Any], Tensor]) -> None:
        def computed(instance: Any) -> Tensor:
            with enable_grad():
                return wrapped(instance)

        super().__init__(functools.wraps(wrapped)(computed))


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Probabilities of log-odds, or of unnormalised log-probabilities along the last axis."""
    return logits.sigmoid() if is_binary else logits.softmax(-1)


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities away from 0 and 1 by the dtype's precision."""
    eps = treadle.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """Log-odds of probabilities, or their logarithms."""
    clamped = clamp_probs(probs)
    return clamped.log() - (-clamped).log1p() if is_binary else clamped.log()


def sum_rightmost(value: Tensor, dims: int) -> Tensor:
    """The sum over the last axes."""
    return value.reshape((*value.shape[: value.ndim - dims], -1)).sum(-1) if dims else value


class LogitsAndProbs:
    """What a distribution given by either probabilities or logits knows of both.

    ``_is_binary`` says which; the one that was not given is computed when asked for.
    """

    _is_binary = False
    _given: str

    @lazy_property
    def logits(self) -> Tensor:
        """Log-odds or log-probabilities."""
        return probs_to_logits(self.probs, self._is_binary)

    @lazy_property
    def probs(self) -> Tensor:
        """Probabilities."""
        return logits_to_probs(self.logits, self._is_binary)

    @property
    def _param(self) -> Tensor:
        """The parameter that was given."""
        given: Tensor = getattr(self, self._given)
        return given

    def _give(self, probs: Any, logits: Any) -> str:
        """Which parameter is given; ValueError unless it is one of them."""
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        self._given = "probs" if logits is None else "logits"
        return self._given
