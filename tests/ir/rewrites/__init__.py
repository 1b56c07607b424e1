"""Tests of rewrite rules."""
