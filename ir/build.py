"""Builders of values: one function an op, with broadcasting of shapes and of Python numbers.

Operands must have one dtype; promotion belongs to the API, not to the IR.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence

from treadle.ir.ops import contraction, elementwise, indexing, movement, random, reduction, source
from treadle.ir.types import (
    CPU,
    Device,
    DType,
    Scalar,
    Shape,
    bool_,
    contiguous_strides,
)
from treadle.ir.value import ARITHMETIC, Op, Value, make


def broadcast_shapes(*shapes: Shape) -> Shape:
    """The shape that all of ``shapes`` expand to; RuntimeError in PyTorch's words."""
    rank = builtins.max(map(len, shapes), default=0)
    result = [1] * rank
    for shape in shapes:
        # From the last axis, so that the same mismatch is reported as in PyTorch.
        for axis, extent in zip(range(rank - 1, -1, -1), reversed(shape), strict=False):
            if extent != 1 and result[axis] != extent:
                if result[axis] != 1:
                    raise RuntimeError(
                        f"The size of tensor a ({result[axis]}) must match the size of tensor b "
                        f"({extent}) at non-singleton dimension {axis}"
                    )
                result[axis] = extent
    return tuple(result)


def constant(value: Scalar, dtype: DType, device: Device = CPU) -> Value:
    """A 0-d constant."""
    number: Scalar = value
    if dtype.is_floating_point:
        number = float(value)
    elif dtype is bool_:
        number = bool(value)
    else:
        number = int(value)
    return make(source.CONSTANT, (), (number, dtype, device))


def full(shape: Sequence[int], value: Scalar, dtype: DType, device: Device = CPU) -> Value:
    """A constant expanded to a shape."""
    return broadcast_to(constant(value, dtype, device), shape)


def constant_like(like: Value, value: Scalar) -> Value:
    """A constant with the shape, dtype and device of another value."""
    return full(like.shape, value, like.dtype, like.type.device)


def iota(shape: Sequence[int], axis: int, dtype: DType, device: Device = CPU) -> Value:
    """The position along ``axis`` at every element of a shape."""
    shape = tuple(shape)
    ramp = make(source.IOTA, (), (shape[axis], dtype, device))
    aligned = tuple(extent if at == axis else 1 for at, extent in enumerate(shape))
    return broadcast_to(reshape(ramp, aligned), shape)


def _unary(op: Op) -> Callable[[Value], Value]:
    def build(x: Value) -> Value:
        return make(op, (x,))

    build.__name__ = op.name
    build.__doc__ = f"The elementwise op ``{op.name}``."
    return build


def _operands(*operands: Value | Scalar) -> tuple[Value, ...]:
    """Operands as values of one shape; Python numbers take the dtype of the values."""
    known = next(operand for operand in operands if isinstance(operand, Value))
    values = [
        operand if isinstance(operand, Value) else constant(operand, known.dtype, known.type.device)
        for operand in operands
    ]
    first = values[0].shape
    if all(value.shape == first for value in values):
        return tuple(values)
    shape = broadcast_shapes(*(value.shape for value in values))
    return tuple(broadcast_to(value, shape) for value in values)


def _binary(op: Op) -> Callable[[Value | Scalar, Value | Scalar], Value]:
    def build(x: Value | Scalar, y: Value | Scalar) -> Value:
        return make(op, _operands(x, y))

    build.__name__ = op.name
    build.__doc__ = f"The elementwise op ``{op.name}`` with broadcasting."
    return build


neg = _unary(elementwise.NEG)
abs = _unary(elementwise.ABS)
sign = _unary(elementwise.SIGN)
exp = _unary(elementwise.EXP)
log = _unary(elementwise.LOG)
sqrt = _unary(elementwise.SQRT)
sin = _unary(elementwise.SIN)
cos = _unary(elementwise.COS)
tanh = _unary(elementwise.TANH)
erf = _unary(elementwise.ERF)
floor = _unary(elementwise.FLOOR)
ceil = _unary(elementwise.CEIL)
round = _unary(elementwise.ROUND)
trunc = _unary(elementwise.TRUNC)
logical_not = _unary(elementwise.NOT)
add = _binary(elementwise.ADD)
sub = _binary(elementwise.SUB)
mul = _binary(elementwise.MUL)
div = _binary(elementwise.DIV)
remainder = _binary(elementwise.REMAINDER)
pow = _binary(elementwise.POW)
maximum = _binary(elementwise.MAXIMUM)
minimum = _binary(elementwise.MINIMUM)
logical_and = _binary(elementwise.AND)
logical_or = _binary(elementwise.OR)
logical_xor = _binary(elementwise.XOR)
shift_left = _binary(elementwise.SHL)
shift_right = _binary(elementwise.SHR)
eq = _binary(elementwise.EQ)
ne = _binary(elementwise.NE)
lt = _binary(elementwise.LT)
le = _binary(elementwise.LE)
gt = _binary(elementwise.GT)
ge = _binary(elementwise.GE)

ARITHMETIC.update(add=add, sub=sub, mul=mul, div=div, pow=pow, neg=neg)


def reciprocal(x: Value) -> Value:
    """1 / x."""
    return div(1.0, x)


def rsqrt(x: Value) -> Value:
    """1 / sqrt(x)."""
    return div(1.0, sqrt(x))


def select(condition: Value, yes: Value | Scalar, no: Value | Scalar) -> Value:
    """``yes`` where the condition holds, else ``no``, with broadcasting."""
    if not isinstance(yes, Value) and not isinstance(no, Value):
        raise TypeError("select needs a value in one of its branches to know the dtype")
    dtype = yes.dtype if isinstance(yes, Value) else no.dtype  # type: ignore[union-attr]
    device = condition.type.device
    branches = [b if isinstance(b, Value) else constant(b, dtype, device) for b in (yes, no)]
    shape = broadcast_shapes(condition.shape, branches[0].shape, branches[1].shape)
    operands = tuple(broadcast_to(value, shape) for value in (condition, *branches))
    return make(elementwise.SELECT, operands)


def cast(x: Value, dtype: DType) -> Value:
    """x converted to a dtype; itself where it has that dtype."""
    if x.dtype is dtype:
        return x
    if dtype is bool_:
        return ne(x, constant_like(x, 0))
    return make(elementwise.CAST, (x,), (dtype,))


def bitcast(x: Value, dtype: DType) -> Value:
    """The bits of x read as another dtype of the same size."""
    return make(elementwise.BITCAST, (x,), (dtype,))


def reshape(x: Value, shape: Sequence[int]) -> Value:
    """The same elements in row-major order under another shape."""
    shape = tuple(shape)
    return x if shape == x.shape else make(movement.RESHAPE, (x,), (shape,))


def permute(x: Value, dims: Sequence[int]) -> Value:
    """Axes reordered: result axis i is axis ``dims[i]`` of x."""
    dims = tuple(dims)
    return x if dims == tuple(range(x.ndim)) else make(movement.PERMUTE, (x,), (dims,))


def transpose(x: Value) -> Value:
    """The last two axes swapped."""
    return permute(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def broadcast_to(x: Value, shape: Sequence[int]) -> Value:
    """x expanded to a shape by NumPy's rules; RuntimeError where it does not expand."""
    shape = tuple(shape)
    if shape == x.shape:
        return x
    if broadcast_shapes(x.shape, shape) != shape:
        raise RuntimeError(f"shape {list(x.shape)} does not expand to {list(shape)}")
    aligned = reshape(x, (1,) * (len(shape) - x.ndim) + x.shape)
    return aligned if aligned.shape == shape else make(movement.EXPAND, (aligned,), (shape,))


expand = broadcast_to


def slice(
    x: Value, starts: Sequence[int], stops: Sequence[int], steps: Sequence[int] | None = None
) -> Value:
    """The elements start, start + step, ... below stop along every axis."""
    steps = tuple(steps or (1,) * x.ndim)
    starts, stops = tuple(starts), tuple(stops)
    if stops == x.shape and not any(starts) and set(steps) <= {1}:
        return x
    return make(movement.SLICE, (x,), (starts, stops, steps))


def pad(
    x: Value,
    low: Sequence[int],
    high: Sequence[int],
    interior: Sequence[int] | None = None,
    value: Scalar = 0,
) -> Value:
    """x surrounded and interspersed by a number; negative amounts crop."""
    low, high, interior = tuple(low), tuple(high), tuple(interior or (0,) * x.ndim)
    if not (any(low) or any(high) or any(interior)):
        return x
    number = float(value) if x.dtype.is_floating_point else value
    return make(movement.PAD, (x,), (low, high, interior, number))


def flip(x: Value, dims: Sequence[int]) -> Value:
    """x reversed along axes."""
    return make(movement.FLIP, (x,), (tuple(sorted(dims)),)) if dims else x


def concat(parts: Sequence[Value], axis: int) -> Value:
    """Values joined along an axis."""
    return parts[0] if len(parts) == 1 else make(movement.CONCAT, tuple(parts), (axis,))


def windows(
    x: Value,
    axes: Sequence[int],
    sizes: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> Value:
    """Sliding windows along axes; the window axes are appended at the end."""
    attrs = (tuple(axes), tuple(sizes), tuple(strides), tuple(dilations))
    return make(movement.WINDOWS, (x,), attrs)


def fold(
    x: Value,
    shape: Sequence[int],
    axes: Sequence[int],
    sizes: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> Value:
    """The adjoint of ``windows``: window elements added back to a value of ``shape``."""
    attrs = (tuple(shape), tuple(axes), tuple(sizes), tuple(strides), tuple(dilations))
    return make(reduction.FOLD, (x,), attrs)


def as_strided(x: Value, size: Sequence[int], stride: Sequence[int], offset: int) -> Value:
    """A strided view of x's row-major elements."""
    return make(movement.AS_STRIDED, (x,), (tuple(size), tuple(stride), offset))


def _reduction(op: Op) -> Callable[..., Value]:
    def build(x: Value, dims: Sequence[int] | None = None, keepdim: bool = False) -> Value:
        axes = tuple(range(x.ndim)) if dims is None else tuple(sorted(d % x.ndim for d in dims))
        reduced = make(op, (x,), (axes,)) if axes else x
        if not keepdim:
            return reduced
        return reshape(reduced, [1 if at in axes else extent for at, extent in enumerate(x.shape)])

    build.__name__ = op.name
    build.__doc__ = f"The reduction ``{op.name}`` over axes (all when None)."
    return build


sum = _reduction(reduction.SUM)
prod = _reduction(reduction.PROD)
max = _reduction(reduction.MAX)
min = _reduction(reduction.MIN)


def argmax(x: Value, axis: int) -> Value:
    """Position (i64) of the first greatest element along an axis; NaN counts as greatest."""
    return make(reduction.ARGMAX, (x,), (axis % x.ndim,))


def argmin(x: Value, axis: int) -> Value:
    """Position (i64) of the first least element along an axis; NaN counts as least."""
    return make(reduction.ARGMIN, (x,), (axis % x.ndim,))


def dot(x: Value, y: Value) -> Value:
    """[..., m, k] times [..., k, n]."""
    return make(contraction.DOT, (x, y))


def conv(
    x: Value,
    w: Value,
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    base_dilation: Sequence[int],
) -> Value:
    """Cross-correlation of x [n, g, c, *s] with w [g, o, c, *k]: [n, g, o, *out]."""
    attrs = (tuple(stride), tuple(map(tuple, padding)), tuple(dilation), tuple(base_dilation))
    return make(contraction.CONV, (x, w), attrs)


def gather(data: Value, index: Value, axis: int) -> Value:
    """torch.gather: the element of ``data`` at ``index`` along an axis."""
    return make(indexing.GATHER, (data, index), (axis % data.ndim,))


def scatter_add(data: Value, index: Value, source: Value, axis: int) -> Value:
    """``data`` with ``source`` added at ``index`` along an axis."""
    return make(indexing.SCATTER_ADD, (data, index, source), (axis % data.ndim,))


def view_update(
    base: Value, part: Value, size: Sequence[int], stride: Sequence[int], offset: int
) -> Value:
    """``base`` with the elements of a strided view replaced by ``part``."""
    attrs = (tuple(size), tuple(stride), offset)
    if attrs == (base.shape, contiguous_strides(base.shape), 0):
        return part
    return make(indexing.VIEW_UPDATE, (base, part), attrs)


def random_bits(state: Value, shape: Sequence[int]) -> Value:
    """u32 bits of a shape from a generator state i64[2] (seed, counter)."""
    return make(random.RANDOM_BITS, (state,), (tuple(shape),))
