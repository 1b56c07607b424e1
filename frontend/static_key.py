"""Keys of arguments that are no tensors, for the memo of recorded operations."""

from __future__ import annotations

from typing import Any


def static_key(argument: Any) -> Any:
    """A hashable key of an argument that is no tensor; tells 1, 1.0, True and -0.0 apart."""
    kind = type(argument)
    if kind is float or kind is int or kind is bool:
        return (kind, argument) if argument and argument == argument else (kind, repr(argument))
    if kind is complex:
        return (kind, repr(argument))
    if kind is tuple or kind is list:
        return (kind, *map(static_key, argument))
    if kind is dict:
        return (kind, *((name, static_key(item)) for name, item in argument.items()))
    return argument
