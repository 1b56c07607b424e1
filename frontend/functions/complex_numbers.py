"""Complex numbers: made of parts, taken apart, conjugated; views of their parts share memory."""

from __future__ import annotations

from typing import Any

from treadle.functions import slicing
from treadle.functions.aliasing import view_operation
from treadle.functions.filling import copy_into
from treadle.ir import build as b
from treadle.ir.complex_values.parts import complex as complex_of, parts
from treadle.ir.types import bool_, float32, float64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import scalar_name
from treadle.tensor import Tensor
from treadle.views import TypedView, View, pairs

__all__ = [
    "complex", "conj", "conj_physical", "imag", "is_conj", "is_neg", "isreal", "polar", "real",
    "resolve_conj", "resolve_neg", "view_as_complex", "view_as_real",
]  # fmt: skip
METHODS = "conj conj_physical is_conj is_neg isreal resolve_conj resolve_neg"
INPLACE = "conj_physical"


def _check_parts(first: Value, second: Value) -> None:
    """PyTorch's errors of parts that are no floats of one type."""
    if any(part.dtype not in (float32, float64) for part in (first, second)):
        raise RuntimeError(
            "Expected both inputs to be Half, Float or Double tensors but got "
            f"{scalar_name(first.dtype)} and {scalar_name(second.dtype)}"
        )
    if first.dtype is not second.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {scalar_name(first.dtype)} but got scalar type "
            f"{scalar_name(second.dtype)} for second argument"
        )


def _of_one_shape(first: Value, second: Value) -> tuple[Value, Value]:
    shape = b.broadcast_shapes(first.shape, second.shape)
    return b.broadcast_to(first, shape), b.broadcast_to(second, shape)


@operation("ComplexBackward0")
def complex(real: Value, imag: Value) -> Value:
    """real + i imag; both float32 or both float64."""
    _check_parts(real, imag)
    return complex_of(*_of_one_shape(real, imag))


@operation("PolarBackward0")
def polar(abs: Value, angle: Value) -> Value:
    """abs (cos angle + i sin angle); both float32 or both float64."""
    _check_parts(abs, angle)
    size, turn = _of_one_shape(abs, angle)
    return complex_of(size * b.cos(turn), size * b.sin(turn))


@operation()
def from_pairs(pairs: Value) -> Value:
    """Pairs along the last axis as complex elements, in memory of their own."""
    return b.view_as_complex(pairs)


# -- views of the same memory --------------------------------------------------------------------

_view_as_real = view_operation("ViewAsRealBackward0")(b.view_as_real)
_view_as_complex = view_operation("ViewAsComplexBackward0")(b.view_as_complex)


def view_as_real(input: Tensor) -> Tensor:
    """Real and imaginary parts along a new last axis, in the same memory."""
    if not input.dtype.is_complex:
        raise RuntimeError("view_as_real is only supported for complex tensors")
    return _view_as_real(input, TypedView(pairs(input._layout), input.dtype.to_real()))


def view_as_complex(input: Tensor) -> Tensor:
    """Pairs along the last axis as complex elements, in the same memory.

    Raises RuntimeError in PyTorch's words where the pairs do not lie as complex elements do.
    """
    if input.dtype not in (float32, float64):
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, but got a "
            f"tensor of scalar type: {scalar_name(input.dtype)}"
        )
    size, stride, offset = input._layout
    if not size:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if size[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    if stride[-1] != 1:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any(step % 2 for step in stride[:-1]):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    if offset % 2:
        raise RuntimeError("Tensor must have a storage_offset divisible by 2")
    layout = View(size[:-1], tuple(step // 2 for step in stride[:-1]), offset // 2)
    return _view_as_complex(input, TypedView(layout, input.dtype.to_complex()))


def real(input: Tensor) -> Tensor:
    """The real parts, in the same memory; the tensor itself where it is real."""
    return slicing.select(view_as_real(input), -1, 0) if input.dtype.is_complex else input


def imag(input: Tensor) -> Tensor:
    """The imaginary parts, in the same memory; RuntimeError for real tensors."""
    if not input.dtype.is_complex:
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return slicing.select(view_as_real(input), -1, 1)


def _set_real(self: Tensor, value: Any) -> None:
    copy_into(real(self), value)


def _set_imag(self: Tensor, value: Any) -> None:
    copy_into(imag(self), value)


# -- conjugates ----------------------------------------------------------------------------------


@operation("ConjBackward0")
def _conj(input: Value) -> Value:
    return b.conj(input)


def conj(input: Tensor) -> Tensor:
    """The conjugate; the tensor itself where it is real. Its memory is its own."""
    result: Tensor = _conj(input) if input.dtype.is_complex else input
    return result


@operation("ConjPhysicalBackward0")
def conj_physical(input: Value) -> Value:
    """The conjugate."""
    return b.conj(input)


def is_conj(input: Tensor) -> bool:
    """Whether the conjugate is still to be taken: never, conjugates are computed with the rest."""
    return False


def is_neg(input: Tensor) -> bool:
    """Whether the negative is still to be taken: never, as with ``is_conj``."""
    return False


def resolve_conj(input: Tensor) -> Tensor:
    """The tensor itself, whose conjugate was taken."""
    return input


def resolve_neg(input: Tensor) -> Tensor:
    """The tensor itself, whose negative was taken."""
    return input


@operation()
def isreal(input: Value) -> Value:
    """Whether imaginary parts are zero."""
    if not input.dtype.is_complex:
        return b.full(input.shape, True, bool_, input.type.device)
    return b.eq(parts(input)[1], 0.0)


# ``tensor.real`` and ``tensor.imag`` can be assigned to.
ATTRIBUTES = {"real": property(real, _set_real), "imag": property(imag, _set_imag)}
