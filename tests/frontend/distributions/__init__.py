"""Tests of ``frontend/distributions``."""
