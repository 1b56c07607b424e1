"""Whether operations are recorded for autograd: contexts that are decorators too.

The mode belongs to the thread.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from treadle.tracer.segment import recorder

F = TypeVar("F", bound=Callable[..., Any])


class _GradMode:
    """A context that sets the mode and restores it; calls of a decorated function run in it."""

    mode = True

    def __init__(self) -> None:
        self._previous: list[bool] = []

    def __enter__(self) -> None:
        self._previous.append(recorder.grad_enabled)
        recorder.grad_enabled = self.mode

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        recorder.grad_enabled = self._previous.pop()

    def clone(self) -> _GradMode:
        """A context of the same mode: each call of a decorated function enters its own."""
        return type(self)()

    def __call__(self, function: F) -> F:
        if inspect.isgeneratorfunction(function):
            return self._wrap_generator(function)  # type: ignore[return-value]

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self.clone():
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]

    def _wrap_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            generator = function(*args, **kwargs)
            while True:
                with self.clone():
                    try:
                        item = next(generator)
                    except StopIteration as stop:
                        return stop.value
                yield item

        return wrapped


class no_grad(_GradMode):
    """Operations inside are not recorded for autograd."""

    mode = False

    def __new__(cls, function: Any = None) -> Any:
        made = super().__new__(cls)
        if function is None:
            return made
        made.__init__()  # type: ignore[misc]
        return made(function)


class enable_grad(_GradMode):
    """Operations inside are recorded for autograd, also within ``no_grad``."""

    mode = True

    def __new__(cls, function: Any = None) -> Any:
        made = super().__new__(cls)
        if function is None:
            return made
        made.__init__()  # type: ignore[misc]
        return made(function)


class inference_mode(_GradMode):
    """As ``no_grad``.

    Args:
        mode: False leaves recording as it is.
    """

    def __new__(cls, mode: Any = True) -> Any:
        made = super().__new__(cls)
        if callable(mode):
            made.__init__()  # type: ignore[misc]
            return made(mode)
        return made

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.mode = not mode if mode else recorder.grad_enabled


class set_grad_enabled(_GradMode):
    """Sets the mode at once; as a context it restores the one before.

    Args:
        mode: whether operations are recorded.
    """

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.mode = mode
        self._before = recorder.grad_enabled
        recorder.grad_enabled = mode

    def __enter__(self) -> None:
        self._previous.append(self._before)
        recorder.grad_enabled = self.mode

    def clone(self) -> _GradMode:
        """A context of the same mode."""
        return type(self)(self.mode)


def is_grad_enabled() -> bool:
    """Whether this thread records operations for autograd."""
    return recorder.grad_enabled
