"""Products of matrices and vectors.

Every form is recorded as one ``dot`` over reshaped operands, with what is added beside it.
"""

from __future__ import annotations

import math
from typing import Any

from treadle.functions.einsum import chain_matmul, einsum, tensordot
from treadle.ir import build as b
from treadle.ir.types import DType, Shape, bool_, int64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.out_argument import accepts_out
from treadle.promotion import cpp_name, promoted, scalar_name
from treadle.tensor import Tensor

__all__ = [
    "addbmm",
    "addmm",
    "addmv",
    "addr",
    "baddbmm",
    "bilinear",
    "bmm",
    "chain_matmul",
    "dot",
    "einsum",
    "ger",
    "inner",
    "kron",
    "matmul",
    "mm",
    "mv",
    "outer",
    "tensordot",
    "trace",
    "vdot",
]
METHODS = "addbmm addmm addmv addr baddbmm bmm dot ger inner kron matmul mm mv outer trace vdot"
INPLACE = "addbmm addmm addmv addr baddbmm"


def refuse_bool(dtype: DType, kernel: str) -> None:
    """NotImplementedError where PyTorch has no kernel for bool."""
    if dtype is bool_:
        raise NotImplementedError(f"\"{kernel}\" not implemented for 'Bool'")


def same_dtype(x: Value, y: Value, kernel: str = "addmm_impl_cpu_") -> None:
    """RuntimeError where the factors of a product of matrices have different dtypes."""
    if x.dtype is not y.dtype:
        raise RuntimeError(
            "expected m1 and m2 to have the same dtype, but got: "
            f"{cpp_name(x.dtype)} != {cpp_name(y.dtype)}"
        )
    refuse_bool(x.dtype, kernel)


def _multipliable(x: Value, y: Value) -> None:
    if x.shape[1] != y.shape[0]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({x.shape[0]}x{x.shape[1]} and "
            f"{y.shape[0]}x{y.shape[1]})"
        )


@operation("MmBackward0")
def mm(input: Value, mat2: Value) -> Value:
    """Product of two matrices."""
    if input.ndim != 2:
        raise RuntimeError("self must be a matrix")
    if mat2.ndim != 2:
        raise RuntimeError("mat2 must be a matrix")
    _multipliable(input, mat2)
    same_dtype(input, mat2)
    return b.dot(input, mat2)


def _batches(batch1: Value, batch2: Value) -> None:
    for name, operand in (("batch1", batch1), ("batch2", batch2)):
        if operand.ndim != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    if batch1.shape[0] != batch2.shape[0] or batch1.shape[2] != batch2.shape[1]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: "
            f"[{batch1.shape[0]}, {batch1.shape[2]}] but got: "
            f"[{batch2.shape[0]}, {batch2.shape[1]}]."
        )


@operation("BmmBackward0")
def bmm(input: Value, mat2: Value) -> Value:
    """Products of two batches of matrices."""
    _batches(input, mat2)
    if input.dtype is not mat2.dtype:
        raise RuntimeError(
            f"expected scalar type {scalar_name(input.dtype)} but found {scalar_name(mat2.dtype)}"
        )
    refuse_bool(input.dtype, "bmm")
    return b.dot(input, mat2)


def _vectors(input: Value, other: Value) -> Value:
    if input.ndim != 1 or other.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.ndim}D and {other.ndim}D tensors")
    if input.dtype is not other.dtype:
        raise RuntimeError(
            "dot : expected both vectors to have same dtype, but found "
            f"{scalar_name(input.dtype)} and {scalar_name(other.dtype)}"
        )
    if input.shape != other.shape:
        raise RuntimeError(
            "inconsistent tensor size, expected tensor "
            f"[{input.shape[0]}] and src [{other.shape[0]}] to have the same number of elements, "
            f"but got {input.shape[0]} and {other.shape[0]} elements respectively"
        )
    refuse_bool(input.dtype, "dot")
    product = b.dot(b.reshape(input, (1, *input.shape)), b.reshape(other, (*other.shape, 1)))
    return b.reshape(product, ())


@operation("DotBackward0")
def dot(input: Value, tensor: Value) -> Value:
    """Inner product of two vectors."""
    return _vectors(input, tensor)


@operation("VdotBackward0")
def vdot(input: Value, other: Value) -> Value:
    """Inner product of two vectors, the first one conjugated."""
    return _vectors(b.conj(input), other)


@operation("MvBackward0")
def mv(input: Value, vec: Value) -> Value:
    """Product of a matrix and a vector."""
    return _matrix_times_vector(input, vec, (input.shape[0],) if input.ndim else (), vec.dtype)


def _matrix_times_vector(mat: Value, vec: Value, base: Shape, dtype: DType) -> Value:
    """``base`` and ``dtype`` are those of what the product is added to, which errors name."""
    if mat.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(
            f"vector + matrix @ vector expected, got {len(base)}, {mat.ndim}, {vec.ndim}"
        )
    if mat.shape[1] != vec.shape[0] or base not in ((mat.shape[0],), (1,), ()):
        raise RuntimeError(
            f"size mismatch, got input ({base[0] if base else 1}), mat "
            f"({mat.shape[0]}x{mat.shape[1]}), vec ({vec.shape[0]})"
        )
    if not dtype is mat.dtype is vec.dtype:
        raise RuntimeError(
            f"addmv input tensors must have the same dtype, but got {scalar_name(dtype)}, "
            f"{scalar_name(mat.dtype)}, and {scalar_name(vec.dtype)}"
        )
    refuse_bool(mat.dtype, "addmv_impl_cpu")
    return b.reshape(b.dot(mat, b.reshape(vec, (*vec.shape, 1))), mat.shape[:1])


# --- matmul ---------------------------------------------------------------------------------------


def product(x: Value, y: Value) -> Value:
    """Product of vectors, matrices or batches of them, as ``matmul`` has it."""
    if not x.ndim or not y.ndim:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {x.ndim}D and {y.ndim}D"
        )
    if x.ndim == y.ndim == 1:
        return _vectors(x, y)
    left = b.reshape(x, (1, *x.shape)) if x.ndim == 1 else x
    right = b.reshape(y, (*y.shape, 1)) if y.ndim == 1 else y
    rows, inner, columns = left.shape[-2], left.shape[-1], right.shape[-1]
    folded = math.prod(left.shape[:-1])
    if inner != right.shape[-2]:
        raise RuntimeError(_mismatch(left, right, folded, y.ndim == 1))
    same_dtype(left, right)
    if right.ndim == 2:
        # One product over all rows, whatever the batch.
        flat = b.dot(b.reshape(left, (folded, inner)), right)
        result = b.reshape(flat, (*left.shape[:-1], columns))
    else:
        batch = b.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        result = b.dot(
            b.broadcast_to(left, (*batch, rows, inner)),
            b.broadcast_to(right, (*batch, inner, columns)),
        )
    shape = list(result.shape)
    if y.ndim == 1:
        del shape[-1]
    if x.ndim == 1:
        del shape[-2]
    return b.reshape(result, shape)


def _mismatch(left: Value, right: Value, folded: int, is_vector: bool) -> str:
    """PyTorch's words for factors that do not fit, which tell how it would have multiplied."""
    inner, columns = left.shape[-1], right.shape[-1]
    if is_vector:
        sizes = f"mat ({folded}x{inner}), vec ({right.shape[0]})"
        return f"size mismatch, got input ({folded}), {sizes}"
    if right.ndim == 2:
        return (
            f"mat1 and mat2 shapes cannot be multiplied ({folded}x{inner} and "
            f"{right.shape[-2]}x{columns})"
        )
    batch = math.prod(b.broadcast_shapes(left.shape[:-2], right.shape[:-2]))
    return (
        "Expected size for first two dimensions of batch2 tensor to be: "
        f"[{batch}, {inner}] but got: [{batch}, {right.shape[-2]}]."
    )


_products = {
    (1, 1): operation("DotBackward0")(product),
    (2, 1): operation("MvBackward0")(product),
    (2, 2): operation("MmBackward0")(product),
}
_batched = operation("UnsafeViewBackward0")(product)


@accepts_out
def matmul(input: Any, other: Any) -> Any:
    """Product of vectors, matrices or batches of them, by PyTorch's rules."""
    if not isinstance(other, Tensor):
        raise TypeError(
            f"matmul(): argument 'other' (position 2) must be Tensor, not {type(other).__name__}"
        )
    return _products.get((input.ndim, other.ndim), _batched)(input, other)


# --- a product added to something -----------------------------------------------------------------


def _expanded(input: Value, shape: Shape) -> Value:
    if input.ndim > len(shape):
        kind = f"torch.{scalar_name(input.dtype)}Tensor{{{list(input.shape)}}}"
        raise RuntimeError(
            f"expand({kind}, size={list(shape)}): the number of sizes provided ({len(shape)}) must "
            f"be greater or equal to the number of dimensions in the tensor ({input.ndim})"
        )
    for axis in range(-1, -input.ndim - 1, -1):
        if input.shape[axis] not in (1, shape[axis]):
            raise RuntimeError(
                f"The expanded size of the tensor ({shape[axis]}) must match the existing size "
                f"({input.shape[axis]}) at non-singleton dimension {len(shape) + axis}.  Target "
                f"sizes: {list(shape)}.  Tensor sizes: {list(input.shape)}"
            )
    return b.broadcast_to(input, shape)


def _scaled(value: Value, factor: Any) -> Value:
    if isinstance(factor, (int, float)) and value.dtype.kind not in "fc":
        # The kernels for integers take the factor as one of them.
        factor = int(factor)
    return value if isinstance(factor, (int, float)) and factor == 1 else value * factor


def _sum(input: Value, found: Value, beta: Any, alpha: Any) -> Value:
    """beta * input + alpha * found; what beta = 0 leaves out is not read, so NaN is not kept."""
    base = _expanded(input, found.shape)
    found = _scaled(found, alpha)
    if isinstance(beta, (int, float)) and beta == 0:
        return found
    return b.add(_scaled(base, beta), found)


def _self_dtype(input: Value, mat1: Value, mat2: Value) -> None:
    if mat1.dtype is not mat2.dtype:
        found = (input, mat2) if input.dtype is mat1.dtype else (mat1, mat2)
        raise RuntimeError(
            f"self and mat2 must have the same dtype, but got {scalar_name(found[0].dtype)} and "
            f"{scalar_name(found[1].dtype)}"
        )
    if input.dtype is not mat2.dtype:
        raise RuntimeError(
            f"self and mat2 must have the same dtype, but got {scalar_name(input.dtype)} and "
            f"{scalar_name(mat2.dtype)}"
        )


@operation("AddmmBackward0")
def addmm(input: Value, mat1: Value, mat2: Value, *, beta: Any = 1, alpha: Any = 1) -> Value:
    """beta * input + alpha * mat1 @ mat2."""
    for name, operand in (("mat1", mat1), ("mat2", mat2)):
        if operand.ndim != 2:
            raise RuntimeError(f"{name} must be a matrix, got {operand.ndim}-D tensor")
    _multipliable(mat1, mat2)
    _expanded(input, (mat1.shape[0], mat2.shape[1]))
    _self_dtype(input, mat1, mat2)
    refuse_bool(mat1.dtype, "addmm_impl_cpu_")
    return _sum(input, b.dot(mat1, mat2), beta, alpha)


@operation("AddmvBackward0")
def addmv(input: Value, mat: Value, vec: Value, *, beta: Any = 1, alpha: Any = 1) -> Value:
    """beta * input + alpha * mat @ vec."""
    found = _matrix_times_vector(mat, vec, input.shape, input.dtype)
    return _sum(input, found, beta, alpha)


@operation("AddrBackward0")
def addr(input: Value, vec1: Value, vec2: Value, *, beta: Any = 1, alpha: Any = 1) -> Value:
    """beta * input + alpha * outer(vec1, vec2)."""
    for name, vector in (("vec1", vec1), ("vec2", vec2)):
        if vector.ndim != 1:
            raise RuntimeError(f"addr: Expected 1-D argument {name}, but got {vector.ndim}-D")
    x, left, right = promoted(input, vec1, vec2)
    x = _expanded(x, (vec1.shape[0], vec2.shape[0]))
    for name, factor in (("beta", beta), ("alpha", alpha)):
        if isinstance(factor, float) and x.dtype.kind not in "fc":
            raise RuntimeError(
                f"For integral input tensors, argument {name} must not be a floating point number."
            )
    columns = b.reshape(left, (*left.shape, 1))
    if x.dtype is bool_:
        found = b.logical_and(columns, b.reshape(right, (1, *right.shape)))
        terms = [term for term, factor in ((x, beta), (found, alpha)) if factor]
        nothing = b.constant_like(x, False)
        return b.logical_or(*terms) if len(terms) == 2 else (*terms, nothing)[0]
    return _sum(x, b.mul(columns, b.reshape(right, (1, *right.shape))), beta, alpha)


@operation("AddbmmBackward0")
def addbmm(input: Value, batch1: Value, batch2: Value, *, beta: Any = 1, alpha: Any = 1) -> Value:
    """beta * input + alpha * the sum of the products of two batches of matrices."""
    for name, operand in (("batch1", batch1), ("batch2", batch2)):
        if operand.ndim != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    if batch1.shape[0] != batch2.shape[0]:
        raise RuntimeError(
            f"batch1 and batch2 must have same number of batches, got {batch1.shape[0]} and "
            f"{batch2.shape[0]}"
        )
    if batch1.shape[2] != batch2.shape[1]:
        raise RuntimeError(
            f"Incompatible matrix sizes for bmm ({batch1.shape[1]}x{batch1.shape[2]} and "
            f"{batch2.shape[1]}x{batch2.shape[2]})"
        )
    count, rows, inner = batch1.shape
    _expanded(input, (rows, batch2.shape[2]))
    if not input.dtype is batch1.dtype is batch2.dtype:
        raise RuntimeError(
            "mat1 and mat2 must have the same dtype, but got "
            f"{scalar_name(batch1.dtype)} and {scalar_name(batch2.dtype)}"
        )
    refuse_bool(batch1.dtype, "addbmm_impl_cpu_")
    # A sum of products is a product of the matrices side by side.
    left = b.reshape(b.permute(batch1, (1, 0, 2)), (rows, count * inner))
    found = b.dot(left, b.reshape(batch2, (count * inner, batch2.shape[2])))
    return _sum(input, found, beta, alpha)


@operation("BaddbmmBackward0")
def baddbmm(input: Value, batch1: Value, batch2: Value, *, beta: Any = 1, alpha: Any = 1) -> Value:
    """beta * input + alpha * the products of two batches of matrices."""
    _batches(batch1, batch2)
    _expanded(input, (*batch1.shape[:2], batch2.shape[2]))
    if not input.dtype is batch1.dtype is batch2.dtype:
        found = ", ".join(
            f"{name}: {cpp_name(operand.dtype)}"
            for name, operand in (("input", input), ("batch1", batch1), ("batch2", batch2))
        )
        raise RuntimeError(f"Input dtypes must be the same, got: {found}")
    refuse_bool(batch1.dtype, "baddbmm_with_gemm")
    return _sum(input, b.dot(batch1, batch2), beta, alpha)


# --- other products -------------------------------------------------------------------------------


def pairwise(x: Value, y: Value) -> Value:
    """Elementwise product in the common dtype, of bool too."""
    left, right = promoted(x, y)
    return b.logical_and(left, right) if left.dtype is bool_ else b.mul(left, right)


@operation("MulBackward0")
def outer(input: Value, vec2: Value) -> Value:
    """Every product of an element of one vector and one of the other."""
    for name, vector in (("self", input), ("vec2", vec2)):
        if vector.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {vector.ndim}-D")
    return pairwise(b.reshape(input, (*input.shape, 1)), b.reshape(vec2, (1, *vec2.shape)))


ger = outer


@operation("ViewBackward0")
def inner(input: Value, other: Value) -> Value:
    """Inner products over the last axes; products where one operand is a number."""
    if input.dtype is not other.dtype:
        raise RuntimeError("both inputs should have same dtype")
    if not input.ndim or not other.ndim:
        return pairwise(input, other)
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input.shape)} and {list(other.shape)}"
        )
    if input.ndim == other.ndim == 1:
        return _vectors(input, other)
    refuse_bool(input.dtype, "addmm_impl_cpu_")
    rows, columns = math.prod(input.shape[:-1]), math.prod(other.shape[:-1])
    flat = b.reshape(other, (columns, other.shape[-1]))
    found = b.dot(b.reshape(input, (rows, input.shape[-1])), b.transpose(flat))
    return b.reshape(found, (*input.shape[:-1], *other.shape[:-1]))


@operation("ViewBackward0")
def kron(input: Value, other: Value) -> Value:
    """Kronecker product: every element of the first tensor times the whole second one."""
    rank = max(input.ndim, other.ndim)
    left = (1,) * (rank - input.ndim) + input.shape
    right = (1,) * (rank - other.ndim) + other.shape
    spread = [extent for at in range(rank) for extent in (left[at], 1)]
    repeated = [extent for at in range(rank) for extent in (1, right[at])]
    found = pairwise(b.reshape(input, spread), b.reshape(other, repeated))
    return b.reshape(found, [x * y for x, y in zip(left, right, strict=True)])


@operation("TraceBackward0")
def trace(input: Value) -> Value:
    """Sum of the diagonal of a matrix."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    refuse_bool(input.dtype, "trace")
    step = input.shape[1] + 1
    diagonal = b.as_strided(input, (min(input.shape),), (step,), 0)
    return b.sum(diagonal if input.dtype.kind in "fc" else b.cast(diagonal, int64))


@operation("BilinearBackward0")
def _bilinear(input1: Value, input2: Value, weight: Value) -> Value:
    """y[..., o] = sum over i and j of input1[..., i] * weight[o, i, j] * input2[..., j]."""
    if input1.ndim != input2.ndim:
        raise RuntimeError(
            f"bilinear(): input dimensions do not match: got {input1.ndim} and {input2.ndim}"
        )
    for axis, (first, second) in enumerate(zip(input1.shape[:-1], input2.shape[:-1], strict=True)):
        if first != second:
            raise RuntimeError(
                f"bilinear(): input batch dimensions do not match at dim {axis}: got {first} and "
                f"{second}"
            )
    for number, (operand, size) in enumerate(
        ((input1, weight.shape[1]), (input2, weight.shape[2])), 1
    ):
        if operand.shape[-1] != size:
            raise RuntimeError(
                f"bilinear(): input{number} size does not match weight size: got "
                f"{operand.shape[-1]} but expected {size}"
            )
    out, left, right = weight.shape
    rows = math.prod(input1.shape[:-1])
    # [rows, i] by [i, o * j] gives what is multiplied by input2 and summed over j.
    flat = b.reshape(b.permute(weight, (1, 0, 2)), (left, out * right))
    half = b.reshape(b.dot(b.reshape(input1, (rows, left)), flat), (rows, out, right))
    found = b.dot(half, b.reshape(input2, (rows, right, 1)))
    return b.reshape(found, (*input1.shape[:-1], out))


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """input1ᵀ weight input2 + bias for each output feature."""
    found = _bilinear(input1, input2, weight)
    return found if bias is None else found + bias
