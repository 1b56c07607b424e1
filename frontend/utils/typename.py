"""The name of an object's type as PyTorch's error messages spell it.

For messages only; nothing may branch on the result.
"""

from __future__ import annotations

from treadle.tensor import Tensor

_TENSOR_TYPES = {
    "float64": "Double",
    "float32": "Float",
    "float16": "Half",
    "bfloat16": "BFloat16",
    "int64": "Long",
    "int32": "Int",
    "int16": "Short",
    "int8": "Char",
    "uint8": "Byte",
    "bool": "Bool",
    "complex64": "ComplexFloat",
    "complex128": "ComplexDouble",
}

_CPP_TYPES = {
    "float64": "double",
    "float32": "float",
    "float16": "c10::Half",
    "bfloat16": "c10::BFloat16",
    "int64": "long int",
    "int32": "int",
    "int16": "short int",
    "int8": "signed char",
    "uint8": "unsigned char",
    "bool": "bool",
    "complex64": "c10::complex<float>",
    "complex128": "c10::complex<double>",
}


def scalar_type(dtype: object) -> str:
    """PyTorch's C++ name of an element type: ``Float`` for float32."""
    name = str(dtype).removeprefix("torch.")
    return _TENSOR_TYPES.get(name, name)


def cpp_name(dtype: object) -> str:
    """The C++ type of an element, as some messages spell it: ``float`` for float32."""
    name = str(dtype).removeprefix("torch.")
    return _CPP_TYPES.get(name, name)


def typename(value: object) -> str:
    """``torch.FloatTensor`` for tensors, the bare name for builtins, else module and name."""
    if isinstance(value, Tensor):
        return f"torch.{scalar_type(value.dtype)}Tensor"
    kind = type(value)
    if kind.__module__ in ("builtins", ""):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"
