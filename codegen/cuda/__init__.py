"""CUDA C text of kernels and whole source files.

It prints what schedules decided; nothing here compiles the text or needs a GPU.
"""

from treadle.codegen.cuda.source import COMPILE_OPTIONS, emit_kernel, emit_source
from treadle.codegen.cuda.steps import threads_of

__all__ = ["COMPILE_OPTIONS", "emit_kernel", "emit_source", "threads_of"]
