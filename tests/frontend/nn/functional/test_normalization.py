"""Normalisations agree with PyTorch, and running statistics are updated in place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import treadle
import treadle.nn.functional as F


def _pair(x: Any, rng: Any) -> tuple[Any, Any]:
    return rng.random(x), rng.standard_normal(x)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5), (2, 3, 4, 5), (2, 3, 2, 3, 2)])
@pytest.mark.parametrize("training", [False, True])
def test_batch_norm_matches(
    training: bool, shape: tuple[int, ...], affine: bool, rng: Any, same_as_torch: Any
) -> None:
    arrays = [rng.standard_normal(shape) * 3 + 1, *(_pair(3, rng) if affine else ())]
    mean, variance = rng.standard_normal(3), rng.random(3)

    def call(t: Any, x: Any, *parameters: Any) -> Any:
        running = t.tensor(mean), t.tensor(variance)
        return t.nn.functional.batch_norm(x, *running, *parameters, training=training)

    same_as_torch(call, *arrays, rtol=1e-9)


@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
def test_running_statistics_move_by_the_momentum(name: str, rng: Any) -> None:
    torch = pytest.importorskip("torch")
    x, mean, variance = rng.standard_normal((4, 3, 5)), rng.standard_normal(3), rng.random(3)
    found = []
    for library in (torch, treadle):
        running = library.tensor(mean), library.tensor(variance)
        for _ in range(2):
            flag = {"training": True} if name == "batch_norm" else {"use_input_stats": True}
            getattr(library.nn.functional, name)(library.tensor(x), *running, momentum=0.3, **flag)
        found.append([statistic.numpy() for statistic in running])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_instance_norm_matches(own: bool, affine: bool, rng: Any, same_as_torch: Any) -> None:
    arrays = [rng.standard_normal((2, 3, 4, 5)), *(_pair(3, rng) if affine else ())]
    mean, variance = rng.standard_normal(3), rng.random(3)

    def call(t: Any, x: Any, *parameters: Any) -> Any:
        running = t.tensor(mean), t.tensor(variance)
        return t.nn.functional.instance_norm(x, *running, *parameters, use_input_stats=own)

    same_as_torch(call, *arrays, rtol=1e-9)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("shape", [(5,), (4, 5)])
def test_layer_norm_matches(
    shape: tuple[int, ...], affine: bool, rng: Any, same_as_torch: Any
) -> None:
    arrays = [rng.standard_normal((3, 4, 5)), *(_pair(shape, rng) if affine else ())]
    same_as_torch(lambda t, x, *p: t.nn.functional.layer_norm(x, shape, *p), *arrays, rtol=1e-9)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_group_norm_matches(groups: int, rng: Any, same_as_torch: Any) -> None:
    arrays = [rng.standard_normal((3, 6, 4, 2)), *_pair(6, rng)]
    same_as_torch(lambda t, x, *p: t.nn.functional.group_norm(x, groups, *p), *arrays, rtol=1e-9)


@pytest.mark.parametrize("eps", [None, 1e-3])
def test_rms_norm_matches(eps: float | None, rng: Any, same_as_torch: Any) -> None:
    x, weight = rng.standard_normal((3, 4, 5)), rng.random((4, 5))
    same_as_torch(lambda t, x, w: t.nn.functional.rms_norm(x, (4, 5), w, eps), x, weight, rtol=1e-9)
    same_as_torch(lambda t, x: t.nn.functional.rms_norm(x, (5,), None, eps), x, rtol=1e-9)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.5, float("inf")])
@pytest.mark.parametrize("dim", [0, 1, (0, 2)])
def test_normalize_matches(dim: Any, p: float, rng: Any, same_as_torch: Any) -> None:
    x = rng.standard_normal((3, 4, 5))
    same_as_torch(lambda t, x: t.nn.functional.normalize(x, p, dim), x, rtol=1e-9)


def test_normalize_leaves_zeros_and_writes_to_out() -> None:
    x = treadle.zeros(2, 3).requires_grad_()
    F.normalize(x).sum().backward()
    assert x.grad is not None and np.isfinite(x.grad.numpy()).all()
    out = treadle.zeros(2, 2)
    assert F.normalize(treadle.tensor([[3.0, 4.0], [0.0, 2.0]]), out=out) is out
    np.testing.assert_allclose(out.numpy(), [[0.6, 0.8], [0.0, 1.0]], rtol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_local_response_norm_matches(size: int, rng: Any, same_as_torch: Any) -> None:
    x = rng.standard_normal((2, 4, 3, 3))
    same_as_torch(
        lambda t, x: t.nn.functional.local_response_norm(x, size, 0.1, 0.6, 1.5), x, rtol=1e-9
    )


def test_second_derivatives_match(rng: Any) -> None:
    torch = pytest.importorskip("torch")
    x, weight = rng.standard_normal((4, 6)), rng.random(6)
    calls = {
        "layer_norm": lambda f, x, w: f.layer_norm(x, (6,), w),
        "batch_norm": lambda f, x, w: f.batch_norm(x, None, None, w, training=True),
        "group_norm": lambda f, x, w: f.group_norm(x, 2, w),
        "rms_norm": lambda f, x, w: f.rms_norm(x, (6,), w),
    }
    for name, call in calls.items():
        found = []
        for library in (torch, treadle):
            leaf = library.tensor(x).requires_grad_()
            result = call(library.nn.functional, leaf, library.tensor(weight))
            (first,) = library.autograd.grad((result**3).sum(), leaf, create_graph=True)
            (second,) = library.autograd.grad((first * first).sum(), leaf)
            found.append(second.numpy())
        np.testing.assert_allclose(found[1], found[0], rtol=1e-7, atol=1e-9, err_msg=name)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.nn.functional.batch_norm(t.ones(1, 3), None, None, training=True),
        lambda t: t.nn.functional.batch_norm(t.ones(2, 3), t.ones(2), t.ones(3), training=True),
        lambda t: t.nn.functional.instance_norm(t.ones(2, 3, 1)),
        lambda t: t.nn.functional.layer_norm(t.ones(2, 3), (4,)),
        lambda t: t.nn.functional.layer_norm(t.ones(2, 3), ()),
        lambda t: t.nn.functional.group_norm(t.ones(2, 3, 4), 2),
        lambda t: t.nn.functional.group_norm(t.ones(3), 1),
        lambda t: t.nn.functional.local_response_norm(t.ones(2, 3), 2),
    ],
)
def test_bad_input_raises_what_pytorch_raises(call: Any, same_error_as_torch: Any) -> None:
    same_error_as_torch(call)
