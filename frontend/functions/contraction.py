"""Products of matrices and vectors.

Every form is recorded as one ``dot`` over reshaped operands.
"""

from __future__ import annotations

from typing import Any

from treadle.ir import build as b
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import cpp_name

__all__ = ["addmm", "bmm", "dot", "matmul", "mm", "mv", "outer"]
METHODS = "mm bmm dot mv matmul addmm outer"


def _same_dtype(x: Value, y: Value, names: tuple[str, str] = ("m1", "m2")) -> None:
    if x.dtype is not y.dtype:
        raise RuntimeError(
            f"expected {names[0]} and {names[1]} to have the same dtype, but got: "
            f"{cpp_name(x.dtype)} != {cpp_name(y.dtype)}"
        )


def _matrices(x: Value, y: Value) -> None:
    if x.ndim != 2 or y.ndim != 2:
        which = "self" if x.ndim != 2 else "mat2"
        raise RuntimeError(f"{which} must be a matrix")
    if x.shape[1] != y.shape[0]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({x.shape[0]}x{x.shape[1]} and "
            f"{y.shape[0]}x{y.shape[1]})"
        )
    _same_dtype(x, y)


@operation("MmBackward0")
def mm(input: Value, mat2: Value) -> Value:
    """Product of two matrices."""
    _matrices(input, mat2)
    return b.dot(input, mat2)


@operation("BmmBackward0")
def bmm(input: Value, mat2: Value) -> Value:
    """Products of two batches of matrices."""
    for name, operand in (("batch1", input), ("batch2", mat2)):
        if operand.ndim != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    if input.shape[0] != mat2.shape[0] or input.shape[2] != mat2.shape[1]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: "
            f"[{input.shape[0]}, {input.shape[2]}] but got: "
            f"[{mat2.shape[0]}, {mat2.shape[1]}]."
        )
    _same_dtype(input, mat2, ("batch1", "batch2"))
    return b.dot(input, mat2)


def _vectors(input: Value, other: Value) -> Value:
    if input.ndim != 1 or other.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.ndim}D and {other.ndim}D tensors")
    if input.shape != other.shape:
        raise RuntimeError(
            "inconsistent tensor size, expected tensor "
            f"[{input.shape[0]}] and src [{other.shape[0]}] to have the same number of elements, "
            f"but got {input.shape[0]} and {other.shape[0]} elements respectively"
        )
    _same_dtype(input, other, ("both vectors", "them"))
    product = b.dot(b.reshape(input, (1, *input.shape)), b.reshape(other, (*other.shape, 1)))
    return b.reshape(product, ())


@operation("DotBackward0")
def dot(input: Value, tensor: Value) -> Value:
    """Inner product of two vectors."""
    return _vectors(input, tensor)


@operation("MvBackward0")
def mv(input: Value, vec: Value) -> Value:
    """Product of a matrix and a vector."""
    if input.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {1}, {input.ndim}, {vec.ndim}")
    if input.shape[1] != vec.shape[0]:
        raise RuntimeError(
            f"size mismatch, got input ({input.shape[0]}), mat "
            f"({input.shape[0]}x{input.shape[1]}), vec ({vec.shape[0]})"
        )
    _same_dtype(input, vec)
    return b.reshape(b.dot(input, b.reshape(vec, (*vec.shape, 1))), input.shape[:1])


def _matmul(x: Value, y: Value) -> Value:
    if not x.ndim or not y.ndim:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {x.ndim}D and {y.ndim}D"
        )
    _same_dtype(x, y)
    left = b.reshape(x, (1, *x.shape)) if x.ndim == 1 else x
    right = b.reshape(y, (*y.shape, 1)) if y.ndim == 1 else y
    rows, inner, columns = left.shape[-2], left.shape[-1], right.shape[-1]
    if inner != right.shape[-2]:
        folded = left.type.numel // inner if inner and right.ndim == 2 else rows
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({folded}x{inner} and "
            f"{right.shape[-2]}x{columns})"
        )
    if right.ndim == 2:
        # One product over all rows, whatever the batch.
        flat = b.dot(b.reshape(left, (_rows(left), inner)), right)
        product = b.reshape(flat, (*left.shape[:-1], columns))
    else:
        batch = b.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        product = b.dot(
            b.broadcast_to(left, (*batch, rows, inner)),
            b.broadcast_to(right, (*batch, inner, columns)),
        )
    shape = list(product.shape)
    if y.ndim == 1:
        del shape[-1]
    if x.ndim == 1:
        del shape[len(shape) - (1 if y.ndim == 1 else 2)]
    return b.reshape(product, shape)


def _rows(matrix: Value) -> int:
    rows = 1
    for extent in matrix.shape[:-1]:
        rows *= extent
    return rows


_products = {
    (1, 1): operation("DotBackward0")(_vectors),
    (2, 1): operation("MvBackward0")(_matmul),
    (2, 2): operation("MmBackward0")(_matmul),
}
_batched = operation("UnsafeViewBackward0")(_matmul)


def matmul(input: Any, other: Any) -> Any:
    """Product of vectors, matrices or batches of them, by PyTorch's rules."""
    return _products.get((input.ndim, other.ndim), _batched)(input, other)


@operation("AddmmBackward0")
def addmm(input: Value, mat1: Value, mat2: Value, *, beta: Any = 1, alpha: Any = 1) -> Value:
    """beta * input + alpha * mat1 @ mat2."""
    _matrices(mat1, mat2)
    product = b.dot(mat1, mat2)
    scaled = product if alpha == 1 else product * alpha
    base = b.broadcast_to(input, product.shape)
    return b.add(base if beta == 1 else base * beta, scaled)


@operation("MulBackward0")
def outer(input: Value, vec2: Value) -> Value:
    """Every product of an element of one vector and one of the other."""
    if input.ndim != 1 or vec2.ndim != 1:
        raise RuntimeError("outer: Expected 1-D arguments")
    return b.mul(b.reshape(input, (*input.shape, 1)), b.reshape(vec2, (1, *vec2.shape)))
