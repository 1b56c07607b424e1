"""Subclasses of tensors: results keep their type, and ``__torch_function__`` sees every call."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

import treadle as torch


class Kept(torch.Tensor):
    """A subclass with nothing of its own."""


class Logged(torch.Tensor):
    """A subclass that notes which functions its tensors go through."""

    calls: ClassVar[list[str]] = []

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        cls.calls.append(func.__name__)
        return super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[misc]


RESULTS = {
    "operator": lambda s: s + 1,
    "reflected operator": lambda s: 1 - s,
    "plain tensor on the left": lambda s: torch.ones(2) * s,
    "method": lambda s: s.sum(),
    "view": lambda s: s[0],
    "transpose": lambda s: s.T,
    "function": lambda s: torch.add(s, 1),
    "function of several": lambda s: torch.cat([s, torch.ones(1)]),
    "functional": lambda s: torch.nn.functional.relu(s),
    "in place": lambda s: s.add_(1),
    "data": lambda s: s.data,
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_keep_the_type_of_a_subclass(name: str) -> None:
    assert type(RESULTS[name](Kept([1.0, 2.0]))) is Kept


def test_named_tuples_keep_theirs_and_their_parts_are_of_the_subclass() -> None:
    found = Kept([1.0, 2.0]).max(0)
    assert type(found.values) is Kept
    assert found.indices.item() == 1


def test_gradients_flow_through_a_subclass() -> None:
    x = torch.ones(2, requires_grad=True)
    (x.as_subclass(Kept) * 3).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_a_subclass_sees_its_functions() -> None:
    Logged.calls.clear()
    x = torch.ones(2).as_subclass(Logged)
    torch.add(x, 1)
    x.sub(1)
    x * 2
    assert Logged.calls == ["add", "sub", "mul"]


def test_a_function_of_the_namespace_is_found_in_a_table_of_overrides() -> None:
    class Own(torch.Tensor):
        handled: ClassVar[Any] = {torch.mean: lambda x: "mine"}

        @classmethod
        def __torch_function__(
            cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func in cls.handled:
                return cls.handled[func](*args)
            return super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[misc]

    assert torch.mean(torch.ones(2).as_subclass(Own)) == "mine"
    assert type(torch.sum(torch.ones(2).as_subclass(Own))) is Own


def test_a_subclass_prints_its_name_and_parameters_do_not() -> None:
    assert repr(Kept([1.0])) == "Kept([1.])"
    assert repr(torch.nn.Parameter(torch.ones(1))).endswith("tensor([1.], requires_grad=True)")


def test_results_on_parameters_are_plain_tensors() -> None:
    assert type(torch.nn.Parameter(torch.ones(1)) * 2) is torch.Tensor


def test_a_type_that_refuses_is_an_error() -> None:
    class Refusing(torch.Tensor):
        @classmethod
        def __torch_function__(
            cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            return NotImplemented

    with pytest.raises(TypeError, match="no implementation found for"):
        torch.add(Refusing([1.0]), 1)


def test_what_is_computed_from_parameters_are_plain_tensors() -> None:
    layer = torch.nn.Linear(2, 2)
    for found in (layer(torch.ones(1, 2)), layer.weight * 2, torch.add(layer.weight, 1)):
        assert type(found) is torch.Tensor
