"""Which inputs of a kernel its results may overwrite while it runs.

Judged by which elements a body reads and when; lifetimes and memory are the planner's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from treadle.ir.fusion import costs
from treadle.ir.fusion.forms import Form, Kind, Read, RefusedError, form_of, product_places, reads
from treadle.ir.graph import Graph
from treadle.ir.index import linearize
from treadle.ir.types import contiguous_strides
from treadle.ir.value import LoopClass, Value, topological

# A result of a kernel and an input of it, by position.
Pair = tuple[int, int]


def overwritable(body: Graph) -> frozenset[Pair]:
    """Pairs (result, input) where the result may be written into the input's memory.

    An element of the input must be read only at the point of the kernel that writes the same
    element of the result: then it is read before. An update may be made in its own memory.
    """
    values = body.values()
    form = body_form(body, values)
    try:
        return frozenset(pair for pair in _pairs(form, body, values) if _fits(body, pair))
    except (RefusedError, ValueError):
        # Operands without elements have no positions to compare.
        return frozenset()


def _pairs(form: Form, body: Graph, values: Sequence[Value]) -> Iterable[Pair]:
    if form.kind in (Kind.LIBRARY, Kind.SORT):
        return ()
    if form.kind is Kind.UPDATE:
        return _of_update(body, values)
    if form.kind is Kind.PRODUCT:
        return _of_product(body, values)
    if form.kind is Kind.ROWS:
        return _of_rows(form, body, values)
    roots = [v for v in values if v.op.loop_class in (LoopClass.REDUCTION, LoopClass.SCAN)]
    return _same_elements(body, reads(form, (*roots, *body.outputs), roots), body.outputs)


def body_form(body: Graph, values: Sequence[Value] | None = None) -> Form:
    """The form of a kernel's body."""
    values = body.values() if values is None else values
    for value in values:
        if value.op.loop_class is LoopClass.LIBRARY:
            continue  # its items have the form
        form = form_of(value)
        if form.kind is not Kind.MAP:
            return form
    return Form(Kind.MAP, body.outputs[0].shape)


def _fits(body: Graph, pair: Pair) -> bool:
    result, operand = body.outputs[pair[0]].type, body.inputs[pair[1]].type
    return result.numel == operand.numel and result.dtype.itemsize == operand.dtype.itemsize


def _same_elements(
    body: Graph, found: dict[Value, Read], results: Iterable[Value]
) -> Iterable[Pair]:
    """Pairs of results with the inputs that are read at home alone."""
    chosen = frozenset(results)
    for slot, value in enumerate(body.inputs):
        if value in found and found[value].at_home and not found[value].elsewhere:
            yield from ((n, slot) for n, output in enumerate(body.outputs) if output in chosen)


def _of_update(body: Graph, values: Sequence[Value]) -> Iterable[Pair]:
    update = body.outputs[0]
    start = costs.start_of_update(update)
    users = [value for value in values if start in value.inputs]
    alone = users == [update] and start not in update.inputs[1:]
    if len(body.outputs) == 1 and start is not None and costs.is_input(start) and alone:
        yield 0, start.attrs[0]


def _of_product(body: Graph, values: Sequence[Value]) -> Iterable[Pair]:
    center = next(v for v in values if v.op.loop_class is LoopClass.CONTRACTION)
    factors = frozenset(topological(center.inputs))
    places = product_places(values, body.outputs)
    flat = {v: linearize(places[v], contiguous_strides(v.shape)) for v in body.outputs}
    # Results may be stored in different orders: inputs are judged for each order on its own.
    for first in dict.fromkeys(body.outputs):
        alike = [value for value in dict.fromkeys(body.outputs) if flat[value] == flat[first]]
        if alike[0] is not first:
            continue
        others = [value for value in body.outputs if flat[value] != flat[first]]
        excluded = factors | _inputs_of(others, center)
        found = reads(Form(Kind.MAP, first.shape), alike, (center,))
        kept = {value: read for value, read in found.items() if value not in excluded}
        yield from _same_elements(body, kept, alike)


def _inputs_of(results: Iterable[Value], center: Value) -> frozenset[Value]:
    """What is read after the contraction for some results."""
    found: set[Value] = set()
    stack = list(results)
    while stack:
        value = stack.pop()
        if value not in found and value is not center:
            found.add(value)
            stack.extend(value.inputs)
    return frozenset(found)


def _of_rows(form: Form, body: Graph, values: Sequence[Value]) -> Iterable[Pair]:
    """A row is visited several times, so only what is read once a row can be overwritten."""
    reduced = [v for v in values if v.op.loop_class is LoopClass.REDUCTION]
    outer = [v for v in body.outputs if v.type.numel != form.count]
    inner = [v for v in body.outputs if v.type.numel == form.count]
    in_rows = reads(form, (*reduced, *inner), reduced)
    found = reads(form, [v for v in outer if v not in reduced], reduced)
    kept = {value: read for value, read in found.items() if value not in in_rows}
    return _same_elements(body, kept, outer)
