"""Tests of ``treadle.functions``: the functions of PyTorch's top level, by family."""
