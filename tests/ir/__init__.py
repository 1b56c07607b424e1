"""Tests of tensor IR."""
