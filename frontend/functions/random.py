"""Random tensors: uniform, normal and whole numbers, and permutations, of any shape and dtype.

The bits are Philox's (``generator``), not PyTorch's: seeds give other numbers than there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from treadle.device import device_of
from treadle.functions import random_numbers
from treadle.functions.axes import check_extents, extents
from treadle.functions.creation import require_grad
from treadle.functions.generator import Generator, default_generator
from treadle.ir import build as b
from treadle.ir.types import DType, bool_, int64, significand_bits
from treadle.ir.value import Value
from treadle.layouts import strided
from treadle.operation import changing_number, operation
from treadle.out_argument import accepts_out
from treadle.promotion import cpp_name, default_dtype, scalar_name
from treadle.tensor import Tensor
from treadle.tracer.segment import recorder
from treadle.type_info import finfo

__all__ = [
    "normal", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm",
]  # fmt: skip


# -- drawing -------------------------------------------------------------------------------------


_PUBLIC = {"uniform_numbers": "rand", "normal_numbers": "randn", "whole_numbers": "randint"}


def drawing(body: Callable[..., random_numbers.Draw]) -> Callable[..., Tensor]:
    """Makes a draw a function of tensors and a generator, whose state advances.

    The body takes the state as the argument ``state``; the result carries no gradient.
    """

    @operation()
    @functools.wraps(body)
    def draw(*args: Any, **kwargs: Any) -> tuple[Value, Value]:
        numbers, words = body(*args, **kwargs)
        return numbers, random_numbers.advanced(kwargs["state"], words)

    def call(*args: Any, generator: Generator | None = None) -> Tensor:
        source = default_generator if generator is None else generator
        if not isinstance(source, Generator):
            name = _PUBLIC.get(body.__name__, body.__name__)
            raise TypeError(
                f"{name}() received an invalid combination of arguments - got "
                f"(generator={type(source).__name__})"
            )
        before = recorder.grad_enabled
        recorder.grad_enabled = False
        try:
            result, state = draw(*args, state=source._state)
            source._state._replace(state._value(recorder.segment))
        finally:
            recorder.grad_enabled = before
        made: Tensor = result
        return made

    return call


def _real(dtype: DType, kernel: str) -> DType:
    """A floating or complex dtype; NotImplementedError for others, as PyTorch's kernel says."""
    if dtype.kind not in "fc":
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{scalar_name(dtype)}'")
    return dtype


def _pairs(draw: Callable[..., random_numbers.Draw]) -> Callable[..., random_numbers.Draw]:
    """A draw of complex numbers too: of their real and imaginary parts."""

    def draw_any(state: Value, shape: tuple[int, ...], dtype: DType) -> random_numbers.Draw:
        if not dtype.is_complex:
            return draw(state, shape, dtype)
        numbers, words = draw(state, (*shape, 2), dtype.to_real())
        return b.view_as_complex(b.cast(numbers, dtype.to_real())), words

    return draw_any


@drawing
def uniform_numbers(
    shape: tuple[int, ...], low: float, high: float, dtype: DType, state: Value
) -> random_numbers.Draw:
    """Uniform numbers between two bounds, the second exclusive."""
    unit, words = _pairs(random_numbers.unit)(state, shape, dtype)
    if (low, high) != (0.0, 1.0):
        unit = b.add(b.mul(unit, high - low), low)
    return unit, words


@drawing
def normal_numbers(
    shape: tuple[int, ...], mean: Any, std: Any, dtype: DType, state: Value
) -> random_numbers.Draw:
    """Normal numbers; mean and deviation are numbers or values that broadcast."""
    drawn, words = _pairs(random_numbers.normal)(state, shape, dtype)
    if dtype.is_complex:
        drawn = b.mul(drawn, 0.5**0.5)  # the variance is that of both parts together
    if not isinstance(std, float) or std != 1.0:
        drawn = b.mul(drawn, b.cast(std, drawn.dtype) if isinstance(std, Value) else std)
    if not isinstance(mean, float) or mean != 0.0:
        drawn = b.add(drawn, b.cast(mean, drawn.dtype) if isinstance(mean, Value) else mean)
    return b.cast(drawn, dtype), words


@drawing
def whole_numbers(
    shape: tuple[int, ...], low: int, count: int | Value, dtype: DType, state: Value
) -> random_numbers.Draw:
    """Whole numbers from ``low`` on, of ``count`` different ones."""
    drawn, words = random_numbers.integers(state, shape, low, count)
    return b.cast(drawn, dtype), words


@drawing
def _permutation(n: int, dtype: DType, state: Value) -> random_numbers.Draw:
    order, words = random_numbers.permutation(state, n)
    return b.cast(order, dtype), words


# -- what users call -----------------------------------------------------------------------------


def _sizes(function: str, sizes: tuple[Any, ...], size: Any) -> tuple[int, ...]:
    """The extents of a new tensor, given one by one, as one sequence, or by name."""
    if size is not None:
        sizes = (tuple(size),)
    if not sizes:
        raise TypeError(
            f"{function}() received an invalid combination of arguments - got (), but expected "
            "one of:\n * (tuple of ints size, *, torch.Generator generator, ...)"
        )
    try:
        shape = extents(sizes)
    except TypeError:
        raise TypeError(
            f"{function}(): argument 'size' (position 1) must be tuple of ints, not "
            f"{type(sizes[0]).__name__}"
        ) from None
    check_extents(shape)
    return shape


def _check_options(device: Any, layout: Any) -> None:
    device_of(device)
    if layout not in (None, strided):
        raise RuntimeError(f"random tensors are strided, found layout {layout}")


@accepts_out
def rand(
    *sizes: Any, size: Any = None, generator: Generator | None = None, dtype: DType | None = None,
    layout: Any = strided, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Uniform numbers in [0, 1)."""
    _check_options(device, layout)
    kind = _real(dtype or default_dtype(), "check_uniform_bounds")
    shape = _sizes("rand", sizes, size)
    made = uniform_numbers(shape, 0.0, 1.0, kind, generator=generator)
    return require_grad(made, requires_grad)


@accepts_out
def randn(
    *sizes: Any, size: Any = None, generator: Generator | None = None, dtype: DType | None = None,
    layout: Any = strided, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Normally distributed numbers with mean 0 and variance 1."""
    _check_options(device, layout)
    kind = _real(dtype or default_dtype(), "normal_kernel_cpu")
    shape = _sizes("randn", sizes, size)
    made = normal_numbers(shape, 0.0, 1.0, kind, generator=generator)
    return require_grad(made, requires_grad)


def _whole(name: str, value: Any, position: int, function: str = "randint") -> int:
    if isinstance(value, Tensor):
        value = value.item()
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(
            f"{function}(): argument '{name}' (position {position}) must be int, not "
            f"{type(value).__name__}"
        )
    number = int(value.__index__())
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError("Overflow when unpacking long long")
    return number


def check_bounds(low: int, high: int, dtype: DType) -> None:
    """RuntimeError for an empty range of whole numbers, or one that the dtype does not hold."""
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    least, greatest = bounds_of(dtype)
    for name, number in (("from", low), ("to - 1", high - 1)):
        if not least <= number <= greatest:
            raise RuntimeError(f"{name} is out of bounds for {cpp_name(dtype)}")


def bounds_of(dtype: DType) -> tuple[int, int]:
    """The least and greatest whole number of a dtype."""
    if dtype is bool_:
        return 0, 1
    if dtype.is_floating_point:
        greatest = int(finfo(dtype).max)
        return -greatest, greatest
    bits = 8 * dtype.itemsize
    return (
        (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if dtype.kind == "i" else (0, (1 << bits) - 1)
    )


@accepts_out
def randint(
    *args: Any, low: Any = None, high: Any = None, size: Any = None,
    generator: Generator | None = None, dtype: DType | None = None, layout: Any = strided,
    device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Whole numbers from low to high, exclusive.

    Call as ``randint(high, size)`` or ``randint(low, high, size)``.
    """
    given = list(args)
    if size is None:
        if not given or (len(given) == 1 and low is None and high is None):
            kinds = ", ".join(type(item).__name__ for item in given)
            raise TypeError(
                f"randint() received an invalid combination of arguments - got ({kinds}), but "
                "expected one of:\n * (int high, tuple of ints size, ...)\n"
                " * (int low, int high, tuple of ints size, ...)"
            )
        size = given.pop()
    if not isinstance(size, (tuple, list)):
        raise TypeError(
            "randint(): argument 'size' (position 2) must be tuple of ints, not "
            f"{type(size).__name__}"
        )
    bounds = [*given, *(bound for bound in (low, high) if bound is not None)]
    first = _whole("low", bounds[0], 1) if len(bounds) == 2 else 0
    last = _whole("high", bounds[-1], len(bounds))
    _check_options(device, layout)
    kind = dtype or int64
    check_bounds(first, last, kind)
    shape = extents((tuple(size),))
    check_extents(shape)
    count: Any = last - first
    if count <= 1 << 31:
        count = changing_number((randint, shape, kind, first), count, int64)
    made = whole_numbers(shape, first, count, kind, generator=generator)
    return require_grad(made, requires_grad)


@accepts_out
def randperm(
    n: int, *, generator: Generator | None = None, dtype: DType | None = None,
    layout: Any = strided, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """The whole numbers below n in random order."""
    count = _whole("n", n, 1, "randperm")
    _check_options(device, layout)
    check_extents((count,))
    kind = dtype or int64
    exact = 1 << significand_bits(kind) if kind.is_floating_point else bounds_of(kind)[1] + 1
    if count > exact:
        raise RuntimeError(f"value cannot be converted to type {kind.name}_t without overflow")
    made = _permutation(count, kind, generator=generator)
    return require_grad(made, requires_grad)


# -- in the likeness of another tensor -----------------------------------------------------------


def _like(function: str, draw: Any, input: Tensor, options: dict[str, Any]) -> Tensor:
    if not isinstance(input, Tensor):
        raise TypeError(
            f"{function}(): argument 'input' (position 1) must be Tensor, not "
            f"{type(input).__name__}"
        )
    options.pop("memory_format", None)
    if options.get("dtype") is None:
        options["dtype"] = input.dtype
    made: Tensor = draw(size=tuple(input.shape), **options)
    return made


def rand_like(input: Tensor, **options: Any) -> Tensor:
    """Uniform numbers in [0, 1) with the shape and dtype of a tensor."""
    return _like("rand_like", rand, input, options)


def randn_like(input: Tensor, **options: Any) -> Tensor:
    """Normally distributed numbers with the shape and dtype of a tensor."""
    return _like("randn_like", randn, input, options)


def randint_like(
    input: Tensor, *bounds: Any, low: Any = None, high: Any = None, **options: Any
) -> Tensor:
    """Whole numbers from low (0 by default) to high, exclusive, in a tensor's shape and dtype."""
    return _like("randint_like", functools.partial(randint, *bounds, low=low, high=high), input,
                 options)  # fmt: skip


# -- normal numbers of given mean and deviation --------------------------------------------------


def check_deviation(std: Any) -> None:
    """RuntimeError for a negative standard deviation, where its value is known."""
    if isinstance(std, Tensor):
        known = std._storage.buffer is not None and std.numel() > 0
        if known and (std._concrete() < 0).any():
            raise RuntimeError("normal expects all elements of std >= 0.0")
    elif std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")


def _no_gradients(inputs: Any, outputs: Any, upstreams: Any, **_static: Any) -> list[Any]:
    """Zeros: a sample does not depend on the parameters as far as autograd knows."""
    return [None, *(b.constant_like(value, 0) for value in inputs[1:])]


@operation("NormalBackward1", vjp=_no_gradients)
def _of_mean(sample: Value, mean: Value) -> Value:
    return sample


@operation("NormalBackward2", vjp=_no_gradients)
def _of_deviation(sample: Value, std: Value) -> Value:
    return sample


@operation("NormalBackward3", vjp=_no_gradients)
def _of_both(sample: Value, mean: Value, std: Value) -> Value:
    return sample


@accepts_out
def normal(
    mean: Any, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None,
    dtype: DType | None = None, layout: Any = strided, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Normally distributed numbers.

    Mean and standard deviation are tensors, which broadcast, or numbers; for two numbers ``size``
    is needed. No gradient flows into them: use ``mean + std * randn_like(mean)`` for that.
    """
    check_deviation(std)
    tensors = [item for item in (mean, std) if isinstance(item, Tensor)]
    if not tensors:
        if size is None:
            kinds = f"{type(mean).__name__}, {type(std).__name__}"
            raise TypeError(
                f"normal() received an invalid combination of arguments - got ({kinds}), but "
                "expected one of:\n * (Tensor mean, Tensor std, ...)\n * (Tensor mean, float std = "
                "1, ...)\n * (float mean, Tensor std, ...)\n * (float mean, float std, tuple of "
                "ints size, ...)"
            )
        _check_options(device, layout)
        kind = _real(dtype or default_dtype(), "normal_kernel_cpu")
        shape = extents((tuple(size),))
        part = kind.to_real()
        middle = changing_number(("mean", shape, kind), float(mean), part)
        spread = changing_number(("std", shape, kind), float(std), part)
        made = normal_numbers(shape, middle, spread, kind, generator=generator)
        return require_grad(made, requires_grad)
    kind = _real(tensors[0].dtype, "normal_kernel_cpu")
    shape = tuple(tensors[0].shape if len(tensors) == 1 else (mean.detach() + std.detach()).shape)
    arguments = [item if isinstance(item, Tensor) else float(item) for item in (mean, std)]
    sample = normal_numbers(shape, *arguments, kind, generator=generator)
    if not any(tensor.requires_grad for tensor in tensors):
        return sample
    if len(tensors) == 2:
        return _of_both(sample, mean, std)
    return (_of_mean if tensors[0] is mean else _of_deviation)(sample, tensors[0])
