"""Passes, pipelines as text, and the manager that runs them.

The manager alone verifies, times, reports and checks; a pass only turns a graph into a graph.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol, TypeVar

import treadle.ir.passes
from treadle.ir import settings
from treadle.ir.errors import PassError, VerificationError
from treadle.ir.graph import Graph
from treadle.ir.pass_check import Checker
from treadle.ir.rewriter import Exactness
from treadle.ir.verifier import verify as verify_graph

DEFAULT_PIPELINE = (
    "simplify,pad-convolutions,split-reductions,split-scans,split-sorts,simplify,fuse,memory-plan"
)


class Pass(Protocol):
    """A frozen dataclass: its fields are its options, each with a default.

    Attributes:
        name: kebab-case; also its file's name in ``ir/passes``.
        exactness: what it may do to floating-point results.
    """

    name: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def exactness(self) -> Exactness: ...

    def run(self, graph: Graph) -> Graph:
        """The graph after the pass; the one given is not changed."""
        ...


_registry: dict[str, type[Pass]] = {}
_PassClass = TypeVar("_PassClass", bound="type[Pass]")


def register(cls: _PassClass) -> _PassClass:
    """Class decorator that makes a pass known to pipelines by its name."""
    known = _registry.get(cls.name)
    if known is not None and known.__qualname__ != cls.__qualname__:
        raise PassError(f"pass {cls.name!r} is registered already, by {known.__module__}")
    _registry[cls.name] = cls
    return cls


def registered() -> dict[str, type[Pass]]:
    """The known passes by name, those in ``ir/passes`` included."""
    # Each file in the folder registers its pass when imported; none is listed twice.
    for module in pkgutil.iter_modules(treadle.ir.passes.__path__):
        importlib.import_module(f"treadle.ir.passes.{module.name}")
    return dict(sorted(_registry.items()))


# Pipelines as text.

_STEP = re.compile(r"\s*([a-z][a-z0-9-]*)\s*(?:\{([^{}]*)\})?\s*(,|\Z)")
_OPTION = re.compile(r"\s*([a-z][a-z0-9-]*)\s*=\s*([^\s,{}]+)\s*\Z")


def parse_pipeline(text: str) -> tuple[Pass, ...]:
    """Passes of a text such as ``simplify,fuse{max-inputs=16}``; PassError where it is wrong."""
    if not text.strip():
        return ()
    passes: list[Pass] = []
    position, separator = 0, ","
    while separator:
        match = _STEP.match(text, position)
        if match is None:
            raise PassError(
                f"expected a pass such as name or name{{option=value}} at column {position + 1} "
                f"of pipeline {text!r}"
            )
        name, options, separator = match.groups()
        passes.append(_make_pass(name, options or ""))
        position = match.end()
    return tuple(passes)


def print_pipeline(passes: Sequence[Pass]) -> str:
    """The text of a pipeline; options at their defaults are left out."""
    return ",".join(map(_pass_text, passes))


def _pass_text(step: Pass) -> str:
    options = [
        f"{_kebab(option.name)}={_option_text(getattr(step, option.name))}"
        for option in fields(step)
        if getattr(step, option.name) != option.default
    ]
    return f"{step.name}{{{','.join(options)}}}" if options else step.name


def _kebab(name: str) -> str:
    return name.replace("_", "-")


def _option_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _make_pass(name: str, options: str) -> Pass:
    known = registered()
    if name not in known:
        raise PassError(f"unknown pass {name!r}; known: {', '.join(known)}")
    cls = known[name]
    defaults = {_kebab(option.name): option for option in fields(cls)}
    given: dict[str, Any] = {}
    for text in options.split(",") if options.strip() else []:
        match = _OPTION.match(text)
        if match is None:
            raise PassError(f"expected option=value for pass {name!r}, found {text.strip()!r}")
        option, value = match.groups()
        if option not in defaults:
            listed = ", ".join(defaults) or "none"
            raise PassError(f"pass {name!r} has no option {option!r}; its options: {listed}")
        given[defaults[option].name] = _option_value(name, option, value, defaults[option].default)
    return cls(**given)


def _option_value(name: str, option: str, text: str, default: Any) -> Any:
    kind = type(default)
    if kind is bool and text in ("true", "false"):
        return text == "true"
    try:
        if kind is not bool:
            return kind(text)
    except ValueError:
        pass
    raise PassError(f"option {option!r} of pass {name!r} must be a {kind.__name__}, found {text!r}")


# Running.


@dataclass(frozen=True)
class PassRecord:
    """What a pass did: its text, its seconds, and how many values there were before and after."""

    text: str
    seconds: float
    values_before: int
    values_after: int


Report = Callable[[Pass, Graph], None]


@dataclass(frozen=True)
class PassManager:
    """Runs passes in order.

    Attributes:
        passes: what to run.
        verify: verify the graph given and after each pass; None takes the setting.
        check: compare results with the interpreter's after each pass; None takes the setting.
        before: called with each pass and the graph it gets.
        after: called with each pass and the graph it gave.
    """

    passes: tuple[Pass, ...]
    verify: bool | None = None
    check: bool | None = None
    before: Report | None = None
    after: Report | None = None

    def run(self, graph: Graph) -> tuple[Graph, tuple[PassRecord, ...]]:
        """The graph after all passes, and a record of each.

        Raises:
            VerificationError: a pass broke a rule of the IR; the message names the pass.
            PassError: with ``check``, a pass changed a result.
        """
        chosen = settings.current()
        verify = chosen.verify if self.verify is None else self.verify
        check = chosen.check if self.check is None else self.check
        if verify:
            verify_graph(graph)
        checker = Checker(graph) if check else None
        records: list[PassRecord] = []
        for step in self.passes:
            if self.before:
                self.before(step, graph)
            start = time.perf_counter()
            result = step.run(graph)
            seconds = time.perf_counter() - start
            if verify:
                _verify_after(step, result)
            if checker:
                checker.compare(_pass_text(step), result, step.exactness)
            sizes = len(graph.values()), len(result.values())
            records.append(PassRecord(_pass_text(step), seconds, *sizes))
            graph = result
            if self.after:
                self.after(step, graph)
        return graph, tuple(records)


def _verify_after(step: Pass, graph: Graph) -> None:
    try:
        verify_graph(graph)
    except VerificationError as error:
        raise VerificationError(f"after pass {step.name}: {error}") from error
