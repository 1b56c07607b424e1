"""Tests of the CPU runtime."""
