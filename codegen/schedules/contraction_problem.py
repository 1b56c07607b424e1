"""A contraction as an index space: axes of rows, columns, batch and depth, and operands over them.

Products and convolutions become the same form here; no tile sizes and no loops are chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from treadle.codegen.loops import Buffer
from treadle.ir.access import MOVEMENTS, Position, accesses, same_elements
from treadle.ir.graph import Graph
from treadle.ir.index import Index, Var, constant, linearize, substitute, variable, variables
from treadle.ir.types import contiguous_strides
from treadle.ir.value import LoopClass, Value


@dataclass(frozen=True)
class Operand:
    """One factor of the product.

    Attributes:
        value: the operand of the contraction.
        position: where in ``value`` the factor at a point of the index space lies.
        slot, index: the kernel input and flat index it is an element of, where movement ops
            without guards are all that lies between; slot is -1 otherwise.
    """

    value: Value
    position: Position
    slot: int
    index: Index

    @property
    def plain(self) -> bool:
        """Whether the factor is an element of an input."""
        return self.slot >= 0

    def stride(self, var: Var) -> int | None:
        """Elements between neighbours along an axis; None where it is not a number."""
        return self.index.coefficient(var) if self.plain else None

    def depends(self, var: Var) -> bool:
        """Whether the factor differs along an axis."""
        indices = (self.index,) if self.plain else self.position
        return any(var in variables(index) for index in indices)

    def moved(self, replacement: Mapping[Var, Index]) -> Operand:
        """The operand with axes replaced by expressions."""
        return Operand(
            self.value,
            tuple(substitute(index, replacement) for index in self.position),
            self.slot,
            substitute(self.index, replacement),
        )


@dataclass(frozen=True)
class Problem:
    """``sum over depth of left * right`` at every point of grid x row x column.

    Attributes:
        product: the ``dot`` or ``conv``.
        grid: axes of the result that only choose which product it is, outermost first.
        row: the axis of the result along which only ``left`` differs, or None.
        column: the axis of the result along which only ``right`` differs, or None.
        depth: summed axes, outermost first.
        places: position of every value from the product to the outputs.
    """

    body: Graph
    product: Value
    grid: tuple[Var, ...]
    row: Var | None
    column: Var | None
    depth: tuple[Var, ...]
    left: Operand
    right: Operand
    places: Mapping[Value, Position]

    @property
    def multiplications(self) -> int:
        """Products of two factors in all."""
        count = 1
        for var in (*self.grid, self.row, self.column, *self.depth):
            count *= 1 if var is None else var.extent
        return count

    def output_index(self, number: int) -> Index:
        """Flat index of an output at a point of the index space."""
        value = self.body.outputs[number]
        return linearize(self.places[value], contiguous_strides(value.shape))


def operand_at(value: Value, position: Position) -> Operand:
    """A value at a position, followed through movement ops to a kernel input where possible."""
    source, at = value, position
    while source.op.name in MOVEMENTS:
        found = accesses(source, at)
        if len(found) != 1 or found[0].guard:
            return Operand(value, position, -1, constant(0))
        source, at = source.inputs[found[0].operand], found[0].position
    if source.op.name != "input":
        return Operand(value, position, -1, constant(0))
    return Operand(
        value, position, source.attrs[0], linearize(at, contiguous_strides(source.shape))
    )


def product_of(body: Graph) -> Value:
    """The one contraction of a body; ValueError where it has none or several."""
    found = [v for v in body.values() if v.op.loop_class is LoopClass.CONTRACTION]
    if len(found) != 1:
        raise ValueError(
            f"a contraction kernel holds one contraction, {body.name} has {len(found)}"
        )
    return found[0]


def places_of(body: Graph, product: Value, position: Position) -> dict[Value, Position]:
    """Positions of the values between the product and the outputs, for one of the product's.

    Raises ValueError where an output's elements are not one to one with the product's.
    """
    places = {product: position}
    for value in body.values():
        sources = [operand for operand in value.inputs if operand in places]
        if value in places or not sources:
            continue
        name = value.op.name
        if name == "permute":
            places[value] = tuple(places[sources[0]][axis] for axis in value.attrs[0])
        elif name == "reshape":
            places[value] = same_elements(sources[0].shape, places[sources[0]], value.shape)
        elif value.op.loop_class is LoopClass.ELEMENTWISE and (
            len({places[source] for source in sources}) == 1
        ):
            places[value] = places[sources[0]]
        else:
            raise ValueError(f"{name} after a contraction does not keep its elements one to one")
    for value in body.outputs:
        if value not in places:
            raise ValueError(f"an output of {body.name} does not depend on its contraction")
    return places


def _dot_axes(product: Value) -> tuple[list[Var], list[Var], Position, Position]:
    x, y = product.inputs
    result = [Var(f"b{axis}", extent) for axis, extent in enumerate(x.shape[:-2])]
    row, column = Var("m", x.shape[-2]), Var("n", y.shape[-1])
    depth = Var("k", x.shape[-1])
    batch = [variable(var) for var in result]
    left = (*batch, variable(row), variable(depth))
    right = (*batch, variable(depth), variable(column))
    return [*result, row, column], [depth], left, right


def _conv_axes(product: Value) -> tuple[list[Var], list[Var], Position, Position]:
    x, w = product.inputs
    stride, padding, dilation, base = product.attrs
    if any(low or high for low, high in padding) or any(step != 1 for step in base):
        raise ValueError("convolutions reach code generation padded: run pad-convolutions first")
    spatial = product.ndim - 3
    batch, group, row = (Var(name, product.shape[axis]) for axis, name in enumerate("ngm"))
    columns = [Var(f"s{axis}", extent) for axis, extent in enumerate(product.shape[3:])]
    channel = Var("c", x.shape[2])
    taps = [Var(f"k{axis}", extent) for axis, extent in enumerate(w.shape[3:])]
    window = tuple(
        variable(columns[axis]) * stride[axis] + variable(taps[axis]) * dilation[axis]
        for axis in range(spatial)
    )
    left = (variable(group), variable(row), variable(channel), *map(variable, taps))
    right = (variable(batch), variable(group), variable(channel), *window)
    return [batch, group, row, *columns], [channel, *taps], left, right


def _collapsed(
    axes: Sequence[Var], indices: Sequence[Index], prefix: str
) -> tuple[list[Var], dict[Var, Index]]:
    """Neighbouring axes merged where every index is linear in both with matching strides."""
    kept: list[Var] = []
    replacement: dict[Var, Index] = {}
    members: list[list[Var]] = []
    for var in (var for var in axes if var.extent != 1):
        if members and _merges(members[-1][-1], var, indices):
            members[-1].append(var)
        else:
            members.append([var])
    for number, group in enumerate(members):
        if len(group) == 1:
            kept.append(group[0])
            continue
        extent = 1
        for var in group:
            extent *= var.extent
        merged = Var(f"{prefix}{number}", extent)
        kept.append(merged)
        rest = variable(merged)
        for var in reversed(group):
            replacement[var] = rest % var.extent
            rest = rest // var.extent
    return kept, replacement


def _merges(outer: Var, inner: Var, indices: Iterable[Index]) -> bool:
    for index in indices:
        far, near = index.coefficient(outer), index.coefficient(inner)
        if far is None or near is None or far != near * inner.extent:
            return False
    return True


def problem_of(body: Graph) -> Problem:
    """The index space of a body's contraction; ValueError where it is not of the form above."""
    product = product_of(body)
    swapped = product.op.name == "conv"
    result, depth, first, second = (_conv_axes if swapped else _dot_axes)(product)
    x, y = reversed(product.inputs) if swapped else product.inputs
    left, right = operand_at(x, first), operand_at(y, second)
    places = places_of(body, product, tuple(variable(var) for var in result))

    # Operands that are computed rather than loaded keep every axis apart.
    strict = [*left.position] * (not left.plain) + [*right.position] * (not right.plain)
    indices = [operand.index for operand in (left, right) if operand.plain] + strict
    outputs = [linearize(places[v], contiguous_strides(v.shape)) for v in set(body.outputs)]
    axes, merged = _collapsed(result, [*indices, *outputs], "p")
    summed, merged_depth = _collapsed(depth, indices, "q")
    replacement = merged | merged_depth
    left, right = left.moved(replacement), right.moved(replacement)
    places = {
        value: tuple(substitute(index, replacement) for index in position)
        for value, position in places.items()
    }
    return _with_roles(body, product, axes, tuple(summed), left, right, places)


def _with_roles(
    body: Graph,
    product: Value,
    axes: Sequence[Var],
    depth: tuple[Var, ...],
    left: Operand,
    right: Operand,
    places: Mapping[Value, Position],
) -> Problem:
    """Names the axes; the column is the one along which the first output is stored."""
    first = body.outputs[0]
    stored = linearize(places[first], contiguous_strides(first.shape))
    single = [var for var in axes if left.depends(var) != right.depends(var)]
    column = next((var for var in single if stored.coefficient(var) == 1), None)
    if column is None and single:
        column = single[-1]
    if column is not None and left.depends(column):
        left, right = right, left
    rows = [var for var in single if left.depends(var)]
    row = max(rows, key=lambda var: var.extent) if rows else None
    grid = tuple(var for var in axes if var not in (row, column))
    return Problem(body, product, grid, row, column, depth, left, right, places)


def inputs_of(body: Graph) -> tuple[Buffer, ...]:
    """The input buffers of a kernel."""
    return tuple(
        Buffer(f"in{slot}", value.dtype, value.type.numel) for slot, value in enumerate(body.inputs)
    )


def outputs_of(body: Graph) -> tuple[Buffer, ...]:
    """The output buffers of a kernel."""
    return tuple(
        Buffer(f"out{number}", value.dtype, value.type.numel)
        for number, value in enumerate(body.outputs)
    )
