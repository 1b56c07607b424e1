"""Samples of distributions whose parameters are tensors, and tensors filled in place with samples.

``METHODS`` lists what ``methods`` attaches to ``Tensor``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from treadle.functions import random_numbers
from treadle.functions.generator import Generator
from treadle.functions.random import (
    bounds_of,
    check_bounds,
    check_deviation,
    drawing,
    normal_numbers,
    uniform_numbers,
    whole_numbers,
)
from treadle.inplace import inplace
from treadle.ir import build as b, ordering
from treadle.ir.types import DType, Shape, bool_, float32, float64, int64, significand_bits
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.out_argument import accepts_out, write_out
from treadle.promotion import cpp_name, scalar_name
from treadle.tensor import Tensor

__all__ = ["bernoulli", "binomial", "multinomial", "poisson"]
METHODS = (
    "bernoulli multinomial bernoulli_ cauchy_ exponential_ geometric_ log_normal_ normal_ random_ "
    "uniform_"
)


def _no_gradients(inputs: Any, outputs: Any, upstreams: Any, **_static: Any) -> list[Any]:
    """Zeros: a sample does not depend on the parameters as far as autograd knows."""
    return [None, *(b.constant_like(value, 0) for value in inputs[1:])]


# -- samples -------------------------------------------------------------------------------------


@drawing
def _bernoulli_numbers(p: Any, shape: Shape, dtype: DType, state: Value) -> random_numbers.Draw:
    kind = float64 if isinstance(p, Value) and p.dtype is float64 else float32
    drawn, words = random_numbers.unit(state, shape, kind)
    chance = b.cast(p, kind) if isinstance(p, Value) else p
    return b.cast(b.lt(drawn, chance), dtype), words


@operation("BernoulliBackward0", vjp=_no_gradients)
def _of_probability(sample: Value, input: Value) -> Value:
    return sample


def _check_probability(p: Any) -> None:
    """PyTorch's errors of probabilities outside [0, 1], where they are known."""
    if not isinstance(p, Tensor):
        if not 0 <= p <= 1:
            raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")
        return
    if not p.dtype.is_floating_point:
        raise NotImplementedError(
            f"\"bernoulli_tensor_cpu_p_\" not implemented for '{scalar_name(p.dtype)}'"
        )
    if p._storage.buffer is not None:
        known = p._concrete()
        if not np.all((known >= 0) & (known <= 1)):
            raise RuntimeError(
                "Expected p_in >= 0 && p_in <= 1 to be true, but got false.  (Could this error "
                "message be improved?  If so, please report an enhancement request to PyTorch.)"
            )


@accepts_out
def bernoulli(input: Tensor, p: Any = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that each element (or ``p``) gives, else 0."""
    chance = input if p is None else p
    _check_probability(chance)
    shape = tuple(input.shape)
    sample = _bernoulli_numbers(chance, shape, input.dtype, generator=generator)
    return _of_probability(sample, input) if input.requires_grad else sample


@drawing
def _poisson_numbers(rate: Value, state: Value) -> random_numbers.Draw:
    drawn, words = random_numbers.poisson(rate, state)
    return b.cast(drawn, rate.dtype), words


@operation("PoissonBackward0", vjp=_no_gradients)
def _of_rate(sample: Value, input: Value) -> Value:
    return sample


def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """How many events happen where so many are expected: whole numbers in the input's dtype."""
    if not isinstance(input, Tensor):
        raise TypeError(
            f"poisson(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}"
        )
    if not input.dtype.is_floating_point:
        raise NotImplementedError(
            f"\"poisson_cpu\" not implemented for '{scalar_name(input.dtype)}'"
        )
    if input._storage.buffer is not None and (input._concrete() < 0).any():
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    sample = _poisson_numbers(input, generator=generator)
    return _of_rate(sample, input) if input.requires_grad else sample


@drawing
def _binomial_numbers(count: Value, prob: Value, state: Value) -> random_numbers.Draw:
    shape = b.broadcast_shapes(count.shape, prob.shape)
    wide = b.broadcast_to(count, shape), b.broadcast_to(prob, shape)
    drawn, words = random_numbers.binomial(*wide, state)
    return b.cast(drawn, count.dtype), words


@operation("NotImplemented", vjp=_no_gradients)
def _of_trials(sample: Value, count: Value, prob: Value) -> Value:
    return sample


def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """How many of ``count`` trials succeed, each with probability ``prob``."""
    for name, given in (("count", count), ("prob", prob)):
        if not given.dtype.is_floating_point:
            raise ValueError(
                f"binomial only supports floating-point dtypes for {name}, got: "
                f"{scalar_name(given.dtype)}"
            )
    if prob.dtype is not count.dtype:
        raise RuntimeError(
            f"Found dtype {scalar_name(prob.dtype)} but expected {scalar_name(count.dtype)}"
        )
    sample = _binomial_numbers(count, prob, generator=generator)
    tracked = count.requires_grad or prob.requires_grad
    return _of_trials(sample, count, prob) if tracked else sample


@drawing
def _without_replacement(input: Value, samples: int, state: Value) -> random_numbers.Draw:
    """The categories whose exponential clocks, running as fast as they are likely, ring first."""
    noise, words = random_numbers.exponential(state, input.shape, input.dtype)
    rate = b.cast(input, noise.dtype)
    # An impossible category never rings, not even against noise of exactly zero.
    race = b.select(b.eq(rate, 0.0), -1.0, b.div(rate, b.maximum(noise, 1e-37)))
    if samples == 1:
        first = b.argmax(race, -1)
        return b.reshape(first, (*first.shape, 1)), words
    order = ordering.argsort(race, race.ndim - 1, descending=True)
    return b.slice(order, (0,) * order.ndim, (*order.shape[:-1], samples)), words


@drawing
def _with_replacement(input: Value, samples: int, state: Value) -> random_numbers.Draw:
    """Inverse transform: how many partial sums of the weights lie below uniform numbers."""
    *lead, count = input.shape
    sums = b.cumsum(b.cast(input, float64), input.ndim - 1)
    drawn, words = random_numbers.unit(state, (*lead, samples), float64)
    starts = (*(0,) * len(lead), count - 1)
    target = b.mul(drawn, b.slice(sums, starts, input.shape))
    shape = (*lead, samples, count)
    below = b.le(
        b.broadcast_to(b.reshape(sums, (*lead, 1, count)), shape),
        b.broadcast_to(b.reshape(target, (*lead, samples, 1)), shape),
    )
    found = b.sum(b.cast(below, int64), (len(shape) - 1,))
    return b.minimum(found, count - 1), words


def _check_weights(input: Tensor, num_samples: int, replacement: bool) -> None:
    """PyTorch's errors of weights that are no distribution; computes what is pending."""
    if not input.dtype.is_floating_point:
        raise RuntimeError(
            "multinomial only supports floating-point dtypes for input, got: "
            f"{scalar_name(input.dtype)}"
        )
    if input.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > input.shape[-1]:
        raise RuntimeError(
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement"
        )
    weights = input.detach()
    if not weights.numel():
        return
    if not ((weights >= 0) & weights.ne(float("inf"))).all().item():
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if weights.sum(-1).eq(0).any().item():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")


def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Categories drawn from each row of weights, which need not sum to one."""
    _check_weights(input, num_samples, replacement)
    if out is not None and out.dtype is not int64:
        raise RuntimeError(f"multinomial expects Long tensor out, got: {scalar_name(out.dtype)}")
    draw = _with_replacement if replacement else _without_replacement
    drawn = draw(input, int(num_samples), generator=generator)
    return drawn if out is None else write_out(drawn, out)


# -- in place ------------------------------------------------------------------------------------


def _filling(name: str) -> Any:
    """The in-place operation that makes a sample the contents, under a ``grad_fn`` name."""

    def filled(input: Value, sample: Value) -> Value:
        return b.cast(b.broadcast_to(sample, input.shape), input.dtype)

    return inplace(operation(name, overwrites=True)(filled))


_FILLINGS = {
    name: _filling(f"{name}Backward{number}")
    for name, number in {
        "Bernoulli": 2, "BernoulliTensor": 1, "Cauchy": 0, "Exponential": 0, "Geometric": 0,
        "LogNormal": 0, "Normal": 0, "Random": 0, "Uniform": 0,
    }.items()
}  # fmt: skip


def _check_continuous(self: Tensor, name: str, shown: str) -> None:
    if not self.dtype.is_floating_point:
        raise RuntimeError(
            f"{name} distribution is a continuous probability distribution. dtype must be a "
            f"floating point but you specified {shown}"
        )


def uniform_(
    self: Tensor, *bounds: Any, generator: Generator | None = None, **named: Any
) -> Tensor:
    """Fills a tensor with uniform numbers in [from, to): by default in [0, 1)."""
    low, high = _bounds(bounds, named, 0.0, 1.0)
    if self.dtype.kind not in "f":
        raise NotImplementedError(
            f"\"check_uniform_bounds\" not implemented for '{scalar_name(self.dtype)}'"
        )
    greatest = bounds_of(self.dtype)[1]
    for name, bound in (("from", low), ("to", high)):
        if not -greatest <= bound <= greatest:
            raise RuntimeError(f"{name} is out of bounds for {cpp_name(self.dtype)}")
    if low > high:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}"
        )
    shape = tuple(self.shape)
    drawn = uniform_numbers(shape, float(low), float(high), self.dtype, generator=generator)
    return _FILLINGS["Uniform"](self, drawn)


def _bounds(given: tuple[Any, ...], named: dict[str, Any], low: Any, high: Any) -> tuple[Any, Any]:
    """The arguments ``from`` and ``to``, of which the first is a keyword of Python."""
    first, second = named.pop("from", named.pop("a", low)), named.pop("to", named.pop("b", high))
    if named or len(given) > 2:
        raise TypeError(f"got an unexpected argument: {', '.join(named) or given[2]!r}")
    both = (*given, *(first, second)[len(given) :])
    return both[0], both[1]


def normal_(
    self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Fills a tensor with normally distributed numbers."""
    check_deviation(std)
    if self.dtype.kind not in "fc":
        raise NotImplementedError(
            f"\"normal_kernel_cpu\" not implemented for '{scalar_name(self.dtype)}'"
        )
    shape = tuple(self.shape)
    drawn = normal_numbers(shape, float(mean), float(std), self.dtype, generator=generator)
    return _FILLINGS["Normal"](self, drawn)


def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fills a tensor with ones with probability p (a number, or a tensor of them), else zeros."""
    _check_probability(p)
    shape = tuple(self.shape)
    chance = p.detach().expand(shape) if isinstance(p, Tensor) else float(p)
    drawn = _bernoulli_numbers(chance, shape, self.dtype, generator=generator)
    return _FILLINGS["BernoulliTensor" if isinstance(p, Tensor) else "Bernoulli"](self, drawn)


@drawing
def _exponential_numbers(
    shape: Shape, rate: float, dtype: DType, state: Value
) -> random_numbers.Draw:
    drawn, words = random_numbers.exponential(state, shape, dtype)
    return b.cast(b.div(drawn, rate), dtype), words


def exponential_(self: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fills a tensor with exponential numbers of rate ``lambd``."""
    if not lambd > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd:g}")
    _check_continuous(self, "Exponential", scalar_name(self.dtype))
    shape = tuple(self.shape)
    drawn = _exponential_numbers(shape, float(lambd), self.dtype, generator=generator)
    return _FILLINGS["Exponential"](self, drawn)


@drawing
def _cauchy_numbers(
    shape: Shape, median: float, sigma: float, dtype: DType, state: Value
) -> random_numbers.Draw:
    drawn, words = random_numbers.cauchy(state, shape, dtype)
    return b.cast(b.add(b.mul(drawn, sigma), median), dtype), words


def cauchy_(
    self: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Fills a tensor with Cauchy numbers."""
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")
    _check_continuous(self, "Cauchy", cpp_name(self.dtype))
    shape = tuple(self.shape)
    drawn = _cauchy_numbers(shape, float(median), float(sigma), self.dtype, generator=generator)
    return _FILLINGS["Cauchy"](self, drawn)


@drawing
def _geometric_numbers(shape: Shape, p: float, dtype: DType, state: Value) -> random_numbers.Draw:
    drawn, words = random_numbers.geometric(state, shape, p)
    return b.cast(drawn, dtype), words


def geometric_(self: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fills a tensor with how many trials of probability p it takes to succeed once."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p:g}")
    if self.dtype is bool_ or self.dtype.is_complex:
        raise NotImplementedError(
            f"\"geometric_cpu\" not implemented for '{scalar_name(self.dtype)}'"
        )
    drawn = _geometric_numbers(tuple(self.shape), float(p), self.dtype, generator=generator)
    return _FILLINGS["Geometric"](self, drawn)


def log_normal_(
    self: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None
) -> Tensor:
    """Fills a tensor with numbers whose logarithms are normally distributed."""
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std:g}")
    if not self.dtype.is_floating_point:
        raise NotImplementedError(
            f"\"log_normal_cpu\" not implemented for '{scalar_name(self.dtype)}'"
        )
    shape = tuple(self.shape)
    drawn = normal_numbers(shape, float(mean), float(std), self.dtype, generator=generator)
    return _FILLINGS["LogNormal"](self, drawn.exp())


def random_(self: Tensor, *bounds: Any, generator: Generator | None = None, **named: Any) -> Tensor:
    """Fills a tensor with whole numbers: all that the dtype holds, or those from ``from`` to
    ``to``, exclusive."""
    if len(bounds) == 1 and not named:
        bounds = (0, *bounds)
    low, high = _bounds(bounds, named, 0, None)
    if high is None:
        exact = self.dtype.is_floating_point
        high = 1 << significand_bits(self.dtype) if exact else bounds_of(self.dtype)[1]
        high += 1
    else:
        check_bounds(int(low), int(high), self.dtype)
    count = int(high) - int(low)
    drawn = whole_numbers(tuple(self.shape), int(low), count, self.dtype, generator=generator)
    return _FILLINGS["Random"](self, drawn)
