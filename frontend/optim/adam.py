"""Adam and AdamW (Kingma and Ba, 2015; Loshchilov and Hutter, 2019; AMSGrad: Reddi et al., 2018).

The step count is a tensor that the update advances, so that one program serves every step.
"""

from __future__ import annotations

from typing import Any

from treadle.ir import build as b
from treadle.ir.types import float32, float64
from treadle.ir.value import Value
from treadle.operation import update
from treadle.optim.optimizer import (
    Closure,
    Optimizer,
    Params,
    check_implementation,
    check_rate,
    initial_zeros,
    zeros_like_parameter,
)
from treadle.tensor import Tensor


def _interpolated(start: Value, end: Value, weight: float) -> Value:
    """``start + weight * (end - start)``, from the nearer end, as PyTorch's ``lerp`` does."""
    if weight < 0.5:
        return start + (end - start) * weight
    return end - (end - start) * (1.0 - weight)


def _moments(
    param: Value,
    exp_avg: Value,
    exp_avg_sq: Value,
    step: Value,
    grad: Value,
    lr: Value,
    beta1: float,
    beta2: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> tuple[Value, Value, Value, Value, Value, Value]:
    """(decayed param, both moments, step, step size, root of the second bias correction)."""
    grad = -grad if maximize else grad
    step = step + 1.0
    # In float64: 1 - beta2 ** step loses four digits in float32 at the first steps.
    count, rate = b.cast(step, float64), b.cast(lr, float64)
    step_size = rate / (1.0 - b.pow(beta1, count))
    root = b.sqrt(1.0 - b.pow(beta2, count))
    if weight_decay and decoupled:
        param = param * b.cast(1.0 - rate * weight_decay, param.dtype)
    elif weight_decay:
        grad = grad + param * weight_decay
    exp_avg = _interpolated(exp_avg, grad, 1.0 - beta1)
    exp_avg_sq = exp_avg_sq * beta2 + grad * (1.0 - beta2) * grad
    dtype = param.dtype
    return (
        param,
        exp_avg,
        exp_avg_sq,
        step,
        b.cast(step_size, dtype),
        b.cast(root, dtype),
    )


@update(mutates=4)
def _adam(
    param: Value,
    exp_avg: Value,
    exp_avg_sq: Value,
    step: Value,
    grad: Value,
    lr: Value,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> tuple[Value, Value, Value, Value]:
    param, exp_avg, exp_avg_sq, step, step_size, root = _moments(
        param,
        exp_avg,
        exp_avg_sq,
        step,
        grad,
        lr,
        beta1,
        beta2,
        weight_decay,
        decoupled,
        maximize,
    )
    denominator = b.sqrt(exp_avg_sq) / root + eps
    return param - step_size * exp_avg / denominator, exp_avg, exp_avg_sq, step


@update(mutates=5)
def _adam_amsgrad(
    param: Value,
    exp_avg: Value,
    exp_avg_sq: Value,
    step: Value,
    max_exp_avg_sq: Value,
    grad: Value,
    lr: Value,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> tuple[Value, Value, Value, Value, Value]:
    param, exp_avg, exp_avg_sq, step, step_size, root = _moments(
        param,
        exp_avg,
        exp_avg_sq,
        step,
        grad,
        lr,
        beta1,
        beta2,
        weight_decay,
        decoupled,
        maximize,
    )
    largest = b.maximum(max_exp_avg_sq, exp_avg_sq)
    denominator = b.sqrt(largest) / root + eps
    return param - step_size * exp_avg / denominator, exp_avg, exp_avg_sq, step, largest


class Adam(Optimizer):
    """Steps along the mean gradient over the root of the mean squared gradient.

    Args:
        params: see ``Optimizer``.
        lr: learning rate.
        betas: decay of the two running means.
        eps: added to the denominator.
        weight_decay: multiple of the parameter that is added to the gradient.
        amsgrad: divides by the largest mean so far.
        maximize: climbs instead of descending.
        decoupled_weight_decay: shrinks the parameter itself instead, as AdamW does.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_rate(lr)
        if not eps >= 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        for index, beta in enumerate(betas):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {index}: {beta}")
        if not weight_decay >= 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        check_implementation(foreach, fused, differentiable)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def step(self, closure: Closure | None = None) -> Any:
        """Updates every parameter that has a gradient; returns ``closure()``."""
        loss = self._loss(closure)
        for number, group in enumerate(self.param_groups):
            lr = self._scalar(number, "lr")
            beta1, beta2 = group["betas"]
            options: dict[str, Any] = {
                "beta1": float(beta1),
                "beta2": float(beta2),
                "eps": float(group["eps"]),
                "weight_decay": float(group["weight_decay"]),
                "decoupled": bool(group["decoupled_weight_decay"]),
                "maximize": bool(group["maximize"]),
            }
            for param in group["params"]:
                if param.grad is None:
                    continue
                state = self._state_of(param, group["amsgrad"])
                means = state["exp_avg"], state["exp_avg_sq"], state["step"]
                if group["amsgrad"]:
                    largest = state["max_exp_avg_sq"]
                    _adam_amsgrad(param, *means, largest, param.grad, lr, **options)
                else:
                    _adam(param, *means, param.grad, lr, **options)
        return loss

    def _state_of(self, param: Tensor, amsgrad: bool) -> dict[str, Any]:
        state = self.state[param]
        if not state:
            state["step"] = initial_zeros((), float32, param.device)
            state["exp_avg"] = zeros_like_parameter(param)
            state["exp_avg_sq"] = zeros_like_parameter(param)
            if amsgrad:
                state["max_exp_avg_sq"] = zeros_like_parameter(param)
        return state


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameter itself, apart from the gradient."""

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize,
            capturable=capturable, differentiable=differentiable, fused=fused,
            decoupled_weight_decay=True,
        )  # fmt: skip
