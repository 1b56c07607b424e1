"""Tests of the LLVM emitter."""
