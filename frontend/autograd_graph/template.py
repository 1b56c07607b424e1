"""Gradients of operations as IR over placeholders, derived once for given types and arguments.

Placeholders keep arguments apart that happen to be the same value, as in ``x * x.detach()``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from treadle.ir import build, gradients
from treadle.ir.graph import input_value
from treadle.ir.value import Value, make, topological
from treadle.static_key import static_key

if TYPE_CHECKING:
    from treadle.operation import Operation

GradientRule: TypeAlias = Callable[..., Sequence[Value | None]]
Optional: TypeAlias = tuple[Value | None, ...]
Templates: TypeAlias = "dict[tuple[tuple[bool, ...], tuple[bool, ...]], Template]"


class Signature:
    """How an operation was called: values and static arguments.

    ``templates`` are gradients of calls with the same values, by (wanted, present).
    """

    __slots__ = ("args", "kwargs", "operation", "templates")

    def __init__(
        self,
        operation: Operation,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        templates: Templates,
    ) -> None:
        self.operation = operation
        self.args = args
        self.kwargs = kwargs
        self.templates = templates


@dataclass(frozen=True, eq=False)
class Template:
    """A gradient over placeholders.

    Attributes:
        placeholders: of the inputs, the outputs and the upstream gradients, in that order.
        gradients: one an input, None where it has none.
        used_inputs, used_outputs: whether the gradient reads them.
        kept: values of the forward computation that the gradient reads.
        inputs, outputs: how many placeholders are inputs and outputs.
    """

    placeholders: tuple[Value, ...]
    gradients: Optional
    used_inputs: tuple[bool, ...]
    used_outputs: tuple[bool, ...]
    kept: tuple[Value, ...]
    inputs: int
    outputs: int


_templates: dict[Any, Template] = {}
_instances: dict[Any, tuple[Value | None, ...]] = {}


def template_of(
    signature: Signature, outputs: Sequence[Value], wanted: Sequence[bool], present: Sequence[bool]
) -> Template:
    """The gradient of a call for the wanted inputs and the upstream gradients that are present."""

    def shape_of(argument: Any) -> Any:
        if isinstance(argument, Value):
            return argument.type
        if isinstance(argument, tuple) and any(isinstance(item, Value) for item in argument):
            return tuple(shape_of(item) for item in argument)
        return static_key(argument)

    key = (
        signature.operation,
        tuple(map(shape_of, signature.args)),
        tuple((name, shape_of(item)) for name, item in signature.kwargs.items()),
        tuple(wanted),
        tuple(present),
    )
    found = _templates.get(key)
    if found is None:
        found = _templates[key] = _derive(signature, outputs, wanted, present)
    return found


def _derive(
    signature: Signature, outputs: Sequence[Value], wanted: Sequence[bool], present: Sequence[bool]
) -> Template:
    made: list[Value] = []

    def placeholder(argument: Any) -> Any:
        if isinstance(argument, Value):
            made.append(input_value(len(made), argument.type))
            return made[-1]
        if isinstance(argument, tuple) and any(isinstance(item, Value) for item in argument):
            return tuple(placeholder(item) for item in argument)
        return argument

    operation = signature.operation
    args = [placeholder(argument) for argument in signature.args]
    kwargs = {name: placeholder(argument) for name, argument in signature.kwargs.items()}
    inputs = tuple(made)
    out = tuple(input_value(len(inputs) + n, v.type) for n, v in enumerate(outputs))
    base = len(inputs) + len(out)
    up = tuple(input_value(base + n, v.type) for n, v in enumerate(outputs))
    upstreams = [value if here else None for value, here in zip(up, present, strict=True)]
    if operation.rule is not None:
        static = _static_arguments(operation.body, args, kwargs)
        derived = tuple(operation.rule(inputs, out, upstreams, **static))
        if len(derived) != len(inputs):
            raise TypeError(
                f"the gradient rule of {operation.name} gave {len(derived)} gradients "
                f"for {len(inputs)} tensor arguments"
            )
        found = tuple(g if want else None for g, want in zip(derived, wanted, strict=True))
    else:
        found = _derive_from_body(operation, args, kwargs, inputs, out, upstreams, wanted)
    if operation.overwrites and wanted[0] and found[0] is None:
        nothing = build.full(inputs[0].shape, 0, inputs[0].dtype, inputs[0].type.device)
        found = (nothing, *found[1:])
    return _describe(inputs, out, up, found)


def _derive_from_body(
    operation: Operation,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    inputs: Sequence[Value],
    out: Sequence[Value],
    upstreams: Sequence[Value | None],
    wanted: Sequence[bool],
) -> Optional:
    result = operation.body(*args, **kwargs)
    results = (result,) if isinstance(result, Value) else tuple(result)
    pairs = [(r, u) for r, u in zip(results, upstreams, strict=True) if u is not None]
    asked = [value for value, want in zip(inputs, wanted, strict=True) if want]
    # Unwanted inputs are independent variables too: nothing is differentiated through them.
    answers = gradients.vjp([r for r, _ in pairs], asked, [u for _, u in pairs])
    by_input = dict(zip(asked, answers, strict=True))
    found = tuple(by_input.get(value) for value in inputs)
    # Where the gradient contains the result itself, it is the saved result that is read.
    computed = {r: o for r, o in zip(results, out, strict=True) if r not in inputs}
    return substitute(found, computed)


def _static_arguments(
    body: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> dict[str, Any]:
    bound = inspect.signature(body).bind(*args, **kwargs)
    bound.apply_defaults()

    def is_static(argument: Any) -> bool:
        items = argument if isinstance(argument, tuple) else (argument,)
        return not any(isinstance(item, Value) for item in items)

    return {name: item for name, item in bound.arguments.items() if is_static(item)}


def _describe(
    inputs: tuple[Value, ...], out: tuple[Value, ...], up: tuple[Value, ...], found: Optional
) -> Template:
    """Which placeholders the gradients read, and which forward values they would recompute."""
    order = topological(g for g in found if g is not None)
    reached = set(order)
    upstream = set(up)
    depends = set(upstream)
    for value in order:
        if any(operand in depends for operand in value.inputs):
            depends.add(value)
    roots = [g for g in found if g is not None and g not in depends]
    kept = dict.fromkeys(
        [v for value in order if value in depends for v in value.inputs if v not in depends] + roots
    )
    return Template(
        placeholders=(*inputs, *out, *up),
        gradients=found,
        used_inputs=tuple(value in reached for value in inputs),
        used_outputs=tuple(value in reached for value in out),
        kept=tuple(kept),
        inputs=len(inputs),
        outputs=len(out),
    )


def instantiate(
    template: Template, wanted: Sequence[Value | None], actual: Sequence[Value | None]
) -> tuple[Value | None, ...]:
    """Template values with actual values in the placeholders' places."""
    key = (template, tuple(wanted), tuple(actual))
    found = _instances.get(key)
    if found is None:
        mapping = {
            place: value
            for place, value in zip(template.placeholders, actual, strict=True)
            if value is not None
        }
        found = _instances[key] = substitute(wanted, mapping)
    return found


def substitute(values: Iterable[Value | None], mapping: dict[Value, Value]) -> Optional:
    """Values rebuilt with some of the values below them replaced."""
    values = tuple(values)
    done = dict(mapping)
    for value in topological(v for v in values if v is not None):
        if value not in done:
            operands = tuple(done[operand] for operand in value.inputs)
            same = operands == value.inputs
            done[value] = value if same else make(value.op, operands, value.attrs)
    return tuple(None if value is None else done[value] for value in values)


def forget_templates() -> None:
    """Empties the memos of templates and instances, which refer to interned values."""
    _templates.clear()
    _instances.clear()
