"""Element types, devices and tensor types: what every value of the IR carries.

Plain immutable data with one object for each dtype; no arrays and no promotion rules of the API.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import ml_dtypes
import numpy as np

Shape: TypeAlias = tuple[int, ...]
Scalar: TypeAlias = bool | int | float
# What builders take for a complex operand; in the IR itself numbers are real.
ComplexScalar: TypeAlias = Scalar | complex


class DType:
    """An element type; one object for each, compared by identity.

    Attributes:
        name: PyTorch's name (``float32``).
        short: name in IR text (``f32``).
        kind: ``b`` bool, ``u`` unsigned, ``i`` signed integer, ``f`` floating point, ``c`` complex.
        itemsize: bytes of an element in memory.
        numpy: the NumPy dtype with the same bits.
    """

    __slots__ = ("itemsize", "kind", "name", "numpy", "short")

    def __init__(self, name: str, short: str, kind: str, numpy: Any = None) -> None:
        self.name = name
        self.short = short
        self.kind = kind
        self.numpy: np.dtype[Any] = np.dtype(name if numpy is None else numpy)
        self.itemsize = self.numpy.itemsize

    @property
    def is_floating_point(self) -> bool:
        """True for float16, bfloat16, float32 and float64."""
        return self.kind == "f"

    @property
    def is_complex(self) -> bool:
        """True for complex element types."""
        return self.kind == "c"

    @property
    def is_signed(self) -> bool:
        """True where negative numbers can be represented."""
        return self.kind in "ifc"

    def to_real(self) -> DType:
        """The dtype of a complex dtype's parts; itself for others."""
        return _PARTS.get(self, self)

    def to_complex(self) -> DType:
        """The complex dtype with parts at least as precise."""
        if self.kind == "c":
            return self
        return complex128 if self is float64 else complex64

    def __repr__(self) -> str:
        # Scripts print dtypes; they read as PyTorch prints them.
        return f"torch.{self.name}"

    def __reduce__(self) -> str | tuple[Any, ...]:
        return (dtype_of, (self.name,))


bool_ = DType("bool", "bool", "b")
uint8 = DType("uint8", "u8", "u")
uint32 = DType("uint32", "u32", "u")
int8 = DType("int8", "i8", "i")
int16 = DType("int16", "i16", "i")
int32 = DType("int32", "i32", "i")
int64 = DType("int64", "i64", "i")
float16 = DType("float16", "f16", "f")
bfloat16 = DType("bfloat16", "bf16", "f", ml_dtypes.bfloat16)
float32 = DType("float32", "f32", "f")
float64 = DType("float64", "f64", "f")
complex64 = DType("complex64", "c64", "c")
complex128 = DType("complex128", "c128", "c")

# Real dtypes are what programs compute with: a complex value is the pair of its parts by then.
REAL_DTYPES: tuple[DType, ...] = (
    bool_, uint8, uint32, int8, int16, int32, int64, float16, bfloat16, float32, float64,
)  # fmt: skip
DTYPES: tuple[DType, ...] = (*REAL_DTYPES, complex64, complex128)
# Stored in two bytes and computed with as float32.
NARROW_FLOATS = frozenset((float16, bfloat16))
_PARTS = {complex64: float32, complex128: float64}
_BY_NAME = {dtype.name: dtype for dtype in DTYPES} | {dtype.short: dtype for dtype in DTYPES}
_BY_NUMPY = {dtype.numpy: dtype for dtype in DTYPES}


def float_limits(dtype: np.dtype[Any]) -> Any:
    """``numpy.finfo`` of any floating dtype, those from outside NumPy too."""
    return ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]


def significand_bits(dtype: DType) -> int:
    """How many bits the integers have that a floating dtype holds without gaps."""
    return int(float_limits(dtype.numpy).nmant) + 1


def dtype_of(name: str | np.dtype[Any]) -> DType:
    """The dtype of a name (``float32``, ``f32``) or NumPy dtype; KeyError names the choices."""
    table: dict[Any, DType] = _BY_NAME if isinstance(name, str) else _BY_NUMPY
    if name not in table:
        raise KeyError(f"unknown dtype {name!r}; known: {', '.join(_BY_NAME)}")
    return table[name]


class Device(NamedTuple):
    """Where a value lives: ``cpu``, or ``cuda`` with an index."""

    type: str
    index: int | None = None  # type: ignore[assignment]  # shadows tuple.index

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{index})"


CPU = Device("cpu")


class TensorType(NamedTuple):
    """Type of one value: dtype, static shape and device."""

    dtype: DType
    shape: Shape
    device: Device = CPU

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def numel(self) -> int:
        """Number of elements."""
        return element_count(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements, stored contiguously."""
        return element_count(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        device = "" if self.device == CPU else f"@{self.device}"
        return f"{self.dtype.short}[{','.join(map(str, self.shape))}]{device}"


class TupleType(NamedTuple):
    """Type of a kernel or library call with its results; only ``item`` reads them."""

    types: tuple[TensorType, ...]

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.types))})"


def element_count(shape: Shape) -> int:
    """Number of elements of a shape."""
    count = 1
    for extent in shape:
        count *= extent
    return count


def contiguous_strides(shape: Shape) -> tuple[int, ...]:
    """Row-major strides in elements, with PyTorch's rule that empty extents count as one."""
    strides = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * max(shape[axis + 1], 1)
    return tuple(strides)
