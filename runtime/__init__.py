"""Runs what code generation emits: buffers, compiled programs, threads, caches and counters.

It knows devices and memory; what a program computes is decided in `ir` and `codegen`.
"""
