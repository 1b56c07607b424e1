"""Tests of ``treadle.nn.functional``: values, gradients, node names and errors are PyTorch's."""
