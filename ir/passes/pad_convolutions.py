"""The pass ``pad-convolutions``: padding and base dilation of convolutions become ``pad`` ops.

Inner loops then need no guards; the padded value is a copy of its own, made by fusion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from treadle.ir import build
from treadle.ir.graph import Graph
from treadle.ir.ops.contraction import CONV
from treadle.ir.pass_manager import register
from treadle.ir.rewriter import Exactness, Rule, rewrite
from treadle.ir.value import Value


def _pad_first(value: Value) -> Value | None:
    x, w = value.inputs
    stride, padding, dilation, base = value.attrs
    if not any(low or high for low, high in padding) and all(step == 1 for step in base):
        return None
    low = (0, 0, 0, *(before for before, _after in padding))
    high = (0, 0, 0, *(after for _before, after in padding))
    interior = (0, 0, 0, *(step - 1 for step in base))
    padded = build.pad(x, low, high, interior)
    none = ((0, 0),) * len(stride)
    return build.conv(padded, w, stride, none, dilation, (1,) * len(stride))


RULES = (
    Rule(
        "pad-convolution",
        (CONV,),
        _pad_first,
        "conv(x, w, padding, base_dilation) = conv(pad(x, padding, base_dilation - 1), w)",
    ),
)


@register
@dataclass(frozen=True)
class PadConvolutions:
    """Makes every convolution one without padding and base dilation."""

    name: ClassVar[str] = "pad-convolutions"
    exactness: ClassVar[Exactness] = Exactness.EXACT

    def run(self, graph: Graph) -> Graph:
        """The graph with padded operands."""
        return rewrite(graph, RULES)[0]
