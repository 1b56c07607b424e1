"""Tensor IR as text: one value a line, with types and user lines; ``parser`` reads it back.

The same graph always prints the same text: values are numbered in topological order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from treadle.ir.graph import Graph, Locations
from treadle.ir.ops.kernel import Place
from treadle.ir.types import CPU, Device, DType, TensorType
from treadle.ir.value import Value

# Attributes that are left out where they have these values.
DEFAULTS: dict[str, Any] = {"device": CPU, "memory": (), "options": (), "pairs": ()}

_PLAIN_NAME = re.compile(r"[A-Za-z_][\w.$-]*\Z")
_PLAIN_FILE = re.compile(r"[^\s,\"]+\Z")


def print_graph(graph: Graph) -> str:
    """The text of a graph, ending in a newline."""
    return "program " + "\n".join(_graph_lines(graph, "")) + "\n"


def number_values(graph: Graph) -> dict[Value, int]:
    """The number of each value in the graph's text: inputs first, then topological order."""
    numbers: dict[Value, int] = {}
    for value in (*graph.inputs, *graph.values()):
        numbers.setdefault(value, len(numbers))
    return numbers


def describe(value: Value, numbers: Mapping[Value, int] | None = None) -> str:
    """One value as in a graph's text; without numbers, operands are shown by their types."""
    if numbers is None:
        operands = [str(operand.type) for operand in value.inputs]
        result = ""
    else:
        operands = [_numbered(operand, numbers) for operand in value.inputs]
        result = f"{_numbered(value, numbers)}: {value.type} = "
    text = f"{result}{value.op.name}({', '.join(operands)}){_attributes(value)}"
    return f"{text}: {value.type}" if numbers is None else text


def _numbered(value: Value, numbers: Mapping[Value, int]) -> str:
    return f"%{numbers[value]}" if value in numbers else "%?"


def _graph_lines(graph: Graph, indent: str) -> list[str]:
    numbers = number_values(graph)
    inner = indent + "  "
    lines = _header(graph, indent)
    for value in list(numbers)[len(graph.inputs) :]:
        comment = _comment(value, graph.locations)
        line = inner + describe(value, numbers)
        body = _body(value)
        if body is None:
            lines.append(line + comment)
        else:
            first, *rest = _graph_lines(body, inner)
            lines.extend((f"{line} body {first}", *rest[:-1], rest[-1] + comment))
    results = ", ".join(_numbered(value, numbers) for value in graph.outputs)
    lines.extend((f"{inner}return {results}".rstrip(), indent + "}"))
    return lines


def _header(graph: Graph, indent: str) -> list[str]:
    """``@name(inputs) {``, on one line unless an input has user lines."""
    parameters = [
        f"%{slot}: {value.type}{' donated' if slot in graph.donated else ''}"
        for slot, value in enumerate(graph.inputs)
    ]
    comments = [_comment(value, graph.locations) for value in graph.inputs]
    name = f"@{symbol(graph.name)}"
    if not any(comments):
        return [f"{name}({', '.join(parameters)}) {{"]
    commas = [","] * (len(parameters) - 1) + [""]
    rows = zip(parameters, commas, comments, strict=True)
    return [
        f"{name}(",
        *(f"{indent}  {parameter}{comma}{comment}" for parameter, comma, comment in rows),
        f"{indent}) {{",
    ]


def _body(value: Value) -> Graph | None:
    return next((attr for attr in value.attrs if isinstance(attr, Graph)), None)


def symbol(name: str) -> str:
    """A graph's name as text; quoted where it is not a plain word."""
    return name if _PLAIN_NAME.match(name) else json.dumps(name)


def _comment(value: Value, locations: Locations) -> str:
    found = locations.get(value, ())
    return f"  // {format_locations(found)}" if found else ""


def format_locations(locations: Iterable[tuple[str, int]]) -> str:
    """User lines as text: ``model.py:12, loss.py:3``."""
    return ", ".join(
        f"{file if _PLAIN_FILE.match(file) else json.dumps(file)}:{line}"
        for file, line in locations
    )


def _attributes(value: Value) -> str:
    shown = [
        f"{name} = {format_attribute(attr)}"
        for name, attr in zip(value.op.attributes, value.attrs, strict=True)
        if not isinstance(attr, Graph) and not (name in DEFAULTS and attr == DEFAULTS[name])
    ]
    return f" {{{', '.join(shown)}}}" if shown else ""


def format_attribute(attr: Any) -> str:
    """An attribute as text; TypeError for a kind of attribute that IR text does not have."""
    if isinstance(attr, bool):
        return "true" if attr else "false"
    if type(attr) is int or type(attr) is float:
        return repr(attr)
    if isinstance(attr, DType):
        return attr.short
    if isinstance(attr, Device | TensorType):
        return str(attr)
    if isinstance(attr, Place):
        return f"{attr.kind} {attr.number}"
    if isinstance(attr, str):
        return json.dumps(attr)
    if type(attr) is tuple:
        return f"[{', '.join(map(format_attribute, attr))}]"
    raise TypeError(f"IR text has no form for an attribute of {type(attr).__name__}: {attr!r}")
