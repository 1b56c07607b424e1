"""Where values live while a program runs: order of kernels, lifetimes, offsets in scratch memory.

Decisions about a fused graph alone; nothing is allocated here.
"""
