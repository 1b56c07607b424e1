"""Tests of complex values, which are composed of real ones."""
