"""Gradients against finite differences in float64, and second derivatives against PyTorch.

The first check needs no oracle: it holds the gradients to the functions themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import treadle
from tests.frontend.agreement import check

Call = Callable[..., Any]
RANDOM = np.random.default_rng(11)
STEP = 1e-6

# Smooth at the points where they are tested: elements lie in [0.3, 1.7], all different.
FUNCTIONS: dict[str, Call] = {
    "exp": lambda t, x, y: x.exp(),
    "log": lambda t, x, y: x.log(),
    "sqrt": lambda t, x, y: x.sqrt(),
    "rsqrt": lambda t, x, y: x.rsqrt(),
    "sin": lambda t, x, y: x.sin(),
    "cos": lambda t, x, y: x.cos(),
    "tanh": lambda t, x, y: x.tanh(),
    "erf": lambda t, x, y: x.erf(),
    "reciprocal": lambda t, x, y: x.reciprocal(),
    "sigmoid": lambda t, x, y: x.sigmoid(),
    "relu": lambda t, x, y: (x - 1).relu(),
    "abs": lambda t, x, y: (x - 1).abs(),
    "square": lambda t, x, y: x.square(),
    "cube": lambda t, x, y: x**3,
    "root": lambda t, x, y: x**0.5,
    "power": lambda t, x, y: x**y,
    "exponent": lambda t, x, y: 2.0**x,
    "product": lambda t, x, y: x * y,
    "quotient": lambda t, x, y: x / y,
    "reverse quotient": lambda t, x, y: 3 / x,
    "difference": lambda t, x, y: 1 - x.sub(y, alpha=2),
    "remainder": lambda t, x, y: t.remainder(x * 3, y),
    "maximum": lambda t, x, y: t.maximum(x, y),
    "minimum": lambda t, x, y: t.minimum(x, y),
    "where": lambda t, x, y: t.where(x > y, x * y, y),
    "clamp": lambda t, x, y: x.clamp(0.5, 1.5),
    "lerp": lambda t, x, y: t.lerp(x, y, x * y),
    "addcmul": lambda t, x, y: t.addcmul(x, y, x, value=2),
    "addcdiv": lambda t, x, y: t.addcdiv(x, x, y, value=2),
    "sum": lambda t, x, y: (x * y).sum(1) * x.sum(),
    "mean": lambda t, x, y: (x * y).mean(0, keepdim=True) * y,
    "prod": lambda t, x, y: x.prod(1) + y.prod(),
    "amax": lambda t, x, y: x.amax(1) * y.amin(),
    "max": lambda t, x, y: x.max(1).values * y.min(),
    "var": lambda t, x, y: x.var(1) + y.var(),
    "std": lambda t, x, y: x.std(0) * y.std(),
    "logsumexp": lambda t, x, y: (x * y).logsumexp(1),
    "norm": lambda t, x, y: x.norm() + y.norm(3, dim=1).sum(),
    "softmax": lambda t, x, y: t.nn.functional.softmax(x * y, dim=1),
    "log_softmax": lambda t, x, y: t.nn.functional.log_softmax(x, dim=0) * y,
    "mm": lambda t, x, y: x.mm(y.t()),
    "matmul": lambda t, x, y: x.view(2, 1, 2, 3) @ y.view(4, 3, 1),
    "outer": lambda t, x, y: t.outer(x[0], y[1]),
    "addmm": lambda t, x, y: t.addmm(x[0, 0], x, y.t()),
    "views": lambda t, x, y: (x.t().reshape(2, 6)[:, 1:].unsqueeze(0) * y[0, 0]).squeeze(0),
    "cat": lambda t, x, y: t.cat([x, y * x], 1).exp(),
    "stack": lambda t, x, y: t.stack([x, y], 1).square(),
    "flip": lambda t, x, y: x.flip(0) * y,
    "repeat": lambda t, x, y: x.repeat(2, 1) * y.repeat(1, 1).sum(),
    "expand": lambda t, x, y: x[:, :1].expand(4, 3) * y,
    "split": lambda t, x, y: x.split([1, 2], 1)[1] * y.chunk(2)[0].sum(),
    "indices": lambda t, x, y: x[[0, 0, 3]] * y[t.tensor([1, 2, 2])],
    "mask": lambda t, x, y: x[x > y] * 2,
    "gather": lambda t, x, y: x.gather(1, t.tensor([[0, 2], [1, 1]])),
    "scatter_add": lambda t, x, y: x.scatter_add(0, t.tensor([[0, 0, 3]]), y[:1]).square(),
    "written part": lambda t, x, y: written(t, x, y),
    "masked": lambda t, x, y: (x * y).masked_fill(x > 1, 0.0),
}


def written(torch: Any, x: Any, y: Any) -> Any:
    z = x * 1
    z[1] = y[0] * y[1]
    z[:, 2].mul_(y[:, 0])
    z[z > 1.5] = 0
    return z * z


def points() -> tuple[Any, Any]:
    values = RANDOM.permutation(np.linspace(0.3, 1.7, 24))
    return values[:12].reshape(4, 3), values[12:].reshape(4, 3)


def weighted(torch: Any, function: Call, tensors: Any) -> Any:
    """A number that every element of the result counts in differently."""
    result = function(torch, *tensors)
    weights = torch.arange(result.numel(), dtype=torch.float64).reshape(result.shape) * 0.3 + 1
    return (result * weights).sum()


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_gradients_are_the_slopes_of_the_function(function: Call) -> None:
    arrays = points()
    tensors = [treadle.tensor(array, requires_grad=True) for array in arrays]
    weighted(treadle, function, tensors).backward()
    directions = [RANDOM.standard_normal(array.shape) for array in arrays]
    slope = 0.0
    for tensor, direction in zip(tensors, directions, strict=True):
        if tensor.grad is not None:
            slope += float((tensor.grad.numpy() * direction).sum())
    ends = []
    with treadle.no_grad():
        for sign in (1, -1):
            pairs = zip(arrays, directions, strict=True)
            moved = [treadle.tensor(a + sign * STEP * d) for a, d in pairs]
            ends.append(weighted(treadle, function, moved).item())
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * STEP), rel=1e-5, abs=1e-6)


@pytest.mark.oracle
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_second_derivatives_agree_with_pytorch(function: Call) -> None:
    arrays = points()

    def program(torch: Any) -> Any:
        tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
        total = weighted(torch, function, tensors)
        first = torch.autograd.grad(total, tensors, create_graph=True, allow_unused=True)
        parts = [(g * g).sum() for g in first if g is not None and g.requires_grad]
        if not parts:
            return [first, [torch.zeros(1)] * 2]
        second = torch.autograd.grad(sum(parts[1:], parts[0]), tensors, allow_unused=True)
        # Whether what is zero is None or zeros is PyTorch's own affair.
        zero = [g is None or not g.any() for g in second]
        return [
            first,
            [torch.zeros(1) if no else g.detach() for no, g in zip(zero, second, strict=True)],
        ]

    def detached(torch: Any) -> Any:
        first, *second = program(torch)
        return [[None if g is None else g.detach() for g in first], *second]

    check(detached, rtol=1e-7)
