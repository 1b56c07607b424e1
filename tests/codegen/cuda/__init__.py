"""Tests of the CUDA emitter, without a GPU."""
