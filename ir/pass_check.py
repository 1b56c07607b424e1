"""Translation validation: a program's results on random inputs before and after each pass.

Two draws: ordinary numbers, and numbers among which are zeros, infinities and NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from treadle.ir.errors import PassError
from treadle.ir.graph import Graph
from treadle.ir.interpreter import interpret
from treadle.ir.rewriter import Exactness
from treadle.ir.types import TensorType, float_limits
from treadle.ir.value import Array

_SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5)
# Reordered sums of ordinary numbers agree to about this many units in the last place.
_UNITS = 512


class Checker:
    """Holds what a program gave before any pass, and compares."""

    def __init__(self, graph: Graph, seed: int = 0) -> None:
        generator = np.random.default_rng(seed)
        types = [value.type for value in graph.inputs]
        self._ordinary = [random_array(type, generator) for type in types]
        self._special = [random_array(type, generator, special=True) for type in types]
        self._expected = (interpret(graph, self._ordinary), interpret(graph, self._special))

    def compare(self, name: str, graph: Graph, exactness: Exactness) -> None:
        """PassError that names the pass where results are not what they were before it."""
        found = (interpret(graph, self._ordinary), interpret(graph, self._special))
        exact = exactness is Exactness.EXACT
        # Only exact passes keep infinities and NaN that arise within a sum.
        rounds = 2 if exact else 1
        for draw in range(rounds):
            for position, (before, after) in enumerate(
                zip(self._expected[draw], found[draw], strict=True)
            ):
                if not same(before, after, exact):
                    raise PassError(
                        f"pass {name} changed output {position} of program @{graph.name}"
                        f"{_first_difference(before, after, exact)}"
                    )
        # Rounding may add up over passes; each is compared with the one before it.
        self._expected = found


def random_array(type: TensorType, generator: np.random.Generator, special: bool = False) -> Array:
    """Numbers for an input; integers stay small, since they are mostly positions."""
    dtype = type.dtype
    if dtype.kind == "b":
        return generator.integers(0, 2, type.shape).astype(np.bool_)
    if dtype.kind in "iu":
        low = -3 if special and dtype.kind == "i" else 0
        return generator.integers(low, 4, type.shape).astype(dtype.numpy)
    numbers = generator.standard_normal(type.numel)
    if special:
        # Half of the places, in turn, so that every special value is there.
        places = generator.permutation(type.numel)[: -(-type.numel // 2)]
        numbers[places] = np.resize(generator.permutation(_SPECIAL), len(places))
    return numbers.reshape(type.shape).astype(dtype.numpy)


def same(before: Array, after: Array, exact: bool = True) -> bool:
    """Equal bits (NaN equals NaN), or within rounding where not ``exact``."""
    if before.shape != after.shape or before.dtype != after.dtype:
        return False
    return bool(np.all(_agreement(before, after, exact)))


def _agreement(before: Array, after: Array, exact: bool) -> Any:
    if before.dtype.kind in "biu":
        return before == after
    nan = np.isnan(before) & np.isnan(after)
    if exact:
        return nan | ((before == after) & (np.signbit(before) == np.signbit(after)))
    # Cancellation makes small results of large terms: measure against the largest result.
    finite = np.abs(before[np.isfinite(before)])
    scale = float(finite.max()) if finite.size else 0.0
    bound = _UNITS * float(float_limits(before.dtype).eps) * max(scale, 1.0)
    with np.errstate(invalid="ignore"):
        return nan | (before == after) | (np.abs(before - after) <= bound)


def _first_difference(before: Array, after: Array, exact: bool) -> str:
    if before.shape != after.shape or before.dtype != after.dtype:
        return (
            f": expected {before.dtype}{list(before.shape)}, found {after.dtype}{list(after.shape)}"
        )
    where = np.argwhere(~np.asarray(_agreement(before, after, exact)))[0]
    at = tuple(int(axis) for axis in where)
    return f" at {list(at)}: expected {before[at]}, found {after[at]}"
