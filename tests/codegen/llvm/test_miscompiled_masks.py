"""Masks that an LLVM pass once spoiled: unused lanes of a constant became poison and were read.

The kernels themselves were right; only the choice of passes in the JIT decides this.
"""

from __future__ import annotations

import numpy as np
import pytest

from treadle import programs
from treadle.ir import build as b
from treadle.ir.graph import Graph, input_value
from treadle.ir.interpreter import interpret
from treadle.ir.types import TensorType, float32
from treadle.runtime import cpu
from treadle.runtime.memory import Buffer


@pytest.mark.parametrize("number", range(12))
def test_a_guard_joined_with_a_tail_mask_keeps_unread_lanes_out(number: int) -> None:
    x = input_value(0, TensorType(float32, (1, 2)))
    quotient = b.pad(b.div(x, x), (0, 0), (1, 0), (0, 1))
    graph = Graph("padded", (x,), (quotient,))
    array = np.array([[3.0, 0.5 + number]], np.float32)
    (found,) = cpu.load(programs.build(graph)).run([Buffer.wrap(array)])
    np.testing.assert_array_equal(found.array(np.float32, (2, 3)), interpret(graph, [array])[0])
