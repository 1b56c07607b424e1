"""Values: the immutable, interned nodes of tensor IR, and the row of the op table they point to.

Equal means identical: a value is built by ``make`` alone, which looks it up first.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from treadle.ir.types import (
    CPU,
    DType,
    Scalar,
    Shape,
    TensorType,
    TupleType,
    bfloat16,
    float32,
)

Attributes: TypeAlias = tuple[Any, ...]
Array: TypeAlias = "np.ndarray[Any, Any]"


class LoopClass(enum.Enum):
    """What kind of loop an op becomes."""

    SOURCE = "source"  # inputs, constants, iota: no operands
    ELEMENTWISE = "elementwise"
    MOVEMENT = "movement"  # index arithmetic only
    REDUCTION = "reduction"
    CONTRACTION = "contraction"
    INDEXING = "indexing"  # addresses come from data
    SCAN = "scan"  # every element with all before it along an axis
    SORT = "sort"  # whole rows rearranged
    UPDATE = "update"  # a copy of the first operand with a part replaced
    RANDOM = "random"
    LIBRARY = "library"  # computed by the host's libraries
    KERNEL = "kernel"  # a fused group and the projections of its results


@dataclass(frozen=True, eq=False)
class Op:
    """One row of the op table: all that is true of an op on every target.

    Attributes:
        name: name in IR text.
        operands: names of the operands; a last name starting with ``*`` takes any number.
        attributes: names of the attributes, in order.
        loop_class: what kind of loop it becomes.
        infer: (operand types, attributes) -> type; raises TypeError or ValueError.
        evaluate: (operand arrays, attributes, type) -> array: the reference meaning.
        scalar: position of an attribute that holds a number, which interning must tell apart
            by its bits (``0.0`` and ``-0.0``, ``1`` and ``True``), or -1.
    """

    name: str
    operands: tuple[str, ...]
    attributes: tuple[str, ...]
    loop_class: LoopClass
    infer: Callable[[Sequence[TensorType], Attributes], TensorType | TupleType]
    evaluate: Callable[[Sequence[Array], Attributes, TensorType], Array]
    scalar: int = -1

    def run(self, arrays: Sequence[Array], attrs: Attributes, type: TensorType) -> Array:
        """`evaluate`, in float32 and rounded for elements that NumPy does not compute with."""
        foreign = bfloat16.numpy
        if not self._computes() or all(array.dtype != foreign for array in arrays):
            return self.evaluate(arrays, attrs, type)
        wide = [a.astype(np.float32) if a.dtype == foreign else a for a in arrays]
        if type.dtype is not bfloat16:
            return self.evaluate(wide, attrs, type)
        found = self.evaluate(wide, attrs, type._replace(dtype=float32))
        return np.asarray(found).astype(foreign)

    def _computes(self) -> bool:
        """Whether it works on numbers; ops that only move or convert bits do not."""
        other = (LoopClass.MOVEMENT, LoopClass.UPDATE, LoopClass.KERNEL, LoopClass.LIBRARY)
        return self.loop_class not in other and "dtype" not in self.attributes

    def __repr__(self) -> str:
        return f"<op {self.name}>"


class Value:
    """One immutable, typed, interned value.

    Attributes:
        op: row of the op table.
        inputs: operand values.
        attrs: attributes in the order of ``op.attributes``.
        type: dtype, shape and device.
    """

    __slots__ = ("attrs", "inputs", "op", "type")

    op: Op
    inputs: tuple[Value, ...]
    attrs: Attributes
    type: TensorType

    @property
    def shape(self) -> Shape:
        """Extents."""
        return self.type.shape

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self.type.dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.type.shape)

    def attr(self, name: str) -> Any:
        """The attribute of that name."""
        return self.attrs[self.op.attributes.index(name)]

    def __repr__(self) -> str:
        return f"<{self.op.name}: {self.type}>"

    # Operators build values: ``build`` fills the table, since it needs the ops and they this class.

    def __add__(self, other: Value | Scalar) -> Value:
        return ARITHMETIC["add"](self, other)

    def __radd__(self, other: Scalar) -> Value:
        return ARITHMETIC["add"](other, self)

    def __sub__(self, other: Value | Scalar) -> Value:
        return ARITHMETIC["sub"](self, other)

    def __rsub__(self, other: Scalar) -> Value:
        return ARITHMETIC["sub"](other, self)

    def __mul__(self, other: Value | Scalar) -> Value:
        return ARITHMETIC["mul"](self, other)

    def __rmul__(self, other: Scalar) -> Value:
        return ARITHMETIC["mul"](other, self)

    def __truediv__(self, other: Value | Scalar) -> Value:
        return ARITHMETIC["div"](self, other)

    def __rtruediv__(self, other: Scalar) -> Value:
        return ARITHMETIC["div"](other, self)

    def __pow__(self, other: Value | Scalar) -> Value:
        return ARITHMETIC["pow"](self, other)

    def __neg__(self) -> Value:
        return ARITHMETIC["neg"](self)


ARITHMETIC: dict[str, Callable[..., Value]] = {}


_NAN = math.nan
_table: dict[Any, Value] = {}


def make(op: Op, inputs: tuple[Value, ...], attrs: Attributes = ()) -> Value:
    """The value of an op; infers its type the first time. Raises what ``op.infer`` raises."""
    key: Any
    if op.scalar >= 0:
        number = attrs[op.scalar]
        if number != number:  # one NaN object, since NaN never equals itself
            attrs = (*attrs[: op.scalar], _NAN, *attrs[op.scalar + 1 :])
        key = (op, inputs, attrs, repr(number))
    else:
        key = (op, inputs, attrs)
    found = _table.get(key)
    if found is not None:
        return found
    value = Value.__new__(Value)
    value.op = op
    value.inputs = inputs
    value.attrs = attrs
    # Only kernels and library calls have tuple types, and only ``item`` reads those.
    value.type = op.infer([operand.type for operand in inputs], attrs)  # type: ignore[assignment]
    return _table.setdefault(key, value)


def interned_count() -> int:
    """How many values the table holds."""
    return len(_table)


def forget(keep: Iterable[Value]) -> None:
    """Empties the intern table down to what ``keep`` reaches; bounds memory in long runs.

    Call it only while no other value is in use: a forgotten value would not be identical to its
    equal made later.
    """
    reached = set(topological(keep))
    for key in [key for key, value in _table.items() if value not in reached]:
        del _table[key]


def topological(roots: Iterable[Value]) -> list[Value]:
    """Every value that the roots reach, operands first, in a deterministic order."""
    order: list[Value] = []
    done: set[Value] = set()
    for root in roots:
        stack = [(root, False)]
        while stack:
            value, expanded = stack.pop()
            if value in done:
                continue
            if expanded:
                done.add(value)
                order.append(value)
                continue
            stack.append((value, True))
            stack.extend((operand, False) for operand in reversed(value.inputs))
    return order


def device_of(types: Sequence[TensorType]) -> Any:
    """The device that operands share; RuntimeError in PyTorch's words where they differ."""
    if not types:
        return CPU
    first = types[0].device
    for other in types:
        if other.device != first:
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"{first} and {other.device}!"
            )
    return first
