"""Passes over tensor IR, one file each; the pass manager finds every file here.

A pass is a frozen dataclass that turns a graph into a graph.
"""
