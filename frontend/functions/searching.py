"""Binary search in sorted rows, and membership.

A search of m values among n costs O(m log n): log2(n) steps, each a gather.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from treadle.ir import build as b
from treadle.ir.ordering import key, sorted_values
from treadle.ir.types import bool_, int32, int64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.out_argument import accepts_out
from treadle.promotion import promoted, scalar_name
from treadle.tensor import Tensor

__all__ = ["bucketize", "isin", "searchsorted"]

# Values tested one by one below this number, by search from there on.
_FEW = 16


def count_before(ordered: Value, values: Value, before: Callable[[Value, Value], Value]) -> Value:
    """How many elements of each ordered row come before each value of the same row."""
    extent = ordered.shape[-1]
    found = b.full(values.shape, 0, int64, values.type.device)
    step = 1 << (extent.bit_length() - 1) if extent else 0
    while step and values.type.numel:
        further = found + step
        probe = b.gather(ordered, further - 1, -1)
        inside = b.logical_and(b.le(further, extent), before(probe, values))
        found = b.select(inside, further, found)
        step //= 2
    return found


def not_at_least(probe: Value, value: Value) -> Value:
    """Whether an element comes before a value and its equals; NaN comes before none."""
    return b.logical_not(b.ge(probe, value))


def not_above(probe: Value, value: Value) -> Value:
    """Whether an element comes before a value or equals it; NaN is above none."""
    return b.logical_not(b.gt(probe, value))


def _rows(ordered: Value, values: Value) -> tuple[Value, Value]:
    """Both with one rank: one ordered row is searched for all values."""
    if ordered.ndim == 1:
        return ordered, b.reshape(values, (values.type.numel,))
    return ordered, values


@operation()
def _search(
    ordered: Value, values: Any, right: bool, out_int32: bool, sorter: Value | None
) -> Value:
    if sorter is not None:
        ordered = b.gather(ordered, sorter, -1) if sorter.type.numel else ordered
    like = values if isinstance(values, Value) else None
    sequence, wanted = promoted(ordered, values)
    rows, flat = _rows(sequence, wanted)
    found = count_before(rows, flat, not_above if right else not_at_least)
    found = b.reshape(found, () if like is None else like.shape)
    return b.cast(found, int32) if out_int32 else found


def _check(ordered: Tensor, values: Any, side: str | None, right: bool, sorter: Any) -> None:
    name = "torch.searchsorted()"
    if side is not None and side not in ("left", "right"):
        raise RuntimeError(f"{name}: side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError(
            f"{name}: side and right can't be set to opposites, got side of left while right was "
            "True"
        )
    if not ordered.ndim:
        raise RuntimeError(
            f"{name}: boundaries tensor should have positive dimension, but got 0 dimension"
        )
    if not isinstance(values, Tensor) or not values.ndim:
        if ordered.ndim != 1:
            raise RuntimeError(
                f"{name}: input value can be a scalar only when boundaries tensor dimension is 1, "
                f"but we got boundaries tensor dim({ordered.ndim}) and input value's dim(0) "
                "numel(1)"
            )
    elif ordered.ndim != 1 and tuple(ordered.shape[:-1]) != tuple(values.shape[:-1]):
        raise RuntimeError(
            f"{name}: boundaries tensor should be 1 dimension or the first N-1 dimensions of "
            "boundaries tensor and input value tensor must match, but we got boundaries tensor "
            f"{list(ordered.shape)} and input value tensor {list(values.shape)}"
        )
    if sorter is not None:
        _check_sorter(name, ordered, sorter)


def _check_sorter(name: str, ordered: Tensor, sorter: Tensor) -> None:
    if tuple(sorter.shape) != tuple(ordered.shape):
        raise RuntimeError(
            f"{name}: boundary and sorter must have the same size, but got boundary tensor "
            f"{list(ordered.shape)}and got sorter tensor {list(sorter.shape)}"
        )
    if sorter.dtype is not int64:
        raise RuntimeError(
            f"{name}: sorter must be a tensor of long dtype but got dtype "
            f"{scalar_name(sorter.dtype)}"
        )
    inside = ((sorter >= 0) & (sorter < max(sorter.shape[-1], 1))).all().item()
    if not inside:
        raise RuntimeError(f"{name}: sorter index out of range")


@accepts_out
def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where values would be inserted in sorted rows: before equal elements, or after (right)."""
    _check(sorted_sequence, input, side, right, sorter)
    after = right or side == "right"
    result: Tensor = _search(sorted_sequence, input, after, out_int32, sorter)
    return result


@accepts_out
def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """The number of the interval between boundaries that each value lies in."""
    if boundaries.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    result: Tensor = _search(boundaries, input, right, out_int32, None)
    return result


@operation()
def _isin(elements: Any, test_elements: Any, invert: bool) -> Value:
    values, tests = promoted(elements, test_elements)
    count = tests.type.numel
    flat = b.reshape(tests, (count,))
    if not count:
        found = b.full(values.shape, False, bool_, values.type.device)
    elif count < _FEW:
        found = b.max(b.eq(b.reshape(values, (*values.shape, 1)), flat), (values.ndim,))
    else:
        found = _found(values, flat)
    return b.logical_not(found) if invert else found


def _found(values: Value, tests: Value) -> Value:
    """Whether values are among many others, by search among their sorted keys."""
    ordered = key(sorted_values(tests, 0))
    wanted = b.reshape(key(values), (values.type.numel,))
    place = count_before(ordered, wanted, not_at_least)
    nearest = b.gather(ordered, b.minimum(place, tests.type.numel - 1), 0)
    found = b.reshape(b.eq(nearest, wanted), values.shape)
    return b.logical_and(found, b.eq(values, values))  # NaN is equal to nothing


@accepts_out
def isin(
    elements: Any = None, test_elements: Any = None, *, assume_unique: bool = False,
    invert: bool = False, element: Any = None, test_element: Any = None,
) -> Tensor:  # fmt: skip
    """Whether each element is among ``test_elements`` (with ``invert``: whether it is not).

    A number goes by the names ``element`` and ``test_element`` too.
    """
    elements = element if elements is None else elements
    test_elements = test_element if test_elements is None else test_elements
    found = [x for x in (elements, test_elements) if isinstance(x, Tensor)]
    if not found:
        kinds = ", ".join(type(x).__name__ for x in (elements, test_elements))
        raise TypeError(
            f"isin() received an invalid combination of arguments - got ({kinds}), but expected "
            "one of:\n * (Tensor elements, Tensor test_elements, *, bool assume_unique = False, "
            "bool invert = False, Tensor out = None)\n * (Number element, Tensor test_elements, "
            "*, bool assume_unique = False, bool invert = False, Tensor out = None)\n * (Tensor "
            "elements, Number test_element, *, bool assume_unique = False, bool invert = False, "
            "Tensor out = None)\n"
        )
    for kind in (x.dtype for x in found):
        if kind is bool_ or kind.is_complex:
            raise RuntimeError(
                f"Unsupported input type encountered for isin(): {scalar_name(kind)}"
            )
    result: Tensor = _isin(elements, test_elements, invert)
    return result
