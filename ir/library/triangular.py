"""Substitution with triangular matrices, in blocks so that most of the work is matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np

_BLOCK = 16


def substitute(
    a: np.ndarray[Any, Any], right: np.ndarray[Any, Any], upper: bool, unit: bool
) -> np.ndarray[Any, Any]:
    """X with a X = right over a batch; the other triangle of ``a`` is not read.

    A zero on the diagonal, which ``unit`` takes for ones, gives infinities and NaN.
    """
    order = a.shape[-1]
    if order <= _BLOCK:
        return _rows(a, right, upper, unit)
    half = order // 2
    low, high = slice(0, half), slice(half, order)
    first, second = (high, low) if upper else (low, high)
    solved = substitute(a[..., first, first], right[..., first, :], upper, unit)
    rest = right[..., second, :] - a[..., second, first] @ solved
    other = substitute(a[..., second, second], rest, upper, unit)
    return np.concatenate((other, solved) if upper else (solved, other), axis=-2)


def _rows(
    a: np.ndarray[Any, Any], right: np.ndarray[Any, Any], upper: bool, unit: bool
) -> np.ndarray[Any, Any]:
    order = a.shape[-1]
    found = np.array(right)
    for row in range(order - 1, -1, -1) if upper else range(order):
        known = slice(row + 1, order) if upper else slice(0, row)
        found[..., row, :] -= (a[..., row : row + 1, known] @ found[..., known, :])[..., 0, :]
        if not unit:
            found[..., row, :] /= a[..., row, row, None]
    return found
