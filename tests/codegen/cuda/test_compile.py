"""Emitted CUDA C is what NVIDIA's compiler takes; no GPU is needed for that."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.codegen.cuda.bodies import bodies, scalar_bodies
from treadle.codegen.cuda import COMPILE_OPTIONS, emit_source
from treadle.codegen.target import CUDA

NVCC = shutil.which("nvcc")


@pytest.mark.skipif(NVCC is None, reason="nvcc is not installed")
def test_every_kernel_compiles(tmp_path: Path) -> None:
    assert NVCC is not None
    source = tmp_path / "kernels.cu"
    kernels = [body.kernel(CUDA) for body in (*bodies(), *scalar_bodies())]
    source.write_text(emit_source(kernels, CUDA))
    options = (*COMPILE_OPTIONS, "-arch=sm_90", "-cubin")
    command = [NVCC, *options, str(source), "-o", str(tmp_path / "kernels.cubin")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]
    assert done.stderr == "", done.stderr[:4000]
