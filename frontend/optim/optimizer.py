"""``Optimizer``: parameter groups, their state, and saving both.

The updates themselves are in each algorithm's file; they are recorded like any other operation.
"""

from __future__ import annotations

import functools
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any, TypeAlias

import numpy as np

import treadle
from treadle.ir.types import Device, DType, float64
from treadle.nn.module import clear_gradient
from treadle.operation import runtime_scalar
from treadle.tensor import Tensor, from_array
from treadle.utils.hooks import HookDict, RemovableHandle
from treadle.utils.typename import typename

Params: TypeAlias = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
Closure: TypeAlias = Callable[[], Any]


class _Required:
    """Marks an option without default."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


class Optimizer:
    """Base class of optimisers.

    Args:
        params: tensors, (name, tensor) pairs, or dictionaries with a group's tensors under
            "params" and its options.
        defaults: options of groups that do not set them.

    Attributes:
        param_groups: a dictionary for each group: "params" and the options.
        state: for each parameter, what the algorithm remembers.
    """

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self._step_pre_hooks = HookDict()
        self._step_post_hooks = HookDict()
        self._scalars: dict[tuple[int, str], tuple[float, Tensor]] = {}
        _hook_step(type(self))
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or "
                "dicts, but got " + typename(params)
            )
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __getstate__(self) -> dict[str, Any]:
        return {
            "defaults": self.defaults,
            "state": self.state,
            "param_groups": self.param_groups,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._step_pre_hooks = HookDict()
        self._step_post_hooks = HookDict()
        self._scalars = {}
        _hook_step(type(self))

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for number, group in enumerate(self.param_groups):
            text += f"\nParameter Group {number}\n"
            for name in sorted(group):
                if name != "params":
                    text += f"    {name}: {group[name]}\n"
        return text + ")"

    # -- groups ------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group of parameters with its own options."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, Tensor):
            params = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the "
                "ordering of tensors in sets will change between runs. Please use a list instead."
            )
        params = list(params)
        named = [isinstance(entry, tuple) for entry in params]
        if any(named) and not all(named):
            raise ValueError(
                "all optimizer params should be with/without names. Some param names are missing"
            )
        if named and all(named):
            param_group["param_names"] = [name for name, _ in params]
            params = [tensor for _, tensor in params]
        param_group["params"] = params
        for param in params:
            if not isinstance(param, Tensor):
                raise TypeError(
                    "optimizer can only optimize Tensors, but one of the params is "
                    + typename(param)
                )
            if not param.is_leaf:
                raise ValueError("can't optimize a non-leaf Tensor")
        self._fill_options(param_group)
        identities = [id(param) for param in params]
        if len(identities) != len(set(identities)):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this "
                "will cause an error; see github.com/pytorch/pytorch/issues/40967 for more "
                "information",
                stacklevel=3,
            )
        known = {id(param) for group in self.param_groups for param in group["params"]}
        if not known.isdisjoint(identities):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)

    def _fill_options(self, param_group: dict[str, Any]) -> None:
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(
                    "parameter group didn't specify a value of required optimization parameter "
                    f"{name}"
                )
            param_group.setdefault(name, default)
        if self.param_groups:
            named = "param_names" in param_group
            if named != ("param_names" in self.param_groups[0]):
                kind = "with names" if named else "without names"
                raise ValueError(
                    "all optimizer param groups should be with/without names. cannot add param "
                    f"group {kind} to the optimizer"
                )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets every parameter's gradient, or sets it to zero."""
        for group in self.param_groups:
            for param in group["params"]:
                clear_gradient(param, set_to_none)

    # -- stepping ----------------------------------------------------------------------------

    def step(self, closure: Closure | None = None) -> Any:
        """Updates the parameters; each algorithm defines it."""
        raise NotImplementedError

    def _loss(self, closure: Closure | None) -> Any:
        """What ``closure`` returns, with gradients recorded; None without one."""
        if closure is None:
            return None
        with treadle.enable_grad():
            return closure()

    def _scalar(self, group_number: int, name: str) -> Tensor:
        """A group's option as a 0-d float64 tensor.

        A number that may change from step to step is an input of the compiled program, not a
        part of it, or each change would compile again.
        """
        value = self.param_groups[group_number][name]
        if isinstance(value, Tensor):
            return value
        key = (group_number, name)
        found = self._scalars.get(key)
        if found is None or found[0] != value:
            found = (value, runtime_scalar(float(value), float64))
            self._scalars[key] = found
        return found[1]

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Adds ``hook(optimizer, args, kwargs)`` before each step; it may return new ones."""
        handle = RemovableHandle(self._step_pre_hooks)
        self._step_pre_hooks[handle.id] = hook
        return handle

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Adds ``hook(optimizer, args, kwargs)`` after each step."""
        handle = RemovableHandle(self._step_post_hooks)
        self._step_post_hooks[handle.id] = hook
        return handle

    # -- saving ------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """{"state": by parameter number, "param_groups": options, with parameter numbers}."""
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for param in group["params"]:
                numbers.setdefault(id(param), len(numbers))
            packed = {name: value for name, value in group.items() if name != "params"}
            packed["params"] = [numbers[id(param)] for param in group["params"]]
            groups.append(packed)
        state = {
            numbers[id(key)] if isinstance(key, Tensor) else key: value
            for key, value in self.state.items()
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the options and copies the state of a ``state_dict``.

        Raises:
            ValueError: the groups differ in number or in size.
        """
        saved_groups = deepcopy(state_dict["param_groups"])
        if len(self.param_groups) != len(saved_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        pairs = list(zip(self.param_groups, saved_groups, strict=True))
        if any(len(own["params"]) != len(saved["params"]) for own, saved in pairs):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of "
                "optimizer's group"
            )
        owners = {
            number: param
            for own, saved in pairs
            for param, number in zip(own["params"], saved["params"], strict=True)
        }
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in owners:
                state[owners[key]] = _converted(owners[key], value, "")
            else:
                state[key] = value
        for own, saved in pairs:
            saved["params"] = own["params"]
            if "param_names" in own:
                saved.setdefault("param_names", own["param_names"])
        self.__setstate__({"state": state, "param_groups": [saved for _, saved in pairs]})


def _converted(param: Tensor, value: Any, name: str) -> Any:
    """A copy of loaded state in the parameter's dtype and on its device; steps keep float32."""
    if isinstance(value, Tensor):
        options: dict[str, Any] = {"device": param.device}
        if name != "step" and param.is_floating_point():
            options["dtype"] = param.dtype
        # A copy: the update is in place and must not reach into the loaded state.
        return value.detach().clone().to(**options)
    if isinstance(value, dict):
        return {key: _converted(param, entry, key) for key, entry in value.items()}
    return value


def _hook_step(kind: type[Optimizer]) -> None:
    """Wraps a class's ``step`` once, so that the hooks run around it."""
    step: Any = kind.step
    if getattr(step, "hooked", False):
        return

    @functools.wraps(step)
    def hooked_step(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        for hook in list(self._step_pre_hooks.values()):
            replaced = hook(self, args, kwargs)
            if replaced is None:
                continue
            if not (isinstance(replaced, tuple) and len(replaced) == 2):
                raise RuntimeError(
                    f"{step} must return None or a tuple of (new_args, new_kwargs), "
                    f"but got {replaced}."
                )
            args, kwargs = replaced
        result = step(self, *args, **kwargs)
        for hook in list(self._step_post_hooks.values()):
            hook(self, args, kwargs)
        return result

    hooked_step.hooked = True  # type: ignore[attr-defined]
    kind.step = hooked_step  # type: ignore[method-assign]


def initial_zeros(shape: Sequence[int], dtype: DType, device: Device) -> Tensor:
    """State that starts at zero.

    In memory, not recorded: zeros known to the first step's program would make it another program
    than that of the steps that follow.
    """
    return from_array(np.zeros(tuple(shape), dtype.numpy), device)


def zeros_like_parameter(param: Tensor) -> Tensor:
    """State of a parameter's shape, dtype and device that starts at zero."""
    return initial_zeros(param.shape, param.dtype, param.device)


def check_rate(lr: Any) -> None:
    """ValueError in PyTorch's words for a learning rate below zero or with many elements."""
    if isinstance(lr, Tensor):
        if lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        lr = lr.item()
    # Written so that NaN is refused too.
    if not lr >= 0.0:
        raise ValueError(f"Invalid learning rate: {lr}")


def check_implementation(foreach: bool | None, fused: bool | None, differentiable: bool) -> None:
    """Refuses what cannot be combined. Each choice gives the same program: all is compiled."""
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    if differentiable:
        raise NotImplementedError(
            "differentiable=True is not supported: the update is not recorded for autograd"
        )
