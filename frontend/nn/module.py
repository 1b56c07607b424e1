"""``Module``: the base class of every layer and model, as in PyTorch.

Modes, conversion and printing are here; the tree, calls and states are its three bases.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import treadle
from treadle.ir.types import DType
from treadle.nn.module_call import ModuleCall
from treadle.nn.module_state import ModuleState
from treadle.nn.parameter import Parameter
from treadle.tensor import Tensor
from treadle.utils.hooks import HookDict

ModuleT = TypeVar("ModuleT", bound="Module")


class Module(ModuleCall, ModuleState):
    """Base class of layers and models: subclass it, assign layers, define ``forward``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Makes an empty module in training mode; takes no arguments."""
        name = type(self).__name__
        if kwargs:
            raise TypeError(
                f"{name}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'"
            )
        if args:
            raise TypeError(
                f"{name}.__init__() takes 1 positional argument but {len(args) + 1} were given"
            )
        self.__dict__.update(
            training=True,
            _parameters={},
            _buffers={},
            _modules={},
            _non_persistent_buffers_set=set(),
            _forward_hooks=HookDict(),
            _forward_hooks_with_kwargs=HookDict(),
            _forward_hooks_always_called=HookDict(),
            _forward_pre_hooks=HookDict(),
            _forward_pre_hooks_with_kwargs=HookDict(),
            _state_dict_hooks=HookDict(),
            _state_dict_pre_hooks=HookDict(),
            _load_state_dict_pre_hooks=HookDict(),
            _load_state_dict_post_hooks=HookDict(),
        )

    # -- modes -------------------------------------------------------------------------------

    def train(self: ModuleT, mode: bool = True) -> ModuleT:
        """Sets training mode (or evaluation mode) for this module and all below it."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def eval(self: ModuleT) -> ModuleT:
        """Sets evaluation mode: the same as ``train(False)``."""
        return self.train(False)

    def requires_grad_(self: ModuleT, requires_grad: bool = True) -> ModuleT:
        """Sets whether gradients are recorded for every parameter."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets every parameter's gradient, or sets it to zero."""
        for parameter in self.parameters():
            clear_gradient(parameter, set_to_none)

    # -- conversion --------------------------------------------------------------------------

    def apply(self: ModuleT, fn: Callable[[Any], None]) -> ModuleT:
        """Calls ``fn`` on every module below this one, then on this one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def _apply(self: ModuleT, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> ModuleT:
        """Replaces the data of every parameter, gradient and buffer by ``fn`` of it."""
        if recurse:
            for child in self.children():
                child._apply(fn)
        with treadle.no_grad():
            for parameter in self._parameters.values():
                if parameter is None:
                    continue
                # The parameter stays the same object, so that optimisers keep their hold of it.
                gradient = parameter.grad
                parameter.grad = None
                parameter.data = fn(parameter.data)
                if gradient is not None:
                    parameter.grad = fn(gradient.data)
            for name, buffer in self._buffers.items():
                if buffer is not None:
                    self._buffers[name] = fn(buffer)
        return self

    def to(self: ModuleT, *args: Any, **kwargs: Any) -> ModuleT:
        """Moves to a device, or converts floating point tensors to a dtype, in place.

        Takes ``to(device, dtype, non_blocking)``, ``to(dtype)`` or ``to(tensor)``.
        """
        device, dtype = parse_to(*args, **kwargs)
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                "nn.Module.to only accepts floating point or complex dtypes, but got desired "
                f"dtype={dtype}"
            )

        def convert(tensor: Tensor) -> Tensor:
            options: dict[str, Any] = {} if device is None else {"device": device}
            if dtype is not None and tensor.is_floating_point():
                options["dtype"] = dtype
            return tensor.to(**options) if options else tensor

        return self._apply(convert)

    def type(self: ModuleT, dst_type: Any) -> ModuleT:
        """Converts every parameter and buffer to a dtype."""
        return self._apply(lambda tensor: tensor.to(dtype=dst_type))

    def _floating(self: ModuleT, name: str) -> ModuleT:
        return self._apply(
            lambda tensor: getattr(tensor, name)() if tensor.is_floating_point() else tensor
        )

    def float(self: ModuleT) -> ModuleT:
        """Converts floating point tensors to float32."""
        return self._floating("float")

    def double(self: ModuleT) -> ModuleT:
        """Converts floating point tensors to float64."""
        return self._floating("double")

    def half(self: ModuleT) -> ModuleT:
        """Converts floating point tensors to float16."""
        return self._floating("half")

    def bfloat16(self: ModuleT) -> ModuleT:
        """Converts floating point tensors to bfloat16."""
        return self._floating("bfloat16")

    def cpu(self: ModuleT) -> ModuleT:
        """Moves to the CPU."""
        return self._apply(lambda tensor: tensor.cpu())

    def cuda(self: ModuleT, device: Any = None) -> ModuleT:
        """Moves to a CUDA device, the current one by default."""
        return self._apply(lambda tensor: tensor.cuda(device))

    # -- printing ----------------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What subclasses add to their printed form."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        extra_lines = extra.split("\n") if extra else []
        child_lines = [f"({name}): {_indent(child)}" for name, child in self._modules.items()]
        if len(extra_lines) == 1 and not child_lines:
            return f"{self._get_name()}({extra})"
        lines = extra_lines + child_lines
        body = "\n  " + "\n  ".join(lines) + "\n" if lines else ""
        return f"{self._get_name()}({body})"


def _indent(child: object) -> str:
    return repr(child).replace("\n", "\n  ")


def clear_gradient(parameter: Parameter | Tensor, set_to_none: bool) -> None:
    """Forgets a gradient, or cuts it from its graph and sets it to zero."""
    gradient = parameter.grad
    if gradient is None:
        return
    if set_to_none:
        parameter.grad = None
        return
    if gradient.grad_fn is not None:
        gradient.detach_()
    else:
        gradient.requires_grad_(False)
    gradient.zero_()


def parse_to(
    *args: Any,
    device: Any = None,
    dtype: DType | None = None,
    non_blocking: bool = False,
    tensor: Tensor | None = None,
    copy: bool = False,
) -> tuple[Any, DType | None]:
    """(device, dtype) out of the arguments of ``to``; either can be None.

    ``non_blocking`` and ``copy`` are hints here: copies are recorded, so none blocks.
    """
    if tensor is not None:
        args = (tensor, *args)
    for value in args:
        if isinstance(value, Tensor):
            device, dtype = value.device, value.dtype
        elif isinstance(value, DType):
            dtype = value
        elif not isinstance(value, bool) and value is not None:
            device = value
    return device, dtype
