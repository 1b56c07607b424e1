"""Reductions where PyTorch's choices show: ties, nothing to reduce, NaN, gradients, errors."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.frontend.agreement import Program, check

pytestmark = pytest.mark.oracle


def _ties(t: Any) -> Any:
    return t.tensor([[1.0, 3.0, 3.0], [3.0, 0.0, -2.0]], requires_grad=True)


# Their gradients at ties, zeros and deviations of nothing.
GRADIENTS: dict[str, Program] = {
    "max": lambda t, x: x.max(),
    "min": lambda t, x: x.min(),
    "max along": lambda t, x: x.max(1).values,
    "amax": lambda t, x: x.amax(1),
    "amin over all": lambda t, x: x.amin(),
    "aminmax": lambda t, x: t.aminmax(x).max - t.aminmax(x, dim=0).min.sum(),
    "prod with a zero": lambda t, x: x.prod(1),
    "std of equal elements": lambda t, x: (x * 0 + 1).std(1),
    "var without freedom": lambda t, x: x[:, :1].var(1, correction=0),
    "std_mean": lambda t, x: t.std_mean(x, 1)[0] + t.std_mean(x, 1)[1],
    "logsumexp": lambda t, x: x.logsumexp((0, 1)),
    "logsumexp of minus infinity": lambda t, x: (x.detach() * 0 - math.inf + x * 0).logsumexp(1),
    "norm of zeros": lambda t, x: t.norm(x * 0),
    "norm 1": lambda t, x: t.norm(x, 1, 1),
    "norm 3": lambda t, x: t.norm(x, 3, 0),
    "norm inf": lambda t, x: t.norm(x, math.inf, 1),
    "norm -inf": lambda t, x: t.norm(x, -math.inf),
    "nuclear norm": lambda t, x: t.norm(x + t.eye(2, 3), "nuc"),
    "dist": lambda t, x: t.dist(x, t.ones(2, 3), 2),
    "nanmean": lambda t, x: t.nanmean(x / x, 1),
    "nansum": lambda t, x: t.nansum(x.log()),
    "renorm": lambda t, x: x.renorm(2, 0, 1.0),
    "sum_to_size": lambda t, x: x.sum_to_size(1, 3),
    "gradient": lambda t, x: t.gradient(x)[1],
    "gradient at coordinates": lambda t, x: t.gradient(
        x, spacing=(t.tensor([0.0, 1.0]), t.tensor([0.0, 1.0, 3.0]))
    )[1],
    "cov": lambda t, x: t.cov(x),
    "corrcoef": lambda t, x: t.corrcoef(x),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_pytorchs(name: str) -> None:
    def program(t: Any) -> Any:
        x = _ties(t)
        result = GRADIENTS[name](t, x)
        (result * t.arange(1.0, result.numel() + 1).reshape(result.shape)).sum().backward()
        return [result, x.grad]

    check(program, rtol=1e-4)


EMPTY = [
    "max", "amax", "amin", "argmax", "argmin", "aminmax", "sum", "prod", "mean", "var", "std",
    "all", "any", "logsumexp", "nansum", "nanmean", "count_nonzero",
]  # fmt: skip


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.filterwarnings("ignore")
def test_reductions_of_nothing_are_pytorchs(name: str) -> None:
    def one(t: Any, *args: Any, **named: Any) -> Any:
        try:
            result = getattr(t, name)(t.zeros(0, 3), *args, **named)
            return list(result) if isinstance(result, tuple) else result
        except (RuntimeError, IndexError, TypeError) as error:
            return [type(error).__name__, str(error).split("\n")[0]]

    check(lambda t: [one(t, dim=0), one(t, dim=1)])
    if name != "logsumexp":
        check(lambda t: [one(t)])


RESULTS: dict[str, Program] = {
    "sum of bool": lambda t, x: [(x > 0).sum(), (x > 0).sum(1), x.sum((0, 1), keepdim=True)],
    "sum as another dtype": lambda t, x: [x.sum(0, dtype=t.int64), (x > 0).sum(dtype=t.bool)],
    "prod of bool": lambda t, x: [(x > 0).prod(), t.prod(x > 0, 1, dtype=t.bool)],
    "mean of integers": lambda t, x: x.long().mean(),
    "mean as integers": lambda t, x: x.mean(dtype=t.int64),
    "mean of integers as float": lambda t, x: x.long().mean(dtype=t.float64),
    "any of bytes": lambda t, x: [x.byte().any(), x.any(dim=()), x.all((0, 1))],
    "max of bool": lambda t, x: [*(x > 0).max(1), (x > 0).amax()],
    "max of two": lambda t, x: [t.max(x, -x), t.min(x, other=x.flip(0))],
    "max of a number": lambda t, x: t.max(2),
    "argmax of bool": lambda t, x: (x > 0).argmax(),
    "argmax kept": lambda t, x: [x.argmax(keepdim=True), x.argmin(1, keepdim=True)],
    "argmax of NaN": lambda t, x: [(x.log()).argmax(), (x.log()).min(1).indices],
    "var of integers": lambda t, x: x.long().var(),
    "var_mean of integers": lambda t, x: t.var_mean(x.long()),
    "var forms": lambda t, x: [x.var(False), x.std(0, False), x.var(1, correction=0.5)],
    "nanmean of integers": lambda t, x: x.long().nanmean(),
    "norm of integers": lambda t, x: x.long().norm(),
    "dist of integers": lambda t, x: t.dist(x.long(), x.long()),
    "an axis twice": lambda t, x: x.sum((0, 0)),
    "an axis that is not there": lambda t, x: x.mean(2),
    "a product over several axes": lambda t, x: t.prod(x, (0, 1)),
    "count_nonzero": lambda t, x: [t.count_nonzero(x), x.count_nonzero((0, 1))],
    "out": lambda t, x: [t.sum(x, 0, out=t.empty(0)), *t.max(x, 1, out=(
        t.empty(0), t.empty(0, dtype=t.int64)))],
    "out of a lower dtype": lambda t, x: t.sum(x, 0, out=t.empty(0, dtype=t.int64)),
    "aminmax out of another dtype": lambda t, x: t.aminmax(
        x, out=(t.empty(0), t.empty(0).double())
    ),
    "gradient of too few": lambda t, x: t.gradient(x, edge_order=2),
    "is_nonzero of several": lambda t, x: t.is_nonzero(x),
    "is_same_size": lambda t, x: [t.is_same_size(x, x), t.numel(x), t.is_tensor(x)],
}  # fmt: skip


@pytest.mark.parametrize("name", RESULTS)
def test_results_and_errors_are_pytorchs(name: str) -> None:
    check(lambda t: RESULTS[name](t, _ties(t).detach()))


ALONG_AN_AXIS = [
    "sum", "prod", "amax", "amin", "mean", "median", "logsumexp", "softmax", "log_softmax",
    "softmin", "cumsum", "cumprod",
]  # fmt: skip
MASKED: dict[str, Program] = {
    name: lambda t, x, m, name=name: getattr(t.masked, name)(x, 1, mask=m) for name in ALONG_AN_AXIS
}
MASKED |= {
    "norm": lambda t, x, m: t.masked.norm(x, 2.0, 1, mask=m),
    "std": lambda t, x, m: t.masked.std(x, 1, mask=m),
    "var": lambda t, x, m: t.masked.var(x, (0, 1), unbiased=False, mask=m),
    "normalize": lambda t, x, m: t.masked.normalize(x, 2.0, 1, mask=m),
}


@pytest.mark.parametrize("name", MASKED)
def test_masked_functions_skip_what_is_masked_out(name: str) -> None:
    def program(t: Any) -> Any:
        x = t.tensor([[1.0, 3.0, 2.0], [4.0, 0.5, -2.0]], requires_grad=True)
        mask = t.tensor([[True, False, True], [True, True, False]])
        result = MASKED[name](t, x, mask)
        t.where(t.isfinite(result), result, t.zeros(())).sum().backward()
        return [result, x.grad]

    check(program, rtol=1e-4)


def test_a_mask_of_more_axes_is_refused() -> None:
    check(lambda t: t.masked.sum(t.zeros(2), mask=t.ones(1, 2, dtype=t.bool)))
