"""From a fused graph to kernels: loop IR, schedules, and LLVM or CUDA C text.

Nothing here compiles, loads or runs what it prints.
"""
