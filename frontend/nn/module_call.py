"""Calling a module: forward hooks, pre-hooks, and the boundary after an outermost call.

Not the hooks of tensors and gradients; those belong to autograd.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import treadle
from treadle.tensor import evaluation_boundary
from treadle.utils.hooks import HookDict, RemovableHandle

Hook = Callable[..., Any]


class _Nesting(threading.local):
    """How many module calls are open in this thread."""

    depth = 0


_nesting = _Nesting()
_global_pre_hooks = HookDict()
_global_hooks = HookDict()


def register_module_forward_pre_hook(hook: Hook) -> RemovableHandle:
    """Adds ``hook(module, args)`` before the forward of every module."""
    handle = RemovableHandle(_global_pre_hooks)
    _global_pre_hooks[handle.id] = hook
    return handle


def register_module_forward_hook(hook: Hook) -> RemovableHandle:
    """Adds ``hook(module, args, output)`` after the forward of every module."""
    handle = RemovableHandle(_global_hooks)
    _global_hooks[handle.id] = hook
    return handle


def _forward_unimplemented(self: ModuleCall, *input: Any) -> Any:
    raise NotImplementedError(
        f'Module [{type(self).__name__}] is missing the required "forward" function'
    )


class ModuleCall:
    """What happens between ``module(x)`` and ``module.forward(x)``."""

    _forward_hooks: HookDict
    _forward_hooks_with_kwargs: dict[int, bool]
    _forward_hooks_always_called: dict[int, bool]
    _forward_pre_hooks: HookDict
    _forward_pre_hooks_with_kwargs: dict[int, bool]

    # Assigned, not defined: subclasses choose their own signature.
    forward: Callable[..., Any] = _forward_unimplemented

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the hooks and ``forward``."""
        nesting = _nesting
        nesting.depth += 1
        try:
            if self._forward_hooks or self._forward_pre_hooks or _global_hooks or _global_pre_hooks:
                result = self._call_with_hooks(args, kwargs)
            else:
                result = self.forward(*args, **kwargs)
        finally:
            nesting.depth -= 1
        # An inference loop never calls backward or an optimiser: here its iteration ends.
        if nesting.depth == 0 and not treadle.is_grad_enabled():
            evaluation_boundary()
        return result

    def register_forward_pre_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Adds ``hook(module, args)``, whose result other than None replaces the arguments.

        With ``with_kwargs`` it is ``hook(module, args, kwargs)`` and replaces both.
        """
        handle = RemovableHandle(self._forward_pre_hooks, self._forward_pre_hooks_with_kwargs)
        self._forward_pre_hooks[handle.id] = hook
        if with_kwargs:
            self._forward_pre_hooks_with_kwargs[handle.id] = True
        if prepend:
            self._forward_pre_hooks.move_to_front(handle.id)
        return handle

    def register_forward_hook(
        self,
        hook: Hook,
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Adds ``hook(module, args, output)``, whose result other than None replaces the output.

        With ``with_kwargs`` it is ``hook(module, args, kwargs, output)``. With ``always_call`` it
        also runs, with output None, when the forward raises.
        """
        handle = RemovableHandle(
            self._forward_hooks,
            self._forward_hooks_with_kwargs,
            self._forward_hooks_always_called,
        )
        self._forward_hooks[handle.id] = hook
        if with_kwargs:
            self._forward_hooks_with_kwargs[handle.id] = True
        if always_call:
            self._forward_hooks_always_called[handle.id] = True
        if prepend:
            self._forward_hooks.move_to_front(handle.id)
        return handle

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        called: set[int] = set()
        result = None
        try:
            args, kwargs = self._run_pre_hooks(args, kwargs)
            result = self.forward(*args, **kwargs)
            for key, hook in (*_global_hooks.items(), *self._forward_hooks.items()):
                called.add(key)
                replaced = self._run_hook(key, hook, args, kwargs, result)
                if replaced is not None:
                    result = replaced
        except Exception:
            for key in self._forward_hooks_always_called:
                if key not in called:
                    self._run_hook(key, self._forward_hooks[key], args, kwargs, result)
            raise
        return result

    def _run_hook(
        self,
        key: int,
        hook: Hook,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Any,
    ) -> Any:
        if key in self._forward_hooks_with_kwargs:
            return hook(self, args, kwargs, result)
        return hook(self, args, result)

    def _run_pre_hooks(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        for key, hook in (*_global_pre_hooks.items(), *self._forward_pre_hooks.items()):
            if key in self._forward_pre_hooks_with_kwargs:
                replaced = hook(self, args, kwargs)
                if replaced is None:
                    continue
                if not (isinstance(replaced, tuple) and len(replaced) == 2):
                    raise RuntimeError(
                        "forward pre-hook must return None or a tuple of (new_args, new_kwargs), "
                        f"but got {replaced}."
                    )
                args, kwargs = replaced
            else:
                replaced = hook(self, args)
                if replaced is not None:
                    args = replaced if isinstance(replaced, tuple) else (replaced,)
        return args, kwargs
