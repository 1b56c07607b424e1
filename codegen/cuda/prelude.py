"""The device functions that kernels call, each printed once, callees before callers.

What a function computes is decided where it is first needed.
"""

from __future__ import annotations

from collections.abc import Sequence


class Prelude:
    """Device functions in the order in which they were first needed."""

    def __init__(self) -> None:
        self._functions: dict[str, str] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._functions

    def define(self, name: str, result: str, parameters: str, body: Sequence[str]) -> str:
        """Add a function unless it is there; its name.

        Args:
            body: statements, indented by two blanks or more.
        """
        if name not in self._functions:
            head = f"__device__ __forceinline__ {result} {name}({parameters}) {{"
            self._functions[name] = "\n".join([head, *body, "}", ""])
        return name

    def expression(self, name: str, result: str, parameters: str, value: str) -> str:
        """Add a function that is one expression."""
        return self.define(name, result, parameters, [f"  return {value};"])

    @property
    def functions(self) -> tuple[str, ...]:
        """The text of each function."""
        return tuple(self._functions.values())
