"""Kernels as CUDA C: one by one, or a whole source file with the device functions they call.

Compile with ``COMPILE_OPTIONS``: with -fmad=false products and sums are rounded each for itself, as
written, and ``fma`` alone rounds once. No other option may relax floating-point arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable

from treadle.codegen.cuda.kernel import print_kernel
from treadle.codegen.cuda.prelude import Prelude
from treadle.codegen.loops import Kernel
from treadle.codegen.target import Target

COMPILE_OPTIONS = ("-fmad=false", "-ftz=false", "-prec-div=true", "-prec-sqrt=true")


def emit_kernel(kernel: Kernel, target: Target) -> str:
    """The text of ``extern "C" __global__ void name(...)``, with a pointer for each argument.

    It runs on ``kernel.tasks`` blocks of ``threads_of(kernel)`` threads, and may call device
    functions that `emit_source` prints. Raises ValueError for loop IR that cannot be printed, with
    the reason.
    """
    return print_kernel(kernel, target, Prelude())


def emit_source(kernels: Iterable[Kernel], target: Target) -> str:
    """A source file of kernels, after the device functions that they call; the same every time."""
    prelude = Prelude()
    texts: dict[str, str] = {}
    for kernel in kernels:
        if kernel.name in texts:
            raise ValueError(f"two kernels of one source are named {kernel.name}")
        texts[kernel.name] = print_kernel(kernel, target, prelude)
    body = "\n".join([*prelude.functions, *texts.values()])
    head = f"// Compile with {' '.join(COMPILE_OPTIONS)}\n"
    if "__half" in body or "2half" in body:
        head += "#include <cuda_fp16.h>\n"
    return f"{head}\n{body}"
