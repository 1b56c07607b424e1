"""What tensors can do besides computing: operators, conversion, copying, sharing, subclasses.

``table`` attaches all of it, and the functions of every family, to ``Tensor``.
"""
