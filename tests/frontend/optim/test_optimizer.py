"""Groups, states, closures, hooks and errors of optimisers."""

from __future__ import annotations

import copy
from typing import Any

import pytest

import treadle
from treadle import optim


def _parameter(*values: float) -> Any:
    return treadle.tensor(list(values), requires_grad=True)


def test_groups_take_defaults_for_what_they_do_not_set() -> None:
    first, second = _parameter(1.0), _parameter(2.0)
    optimizer = optim.SGD(
        [{"params": [first]}, {"params": second, "lr": 0.25}], lr=0.5, momentum=0.0
    )
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.25]
    first.grad, second.grad = treadle.ones(1), treadle.ones(1)
    optimizer.step()
    assert (first.tolist(), second.tolist()) == ([0.5], [1.75])


def test_zero_grad_forgets_or_zeroes() -> None:
    x = _parameter(1.0)
    optimizer = optim.SGD([x], lr=0.1)
    x.grad = treadle.ones(1)
    optimizer.zero_grad(set_to_none=False)
    assert x.grad.tolist() == [0.0]
    optimizer.zero_grad()
    assert x.grad is None


def test_parameters_without_gradient_are_left_alone() -> None:
    x = _parameter(1.0)
    optimizer = optim.Adam([x])
    optimizer.step()
    assert x.tolist() == [1.0]
    assert not optimizer.state


def test_step_returns_what_the_closure_returns() -> None:
    x = _parameter(2.0)
    optimizer = optim.SGD([x], lr=0.25)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        return loss

    with treadle.no_grad():
        assert optimizer.step(closure).item() == 4.0
    assert x.tolist() == [1.0]


def test_state_survives_saving_and_loading() -> None:
    def run(optimizer: Any, x: Any, steps: int) -> None:
        for _ in range(steps):
            x.grad = x.detach().clone()
            optimizer.step()

    x = _parameter(1.0, -2.0)
    optimizer = optim.Adam([x], lr=0.1)
    run(optimizer, x, 2)
    state = copy.deepcopy(optimizer.state_dict())
    y = x.detach().clone().requires_grad_()
    other = optim.Adam([y], lr=0.7)
    other.load_state_dict(state)
    assert other.param_groups[0]["lr"] == 0.1
    run(optimizer, x, 3)
    run(other, y, 3)
    assert x.tolist() == y.tolist()
    assert state["state"][0]["step"].item() == 2.0


def test_state_dict_names_parameters_by_number() -> None:
    x, y = _parameter(1.0), _parameter(2.0)
    optimizer = optim.SGD([{"params": [x]}, {"params": [y]}], lr=0.1, momentum=0.9)
    y.grad = treadle.ones(1)
    optimizer.step()
    state = optimizer.state_dict()
    assert [group["params"] for group in state["param_groups"]] == [[0], [1]]
    assert list(state["state"]) == [1]


def test_hooks_run_around_a_step() -> None:
    x = _parameter(1.0)
    optimizer = optim.SGD([x], lr=0.1)
    calls: list[str] = []
    before = optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    optimizer.step()
    before.remove()
    optimizer.step()
    assert calls == ["before", "after", "after"]


def test_an_optimiser_prints_its_groups() -> None:
    optimizer = optim.SGD([_parameter(1.0)], lr=0.1)
    assert repr(optimizer) == (
        "SGD (\n"
        "Parameter Group 0\n"
        "    dampening: 0\n"
        "    differentiable: False\n"
        "    foreach: None\n"
        "    fused: None\n"
        "    lr: 0.1\n"
        "    maximize: False\n"
        "    momentum: 0\n"
        "    nesterov: False\n"
        "    weight_decay: 0\n"
        ")"
    )


ERRORS: list[Any] = [
    lambda t: t.optim.SGD([], lr=0.1),
    lambda t: t.optim.SGD(t.ones(2), lr=0.1),
    lambda t: t.optim.SGD([1.0], lr=0.1),
    lambda t: t.optim.SGD([{"params": {t.ones(1)}}], lr=0.1),
    lambda t: t.optim.SGD([t.ones(1, requires_grad=True) * 2], lr=0.1),
    lambda t: t.optim.SGD([t.ones(1)], lr=-1.0),
    lambda t: t.optim.SGD([t.ones(1)], lr=0.1, momentum=-1.0),
    lambda t: t.optim.SGD([t.ones(1)], lr=0.1, weight_decay=-1.0),
    lambda t: t.optim.SGD([t.ones(1)], lr=0.1, nesterov=True),
    lambda t: t.optim.Adam([t.ones(1)], betas=(1.0, 0.5)),
    lambda t: t.optim.Adam([t.ones(1)], betas=(0.5, -0.5)),
    lambda t: t.optim.Adam([t.ones(1)], eps=-1.0),
    lambda t: t.optim.Adam([t.ones(1)], lr=-1.0),
    lambda t: t.optim.Adam([t.ones(1)], weight_decay=-1.0),
    lambda t: t.optim.Adam([t.ones(1)], foreach=True, fused=True),
    lambda t: t.optim.SGD([t.ones(1)]).load_state_dict({"param_groups": [], "state": {}}),
    lambda t: t.optim.SGD([t.ones(1)]).load_state_dict(
        {"param_groups": [{"params": [0, 1]}], "state": {}}
    ),
]


@pytest.mark.oracle
@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_bad_input_raises_what_pytorch_raises(number: int) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    with pytest.raises(Exception) as expected:
        ERRORS[number](torch)
    with pytest.raises(expected.type) as found:
        ERRORS[number](treadle)
    assert str(found.value) == str(expected.value)


def test_a_parameter_in_two_groups_is_an_error() -> None:
    x = _parameter(1.0)
    optimizer = optim.SGD([x], lr=0.1)
    with pytest.raises(ValueError, match="some parameters appear in more than one parameter group"):
        optimizer.add_param_group({"params": [x]})
