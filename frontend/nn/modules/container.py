"""Modules that hold modules: in sequence, in a list, in a dictionary.

Only Sequential has a forward; the others make their contents known to the parent.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, SupportsIndex

from treadle.nn.module import Module
from treadle.utils.typename import typename


class _Numbered(Module):
    """Children under the names "0", "1", ... in order."""

    def _position(self, index: SupportsIndex, what: str = "index") -> int:
        count = len(self)
        position = operator.index(index)
        if not -count <= position < count:
            raise IndexError(f"{what} {position} is out of range")
        return position % count

    def _renumber(self, children: list[Any]) -> None:
        self._modules.clear()
        for number, child in enumerate(children):
            self._modules[str(number)] = child

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.isdigit()]


class Sequential(_Numbered):
    """Passes its input through its modules in order.

    Takes the modules, or one ordered dictionary of names and modules.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], dict):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            for number, module in enumerate(args):
                self.add_module(str(number), module)

    def forward(self, input: Any) -> Any:
        """The output of the last module."""
        for module in self._modules.values():
            input = module(input)
        return input

    def _name_at(self, index: SupportsIndex) -> str:
        return list(self._modules)[self._position(index)]

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        """The module at an index, or a Sequential of those in a slice."""
        if isinstance(index, slice):
            return type(self)(dict(list(self._modules.items())[index]))
        return self._modules[self._name_at(index)]

    def __setitem__(self, index: SupportsIndex, module: Module) -> None:
        setattr(self, self._name_at(index), module)

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        names = list(self._modules)
        gone = names[index] if isinstance(index, slice) else [self._name_at(index)]
        for name in gone:
            delattr(self, name)
        self._renumber(list(self._modules.values()))

    def __add__(self, other: Any) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(
                "add operator supports only objects of Sequential class, but "
                f"{type(other)} is given."
            )
        return Sequential(*self, *other)

    def __iadd__(self, other: Any) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(
                "add operator supports only objects of Sequential class, but "
                f"{type(other)} is given."
            )
        return self.extend(list(other))

    def append(self, module: Module) -> Sequential:
        """Adds a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index: int, module: Module) -> Sequential:
        """Adds a module before the one at ``index``."""
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}")
        count = len(self)
        if not -count <= index <= count:
            raise IndexError(f"Index out of range: {index}")
        children = list(self)
        children.insert(index if index >= 0 else index + count, module)
        self._renumber(children)
        return self

    def extend(self, sequential: Iterable[Any]) -> Sequential:
        """Adds modules at the end."""
        for module in list(sequential):
            self.append(module)
        return self

    def pop(self, key: int | slice) -> Any:
        """Takes a module out and returns it."""
        found = self[key]
        del self[key]
        return found


class ModuleList(_Numbered):
    """A list of modules that the parent knows of. It has no forward."""

    def __init__(self, modules: Iterable[Any] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        """The module at an index, or a ModuleList of those in a slice."""
        if isinstance(index, slice):
            return type(self)(list(self._modules.values())[index])
        return self._modules[str(self._position(index))]

    def __setitem__(self, index: SupportsIndex, module: Module) -> None:
        setattr(self, str(self._position(index)), module)

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        children = list(self)
        if isinstance(index, slice):
            del children[index]
        else:
            del children[self._position(index)]
        self._renumber(children)

    def __add__(self, other: Iterable[Any]) -> ModuleList:
        return ModuleList([*self, *other])

    def __iadd__(self, modules: Iterable[Any]) -> ModuleList:
        return self.extend(modules)

    def append(self, module: Any) -> ModuleList:
        """Adds a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index: int, module: Any) -> None:
        """Adds a module before the one at ``index``."""
        children = list(self)
        children.insert(index, module)
        self._renumber(children)

    def extend(self, modules: Iterable[Any]) -> ModuleList:
        """Adds modules at the end."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                "ModuleList.extend should be called with an iterable, but got "
                + type(modules).__name__
            )
        for module in list(modules):
            self.append(module)
        return self

    def pop(self, key: int | slice) -> Any:
        """Takes a module out and returns it."""
        found = self[key]
        del self[key]
        return found

    def __repr__(self) -> str:
        """Runs of equal modules are printed once, as ``(0-3): 4 x Linear(...)``."""
        texts = [repr(module) for module in self]
        if not texts:
            return f"{self._get_name()}()"
        runs: list[tuple[int, int]] = []
        for number, text in enumerate(texts):
            if runs and texts[runs[-1][0]] == text:
                runs[-1] = (runs[-1][0], number)
            else:
                runs.append((number, number))
        lines = []
        for first, last in runs:
            body = texts[first].replace("\n", "\n  ")
            count = last - first + 1
            label = f"({first})" if count == 1 else f"({first}-{last})"
            lines.append(f"{label}: {body}" if count == 1 else f"{label}: {count} x {body}")
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"


class ModuleDict(Module):
    """A dictionary of modules that the parent knows of. It has no forward."""

    def __init__(self, modules: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Any) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Takes every module out."""
        self._modules.clear()

    def pop(self, key: str) -> Any:
        """Takes a module out and returns it."""
        return self._modules.pop(key)

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def items(self) -> Iterable[tuple[str, Any]]:
        """(name, module) pairs."""
        return self._modules.items()

    def values(self) -> Iterable[Any]:
        """The modules."""
        return self._modules.values()

    def update(self, modules: Any) -> None:
        """Adds the modules of a mapping, or of (name, module) pairs."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                "ModuleDict.update should be called with an iterable of key/value pairs, but got "
                + type(modules).__name__
            )
        if isinstance(modules, (Mapping, ModuleDict)):
            pairs = list(modules.items())
        else:
            pairs = [_pair(number, entry) for number, entry in enumerate(modules)]
        for name, module in pairs:
            self[name] = module


def _pair(number: int, entry: Any) -> tuple[str, Any]:
    if not isinstance(entry, Iterable):
        raise TypeError(
            f"ModuleDict update sequence element #{number} should be Iterable; is {typename(entry)}"
        )
    pair = tuple(entry)
    if len(pair) != 2:
        raise ValueError(
            f"ModuleDict update sequence element #{number} has length {len(pair)}; 2 is required"
        )
    return pair
