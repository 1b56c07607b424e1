"""Derivative rules, one file a family of ops: each maps an upstream gradient to operands' ones.

Pure functions that build IR; the table that joins them and the walk over a graph are in gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from treadle.ir.value import Value

# (value, upstream gradient, which operands want one) -> a gradient or None for each operand.
GradientRule: TypeAlias = Callable[[Value, Value, "tuple[bool, ...]"], "tuple[Value | None, ...]"]
