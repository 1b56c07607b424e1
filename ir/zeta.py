"""Hurwitz's zeta function and the polygamma functions as values: sums of powers and a tail.

Euler and Maclaurin's formula with a fixed number of terms (Cephes zeta.c, DLMF 25.11.28).
"""

from __future__ import annotations

import math

from treadle.ir import build as b
from treadle.ir.types import float64
from treadle.ir.value import Value

# How many powers are summed one by one.
_TERMS = 10
# (2k)! / B_2k for k = 1 ... 12.
_TAIL = (
    12.0, -720.0, 30240.0, -1209600.0, 47900160.0, -1.8924375803183791606e9, 7.47242496e10,
    -2.950130727918164224e12, 1.1646782814350067249e14, -4.5979787224074726105e15,
    1.8152105401943546773e17, -7.1661652561756670113e18,
)  # fmt: skip
# B_2k for k = 1 ... 7, and steps from where their series holds (DLMF 5.15.8).
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)
_TRIGAMMA_STEPS = 10


def zeta(x: Value, q: Value) -> Value:
    """The sum of (q + k) ** -x over k = 0, 1, ..., for two values of one shape and dtype.

    inf at x = 1 and where q is a whole number not above 0; NaN for x < 1, and for q < 0 unless
    x is a whole number. Computed in float64.
    """
    if x.dtype is not float64:
        return b.cast(zeta(b.cast(x, float64), b.cast(q, float64)), x.dtype)
    # The first term by itself keeps its digits just below 0. Then whole steps lead to a number in
    # (0, 1]: the terms left out are powers of negative numbers, a difference of two other sums.
    below = b.lt(q, 0.0)
    start = b.select(below, q + 1.0, q)
    negative = b.lt(start, 0.0)
    fraction = start - b.floor(start)
    odd = b.ne(b.floor(x * 0.5) * 2.0, x)
    left_out = _positive(x, 1.0 - fraction) - _positive(x, 1.0 - start)
    result = _positive(x, b.select(negative, fraction, start))
    result = result + b.select(negative, b.select(odd, -left_out, left_out), 0.0)
    result = result + b.select(below, b.pow(q, -x), 0.0)
    result = b.select(b.logical_and(below, b.ne(b.floor(x), x)), math.nan, result)
    pole = b.logical_and(b.le(q, 0.0), b.eq(b.floor(q), q))
    result = b.select(pole, math.inf, result)
    return b.select(b.eq(x, 1.0), math.inf, b.select(b.lt(x, 1.0), math.nan, result))


def _positive(x: Value, q: Value) -> Value:
    shape = (*q.shape, _TERMS)
    steps = b.iota(shape, q.ndim, float64, q.type.device)

    def wide(value: Value) -> Value:
        return b.broadcast_to(b.reshape(value, (*value.shape, 1)), shape)

    powers = b.sum(b.pow(wide(q) + steps, -wide(x)), (q.ndim,))
    last = q + float(_TERMS - 1)
    power = b.pow(last, -x)
    result = powers + power * (last / (x - 1.0) - 0.5)
    term = power * x / last
    square = last * last
    for step, divisor in enumerate(_TAIL):
        result = result + term * (1.0 / divisor)
        above = x + float(2 * step + 1)
        term = term * (above * (above + 1.0) / square)
    return result


def _trigamma(x: Value) -> Value:
    """The sum of (x + k) ** -2: six terms and Bernoulli's series, reflected below 1/2."""
    if x.dtype is not float64:
        return b.cast(_trigamma(b.cast(x, float64)), x.dtype)
    left = b.lt(x, 0.5)
    sine = b.sin(x * math.pi)
    y = b.select(left, 1.0 - x, x)
    result = b.constant_like(y, 0.0)
    for _ in range(_TRIGAMMA_STEPS):
        result = result + b.reciprocal(y * y)
        y = y + 1.0
    square = b.reciprocal(y * y)
    series = b.constant_like(y, 0.0)
    for coefficient in reversed(_BERNOULLI):
        series = (series + coefficient) * square
    result = result + (1.0 + 0.5 / y + series) / y
    return b.select(left, math.pi**2 / (sine * sine) - result, result)


def polygamma(n: int, x: Value) -> Value:
    """The n-th derivative of digamma, n >= 1."""
    if n == 1:
        return _trigamma(x)
    factor = math.gamma(n + 1) * (-1.0) ** (n + 1) if n < 170 else math.inf * (-1) ** (n + 1)
    wide = b.cast(x, float64)
    order = b.full(wide.shape, float(n + 1), float64, wide.type.device)
    return b.cast(zeta(order, wide) * factor, x.dtype)
