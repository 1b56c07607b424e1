"""Compiles emitted CUDA C with the C++ compiler of the machine and runs it on arrays.

The text is the one that a GPU would run; ``cuda_on_cpu.h`` says what its words mean on a CPU.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from treadle.codegen.cuda import emit_source, threads_of
from treadle.codegen.cuda.types import type_name
from treadle.codegen.loops import Kernel
from treadle.codegen.target import CUDA, Target

_FLAGS = ("-std=c++17", "-O1", "-ffp-contract=off", "-Wno-unknown-pragmas", "-shared", "-fPIC")
COMPILER = shutil.which("g++")
needs_compiler = pytest.mark.skipif(
    COMPILER is None or not sys.platform.startswith("linux"),
    reason="running CUDA C on the CPU needs g++ and the contexts of Linux",
)


def _launcher(kernel: Kernel) -> str:
    """A C function that launches a kernel on a table of pointers."""
    arguments = ", ".join(
        f"static_cast<{type_name(buffer.dtype)}*>(arguments[{slot}])"
        for slot, buffer in enumerate(kernel.arguments)
    )
    grid = f"{kernel.tasks}, {threads_of(kernel)}"
    return (
        f'extern "C" void launch_{kernel.name}(void** arguments, int descending) {{\n'
        f"  cuda_on_cpu::launch({grid}, descending, [&] {{ {kernel.name}({arguments}); }});\n"
        "}\n"
    )


class Library:
    """Kernels compiled for the CPU.

    Args:
        folder: for the source and the library.
    """

    def __init__(self, kernels: Sequence[Kernel], folder: Path, target: Target = CUDA) -> None:
        assert COMPILER is not None
        # Types and intrinsics of this header are in cuda_on_cpu.h.
        (folder / "cuda_fp16.h").write_text("")
        (folder / "kernels.cu").write_text(emit_source(kernels, target))
        launchers = "\n".join(map(_launcher, kernels))
        source = folder / "launchers.cpp"
        source.write_text(f'#include "cuda_on_cpu.h"\n#include "kernels.cu"\n\n{launchers}')
        library = folder / "kernels.so"
        includes = (f"-I{folder}", f"-I{Path(__file__).parent}")
        command = [COMPILER, *_FLAGS, *includes, str(source), "-o", str(library)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[:4000]
        self._library = ctypes.CDLL(str(library))

    def run(self, kernel: Kernel, arrays: Sequence[np.ndarray], descending: bool = False) -> None:
        """Launch a kernel on flat arrays in place, blocks and threads first to last or back."""
        for buffer, array in zip(kernel.arguments, arrays, strict=True):
            assert array.shape == (buffer.size,), (buffer, array.shape)
            assert array.dtype == buffer.dtype.numpy, (buffer, array.dtype)
        table = (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
        getattr(self._library, f"launch_{kernel.name}")(table, int(descending))
