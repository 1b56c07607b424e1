"""The device function that combines the lanes of a block in a fixed order.

Lane i is joined with lane i + n/2, halving n until one is left: the tree of the CPU's vectors, so
that results of equally many lanes are equal bit by bit.
"""

from __future__ import annotations

from treadle.codegen.cuda.prelude import Prelude
from treadle.codegen.cuda.scalar import Scalars
from treadle.codegen.cuda.types import Operand, type_name
from treadle.ir.types import DType

_WARP = 32


def across_function(prelude: Prelude, op: str, dtype: DType, lanes: int) -> str:
    """The name of the function; every thread of the block calls it and gets the result.

    One warp joins what lies a multiple of a warp apart, then its own lanes by shuffles. The result
    has a place of its own, so that two barriers a call are enough: the next call writes the lanes
    after the second, and the result after its own first.
    """
    if lanes < 1 or lanes & (lanes - 1):
        raise ValueError(f"{lanes} lanes cannot be combined in halves")
    name = f"across_{op}_{dtype.short}_{lanes}"
    if name in prelude:
        return name
    c_type = type_name(dtype)
    threads = min(lanes, _WARP)
    parts = lanes // threads
    body = [
        f"  __shared__ {c_type} lanes[{lanes + 1}];",
        f"  if (threadIdx.x < {lanes}) lanes[threadIdx.x] = value;",
        "  __syncthreads();",
        f"  if (threadIdx.x < {threads}) {{",
    ]

    def joined(left: str, right: str) -> str:
        scalars = Scalars(prelude)
        return scalars.apply(op, dtype, [Operand(left, dtype), Operand(right, dtype)]).text

    if parts > 1:
        body += [
            f"    {c_type} part[{parts}];",
            "    #pragma unroll",
            f"    for (int i = 0; i < {parts}; ++i) part[i] = lanes[threadIdx.x + {threads} * i];",
            "    #pragma unroll",
            f"    for (int half = {parts // 2}; half > 0; half /= 2) {{",
            "      #pragma unroll",
            "      for (int i = 0; i < half; ++i) part[i] = "
            + joined("part[i]", "part[i + half]")
            + ";",
            "    }",
            "    value = part[0];",
        ]
    if threads > 1:
        mask = f"0x{(1 << threads) - 1:x}u"
        body += [
            "    #pragma unroll",
            f"    for (int half = {threads // 2}; half > 0; half /= 2) {{",
            f"      const {c_type} other = __shfl_down_sync({mask}, value, half);",
            f"      value = {joined('value', 'other')};",
            "    }",
        ]
    body += [
        f"    if (threadIdx.x == 0) lanes[{lanes}] = value;",
        "  }",
        "  __syncthreads();",
        f"  return lanes[{lanes}];",
    ]
    return prelude.define(name, c_type, f"{c_type} value", body)
