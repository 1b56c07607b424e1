"""Elements of one type read as another hold the same bytes."""

from __future__ import annotations

import numpy as np
import pytest

from treadle.ir import types
from treadle.ir.bits import reinterpret
from treadle.ir.graph import Graph, input_value
from treadle.ir.interpreter import interpret
from treadle.ir.types import DType, TensorType

REAL = [t for t in types.DTYPES if t.kind in "uif" and t is not types.uint32]


@pytest.mark.parametrize("target", REAL, ids=lambda t: t.name)
@pytest.mark.parametrize("source", REAL, ids=lambda t: t.name)
def test_bytes_stay(source: DType, target: DType) -> None:
    rng = np.random.default_rng(0)
    array = rng.integers(0, 256, (3, 8 * source.itemsize), np.uint8).view(source.numpy)
    value = input_value(0, TensorType(source, array.shape))
    graph = Graph("bits", (value,), (reinterpret(value, target),))
    with np.errstate(all="ignore"):
        (found,) = interpret(graph, [array])
    assert found.dtype == target.numpy
    assert found.tobytes() == array.tobytes()
