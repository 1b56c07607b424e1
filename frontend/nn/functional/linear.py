"""The affine map of fully connected layers.

General matrix products are Tensor methods; this is ``x @ weight.T + bias`` alone.
"""

from __future__ import annotations

import math

from treadle.ir import build as b
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.tensor import Tensor
from treadle.utils.typename import cpp_name, scalar_type


def _product(input: Value, weight: Value) -> Value:
    """[..., in] by [out, in] -> [..., out]; PyTorch's errors for shapes and dtypes."""
    if input.dtype != weight.dtype:
        first, second = cpp_name(input.dtype), cpp_name(weight.dtype)
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {first} != {second}"
        )
    return _multiplied(input, weight)


def _multiplied(input: Value, weight: Value) -> Value:
    if weight.ndim not in (1, 2):
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {weight.ndim}D")
    features = weight.shape[-1]
    rows = math.prod(input.shape[:-1])
    if not input.ndim or input.shape[-1] != features:
        columns = input.shape[-1] if input.ndim else 1
        out = weight.shape[0] if weight.ndim == 2 else 1
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{columns} and {features}x{out})"
        )
    matrix = b.reshape(weight, (1, features)) if weight.ndim == 1 else weight
    product = b.dot(b.reshape(input, (rows, features)), b.permute(matrix, (1, 0)))
    return b.reshape(product, (*input.shape[:-1], *weight.shape[:-1]))


def _affine(bias: Value, input: Value, weight: Value) -> Value:
    for name, value in (("self", bias), ("mat1", input)):
        if value.dtype != weight.dtype:
            raise RuntimeError(
                f"{name} and mat2 must have the same dtype, but got "
                f"{scalar_type(value.dtype)} and {scalar_type(weight.dtype)}"
            )
    product = _multiplied(input, weight)
    out = product.shape[-1] if product.ndim else 1
    if bias.ndim > 1 or (bias.ndim == 1 and bias.shape[0] not in (1, out)):
        sizes = [math.prod(product.shape[:-1]), out]
        raise RuntimeError(
            f"The expanded size of the tensor ({out}) must match the existing size "
            f"({bias.shape[-1]}) at non-singleton dimension 1.  Target sizes: {sizes}.  "
            f"Tensor sizes: {list(bias.shape)}"
        )
    return product + bias


# PyTorch shows a different node for each rank; the mathematics is the same.
_addmm = operation("AddmmBackward0")(_affine)
_affine_of_any_rank = operation("ViewBackward0")(_affine)
_mm = operation("MmBackward0")(_product)
_product_of_any_rank = operation("UnsafeViewBackward0")(_product)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input @ weight.T + bias``.

    Args:
        input: [..., in].
        weight: [out, in], or [in].
        bias: [out], or None.

    Returns:
        [..., out], or [...] for a weight without rows.

    Raises:
        RuntimeError: the shapes or dtypes do not match.
    """
    if bias is None:
        return _mm(input, weight) if input.ndim == 2 else _product_of_any_rank(input, weight)
    if input.ndim == 2:
        return _addmm(bias, input, weight)
    return _affine_of_any_rank(bias, input, weight)


def _bilinear(input1: Value, input2: Value, weight: Value, bias: Value | None) -> Value:
    """[..., i], [..., j] by [out, i, j] -> [..., out]."""
    if input1.ndim != input2.ndim or input1.shape[:-1] != input2.shape[:-1]:
        raise RuntimeError(
            f"bilinear(): input batch dimensions do not match: got {list(input1.shape)} and "
            f"{list(input2.shape)}"
        )
    if weight.ndim != 3:
        raise RuntimeError(f"bilinear(): weight must be 3-D, got {weight.ndim}-D")
    out, first, second = weight.shape
    for number, (have, want) in enumerate(
        ((input1.shape[-1], first), (input2.shape[-1], second)), 1
    ):
        if have != want:
            raise RuntimeError(
                f"bilinear(): input{number} size does not match weight size: got {have} but "
                f"expected {want}"
            )
    if bias is not None and bias.shape[:1] != (out,):
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {bias.shape[0]} but expected "
            f"{out}"
        )
    rows = math.prod(input1.shape[:-1])
    by_first = b.reshape(b.permute(weight, (1, 0, 2)), (first, out * second))
    mixed = b.dot(b.reshape(input1, (rows, first)), by_first)
    terms = b.reshape(mixed, (rows, out, second)) * b.reshape(input2, (rows, 1, second))
    result = b.reshape(b.sum(terms, (2,)), (*input1.shape[:-1], out))
    return result if bias is None else result + bias


_bilinear_alone = operation("ViewBackward0")(_bilinear)
_bilinear_with_bias = operation("AddBackward0")(_bilinear)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input1 @ weight[o] @ input2 + bias[o]`` for every output o.

    Args:
        input1: [..., i].
        input2: [..., j].
        weight: [out, i, j].
        bias: [out], or None.
    """
    run = _bilinear_alone if bias is None else _bilinear_with_bias
    result: Tensor = run(input1, input2, weight, bias)
    return result
