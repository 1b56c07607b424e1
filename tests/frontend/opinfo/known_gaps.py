"""Samples of PyTorch's operator database that Treadle is known to fail, with the reason.

A gap that has closed fails its test too, so that this table never says less than what works.
"""

from __future__ import annotations

# Operator (with its variant) -> how many of the samples that the suite runs fail, and why.
GAPS: dict[str, tuple[int, str]] = {
    "addbmm": (2, "addbmm_ of PyTorch resizes its tensor without a word; ours raises"),
    "as_strided_scatter": (7, "PyTorch's gradient fails its own gradcheck; ours is the derivative"),
}

# Operator -> how many of its error inputs raise something else or nothing, and why.
ERROR_GAPS: dict[str, tuple[int, str]] = {
    "complex": (1, "an out= of a narrower complex dtype is converted to"),
    "narrow_copy": (1, "an axis out of range is an IndexError, in PyTorch an internal assertion"),
}
