"""The version of this package, and what it was built with."""

from __future__ import annotations

__version__ = "0.1.0"
cuda: str | None = None
hip: str | None = None
git_version = "Unknown"
debug = False
