"""How fusion decides: which values are stored, which kernels they share, and what those hold.

Decisions on tensor IR alone; loops, tiles and memory come later.
"""
