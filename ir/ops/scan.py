"""Scans: every element is combined with all before it along one axis.

Arithmetic on narrow floats is done in float32 and rounded once for each element.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from treadle.ir.types import NARROW_FLOATS, DType, TensorType, float32
from treadle.ir.value import Array, Attributes, LoopClass, Op, device_of


def scanned_in(op: Op, dtype: DType) -> DType:
    """The dtype of a scan's running value."""
    return float32 if dtype in NARROW_FLOATS and op not in (CUMMAX, CUMMIN) else dtype


def _infer(name: str, kinds: str) -> Callable[[Sequence[TensorType], Attributes], TensorType]:
    def infer(types: Sequence[TensorType], attrs: Attributes) -> TensorType:
        axis, reverse = attrs
        source = types[0]
        if not 0 <= axis < source.ndim or not isinstance(reverse, bool):
            raise ValueError(f"{name} of {source} along axis {axis}, reverse = {reverse}")
        if any((x.dtype, x.shape) != (source.dtype, source.shape) for x in types):
            found = " and ".join(map(str, types))
            raise ValueError(f"{name} needs operands of one shape and dtype, found {found}")
        if source.dtype.kind not in kinds:
            raise TypeError(f"{name} is not defined for {source.dtype.name}")
        return source._replace(device=device_of(types))

    return infer


def _row(
    name: str, kinds: str, evaluate: Callable[..., Array], operands: tuple[str, ...] = ("x",)
) -> Op:
    def run(arrays: Sequence[Array], attrs: Attributes, result: TensorType) -> Array:
        axis, reverse = attrs
        if result.dtype in NARROW_FLOATS:
            arrays = [array.astype(np.float32) for array in arrays]
        ahead = [np.flip(array, axis) if reverse else array for array in arrays]
        with np.errstate(all="ignore"):
            scanned = evaluate(*ahead, axis).astype(result.dtype.numpy, copy=False)
        return np.ascontiguousarray(np.flip(scanned, axis)) if reverse else scanned

    return Op(name, operands, ("axis", "reverse"), LoopClass.SCAN, _infer(name, kinds), run)


def _recurrence(factor: Array, term: Array, axis: int) -> Array:
    out = np.empty_like(term)
    factors, terms, results = (np.moveaxis(array, axis, 0) for array in (factor, term, out))
    for at in range(len(terms)):
        results[at] = factors[at] * results[at - 1] + terms[at] if at else terms[at]
    return out


# With ``reverse`` they start at the end of the axis.
CUMSUM = _row("cumsum", "uif", lambda x, axis: np.cumsum(x, axis, x.dtype))
CUMPROD = _row("cumprod", "uif", lambda x, axis: np.cumprod(x, axis, x.dtype))
CUMMAX = _row("cummax", "buif", np.maximum.accumulate)  # NaN wins
CUMMIN = _row("cummin", "buif", np.minimum.accumulate)  # NaN wins
# y[0] = term[0]; y[i] = factor[i] * y[i - 1] + term[i]. The first factor is not used.
RECURRENCE = _row("recurrence", "f", _recurrence, ("factor", "term"))
