"""Samples of PyTorch's operator database that Treadle is known to fail, with the reason.

A gap that has closed fails its test too, so that this table never says less than what works.
"""

from __future__ import annotations

# Operator (with its variant) -> how many of the samples that the suite runs fail, and why.
GAPS: dict[str, tuple[int, str]] = {}

# Operator -> how many of its error inputs raise something else or nothing, and why.
ERROR_GAPS: dict[str, tuple[int, str]] = {}
