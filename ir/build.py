"""Builders of values: one function an op, with broadcasting of shapes and of Python numbers.

Operands must have one dtype; promotion belongs to the API, not to the IR.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from treadle.ir.errors import UnsupportedDTypeError
from treadle.ir.library import function_named
from treadle.ir.ops import (
    contraction,
    elementwise,
    indexing,
    movement,
    random,
    reduction,
    scan,
    sort as sorting,
    source,
)
from treadle.ir.ops.kernel import ITEM
from treadle.ir.ops.library import LIBRARY
from treadle.ir.types import (
    CPU,
    ComplexScalar,
    Device,
    DType,
    Scalar,
    Shape,
    bool_,
    contiguous_strides,
)
from treadle.ir.value import ARITHMETIC, Op, Value, make

P = ParamSpec("P")


def _by_parts(
    build: Callable[Concatenate[Value, P], Value],
) -> Callable[Concatenate[Value, P], Value]:
    """A builder that composes ops on the parts of a complex first operand."""

    @wraps(build)
    def dispatch(x: Value, /, *args: P.args, **kwargs: P.kwargs) -> Value:
        if x.type.dtype.kind == "c":
            return complex_values.BUILDERS[build.__name__](x, *args, **kwargs)
        return build(x, *args, **kwargs)

    return dispatch


def _of_complex(op: Op, dtype: DType) -> Callable[..., Value]:
    """What an op means on complex operands."""
    found = complex_values.BUILDERS.get(op.name)
    if found is None:
        raise UnsupportedDTypeError(op.name, dtype)
    return found


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


def constant(value: ComplexScalar, dtype: DType, device: Device = CPU) -> Value:
    """A 0-d constant; of a complex number the real part where the dtype is real."""
    if dtype.kind == "c":
        return complex_values.BUILDERS["constant"](value, dtype, device)
    number: Scalar = value.real if isinstance(value, complex) else value
    value = number
    if dtype.is_floating_point:
        number = float(value)
    elif dtype is bool_:
        number = bool(value)
    else:
        number = int(value)
    return make(source.CONSTANT, (), (number, dtype, device))


def full(shape: Sequence[int], value: ComplexScalar, dtype: DType, device: Device = CPU) -> Value:
    """A constant expanded to a shape."""
    return broadcast_to(constant(value, dtype, device), shape)


def constant_like(like: Value, value: ComplexScalar) -> Value:
    """A constant with the shape, dtype and device of another value."""
    return full(like.shape, value, like.dtype, like.type.device)


def iota(shape: Sequence[int], axis: int, dtype: DType, device: Device = CPU) -> Value:
    """The position along ``axis`` at every element of a shape."""
    shape = tuple(shape)
    if dtype.kind == "c":
        return cast(iota(shape, axis, dtype.to_real(), device), dtype)
    ramp = make(source.IOTA, (), (shape[axis], dtype, device))
    aligned = tuple(extent if at == axis else 1 for at, extent in enumerate(shape))
    return broadcast_to(reshape(ramp, aligned), shape)


def _unary(op: Op) -> Callable[[Value], Value]:
    def build(x: Value) -> Value:
        if x.type.dtype.kind == "c":
            return _of_complex(op, x.dtype)(x)
        return make(op, (x,))

    build.__name__ = op.name
    build.__doc__ = f"The elementwise op ``{op.name}``."
    return build


def _operands(*operands: Value | ComplexScalar) -> tuple[Value, ...]:
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


def _binary(op: Op) -> Callable[[Value | ComplexScalar, Value | ComplexScalar], Value]:
    def build(x: Value | ComplexScalar, y: Value | ComplexScalar) -> Value:
        operands = _operands(x, y)
        for operand in operands:
            if operand.type.dtype.kind == "c":
                return _of_complex(op, operand.dtype)(*operands)
        return make(op, operands)

    build.__name__ = op.name
    build.__doc__ = f"The elementwise op ``{op.name}`` with broadcasting; real may meet complex."
    return build


neg = _unary(elementwise.NEG)
abs = _unary(elementwise.ABS)
sign = _unary(elementwise.SIGN)
exp = _unary(elementwise.EXP)
log = _unary(elementwise.LOG)
exp2 = _unary(elementwise.EXP2)
expm1 = _unary(elementwise.EXPM1)
log1p = _unary(elementwise.LOG1P)
log2 = _unary(elementwise.LOG2)
log10 = _unary(elementwise.LOG10)
sqrt = _unary(elementwise.SQRT)
sin = _unary(elementwise.SIN)
cos = _unary(elementwise.COS)
tan = _unary(elementwise.TAN)
asin = _unary(elementwise.ASIN)
acos = _unary(elementwise.ACOS)
atan = _unary(elementwise.ATAN)
sinh = _unary(elementwise.SINH)
cosh = _unary(elementwise.COSH)
tanh = _unary(elementwise.TANH)
asinh = _unary(elementwise.ASINH)
acosh = _unary(elementwise.ACOSH)
atanh = _unary(elementwise.ATANH)
erf = _unary(elementwise.ERF)
erfc = _unary(elementwise.ERFC)
erfcx = _unary(elementwise.ERFCX)
erfinv = _unary(elementwise.ERFINV)
lgamma = _unary(elementwise.LGAMMA)
digamma = _unary(elementwise.DIGAMMA)
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
fmod = _binary(elementwise.FMOD)
atan2 = _binary(elementwise.ATAN2)
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

# What each combine of ``scatter`` does to the element in place and the scattered one.
COMBINE: dict[str, Callable[[Value, Value], Value]] = {
    "set": lambda _old, new: new,
    "add": add,
    "mul": mul,
    "min": minimum,
    "max": maximum,
}
ARITHMETIC.update(add=add, sub=sub, mul=mul, div=div, pow=pow, neg=neg)


def reciprocal(x: Value) -> Value:
    """1 / x."""
    return div(1.0, x)


def rsqrt(x: Value) -> Value:
    """1 / sqrt(x)."""
    return div(1.0, sqrt(x))


def select(condition: Value, yes: Value | ComplexScalar, no: Value | ComplexScalar) -> Value:
    """``yes`` where the condition holds, else ``no``, with broadcasting."""
    if not isinstance(yes, Value) and not isinstance(no, Value):
        raise TypeError("select needs a value in one of its branches to know the dtype")
    dtype = yes.dtype if isinstance(yes, Value) else no.dtype  # type: ignore[union-attr]
    device = condition.type.device
    branches = [b if isinstance(b, Value) else constant(b, dtype, device) for b in (yes, no)]
    shape = broadcast_shapes(condition.shape, branches[0].shape, branches[1].shape)
    operands = tuple(broadcast_to(value, shape) for value in (condition, *branches))
    if dtype.kind == "c":
        return complex_values.BUILDERS["select"](*operands)
    return make(elementwise.SELECT, operands)


def cast(x: Value, dtype: DType) -> Value:
    """x converted to a dtype; itself where it has that dtype."""
    if x.dtype is dtype:
        return x
    if "c" in (x.dtype.kind, dtype.kind):
        return complex_values.BUILDERS["cast"](x, dtype)
    if dtype is bool_:
        return ne(x, constant_like(x, 0))
    return make(elementwise.CAST, (x,), (dtype,))


def view_as_real(z: Value) -> Value:
    """Complex elements as pairs of their parts along a new last axis."""
    return z.inputs[0] if z.op is movement.VIEW_AS_COMPLEX else make(movement.VIEW_AS_REAL, (z,))


def view_as_complex(x: Value) -> Value:
    """Pairs along the last axis as complex elements."""
    return x.inputs[0] if x.op is movement.VIEW_AS_REAL else make(movement.VIEW_AS_COMPLEX, (x,))


def conj(x: Value) -> Value:
    """The complex conjugate; x itself where it is real."""
    if x.dtype.kind != "c":
        return x
    real, imag = complex_values.parts.parts(x)
    return complex_values.parts.complex(real, neg(imag))


def squared_magnitude(x: Value) -> Value:
    """|x|^2, which is real."""
    if x.dtype.kind != "c":
        return mul(x, x)
    real, imag = complex_values.parts.parts(x)
    return add(mul(real, real), mul(imag, imag))


def bitcast(x: Value, dtype: DType) -> Value:
    """The bits of x read as another dtype of the same size."""
    return make(elementwise.BITCAST, (x,), (dtype,))


@_by_parts
def reshape(x: Value, shape: Sequence[int]) -> Value:
    """The same elements in row-major order under another shape."""
    shape = tuple(shape)
    return x if shape == x.shape else make(movement.RESHAPE, (x,), (shape,))


@_by_parts
def permute(x: Value, dims: Sequence[int]) -> Value:
    """Axes reordered: result axis i is axis ``dims[i]`` of x."""
    dims = tuple(dims)
    return x if dims == tuple(range(x.ndim)) else make(movement.PERMUTE, (x,), (dims,))


def transpose(x: Value) -> Value:
    """The last two axes swapped."""
    return permute(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


@_by_parts
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


@_by_parts
def slice(
    x: Value, starts: Sequence[int], stops: Sequence[int], steps: Sequence[int] | None = None
) -> Value:
    """The elements start, start + step, ... below stop along every axis."""
    steps = tuple(steps or (1,) * x.ndim)
    starts, stops = tuple(starts), tuple(stops)
    if stops == x.shape and not any(starts) and set(steps) <= {1}:
        return x
    return make(movement.SLICE, (x,), (starts, stops, steps))


@_by_parts
def pad(
    x: Value,
    low: Sequence[int],
    high: Sequence[int],
    interior: Sequence[int] | None = None,
    value: ComplexScalar = 0,
) -> Value:
    """x surrounded and interspersed by a number; negative amounts crop."""
    low, high, interior = tuple(low), tuple(high), tuple(interior or (0,) * x.ndim)
    if not (any(low) or any(high) or any(interior)):
        return x
    plain = value.real if isinstance(value, complex) else value
    number = float(plain) if x.dtype.is_floating_point else plain
    return make(movement.PAD, (x,), (low, high, interior, number))


@_by_parts
def flip(x: Value, dims: Sequence[int]) -> Value:
    """x reversed along axes."""
    return make(movement.FLIP, (x,), (tuple(sorted(dims)),)) if dims else x


def concat(parts: Sequence[Value], axis: int) -> Value:
    """Values joined along an axis."""
    if parts[0].dtype.kind == "c":
        return complex_values.BUILDERS["concat"](parts, axis)
    return parts[0] if len(parts) == 1 else make(movement.CONCAT, tuple(parts), (axis,))


@_by_parts
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


@_by_parts
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


@_by_parts
def as_strided(x: Value, size: Sequence[int], stride: Sequence[int], offset: int) -> Value:
    """A strided view of x's row-major elements."""
    return make(movement.AS_STRIDED, (x,), (tuple(size), tuple(stride), offset))


def _reduction(op: Op) -> Callable[..., Value]:
    def build(x: Value, dims: Sequence[int] | None = None, keepdim: bool = False) -> Value:
        axes = tuple(range(x.ndim)) if dims is None else tuple(sorted(d % x.ndim for d in dims))
        if x.type.dtype.kind == "c":
            return _of_complex(op, x.dtype)(x, axes, keepdim)
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


def _scan(op: Op) -> Callable[..., Value]:
    def build(x: Value, axis: int, reverse: bool = False) -> Value:
        if x.type.dtype.kind == "c":
            return _of_complex(op, x.dtype)(x, axis, reverse)
        return make(op, (x,), (axis % x.ndim, reverse))

    build.__name__ = op.name
    build.__doc__ = f"The scan ``{op.name}`` along an axis, from its end with ``reverse``."
    return build


cumsum = _scan(scan.CUMSUM)
cumprod = _scan(scan.CUMPROD)
cummax = _scan(scan.CUMMAX)
cummin = _scan(scan.CUMMIN)


def recurrence(factor: Value, term: Value, axis: int, reverse: bool = False) -> Value:
    """y[i] = factor[i] * y[i - 1] + term[i] along an axis; y[0] = term[0]."""
    return make(scan.RECURRENCE, (factor, term), (axis % term.ndim, reverse))


def sort(x: Value) -> Value:
    """Integers in ascending order along the last axis; ``ir.ordering`` sorts everything else."""
    return make(sorting.SORT, (x,))


def merge(x: Value, width: int) -> Value:
    """Every two ascending runs of ``width`` integers along the last axis as one."""
    return make(sorting.MERGE, (x,), (width,))


@_by_parts
def dot(x: Value, y: Value) -> Value:
    """[..., m, k] times [..., k, n]."""
    return make(contraction.DOT, (x, y))


@_by_parts
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


@_by_parts
def gather(data: Value, index: Value, axis: int) -> Value:
    """torch.gather: the element of ``data`` at ``index`` along an axis."""
    return make(indexing.GATHER, (data, index), (axis % data.ndim,))


@_by_parts
def scatter(data: Value, index: Value, source: Value, axis: int, combine: str) -> Value:
    """``data`` combined with ``source`` at ``index`` along an axis: set, add, mul, min or max."""
    return make(indexing.SCATTER, (data, index, source), (axis % data.ndim, combine))


def scatter_add(data: Value, index: Value, source: Value, axis: int) -> Value:
    """``data`` with ``source`` added at ``index`` along an axis."""
    return scatter(data, index, source, axis, "add")


@_by_parts
def view_update(
    base: Value, part: Value, size: Sequence[int], stride: Sequence[int], offset: int
) -> Value:
    """``base`` with the elements of a strided view replaced by ``part``."""
    attrs = (tuple(size), tuple(stride), offset)
    if attrs == (base.shape, contiguous_strides(base.shape), 0):
        return part
    return make(indexing.VIEW_UPDATE, (base, part), attrs)


def library(name: str, operands: Sequence[Value], *options: Any) -> tuple[Value, ...]:
    """The results of a library function, a row of ``treadle.ir.library``."""
    pairs = tuple(at for at, operand in enumerate(operands) if operand.dtype.is_complex)
    given = tuple(view_as_real(x) if x.dtype.is_complex else x for x in operands)
    is_pair, items = library_results(make(LIBRARY, given, (name, options, pairs)))
    return tuple(
        view_as_complex(item) if pair else item for item, pair in zip(items, is_pair, strict=True)
    )


def library_results(call: Value) -> tuple[list[bool], list[Value]]:
    """Which results of a library call are complex, and all of them as programs hold them."""
    name, options, pairs = call.attrs
    types = [operand.type for operand in call.inputs]
    natural = function_named(name).natural_types(types, options, pairs)
    items = [make(ITEM, (call,), (index,)) for index in range(len(natural))]
    return [type.dtype.is_complex for type in natural], items


def random_bits(state: Value, shape: Sequence[int]) -> Value:
    """u32 bits of a shape from a generator state i64[2] (seed, counter)."""
    return make(random.RANDOM_BITS, (state,), (tuple(shape),))


# Last: it builds values with the functions above.
from treadle.ir import complex_values  # noqa: E402
