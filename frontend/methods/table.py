"""Attaches functions to ``Tensor`` as methods and operators.

A table, so that what a tensor can do is seen in one place.
"""

from __future__ import annotations

from typing import Any

from treadle.autograd import tensor_methods
from treadle.functions import (
    complex_numbers,
    contraction,
    counting,
    covariance,
    creation,
    cumulative,
    diagonals,
    extrema,
    facts,
    filling,
    gathering,
    index_assignment,
    index_slices,
    indexing,
    layers,
    moments,
    movement,
    norms,
    pointwise,
    positions,
    quantiles,
    rearranging,
    reduction,
    sampling,
    searching,
    slicing,
    sorting,
    special,
    spectrogram,
    striding,
    vectors,
    view_copies,
    view_scatter,
)
from treadle.inplace import inplace
from treadle.ir import types
from treadle.linalg import names as linear_algebra
from treadle.methods import (
    attributes,
    conversion,
    copying,
    interchange,
    operators,
    tensor_types,
)
from treadle.tensor import Tensor

# Every family says which of its functions are methods, and which also work in place.
FAMILIES: tuple[Any, ...] = (
    complex_numbers, pointwise, special, creation, reduction, extrema, moments, norms, movement,
    slicing, striding, rearranging, diagonals,
    view_copies, covariance, facts, contraction, vectors, linear_algebra, spectrogram, indexing,
    index_assignment, filling, gathering, index_slices, positions, view_scatter, sampling,
    attributes, conversion, copying, interchange, tensor_methods, cumulative, sorting,
    layers, quantiles, searching, counting,
)  # fmt: skip


def _attach(name: str, function: Any) -> None:
    setattr(Tensor, name, function)


def _attach_tables() -> None:
    for family in FAMILIES:
        for name in getattr(family, "METHODS", "").split():
            _attach(name, getattr(family, name))
        for name in getattr(family, "INPLACE", "").split():
            _attach(f"{name}_", inplace(getattr(family, name)))
        for name in getattr(family, "PROPERTIES", "").split():
            _attach(name, property(getattr(family, name)))
        for name, attribute in getattr(family, "ATTRIBUTES", {}).items():
            _attach(name, attribute)


def in_place_functions() -> dict[str, Any]:
    """The in-place methods that are functions of the package too, as ``torch.sin_`` is."""
    names = [f"{name}_" for name in pointwise.IN_PLACE_FUNCTIONS]
    return {name: getattr(Tensor, name) for name in names}


def install() -> None:
    """Attaches everything; the package calls it once."""
    _attach_tables()
    operators.install()
    _attach("where", pointwise.where_method)
    _attach("split", slicing.split_method)
    _attach("polygamma", special.gamma.polygamma_method)
    for name, dtype in {
        "float": types.float32, "double": types.float64, "half": types.float16,
        "long": types.int64, "int": types.int32, "short": types.int16, "char": types.int8,
        "byte": types.uint8, "bool": types.bool_, "bfloat16": types.bfloat16,
        "cfloat": types.complex64, "cdouble": types.complex128,
    }.items():  # fmt: skip
        _attach(name, conversion.converter(dtype))
    _attach("type", tensor_types.type_)
    _attach("__new__", tensor_types.construct)
