"""What arguments pointwise functions take: PyTorch's errors for the others.

A number may stand for a tensor only where a signature says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from treadle.ir import build as b
from treadle.ir.types import NARROW_FLOATS, bool_, float32
from treadle.ir.value import Value
from treadle.promotion import promoted, result_type, scalar_name

_TENSOR_OR_NUMBER = "(Tensor input, Tensor {0}, *, Tensor out = None)"
_NUMBER_SECOND = "(Tensor input, Number {0}, *, Tensor out = None)"
_NUMBER_FIRST = "(Number self, Tensor {0}, *, Tensor out = None)"


def is_number(argument: Any) -> bool:
    """Whether an argument is a Python number."""
    return isinstance(argument, (int, float, complex))


def type_of(argument: Any) -> str:
    """The type of an argument as messages show it."""
    return "Tensor" if isinstance(argument, Value) else type(argument).__name__


def need_tensors(function: str, **arguments: Any) -> None:
    """TypeError for the first argument that is no tensor."""
    for position, (name, argument) in enumerate(arguments.items(), 1):
        if not isinstance(argument, Value):
            raise TypeError(
                f"{function}(): argument '{name}' (position {position}) must be Tensor, "
                f"not {type_of(argument)}"
            )


def invalid_combination(
    function: str, arguments: Sequence[Any], signatures: Sequence[str]
) -> TypeError:
    """The error of arguments that fit none of several signatures."""
    found = ", ".join(map(type_of, arguments))
    listed = "".join(f" * {signature}\n" for signature in signatures)
    return TypeError(
        f"{function}() received an invalid combination of arguments - got ({found}), but expected "
        f"one of:\n{listed}"
    )


def need_signature(
    function: str, input: Any, other: Any, *, first: bool = False, name: str = "other"
) -> None:
    """TypeError unless both are tensors or the second (with ``first`` either) is a number."""
    fits = isinstance(input, Value) and (isinstance(other, Value) or is_number(other))
    if not fits and not (first and is_number(input) and isinstance(other, Value)):
        forms = [_TENSOR_OR_NUMBER, _NUMBER_SECOND, *([_NUMBER_FIRST] if first else [])]
        raise invalid_combination(function, (input, other), [form.format(name) for form in forms])


def arithmetic_operands(function: str, input: Any, other: Any) -> tuple[Any, Any]:
    """The operands of + - * /, which take numbers on both sides; TypeError for other things."""
    for position, (name, item) in enumerate((("input", input), ("other", other)), 1):
        if not isinstance(item, Value) and not is_number(item):
            raise TypeError(
                f"{function}(): argument '{name}' (position {position}) must be Tensor, "
                f"not {type_of(item)}"
            )
    if not isinstance(input, Value) and not isinstance(other, Value):
        input = b.constant(input, result_type(input))
    return input, other


def refuse_bool(input: Value, kernel: str) -> None:
    """NotImplementedError for bool tensors."""
    if input.dtype is bool_:
        raise not_implemented(input, kernel)


def refuse_complex(input: Value, kernel: str) -> None:
    """NotImplementedError in PyTorch's words for a complex operand."""
    if input.dtype.kind == "c":
        raise not_implemented(input, kernel)


def not_implemented(input: Value, kernel: str) -> NotImplementedError:
    """The error of a dtype for which PyTorch has no kernel."""
    return NotImplementedError(f"\"{kernel}\" not implemented for '{scalar_name(input.dtype)}'")


def rounded_once(build: Callable[..., Value]) -> Callable[..., Value]:
    """Several steps on floats of two bytes in float32, so that only the result is rounded."""

    def evaluate(*operands: Value) -> Value:
        dtype = operands[0].dtype
        if dtype not in NARROW_FLOATS:
            return build(*operands)
        return b.cast(build(*(b.cast(x, float32) for x in operands)), dtype)

    return evaluate


def promoted_floats(function: str, input: Any, other: Any) -> tuple[Value, Value]:
    """Two tensors in their common dtype, which must be floating."""
    x, y = promoted(input, other)
    if not x.dtype.is_floating_point:
        raise not_implemented(x, f"{function}_cpu")
    return x, y
