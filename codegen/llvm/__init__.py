"""LLVM IR text of kernels and programs.

It prints what schedules decided; nothing here compiles or loads the text.
"""

from treadle.codegen.llvm.module import KernelCall, Module, emit_entry
from treadle.codegen.llvm.statements import emit_kernel

__all__ = ["KernelCall", "Module", "emit_entry", "emit_kernel"]
