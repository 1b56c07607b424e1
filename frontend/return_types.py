"""Named tuples that functions with several results return, as ``torch.return_types`` has them."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

_made: dict[str, Any] = {}


def return_type(name: str, fields: str) -> Any:
    """The named tuple type of a function's results, one for each name.

    Args:
        name: the function's name, which ``repr`` shows.
        fields: names of the results, separated by spaces.
    """
    found = _made.get(name)
    if found is None:
        base: Any = namedtuple(name, fields)  # type: ignore[misc]
        found = _made[name] = type(
            name, (base,), {"__slots__": (), "__repr__": _show, "__module__": "torch.return_types"}
        )
    return found


def __getattr__(name: str) -> Any:
    if name in _made:
        return _made[name]
    raise AttributeError(f"module 'treadle.return_types' has no attribute {name!r}")


def _show(self: Any) -> str:
    items = ",\n".join(f"{name}={getattr(self, name)!r}" for name in self._fields)
    return f"torch.return_types.{type(self).__name__}(\n{items})"
