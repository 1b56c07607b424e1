"""Reverse-mode derivatives: gradients of a graph's values as more values.

The result is ordinary IR, so derivatives of any order come from applying ``vjp`` again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from treadle.ir import build as b
from treadle.ir.gradient_rules import (
    GradientRule,
    contraction,
    elementwise,
    indexing,
    movement,
    reduction,
)
from treadle.ir.ops import kernel, random, source
from treadle.ir.value import Op, Value

_LEAF = "it has no operands"
_FUSED = "kernels are formed after gradients are taken"

RULES: dict[Op, GradientRule] = {
    **elementwise.RULES,
    **movement.RULES,
    **reduction.RULES,
    **contraction.RULES,
    **indexing.RULES,
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
            if value.dtype.is_floating_point:
                found.add(value)
        # Fused kernels have no one dtype; they are refused once a gradient reaches them.
        elif (value.op is kernel.KERNEL or value.dtype.is_floating_point) and any(
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
    for value in reversed(order):
        if value in leaves or value not in dependent or value not in gradients:
            continue
        upstream = gradients.pop(value)
        wanted = tuple(operand in dependent for operand in value.inputs)
        rule = RULES.get(value.op)
        if rule is None:
            reason = NOT_DIFFERENTIABLE.get(value.op, "no rule is known")
            raise TypeError(f"{value.op.name} has no derivative: {reason}")
        parts = rule(value, upstream, wanted)
        for operand, asked, part in zip(value.inputs, wanted, parts, strict=True):
            if asked and part is not None:
                _accumulate(gradients, operand, part)
    return [gradients.get(value) if value in dependent else None for value in inputs]


def _accumulate(gradients: dict[Value, Value], value: Value, part: Value) -> None:
    known = gradients.get(value)
    gradients[value] = part if known is None else b.add(known, part)
