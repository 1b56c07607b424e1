"""Stochastic gradient descent with momentum.

The formulas are PyTorch's: the momentum buffer does not contain the learning rate.
"""

from __future__ import annotations

from typing import Any

from treadle.ir import build as b
from treadle.ir.value import Value
from treadle.operation import update
from treadle.optim.optimizer import (
    Closure,
    Optimizer,
    Params,
    check_implementation,
    check_rate,
    zeros_like_parameter,
)
from treadle.tensor import Tensor


def _direction(param: Value, grad: Value, weight_decay: float, maximize: bool) -> Value:
    direction = -grad if maximize else grad
    return direction + param * weight_decay if weight_decay else direction


@update(mutates=1)
def _sgd(param: Value, grad: Value, lr: Value, weight_decay: float, maximize: bool) -> Value:
    direction = _direction(param, grad, weight_decay, maximize)
    return param - direction * b.cast(lr, param.dtype)


@update(mutates=2)
def _sgd_momentum(
    param: Value,
    buffer: Value,
    grad: Value,
    lr: Value,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
    first: bool,
) -> tuple[Value, Value]:
    direction = _direction(param, grad, weight_decay, maximize)
    # The first step takes the gradient undamped.
    buffer = direction if first else buffer * momentum + direction * (1.0 - dampening)
    direction = direction + buffer * momentum if nesterov else buffer
    return param - direction * b.cast(lr, param.dtype), buffer


class SGD(Optimizer):
    """param -= lr * v with v = momentum * v + (1 - dampening) * gradient.

    Args:
        params: see ``Optimizer``.
        lr: learning rate.
        momentum: share of the buffer that is kept.
        dampening: share of the gradient that is left out of the buffer.
        weight_decay: multiple of the parameter that is added to the gradient.
        nesterov: steps along gradient + momentum * buffer.
        maximize: climbs instead of descending.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_rate(lr)
        if momentum < 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if weight_decay < 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        check_implementation(foreach, fused, differentiable)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def step(self, closure: Closure | None = None) -> Any:
        """Updates every parameter that has a gradient; returns ``closure()``."""
        loss = self._loss(closure)
        for number, group in enumerate(self.param_groups):
            lr = self._scalar(number, "lr")
            options = float(group["weight_decay"]), bool(group["maximize"])
            for param in group["params"]:
                if param.grad is None:
                    continue
                if group["momentum"] == 0:
                    _sgd(param, param.grad, lr, *options)
                else:
                    self._step_with_momentum(param, lr, group, *options)
        return loss

    def _step_with_momentum(
        self,
        param: Tensor,
        lr: Tensor,
        group: dict[str, Any],
        decay: float,
        maximize: bool,
    ) -> None:
        momentum, dampening = float(group["momentum"]), float(group["dampening"])
        state = self.state[param]
        first = state.get("momentum_buffer") is None
        if first:
            state["momentum_buffer"] = zeros_like_parameter(param)
        # Without dampening a buffer of zeros gives the first step, and one program serves all.
        _sgd_momentum(
            param, state["momentum_buffer"], param.grad, lr,
            momentum, dampening, decay, bool(group["nesterov"]), maximize,
            first and dampening != 0.0,
        )  # fmt: skip
