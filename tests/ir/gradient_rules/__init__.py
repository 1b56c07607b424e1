"""Tests of gradient rules by family."""
