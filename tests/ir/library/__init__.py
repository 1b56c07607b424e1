"""Tests of the library functions that programs call."""
