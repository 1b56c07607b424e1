"""SGD, Adam and AdamW follow PyTorch step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import treadle

SGD_OPTIONS: list[dict[str, Any]] = [
    {},
    {"momentum": 0.9},
    {"momentum": 0.9, "nesterov": True},
    {"momentum": 0.9, "dampening": 0.3},
    {"weight_decay": 0.1},
    {"momentum": 0.8, "weight_decay": 0.1, "maximize": True},
]
ADAM_OPTIONS: list[dict[str, Any]] = [
    {},
    {"betas": (0.8, 0.95), "eps": 1e-6},
    {"betas": (0.3, 0.95)},
    {"weight_decay": 0.1},
    {"amsgrad": True},
    {"amsgrad": True, "weight_decay": 0.1, "maximize": True},
]
CASES = (
    [("SGD", options) for options in SGD_OPTIONS]
    + [("Adam", options) for options in ADAM_OPTIONS]
    + [("AdamW", options) for options in ADAM_OPTIONS]
)


def _trajectory(library: Any, name: str, options: dict[str, Any], dtype: str) -> list[Any]:
    """The parameters after each of some steps, with a new learning rate half way."""
    rng = np.random.default_rng(1)
    params = [
        library.tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True)
        for shape in ((3, 4), (5,), ())
    ]
    optimizer = getattr(library.optim, name)(params, lr=0.05, **options)
    found = []
    for step in range(6):
        if step == 3:
            optimizer.param_groups[0]["lr"] = 0.01
        for number, param in enumerate(params):
            gradient = rng.standard_normal(tuple(param.shape)).astype(dtype)
            # The second parameter has no gradient at first.
            param.grad = None if number == 1 and step < 2 else library.tensor(gradient)
        optimizer.step()
        found.append([param.detach().numpy().copy() for param in params])
    return found


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-12), ("float32", 1e-6)])
def test_parameters_follow_pytorchs(
    name: str, options: dict[str, Any], dtype: str, rtol: float
) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    expected = _trajectory(torch, name, options, dtype)
    found = _trajectory(treadle, name, options, dtype)
    for step, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        for a, c in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, c, rtol=rtol, atol=rtol, err_msg=f"step {step}")


def test_one_step_of_sgd_by_hand() -> None:
    x = treadle.tensor([1.0, 2.0], requires_grad=True)
    optimizer = treadle.optim.SGD([x], lr=0.5, momentum=0.5)
    for expected in ([0.5, 1.5], [-0.25, 0.75]):
        x.grad = treadle.ones(2)
        optimizer.step()
        assert x.tolist() == expected
    assert optimizer.state[x]["momentum_buffer"].tolist() == [1.5, 1.5]


def test_first_step_of_adam_is_the_learning_rate_against_the_sign() -> None:
    x = treadle.tensor([1.0, -1.0], requires_grad=True)
    optimizer = treadle.optim.Adam([x], lr=0.25)
    x.grad = treadle.tensor([3.0, -0.01])
    optimizer.step()
    np.testing.assert_allclose(x.detach().numpy(), [0.75, -0.75], rtol=1e-5)
    assert optimizer.state[x]["step"].item() == 1.0


def test_minimising_a_quadratic_reaches_its_minimum() -> None:
    target = treadle.tensor([3.0, -2.0])
    x = treadle.zeros(2, requires_grad=True)
    optimizer = treadle.optim.Adam([x], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        ((x - target) ** 2).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(x.detach().numpy(), target.numpy(), atol=1e-2)


def test_a_learning_rate_can_be_a_tensor() -> None:
    x = treadle.tensor([1.0], requires_grad=True)
    optimizer = treadle.optim.SGD([x], lr=treadle.tensor(0.5))
    x.grad = treadle.ones(1)
    optimizer.step()
    assert x.tolist() == [0.5]
