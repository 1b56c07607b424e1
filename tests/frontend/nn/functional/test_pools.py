"""Adaptive, fractional, power and inverse poolings agree with PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import treadle
import treadle.nn.functional as F

EXTENTS = {1: (7,), 2: (6, 7), 3: (4, 5, 6)}


@pytest.mark.parametrize("kind", ["avg", "max"])
@pytest.mark.parametrize("out", [1, 3, 9])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("batched", [True, False])
def test_adaptive_pooling_matches_where_windows_differ_in_size(
    batched: bool, count: int, out: int, kind: str, rng: Any, same_as_torch: Any
) -> None:
    if out == 9 and kind == "max" and not batched:
        pytest.skip("the batched case is the same")
    shape = (*((2,) if batched else ()), 3, *EXTENTS[count])
    name = f"adaptive_{kind}_pool{count}d"
    same_as_torch(
        lambda t, x: getattr(t.nn.functional, name)(x, out), rng.standard_normal(shape), rtol=1e-11
    )


def test_none_keeps_an_extent(rng: Any, same_as_torch: Any) -> None:
    x = rng.standard_normal((2, 3, 6, 7))
    same_as_torch(lambda t, x: t.nn.functional.adaptive_avg_pool2d(x, (None, 3)), x, rtol=1e-11)
    same_as_torch(lambda t, x: t.nn.functional.adaptive_max_pool2d(x, (2, None)), x, rtol=1e-11)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_indices_of_adaptive_maxima_match(count: int, rng: Any) -> None:
    torch = pytest.importorskip("torch")
    x = rng.integers(0, 5, (2, 3, *EXTENTS[count])).astype(np.float32)
    name = f"adaptive_max_pool{count}d"
    expected = getattr(torch.nn.functional, name)(torch.tensor(x), 3, return_indices=True)
    found = getattr(F, name)(treadle.tensor(x), 3, return_indices=True)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.parametrize("count", [1, 2, 3])
def test_unpooling_puts_maxima_back(count: int, rng: Any, same_as_torch: Any) -> None:
    extents = {1: (8,), 2: (6, 8), 3: (4, 6, 4)}[count]

    def call(t: Any, x: Any) -> Any:
        f = t.nn.functional
        pooled, indices = getattr(f, f"max_pool{count}d")(x, 2, return_indices=True)
        return getattr(f, f"max_unpool{count}d")(pooled, indices, 2)

    same_as_torch(call, rng.standard_normal((2, 3, *extents)), rtol=1e-12)


def test_unpooling_takes_an_output_size(rng: Any, same_as_torch: Any) -> None:
    def call(t: Any, x: Any) -> Any:
        f = t.nn.functional
        pooled, indices = f.max_pool2d(x, 2, return_indices=True)
        return f.max_unpool2d(pooled, indices, 2, output_size=(5, 7))

    same_as_torch(call, rng.standard_normal((2, 3, 5, 7)), rtol=1e-12)


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_power_pooling_matches(count: int, ceil: bool, rng: Any, same_as_torch: Any) -> None:
    x = rng.random((2, 3, *EXTENTS[count])) + 0.1
    same_as_torch(
        lambda t, x: getattr(t.nn.functional, f"lp_pool{count}d")(x, 3, 2, ceil_mode=ceil),
        x,
        rtol=1e-9,
    )


@pytest.mark.parametrize("count", [2, 3])
def test_fractional_pooling_matches_for_given_draws(
    count: int, rng: Any, same_as_torch: Any
) -> None:
    extents = {2: (9, 8), 3: (7, 8, 6)}[count]
    samples = rng.random((2, 3, count))

    def call(t: Any, x: Any) -> Any:
        function = getattr(t.nn.functional, f"fractional_max_pool{count}d")
        values, indices = function(
            x,
            2,
            output_ratio=(0.5,) * count,
            return_indices=True,
            _random_samples=t.tensor(samples),
        )
        return values + indices * 0.0

    x = rng.standard_normal((2, 3, *extents))
    torch = pytest.importorskip("torch")
    name = f"fractional_max_pool{count}d"
    found = []
    for library in (torch, treadle):
        leaf = library.tensor(x).requires_grad_()
        values, indices = getattr(library.nn.functional, name)(
            leaf, 2, output_size=3, return_indices=True, _random_samples=library.tensor(samples)
        )
        (values**2).sum().backward()
        found.append((values.detach().numpy(), indices.numpy(), leaf.grad.numpy()))
    for ours, theirs in zip(found[1], found[0], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    same_as_torch(call, x, rtol=1e-12)


def test_fractional_pooling_draws_windows_of_its_own(rng: Any) -> None:
    x = treadle.tensor(rng.standard_normal((1, 1, 20, 20)))
    draws = {F.fractional_max_pool2d(x, 3, output_ratio=0.3).numpy().tobytes() for _ in range(8)}
    assert len(draws) > 1


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.nn.functional.adaptive_avg_pool2d(t.ones(2, 2), (2, 2)),
        lambda t: t.nn.functional.fractional_max_pool2d(t.ones(1, 1, 4, 4), 2),
        lambda t: t.nn.functional.max_unpool2d(
            t.ones(1, 1, 2, 2), t.zeros(1, 1, 2, 2).long(), 2, output_size=(9, 9)
        ),
        lambda t: t.nn.functional.max_unpool1d(
            t.ones(1, 1, 2), t.zeros(1, 1, 2).long(), 2, output_size=(1, 2, 3, 4)
        ),
    ],
)
def test_bad_input_raises_what_pytorch_raises(call: Any, same_error_as_torch: Any) -> None:
    same_error_as_torch(call)
