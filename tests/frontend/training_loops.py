"""Training loops of the kinds that programs contain, written once for both libraries.

Each is a function of the library that returns a step and what it trains; nothing is checked here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

BATCH, INPUTS, HIDDEN, OUTPUTS = 8, 12, 6, 3


@dataclass(frozen=True)
class Loop:
    """One training loop.

    Attributes:
        step: runs one iteration; returns its loss as a tensor.
        parameters: what it trains.
    """

    step: Callable[[], Any]
    parameters: list[Any]


def arrays(seed: int = 0) -> tuple[Any, Any, Any, Any]:
    """Inputs, targets and two weight matrices, the same for both libraries."""
    random = np.random.default_rng(seed)
    shapes = ((BATCH, INPUTS), (BATCH, OUTPUTS), (INPUTS, HIDDEN), (HIDDEN, OUTPUTS))
    x, y, first, second = (random.standard_normal(s).astype(np.float32) for s in shapes)
    return x, y, first * 0.3, second * 0.3


def plain_tensors(torch: Any) -> Loop:
    """Hand-written update under ``no_grad``."""
    x, y = (torch.tensor(array) for array in arrays()[:2])
    first, second = (torch.tensor(array, requires_grad=True) for array in arrays()[2:])

    def step() -> Any:
        loss = (x.mm(first).clamp(min=0).mm(second) - y).pow(2).sum()
        loss.backward()
        with torch.no_grad():
            for weight in (first, second):
                weight -= 1e-2 * weight.grad
                weight.grad.zero_()
        return loss

    return Loop(step, [first, second])


def gradients_set_to_none(torch: Any) -> Loop:
    """Hand-written update that replaces gradients instead of clearing them."""
    x, y = (torch.tensor(array) for array in arrays()[:2])
    first, second = (torch.tensor(array, requires_grad=True) for array in arrays()[2:])

    def step() -> Any:
        loss = (x.mm(first).relu().mm(second) - y).pow(2).mean()
        loss.backward()
        with torch.no_grad():
            for weight in (first, second):
                weight -= 1e-1 * weight.grad
                weight.grad = None
        return loss

    return Loop(step, [first, second])


def data_attribute(torch: Any) -> Loop:
    """Update through ``.data``, as older programs write it."""
    x, y = (torch.tensor(array) for array in arrays()[:2])
    first, second = (torch.tensor(array, requires_grad=True) for array in arrays()[2:])

    def step() -> Any:
        loss = (x.mm(first).tanh().mm(second) - y).pow(2).sum()
        loss.backward()
        for weight in (first, second):
            weight.data -= 1e-2 * weight.grad.data
            weight.grad.data.zero_()
        return loss

    return Loop(step, [first, second])


def custom_function(torch: Any) -> Loop:
    """A ReLU with a backward of its own."""

    class Relu(torch.autograd.Function):  # type: ignore[misc,name-defined]
        @staticmethod
        def forward(ctx: Any, input: Any) -> Any:
            ctx.save_for_backward(input)
            return input.clamp(min=0)

        @staticmethod
        def backward(ctx: Any, grad_output: Any) -> Any:
            (input,) = ctx.saved_tensors
            grad_input = grad_output.clone()
            grad_input[input < 0] = 0
            return grad_input

    x, y = (torch.tensor(array) for array in arrays()[:2])
    first, second = (torch.tensor(array, requires_grad=True) for array in arrays()[2:])

    def step() -> Any:
        loss = (Relu.apply(x.mm(first)).mm(second) - y).pow(2).sum()
        loss.backward()
        with torch.no_grad():
            for weight in (first, second):
                weight -= 1e-2 * weight.grad
                weight.grad.zero_()
        return loss

    return Loop(step, [first, second])


def _network(torch: Any, *between: Any) -> Any:
    first, second = arrays()[2:]
    network = torch.nn.Sequential(
        torch.nn.Linear(INPUTS, HIDDEN), torch.nn.ReLU(), *between, torch.nn.Linear(HIDDEN, OUTPUTS)
    )
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor(first.T.copy()))
        network[-1].weight.copy_(torch.tensor(second.T.copy()))
        network[0].bias.zero_()
        network[-1].bias.fill_(0.5)
    return network


def _with_optimizer(torch: Any, network: Any, optimizer: Any) -> Loop:
    x, y = (torch.tensor(array) for array in arrays()[:2])
    criterion = torch.nn.MSELoss(reduction="sum")

    def step() -> Any:
        loss = criterion(network(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return Loop(step, list(network.parameters()))


def sequential_sgd(torch: Any) -> Loop:
    """``nn.Sequential`` with ``optim.SGD``."""
    network = _network(torch)
    return _with_optimizer(torch, network, torch.optim.SGD(network.parameters(), lr=1e-2))


def momentum(torch: Any) -> Loop:
    """SGD with momentum."""
    network = _network(torch)
    optimizer = torch.optim.SGD(network.parameters(), lr=5e-3, momentum=0.9)
    return _with_optimizer(torch, network, optimizer)


def adam(torch: Any) -> Loop:
    """Adam, whose correction changes with the step."""
    network = _network(torch)
    return _with_optimizer(torch, network, torch.optim.Adam(network.parameters(), lr=1e-2))


def zeroed_in_place(torch: Any) -> Loop:
    """Gradients that are zeroed in place and not dropped."""
    network = _network(torch)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-2)
    x, y = (torch.tensor(array) for array in arrays()[:2])

    def step() -> Any:
        optimizer.zero_grad(set_to_none=False)
        loss = torch.nn.functional.mse_loss(network(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return Loop(step, list(network.parameters()))


def new_batches(torch: Any) -> Loop:
    """A new batch and integer targets every step, as from a DataLoader."""
    network = _network(torch)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    criterion = torch.nn.CrossEntropyLoss()
    random = np.random.default_rng(3)

    def step() -> Any:
        x = torch.from_numpy(random.standard_normal((BATCH, INPUTS)).astype(np.float32))
        target = torch.tensor(random.integers(0, OUTPUTS, BATCH))
        optimizer.zero_grad()
        loss = criterion(network(x), target)
        loss.backward()
        optimizer.step()
        return loss

    return Loop(step, list(network.parameters()))


def accumulation(torch: Any) -> Loop:
    """Gradients of two halves of a batch, added up before the update."""
    network = _network(torch)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-2)
    x, y = (torch.tensor(array) for array in arrays()[:2])

    def step() -> Any:
        optimizer.zero_grad()
        half = BATCH // 2
        for part in (slice(0, half), slice(half, BATCH)):
            loss = torch.nn.functional.mse_loss(network(x[part]), y[part])
            loss.backward()
        optimizer.step()
        return loss

    return Loop(step, list(network.parameters()))


def dropout(torch: Any) -> Loop:
    """Random numbers inside the step."""
    network = _network(torch, torch.nn.Dropout(0.5))
    return _with_optimizer(torch, network, torch.optim.SGD(network.parameters(), lr=1e-3))


SAME_AS_TORCH = (
    plain_tensors,
    gradients_set_to_none,
    data_attribute,
    custom_function,
    sequential_sgd,
    momentum,
    adam,
    zeroed_in_place,
    new_batches,
    accumulation,
)
ALL = (*SAME_AS_TORCH, dropout)
