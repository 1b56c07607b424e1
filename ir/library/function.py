"""What a library function is: a row with its type rule and its evaluation by NumPy.

Programs hold a complex number as the pair of its parts, on a last axis of two; rows are written
over complex numbers, and the pairs are converted here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from treadle.ir.types import TensorType

Array: TypeAlias = "np.ndarray[Any, Any]"
# Numbers, text and tuples of these.
Options: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class LibraryFunction:
    """One function that programs call on the host.

    Attributes:
        name: in IR text and in stored programs.
        infer: (operand types, options) -> result types; raises ValueError.
        evaluate: (operand arrays, options) -> result arrays. Operands must not be written to.
            What data can do wrong is a result (``info``), not an exception.
    """

    name: str
    infer: Callable[[Sequence[TensorType], Options], Sequence[TensorType]]
    evaluate: Callable[[Sequence[Array], Options], Sequence[Array]]

    def result_types(
        self, types: Sequence[TensorType], options: Options, pairs: Sequence[int]
    ) -> list[TensorType]:
        """Types of the results; operands at the positions ``pairs`` are pairs of parts."""
        return [as_pairs(type) for type in self.natural_types(types, options, pairs)]

    def natural_types(
        self, types: Sequence[TensorType], options: Options, pairs: Sequence[int]
    ) -> Sequence[TensorType]:
        """Types of the results before complex ones become pairs."""
        natural = [_joined(type) if n in pairs else type for n, type in enumerate(types)]
        return self.infer(natural, options)

    def run(self, arrays: Sequence[Array], options: Options, pairs: Sequence[int]) -> list[Array]:
        """The results, complex ones as pairs; floating-point warnings are off."""
        natural = []
        for number, array in enumerate(arrays):
            if number in pairs:
                parts = np.ascontiguousarray(array)
                array = parts.view(np.result_type(parts.dtype, np.complex64))[..., 0]
            natural.append(array)
        with np.errstate(all="ignore"):
            return [_parts(np.asarray(found)) for found in self.evaluate(natural, options)]


def as_pairs(type: TensorType) -> TensorType:
    """A type as programs hold it."""
    if not type.dtype.is_complex:
        return type
    return type._replace(dtype=type.dtype.to_real(), shape=(*type.shape, 2))


def _joined(type: TensorType) -> TensorType:
    if not type.shape or type.shape[-1] != 2 or not type.dtype.is_floating_point:
        raise ValueError(f"pairs of parts have a last axis of 2, found {type}")
    return type._replace(dtype=type.dtype.to_complex(), shape=type.shape[:-1])


def _parts(array: Array) -> Array:
    return np.stack((array.real, array.imag), -1) if np.iscomplexobj(array) else array
