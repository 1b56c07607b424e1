"""Tests of `treadle`'s user-facing library."""
