"""The autograd graph: nodes, gradient templates and the run from results back to leaves.

What users call is in ``autograd``; this is the machinery below tensors.
"""
