"""The compiler as the engine calls it: passes, then code generation.

Imported where the first program is built that is not in the disk cache.
"""

from __future__ import annotations

from treadle.codegen import program as assembler
from treadle.codegen.artifact import Artifact
from treadle.codegen.target import Target
from treadle.ir.graph import Graph
from treadle.ir.pass_manager import DEFAULT_PIPELINE, PassManager, parse_pipeline


def optimize(graph: Graph, pipeline: str = DEFAULT_PIPELINE) -> Graph:
    """The graph after the passes of a pipeline."""
    return PassManager(parse_pipeline(pipeline)).run(graph)[0]


def build(graph: Graph, target: Target) -> Artifact:
    """The machine-independent text of a program for a target."""
    return assembler.assemble(optimize(graph), target, graph.name)
