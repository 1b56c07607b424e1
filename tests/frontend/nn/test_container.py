"""Containers behave and print as PyTorch's."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest

import treadle
from treadle import nn


def test_sequential_passes_its_input_through() -> None:
    net = nn.Sequential(nn.ReLU(), nn.Flatten(0))
    assert net(treadle.tensor([[-1.0, 2.0]])).tolist() == [0.0, 2.0]
    assert len(net) == 2


def test_sequential_can_be_indexed_sliced_and_changed() -> None:
    net = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid())
    assert isinstance(net[-1], nn.Sigmoid)
    assert [type(m).__name__ for m in net[1:]] == ["Tanh", "Sigmoid"]
    net.append(nn.ReLU()).insert(0, nn.GELU())
    assert [type(m).__name__ for m in net] == [
        "GELU",
        "ReLU",
        "Tanh",
        "Sigmoid",
        "ReLU",
    ]
    assert [name for name, _ in net.named_children()] == ["0", "1", "2", "3", "4"]
    net.extend([nn.Tanh()])
    net[0] = nn.Identity()
    del net[1:4]
    assert [type(m).__name__ for m in net] == ["Identity", "ReLU", "Tanh"]
    assert [name for name, _ in net.named_children()] == ["0", "1", "2"]
    assert isinstance(net.pop(1), nn.ReLU)
    assert len(net + nn.Sequential(nn.ReLU())) == 3


def test_sequential_takes_names() -> None:
    net = nn.Sequential(OrderedDict([("first", nn.ReLU()), ("second", nn.Tanh())]))
    assert isinstance(net.second, nn.Tanh)
    assert [name for name, _ in net[:1].named_children()] == ["first"]


def test_module_list_registers_its_modules() -> None:
    layers = nn.ModuleList([nn.Linear(1, 1) for _ in range(3)])
    layers.append(nn.ReLU())
    layers += [nn.Tanh()]
    layers.insert(0, nn.Sigmoid())
    assert isinstance(layers[0], nn.Sigmoid)
    assert len(list(layers.parameters())) == 6
    assert isinstance(layers[1:3], nn.ModuleList)
    del layers[0]
    assert isinstance(layers[-1], nn.Tanh)
    with pytest.raises(NotImplementedError, match='missing the required "forward" function'):
        layers(1)


def test_module_dict_registers_its_modules() -> None:
    parts = nn.ModuleDict({"a": nn.ReLU()})
    parts["b"] = nn.Linear(1, 1)
    parts.update([("c", nn.Tanh())])
    assert list(parts) == ["a", "b", "c"]
    assert "b" in parts
    assert len(list(parts.parameters())) == 2
    assert isinstance(parts.pop("a"), nn.ReLU)
    assert [name for name, _ in parts.items()] == ["b", "c"]
    parts.clear()
    assert len(parts) == 0


def _containers(t: Any) -> list[Any]:
    n = t.nn
    return [
        n.Sequential(),
        n.Sequential(n.Linear(2, 3), n.Sequential(n.ReLU(inplace=True), n.Dropout(0.1))),
        n.ModuleList(),
        n.ModuleList([n.Linear(1, 1), n.Linear(1, 1), n.ReLU(), n.Sequential(n.Tanh())]),
        n.ModuleDict({"a": n.LeakyReLU(0.2), "b": n.ELU(inplace=True), "c": n.GELU("tanh")}),
        n.Sequential(n.Softmax(dim=1), n.LogSoftmax(dim=0), n.Flatten(), n.Identity()),
        n.Sequential(n.SiLU(), n.Softplus(2), n.LogSigmoid(), n.L1Loss(), n.BCELoss()),
        n.ModuleList([n.MaxPool2d(3, 2, ceil_mode=True), n.AvgPool2d(2), n.Conv3d(1, 1, 2)]),
    ]


@pytest.mark.oracle
@pytest.mark.parametrize("number", range(8))
def test_containers_print_as_in_pytorch(number: int) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
    assert repr(_containers(treadle)[number]) == repr(_containers(torch)[number])
