"""Tensor IR: types, the op table, values, graphs, text form, interpreter, gradients, passes.

Pure functions over immutable values; nothing here knows about storages, devices' memory or kernels.
"""
