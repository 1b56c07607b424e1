"""The pass ``simplify``: rewrites a graph by the rule tables to a fixpoint.

By default only rules that keep every bit of every result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from treadle.ir.errors import PassError
from treadle.ir.graph import Graph
from treadle.ir.pass_manager import register
from treadle.ir.rewriter import Exactness, Rule, rewrite
from treadle.ir.rewrites import algebra, constants, indexing, movement

# Constants first: a value known now needs no other rule.
RULES: tuple[Rule, ...] = (
    *constants.RULES,
    *movement.RULES,
    *indexing.RULES,
    *algebra.RULES,
)


@register
@dataclass(frozen=True)
class Simplify:
    """Applies rules up to a level of ``Exactness``, named in lower case."""

    name: ClassVar[str] = "simplify"
    level: str = "exact"

    def __post_init__(self) -> None:
        levels = [level.name.lower() for level in Exactness]
        if self.level not in levels:
            raise PassError(f"simplify's level is one of {', '.join(levels)}, found {self.level!r}")

    @property
    def exactness(self) -> Exactness:
        """What the level allows."""
        return Exactness[self.level.upper()]

    def run(self, graph: Graph) -> Graph:
        """The simplified graph."""
        rules = (rule for rule in RULES if rule.exactness <= self.exactness)
        return rewrite(graph, rules)[0]
