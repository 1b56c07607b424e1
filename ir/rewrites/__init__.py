"""Rewrite rules in tables, one file a subject; ``simplify`` applies them.

A rule of exactness EXACT gives the same bits, NaN, infinities and signed zeros included.
"""
