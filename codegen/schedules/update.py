"""stub

stub
"""
from __future__ import annotations
from treadle.codegen.schedules.problem import Problem
from treadle.codegen.schedules.tiling import Names, Statements
def schedule_update(problem: Problem) -> tuple[Names, Statements]:
    raise NotImplementedError
