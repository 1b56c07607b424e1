"""A hypothesis strategy of small random graphs, and arrays to run them on; not a test file.

Graphs hold elementwise ops, movement, reductions, contractions, indexing, scans and sorts over four
dtypes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from treadle.ir import build as b, ordering
from treadle.ir.graph import Graph, input_value
from treadle.ir.pass_check import random_array
from treadle.ir.types import DType, TensorType, bool_, float32, float64, int64
from treadle.ir.value import Value, topological

Array = np.ndarray[Any, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]

DTYPES = (float32, float64, int64, bool_)
# Values beyond this size are not built upon, so that running a graph stays cheap.
LARGEST = 4096

_UNARY: dict[str, tuple[Callable[[Value], Value], ...]] = {
    "f": (b.neg, b.abs, b.sign, b.sqrt, b.floor, b.ceil, b.round, b.trunc),
    "i": (b.neg, b.abs, b.sign, b.logical_not),
    "b": (b.logical_not,),
}
# These are not rounded exactly: two targets may differ in the last place.
_ELEMENTARY = (b.exp, b.log, b.sin, b.cos, b.tanh, b.erf)
_BINARY: dict[str, tuple[Callable[..., Value], ...]] = {
    "f": (b.add, b.sub, b.mul, b.div, b.maximum, b.minimum),
    "i": (b.add, b.sub, b.mul, b.maximum, b.minimum, b.logical_and, b.logical_or, b.logical_xor),
    "b": (b.logical_and, b.logical_or, b.logical_xor, b.add, b.mul),
}
_COMPARISONS = (b.eq, b.ne, b.lt, b.le, b.gt, b.ge)
_CONSTANTS = (0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 3.0)


@st.composite
def graphs(
    draw: Draw,
    max_ops: int = 10,
    dtypes: Sequence[DType] = DTYPES,
    elementary: bool = False,
    contractions: bool = True,
) -> Graph:
    """Graphs of up to ``max_ops`` steps over inputs of ``dtypes``.

    ``elementary`` adds exp and its like; ``contractions`` allows dot and conv.
    """
    inputs = [
        input_value(slot, TensorType(draw(st.sampled_from(list(dtypes))), draw(_shapes())))
        for slot in range(draw(st.integers(1, 3)))
    ]
    values = list(inputs)
    steps = [*_STEPS, *([_elementary] if elementary else []), *([_contract] * contractions)]
    for _ in range(draw(st.integers(max_ops // 2, max_ops))):
        # The latest values come twice, so that graphs grow deep as well as wide.
        x = draw(st.sampled_from([*values[-3:], *values]))
        made = draw(st.sampled_from(steps))(draw, x, values)
        if made.dtype in dtypes and made.type.numel <= LARGEST and made.ndim <= 5:
            values.append(made)
    read = {operand for value in topological(values) for operand in value.inputs}
    unread = tuple(dict.fromkeys(value for value in values if value not in read))
    return Graph("random", tuple(inputs), unread or tuple(inputs))


def arguments(graph: Graph, seed: int = 0, special: bool = False) -> list[Array]:
    """Arrays for a graph's inputs; ``special`` mixes in zeros, infinities and NaN."""
    generator = np.random.default_rng(seed)
    return [random_array(value.type, generator, special) for value in graph.inputs]


def _shapes() -> st.SearchStrategy[tuple[int, ...]]:
    some = st.lists(st.sampled_from([2, 1, 3, 4, 5]), min_size=1, max_size=3).map(tuple)
    rare = st.sampled_from([(), (1, 1), (), (2, 0)])
    return st.one_of(some, some, some, some, rare)


def _axis(draw: Draw, x: Value) -> int:
    return int(draw(st.integers(0, x.ndim - 1)))


def _unary(draw: Draw, x: Value, _values: list[Value]) -> Value:
    made: Value = draw(st.sampled_from(_UNARY[x.dtype.kind]))(x)
    return made


def _elementary(draw: Draw, x: Value, _values: list[Value]) -> Value:
    made: Value = draw(st.sampled_from(_ELEMENTARY))(x) if x.dtype.kind == "f" else x
    return made


def _partner(draw: Draw, x: Value, values: list[Value]) -> Value:
    """A value that x broadcasts with, or a constant."""
    fitting = [y for y in values if y.dtype is x.dtype and _broadcasts(x, y)]
    constant = b.constant_like(x, draw(st.sampled_from(_CONSTANTS)))
    chosen: Value = draw(st.sampled_from([*fitting, constant]))
    return chosen


def _broadcasts(x: Value, y: Value) -> bool:
    pairs = zip(reversed(x.shape), reversed(y.shape), strict=False)
    return all(p == q or 1 in (p, q) for p, q in pairs)


def _binary(draw: Draw, x: Value, values: list[Value]) -> Value:
    op = draw(st.sampled_from(_BINARY[x.dtype.kind]))
    made: Value = op(x, _partner(draw, x, values))
    return made


def _power(draw: Draw, x: Value, _values: list[Value]) -> Value:
    if x.dtype is bool_:
        return x
    return b.pow(x, b.constant_like(x, draw(st.sampled_from([0, 1, 2]))))


def _compare(draw: Draw, x: Value, values: list[Value]) -> Value:
    op = draw(st.sampled_from(_COMPARISONS))
    made: Value = op(x, _partner(draw, x, values))
    return made


def _select(draw: Draw, x: Value, values: list[Value]) -> Value:
    other = _partner(draw, x, values)
    conditions = [y for y in values if y.dtype is bool_ and _broadcasts(y, x)]
    condition = draw(st.sampled_from([*conditions, b.eq(x, x)]))
    shape = b.broadcast_shapes(x.shape, other.shape)
    if not all(p == q or p == 1 for p, q in zip(condition.shape[::-1], shape[::-1], strict=False)):
        return x
    return b.select(condition, x, other)


def _cast(draw: Draw, x: Value, _values: list[Value]) -> Value:
    return b.cast(x, draw(st.sampled_from(DTYPES)))


def _reshape(draw: Draw, x: Value, _values: list[Value]) -> Value:
    flat = (x.type.numel,)
    split = tuple(part for n in x.shape for part in ((2, n // 2) if n % 2 == 0 else (n,)))
    return b.reshape(x, draw(st.sampled_from([flat, split, (1, *x.shape), (*x.shape, 1)])))


def _permute(draw: Draw, x: Value, _values: list[Value]) -> Value:
    return b.permute(x, draw(st.permutations(range(x.ndim))))


def _expand(draw: Draw, x: Value, _values: list[Value]) -> Value:
    shape = [draw(st.integers(1, 3)) if n == 1 else n for n in x.shape]
    return b.broadcast_to(x, [*draw(st.sampled_from([(), (2,)])), *shape])


def _slice(draw: Draw, x: Value, _values: list[Value]) -> Value:
    starts = [draw(st.integers(0, max(n - 1, 0))) for n in x.shape]
    stops = [
        draw(st.integers(min(start + 1, n), n)) for start, n in zip(starts, x.shape, strict=True)
    ]
    return b.slice(x, starts, stops, [draw(st.integers(1, 3)) for _ in x.shape])


def _pad(draw: Draw, x: Value, _values: list[Value]) -> Value:
    low = [draw(st.integers(-1 if n > 1 else 0, 2)) for n in x.shape]
    high = [draw(st.integers(-1 if n > 1 else 0, 2)) for n in x.shape]
    interior = [draw(st.integers(0, 1)) for _ in x.shape]
    return b.pad(x, low, high, interior, value=draw(st.sampled_from([0, 1])))


def _flip(draw: Draw, x: Value, _values: list[Value]) -> Value:
    return b.flip(x, [axis for axis in range(x.ndim) if draw(st.booleans())])


def _concat(draw: Draw, x: Value, values: list[Value]) -> Value:
    if not x.ndim:
        return x
    axis = _axis(draw, x)

    def rest(value: Value) -> tuple[int, ...]:
        return value.shape[:axis] + value.shape[axis + 1 :]

    fitting = [y for y in values if y.dtype is x.dtype and y.ndim == x.ndim and rest(y) == rest(x)]
    return b.concat([x, draw(st.sampled_from(fitting))], axis)


def _windows(draw: Draw, x: Value, _values: list[Value]) -> Value:
    axes = [axis for axis, extent in enumerate(x.shape) if extent >= 2]
    if not axes:
        return x
    axis = draw(st.sampled_from(axes))
    options = ((axis,), (2,), (draw(st.integers(1, 2)),), (1,))
    seen = b.windows(x, *options)
    folds = x.dtype.kind in "fi" and draw(st.booleans())
    return b.fold(seen, x.shape, *options) if folds else seen


def _strided(draw: Draw, x: Value, _values: list[Value]) -> Value:
    if x.type.numel < 4:
        return x
    size, stride, offset = (2, 2), draw(st.sampled_from([(1, 2), (2, 1), (1, 1)])), 0
    seen = b.as_strided(x, size, stride, offset)
    if stride == (1, 1) or draw(st.booleans()):
        return seen
    return b.view_update(x, b.flip(seen, (0,)), size, stride, offset)


def _reduce(draw: Draw, x: Value, _values: list[Value]) -> Value:
    dims = [axis for axis in range(x.ndim) if draw(st.booleans())]
    ops = [b.sum, b.prod] if x.dtype is not bool_ else []
    if all(x.shape[axis] for axis in dims):
        ops += [b.max, b.min]
    made: Value = draw(st.sampled_from(ops))(x, dims, draw(st.booleans())) if ops else x
    return made


def _position(draw: Draw, x: Value, _values: list[Value]) -> Value:
    axes = [axis for axis, extent in enumerate(x.shape) if extent]
    if not axes:
        return x
    made: Value = draw(st.sampled_from([b.argmax, b.argmin]))(x, draw(st.sampled_from(axes)))
    return made


def _index(draw: Draw, x: Value, _values: list[Value]) -> Value:
    axes = [axis for axis, extent in enumerate(x.shape) if extent]
    if not axes:
        return x
    axis = draw(st.sampled_from(axes))
    shape = list(x.shape)
    shape[axis] = draw(st.integers(1, 3))
    ramp = b.iota(shape, draw(st.integers(0, x.ndim - 1)), int64) * 3 + draw(st.integers(0, 2))
    index = b.remainder(ramp, x.shape[axis])
    taken = b.gather(x, index, axis)
    if draw(st.booleans()):
        return taken
    combine = "set" if x.dtype is bool_ else draw(st.sampled_from(sorted(b.COMBINE)))
    base = draw(st.sampled_from([x, b.constant_like(x, 0)]))
    return b.scatter(base, index, taken, axis, combine)


def _scan(draw: Draw, x: Value, _values: list[Value]) -> Value:
    if not x.ndim:
        return x
    axis, reverse = _axis(draw, x), draw(st.booleans())
    ops = [b.cummax, b.cummin, *([b.cumsum, b.cumprod] if x.dtype is not bool_ else [])]
    if x.dtype.kind == "f" and draw(st.booleans()):
        return b.recurrence(b.minimum(b.maximum(x, -1.0), 1.0), x, axis, reverse)
    made: Value = draw(st.sampled_from(ops))(x, axis, reverse)
    return made


def _sort(draw: Draw, x: Value, _values: list[Value]) -> Value:
    if not x.ndim:
        return x
    axis, descending = _axis(draw, x), draw(st.booleans())
    if draw(st.booleans()):
        return ordering.sorted_values(x, axis, descending)
    order = ordering.argsort(x, axis, descending)
    return b.gather(x, order, axis) if draw(st.booleans()) and x.type.numel else order


def _contract(draw: Draw, x: Value, _values: list[Value]) -> Value:
    if x.ndim < 2 or x.dtype is bool_ or draw(st.booleans()):
        return _convolve(draw, x)
    return b.dot(x, b.transpose(x))


def _convolve(draw: Draw, x: Value) -> Value:
    if not x.ndim or x.dtype.kind != "f" or x.type.numel < 5:  # a window of 3, cropped by 2
        return x
    row = b.reshape(x, (1, 1, 1, x.type.numel))
    w = b.slice(row, (0, 0, 0, 0), (1, 1, 1, 2))
    stride, dilation, base = (draw(st.integers(1, 2)) for _ in range(3))
    padding = (draw(st.integers(-1, 2)), draw(st.integers(-1, 2)))
    return b.conv(row, w, (stride,), (padding,), (dilation,), (base,))


_STEPS: tuple[Callable[[Draw, Value, list[Value]], Value], ...] = (
    _unary,
    _binary,
    _binary,
    _power,
    _compare,
    _select,
    _cast,
    _reshape,
    _permute,
    _expand,
    _slice,
    _pad,
    _flip,
    _concat,
    _windows,
    _strided,
    _reduce,
    _position,
    _index,
    _scan,
    _sort,
)
