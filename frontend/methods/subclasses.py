"""Subclasses of ``Tensor``: ``__torch_function__``, by which their results stay of their type.

Costs nothing until the first subclass is defined: then its methods, and the functions of the
package's namespaces, ask the subclasses among their arguments.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from treadle.methods.attributes import as_subclass
from treadle.tensor import Tensor

# Modules whose functions take tensors.
_NAMESPACES = (
    "treadle",
    "treadle.nn.functional",
    "treadle.linalg",
    "treadle.fft",
    "treadle.special",
)
_PROPERTIES = ("T", "mT", "H", "mH", "data", "real", "imag")
# What Python or this package itself calls, and what gives no tensors.
_PLAIN_NAMES = (
    "__new__ __init__ __class__ __init_subclass__ __subclasshook__ __torch_function__ "
    "__dict__ __getattribute__ __getattr__ __setattr__ __delattr__ __dir__ __doc__ __module__ "
    "__weakref__ __reduce__ __reduce_ex__ __setstate__ __sizeof__ __repr__ __str__ __format__ "
    "__hash__ __len__ __bool__ __int__ __float__ __index__ __complex__ __array__ "
    "__array_wrap__ __dlpack__ __dlpack_device__ as_subclass size dim numel stride "
)
_PLAIN = frozenset(_PLAIN_NAMES.split())


class _State(threading.local):
    disabled = False


_state = _State()


@contextlib.contextmanager
def DisableTorchFunctionSubclass() -> Iterator[None]:
    """A ``with`` block in which subclasses are treated as plain tensors."""
    before = _state.disabled
    _state.disabled = True
    try:
        yield
    finally:
        _state.disabled = before


def _disabled_torch_function_impl(
    cls: type, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
) -> Any:
    """The ``__torch_function__`` of a subclass whose results are plain tensors."""
    with DisableTorchFunctionSubclass():
        return func(*args, **(kwargs or {}))


def _torch_function(
    cls: type[Tensor], func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
) -> Any:
    """Runs a function on tensors and gives its results the subclass's type.

    Subclasses override it to see every function that their tensors go through.
    """
    if not all(issubclass(cls, kind) for kind in types):
        return NotImplemented
    with DisableTorchFunctionSubclass():
        return _converted(func(*args, **(kwargs or {})), cls)


def _converted(result: Any, cls: type[Tensor]) -> Any:
    if isinstance(result, Tensor):
        return result if isinstance(result, cls) else as_subclass(result, cls)
    if isinstance(result, (tuple, list)) and not isinstance(result, types.SimpleNamespace):
        parts = [_converted(part, cls) for part in result]
        if parts and not any(isinstance(part, Tensor) for part in parts):
            return result
        return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)
    return result


def _overriding(arguments: Iterable[Any]) -> list[type]:
    """Types among arguments that want to be asked, subclasses before their bases."""
    found: list[type] = []
    for argument in arguments:
        several = isinstance(argument, (tuple, list))
        kinds = _overriding(argument) if several else [type(argument)]
        for kind in kinds:
            if kind in found or kind is Tensor or not hasattr(kind, "__torch_function__"):
                continue
            if _is_disabled(kind):
                continue
            places = [at for at, other in enumerate(found) if issubclass(kind, other)]
            found.insert(places[0] if places else len(found), kind)
    return found


def _is_disabled(kind: type) -> bool:
    method = inspect.getattr_static(kind, "__torch_function__")
    return getattr(method, "__func__", method) is _disabled_torch_function_impl


def _ask(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of a function as the subclasses among its arguments want it."""
    if _state.disabled:
        return func(*args, **kwargs)
    kinds = _overriding((*args, *kwargs.values()))
    if not kinds:
        return func(*args, **kwargs)
    for kind in kinds:
        result = kind.__torch_function__(func, tuple(kinds), args, kwargs)  # type: ignore[attr-defined]
        if result is not NotImplemented:
            return result
    raise TypeError(
        f"no implementation found for '{getattr(func, '__name__', func)}' on types that implement "
        f"__torch_function__: {kinds}"
    )


class Overridable:
    """A function of a namespace that asks subclasses; equal to the function itself."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the function, or what a subclass among the arguments makes of it."""
        return _ask(self._function, args, kwargs)

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._function

    def __hash__(self) -> int:
        return hash(self._function)

    def __repr__(self) -> str:
        return repr(self._function)


def _asking_method(name: str) -> Callable[..., Any]:
    function = getattr(Tensor, name)

    @functools.wraps(function)
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        return _ask(function, (self, *args), kwargs)

    return method


def _asking_property(name: str) -> property:
    described = inspect.getattr_static(Tensor, name)

    def get(self: Tensor) -> Any:
        return _ask(described.__get__, (self,), {})

    return property(get, getattr(described, "fset", None), doc=described.__doc__)


_switched: list[bool] = []


def _switch_namespaces() -> None:
    """Makes the namespaces' functions ask subclasses, once."""
    if _switched:
        return
    _switched.append(True)
    for module_name in _NAMESPACES:
        module = sys.modules.get(module_name)
        for name, item in list(vars(module).items()) if module is not None else ():
            public = isinstance(item, types.FunctionType) and not name.startswith("_")
            if public and (item.__module__ or "").startswith("treadle."):
                setattr(module, name, Overridable(item))


def _defined(cls: type[Tensor], **options: Any) -> None:
    """Prepares a new subclass of ``Tensor``."""
    super(Tensor, cls).__init_subclass__(**options)
    if _is_disabled(cls):
        return
    cls._prints_as_tensor = False
    _switch_namespaces()
    own = {name for kind in cls.__mro__[: cls.__mro__.index(Tensor)] for name in vars(kind)}
    for name in dir(Tensor):
        internal = name.startswith("_") and not name.startswith("__")
        if internal or name in _PLAIN or name in own:
            continue
        if name in _PROPERTIES:
            setattr(cls, name, _asking_property(name))
        elif inspect.isfunction(inspect.getattr_static(Tensor, name)):
            setattr(cls, name, _asking_method(name))


def install() -> None:
    """Teaches ``Tensor`` about subclasses; those that exist already stay as they are."""
    Tensor.__torch_function__ = classmethod(_torch_function)  # type: ignore[attr-defined]
    Tensor.__init_subclass__ = classmethod(_defined)  # type: ignore[arg-type, assignment, method-assign]
