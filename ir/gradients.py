"""Reverse-mode derivatives: gradients of a graph's values as more values.

The result is ordinary IR, so derivatives of any order come from applying ``vjp`` again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from treadle.ir import build as b
from treadle.ir.gradient_rules import (
    GradientRule,
    contraction,
    elementwise,
    indexing,
    library as library_rules,
    movement,
    reduction,
    scan,
)
from treadle.ir.ops import kernel, library, random, sort, source
from treadle.ir.types import TupleType
from treadle.ir.value import Op, Value

_LEAF = "it has no operands"
_FUSED = "kernels are formed after gradients are taken"
_LIBRARY = "its rules are those of its functions"

RULES: dict[Op, GradientRule] = {
    **elementwise.RULES,
    **movement.RULES,
    **reduction.RULES,
    **contraction.RULES,
    **indexing.RULES,
    **scan.RULES,
}
NOT_DIFFERENTIABLE: dict[Op, str] = {
    **elementwise.NOT_DIFFERENTIABLE,
    **reduction.NOT_DIFFERENTIABLE,
    source.INPUT: _LEAF,
    source.CONSTANT: _LEAF,
    source.IOTA: _LEAF,
    random.RANDOM_BITS: "its result is random integers",
    kernel.KERNEL: _FUSED,
    kernel.ITEM: _FUSED,
    library.LIBRARY: _LIBRARY,
    **dict.fromkeys((sort.SORT, sort.MERGE), "it sorts integers"),
}


def _between(outputs: Iterable[Value], inputs: frozenset[Value]) -> list[Value]:
    """The values that outputs need, operands first, without going past ``inputs``."""
    order: list[Value] = []
    done: set[Value] = set()
    for output in outputs:
        stack = [(output, False)]
        while stack:
            value, expanded = stack.pop()
            if value in done:
                continue
            if expanded or value in inputs:
                done.add(value)
                order.append(value)
                continue
            stack.append((value, True))
            stack.extend((operand, False) for operand in reversed(value.inputs))
    return order


def _dependent(order: list[Value], inputs: frozenset[Value]) -> set[Value]:
    """The values of ``order`` that pass a gradient on to one of ``inputs``."""
    found: set[Value] = set()
    for value in order:
        if value in inputs:
            if value.dtype.kind in "fc":
                found.add(value)
        # A tuple of results has no one dtype; it is refused once a gradient reaches it.
        elif (isinstance(value.type, TupleType) or value.dtype.kind in "fc") and any(
            operand in found for operand in value.inputs
        ):
            found.add(value)
    return found


def _check_upstreams(outputs: Sequence[Value], upstreams: Sequence[Value]) -> None:
    if len(outputs) != len(upstreams):
        raise ValueError(f"{len(outputs)} outputs need as many upstreams, found {len(upstreams)}")
    for position, (output, upstream) in enumerate(zip(outputs, upstreams, strict=True)):
        if output.type != upstream.type:
            raise ValueError(
                f"the upstream gradient of output {position} must be {output.type}, "
                f"found {upstream.type}"
            )


def vjp(
    outputs: Sequence[Value], inputs: Sequence[Value], upstreams: Sequence[Value]
) -> list[Value | None]:
    """Gradients of ``sum(outputs * upstreams)`` with respect to each of ``inputs``.

    Every input counts as an independent variable, even one that others are computed from. An
    input that no output depends on, or that is not floating point, gets None.

    Args:
        outputs: values to differentiate; those that are not floating point pass nothing on.
        inputs: values to differentiate with respect to, anywhere in the graph.
        upstreams: one gradient for each output, of the output's type.

    Raises:
        ValueError: the upstreams do not fit the outputs.
        TypeError: a gradient reaches an op that has no derivative.
    """
    _check_upstreams(outputs, upstreams)
    leaves = frozenset(inputs)
    order = _between(outputs, leaves)
    dependent = _dependent(order, leaves)
    gradients: dict[Value, Value] = {}
    for output, upstream in zip(outputs, upstreams, strict=True):
        _accumulate(gradients, output, upstream)
    results: dict[Value, dict[int, Value]] = {}  # upstreams of library calls' results
    for value in reversed(order):
        if value in results:
            given = results[value]
            types: Any = value.type
            below = [given.get(index) for index in range(len(types.types))]
            _accumulate_all(gradients, value, dependent, library_rules.gradients(value, below))
            continue
        if value in leaves or value not in dependent or value not in gradients:
            continue
        upstream = gradients.pop(value)
        if value.op is kernel.ITEM and value.inputs[0].op is library.LIBRARY:
            results.setdefault(value.inputs[0], {})[value.attrs[0]] = upstream
            continue
        wanted = tuple(operand in dependent for operand in value.inputs)
        rule = RULES.get(value.op)
        if rule is None:
            reason = NOT_DIFFERENTIABLE.get(value.op, "no rule is known")
            raise TypeError(f"{value.op.name} has no derivative: {reason}")
        _accumulate_all(gradients, value, dependent, rule(value, upstream, wanted))
    return [gradients.get(value) if value in dependent else None for value in inputs]


def _accumulate(gradients: dict[Value, Value], value: Value, part: Value) -> None:
    known = gradients.get(value)
    gradients[value] = part if known is None else b.add(known, part)


def _accumulate_all(
    gradients: dict[Value, Value],
    value: Value,
    dependent: set[Value],
    parts: Sequence[Value | None],
) -> None:
    for operand, part in zip(value.inputs, parts, strict=True):
        if operand in dependent and part is not None:
            _accumulate(gradients, operand, part)
