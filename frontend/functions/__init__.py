"""Functions on tensors by family; each is recorded as primitives of the IR."""
