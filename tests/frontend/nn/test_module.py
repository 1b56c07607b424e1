"""``Module`` keeps parameters, buffers and children as PyTorch does, with its errors."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import treadle
from treadle import nn


def network(library: Any) -> Any:
    """A small tree of modules with a buffer, built with either library."""
    net = library.nn.Sequential(
        library.nn.Linear(2, 3),
        library.nn.Sequential(library.nn.ReLU(), library.nn.Linear(3, 1)),
    )
    net.register_buffer("scale", library.ones(2))
    net[1].register_buffer("hidden", library.zeros(1), persistent=False)
    return net


class Doubler(nn.Module):
    def forward(self, x: Any, extra: float = 0.0) -> Any:
        return x * 2 + extra


@pytest.mark.oracle
def test_names_come_in_pytorchs_order() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    ours, theirs = network(treadle), network(torch)
    for method in (
        "named_parameters",
        "named_modules",
        "named_children",
        "named_buffers",
    ):
        names = [[name for name, _ in getattr(net, method)()] for net in (ours, theirs)]
        assert names[0] == names[1], method
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert repr(ours) == repr(theirs)


def test_shared_modules_and_parameters_are_listed_once() -> None:
    layer = nn.Linear(2, 2)
    net = nn.Sequential(layer, layer)
    assert len(list(net.parameters())) == 2
    assert len(list(net.named_parameters(remove_duplicate=False))) == 4
    assert len(list(net.modules())) == 2
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_assignment_registers_and_reassignment_moves() -> None:
    module = nn.Module()
    module.thing = nn.Parameter(treadle.ones(1))
    assert list(dict(module.named_parameters())) == ["thing"]
    module.thing = None
    assert list(module.parameters()) == []
    del module.thing
    module.thing = nn.Linear(1, 1)
    assert [name for name, _ in module.named_children()] == ["thing"]
    module.thing = nn.Parameter(treadle.ones(1))
    assert [name for name, _ in module.named_children()] == []
    module.plain = 3
    del module.plain
    assert not hasattr(module, "plain")


class Unready:
    """Assigns before ``Module.__init__``; built for either library."""

    def __new__(cls, library: Any, value: Any) -> Any:
        class Early(library.nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                self.thing = value

        return Early()


def _assign(module: Any, name: str, value: Any) -> None:
    setattr(module, name, value)


ERRORS: list[Any] = [
    lambda t: t.nn.Linear(2, 3).missing,
    lambda t: _assign(t.nn.Linear(2, 3), "weight", 3),
    lambda t: _assign(t.nn.Linear(2, 3), "weight", t.ones(3)),
    lambda t: _assign(t.nn.Linear(2, 3), "weight", t.nn.ReLU()) if t is treadle else _torch_name(t),
    lambda t: _assign(t.nn.Sequential(t.nn.ReLU()), "0", "text"),
    lambda t: _assign(network(t), "scale", 3),
    lambda t: Unready(t, t.nn.Parameter(t.ones(1))),
    lambda t: Unready(t, t.nn.Linear(1, 1)),
    lambda t: t.nn.Module().register_parameter("a.b", None),
    lambda t: t.nn.Module().register_parameter("", None),
    lambda t: t.nn.Module().register_parameter(3, None),
    lambda t: t.nn.Module().register_parameter("train", None),
    lambda t: t.nn.Module().register_parameter("x", t.ones(1)),
    lambda t: t.nn.Module().register_parameter("x", 3),
    lambda t: t.nn.Module().register_buffer("a.b", None),
    lambda t: t.nn.Module().register_buffer("x", 3),
    lambda t: t.nn.Module().add_module("a.b", None),
    lambda t: t.nn.Module().add_module("", None),
    lambda t: t.nn.Module().add_module("x", 3),
    lambda t: t.nn.Module().add_module("train", None),
    lambda t: t.nn.Module()(1),
    lambda t: t.nn.Module(3),
    lambda t: t.nn.Module(x=3),
    lambda t: t.nn.Linear(1, 1).train("yes"),
    lambda t: t.nn.Linear(1, 1).to(t.int64),
    lambda t: t.nn.Linear(1, 1).get_submodule("x"),
    lambda t: t.nn.Linear(1, 1).get_submodule("weight"),
    lambda t: t.nn.Linear(1, 1).get_parameter("in_features"),
    lambda t: t.nn.Linear(1, 1).get_buffer("weight"),
    lambda t: t.nn.Linear(2, 3).load_state_dict(3),
    lambda t: t.nn.Linear(2, 3).load_state_dict({}),
    lambda t: network(t).load_state_dict({"0.weight": t.ones(3, 3), "other.x": t.ones(1)}),
    lambda t: t.nn.Linear(2, 3).load_state_dict({"weight": 3, "bias": t.ones(4)}, strict=False),
    lambda t: t.nn.Sequential(t.nn.ReLU())[3],
    lambda t: t.nn.ModuleList([t.nn.ReLU()])[3],
    lambda t: t.nn.Dropout(2.0),
]


def _torch_name(torch: Any) -> None:
    # The class is named after its package; the rest of the message is PyTorch's.
    raise TypeError(
        "cannot assign 'treadle.nn.modules.activation.ReLU' as parameter 'weight' "
        "(torch.nn.Parameter or None expected)"
    )


@pytest.mark.oracle
@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_bad_input_raises_what_pytorch_raises(number: int) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    with pytest.raises(Exception) as expected:
        ERRORS[number](torch)
    with pytest.raises(expected.type) as found:
        ERRORS[number](treadle)
    assert str(found.value) == str(expected.value)


def test_a_state_loads_into_an_equal_module() -> None:
    first, second = network(treadle), network(treadle)
    result = second.load_state_dict(first.state_dict())
    assert repr(result) == "<All keys matched successfully>"
    for ours, theirs in zip(first.parameters(), second.parameters(), strict=True):
        assert ours.tolist() == theirs.tolist()
        assert ours is not theirs
    partial = second.load_state_dict({"0.bias": treadle.zeros(3), "x": 1}, strict=False)
    assert partial.unexpected_keys == ["x"]
    assert "0.weight" in partial.missing_keys
    assert second[0].bias.tolist() == [0.0, 0.0, 0.0]


def test_a_state_can_be_assigned() -> None:
    layer = nn.Linear(1, 1, bias=False)
    weight = treadle.ones(1, 1, dtype=treadle.float64)
    layer.load_state_dict({"weight": weight}, assign=True)
    assert layer.weight.dtype == treadle.float64
    assert isinstance(layer.weight, nn.Parameter)
    assert layer.weight.requires_grad


def test_modes_and_requires_grad_reach_every_module() -> None:
    net = network(treadle)
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net.train()
    assert all(module.training for module in net.modules())
    net.requires_grad_(False)
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_conversion_keeps_the_parameter_objects() -> None:
    net = network(treadle)
    before = list(net.parameters())
    before[0].grad = treadle.ones(3, 2)
    assert net.double() is net
    assert all(a is c for a, c in zip(before, net.parameters(), strict=True))
    assert before[0].dtype == treadle.float64
    assert before[0].grad.dtype == treadle.float64
    assert net.scale.dtype == treadle.float64
    net.to(treadle.float32)
    assert before[0].dtype == treadle.float32
    net.to("cpu", dtype=treadle.float64)
    assert before[0].dtype == treadle.float64
    net.to(treadle.ones(1))
    assert before[0].dtype == treadle.float32


def test_zero_grad_forgets_gradients() -> None:
    layer = nn.Linear(2, 1)
    layer(treadle.ones(1, 2)).sum().backward()
    assert layer.weight.grad.tolist() == [[1.0, 1.0]]
    layer.zero_grad(set_to_none=False)
    assert layer.weight.grad.tolist() == [[0.0, 0.0]]
    layer.zero_grad()
    assert layer.weight.grad is None


def test_apply_visits_children_first() -> None:
    names: list[str] = []
    network(treadle).apply(lambda module: names.append(type(module).__name__))
    assert names == ["Linear", "ReLU", "Linear", "Sequential", "Sequential"]


def test_hooks_see_and_replace_arguments_and_results() -> None:
    module = Doubler()
    one = treadle.ones(1)
    handles = [
        module.register_forward_pre_hook(lambda m, args: (args[0] + 1,)),
        module.register_forward_hook(lambda m, args, out: out * 10),
        module.register_forward_pre_hook(
            lambda m, args, kwargs: (args, {"extra": 0.5}), with_kwargs=True
        ),
        module.register_forward_hook(
            lambda m, args, kwargs, out: out + kwargs["extra"],
            with_kwargs=True,
            prepend=True,
        ),
    ]
    assert module(one).tolist() == [50.0]
    for handle in handles:
        handle.remove()
    assert module(one).tolist() == [2.0]
    with module.register_forward_hook(lambda m, args, out: None):
        assert module(one).tolist() == [2.0]
    assert not module._forward_hooks


def test_a_hook_can_ask_to_run_when_the_forward_raises() -> None:
    module = nn.Linear(2, 2)
    seen: list[Any] = []
    module.register_forward_hook(lambda m, args, out: seen.append(out), always_call=True)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        module(treadle.ones(1, 3))
    assert seen == [None]


def test_global_hooks_run_for_every_module() -> None:
    from treadle.nn.module_call import register_module_forward_hook

    seen: list[str] = []
    with register_module_forward_hook(lambda m, args, out: seen.append(type(m).__name__)):
        network(treadle)(treadle.ones(1, 2))
    assert seen == ["Linear", "ReLU", "Linear", "Sequential", "Sequential"]


def test_only_an_outermost_call_without_gradients_is_a_boundary(
    monkeypatch: Any,
) -> None:
    from treadle.nn import module_call

    boundaries: list[int] = []
    monkeypatch.setattr(module_call, "evaluation_boundary", lambda: boundaries.append(1))
    net, x = network(treadle), treadle.ones(1, 2)
    net(x)
    assert not boundaries
    with treadle.no_grad():
        net(x)
        assert len(boundaries) == 1
        with pytest.raises(RuntimeError):
            net(treadle.ones(1, 5))
        net(x)
    assert len(boundaries) == 2


def test_modules_can_be_copied_and_pickled() -> None:
    net = network(treadle)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert isinstance(other[0].weight, nn.Parameter)
        assert other[0].weight.tolist() == net[0].weight.tolist()
        assert other[0].weight is not net[0].weight
        with treadle.no_grad():
            other[0].weight.zero_()
        assert net[0].weight.abs().sum().item() > 0


def test_parameters_print_as_such() -> None:
    text = repr(nn.Parameter(treadle.ones(2)))
    assert text == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"
    assert not nn.Parameter(treadle.ones(2), requires_grad=False).requires_grad


def test_functions_of_parameters_are_plain_tensors() -> None:
    parameter = nn.Parameter(treadle.ones(2))
    assert type(parameter * 2) is treadle.Tensor
    assert type(parameter.detach()) is treadle.Tensor
