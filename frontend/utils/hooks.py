"""Handles that take a registered hook away again.

Not the calling of hooks: modules, tensors and optimisers call their own.
"""

from __future__ import annotations

import itertools
import weakref
from typing import Any

_next_id = itertools.count()


class RemovableHandle:
    """What ``register_*_hook`` returns; also a context manager that removes the hook at exit.

    Args:
        hooks: the dictionary that holds the hook under this handle's ``id``.
        also: dictionaries with facts about the hook under the same ``id``.
    """

    def __init__(self, hooks: dict[int, Any], *also: dict[int, Any]) -> None:
        self.id = next(_next_id)
        # A weak reference: a handle that outlives its module must not keep the module's hooks.
        owner = _WeakDict(hooks)
        self._tables = (owner, *map(_WeakDict, also))

    def remove(self) -> None:
        """Takes the hook away; does nothing the second time."""
        for table in self._tables:
            hooks = table()
            if hooks is not None:
                hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


class HookDict(dict[int, Any]):
    """A dictionary of hooks, ordered by registration, that can be referred to weakly."""

    __slots__ = ("__weakref__",)

    def move_to_front(self, key: int) -> None:
        """Makes the entry the first to run."""
        entries = [(key, self.pop(key)), *self.items()]
        self.clear()
        self.update(entries)


class _WeakDict:
    """Calls to the dictionary, or None once it is gone; plain dictionaries are kept alive."""

    __slots__ = ("_get",)

    def __init__(self, hooks: dict[int, Any]) -> None:
        try:
            self._get: Any = weakref.ref(hooks)
        except TypeError:
            self._get = lambda: hooks

    def __call__(self) -> dict[int, Any] | None:
        found: dict[int, Any] | None = self._get()
        return found
