"""Memory planning: each kernel result gets the memory of an output, of a donated input or scratch.

Offsets come from lifetimes in the order in which kernels run; nothing is allocated here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from treadle.ir.errors import PassError
from treadle.ir.fusion.costs import without_reshapes
from treadle.ir.graph import Graph
from treadle.ir.memory.arena import ALIGNMENT, Block, arranged, peak
from treadle.ir.memory.donation import Donations
from treadle.ir.memory.lifetimes import Lifetimes
from treadle.ir.ops.kernel import KERNEL, Place
from treadle.ir.pass_manager import register
from treadle.ir.rewriter import Exactness
from treadle.ir.value import Value, make
