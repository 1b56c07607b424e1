"""Emitted CUDA C gives what the interpreter gives, run thread by thread on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.codegen.cuda.bodies import Body, bodies, scalar_bodies
from tests.codegen.cuda.emulation import Library, needs_compiler
from tests.codegen.llvm.conftest import execute
from treadle.codegen.loops import Kernel
from treadle.codegen.target import AVX2, CUDA
from treadle.ir.errors import CompilationError
from treadle.ir.interpreter import interpret
from treadle.ir.types import bfloat16, dtype_of, float16, float32, float64
from treadle.ir.value import Array

pytestmark = needs_compiler

EVERY = {body.name: body for body in (*bodies(), *scalar_bodies())}
# Bodies whose results depend on an order of additions, or on polynomials.
ROUNDED = [
    body
    for name, body in EVERY.items()
    if name.startswith(("k_rows", "k_long", "k_product", "k_linear", "k_elementary", "k_epilogue"))
]
# What sums and elementary functions may differ by from NumPy's, of the largest result.
TOLERANCE = {float16: 2e-3, bfloat16: 1.6e-2, float32: 2e-5, float64: 1e-11}

Programs = tuple[Library, dict[str, "Kernel | CompilationError"]]


def lowered(body: Body) -> Kernel | CompilationError:
    """The kernel, or why there is none: other bodies run nevertheless."""
    try:
        return body.kernel(CUDA)
    except CompilationError as error:
        return error


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """All kernels in one library."""
    kernels = {name: lowered(body) for name, body in EVERY.items()}
    found = [kernel for kernel in kernels.values() if isinstance(kernel, Kernel)]
    return Library(found, tmp_path_factory.mktemp("cuda")), kernels


def run(programs: Programs, body: Body, descending: bool) -> list[Array]:
    library, kernels = programs
    kernel = kernels[body.name]
    if not isinstance(kernel, Kernel):
        raise kernel
    memory = body.memory()
    library.run(kernel, memory, descending)
    return memory[len(body.arrays) :]


@pytest.mark.parametrize("name", EVERY)
def test_a_kernel_gives_what_the_interpreter_gives(name: str, programs: Programs) -> None:
    body = EVERY[name]
    found = run(programs, body, descending=False)
    for have, want in zip(found, interpret(body.graph, body.arrays), strict=True):
        have = have.reshape(want.shape)
        if want.dtype.kind in "biu":
            np.testing.assert_array_equal(have, want)
            continue
        tolerance = TOLERANCE[dtype_of(want.dtype)]
        if dtype_of(want.dtype) is bfloat16:
            have, want = have.astype(np.float32), want.astype(np.float32)
        largest = np.abs(want[np.isfinite(want)]).max(initial=0.0)
        scale = tolerance * min(float(largest), 100.0)
        np.testing.assert_allclose(have, want, rtol=tolerance, atol=scale)


@pytest.mark.parametrize("name", EVERY)
def test_threads_may_run_in_any_order(name: str, programs: Programs) -> None:
    first, second = (run(programs, EVERY[name], descending) for descending in (False, True))
    for one, other in zip(first, second, strict=True):
        assert one.tobytes() == other.tobytes()


def test_results_have_the_bits_of_the_cpu(tmp_path: Path) -> None:
    """Blocks of as many threads as a vector has lanes add in the order of the vector."""
    kernels = [body.kernel(AVX2) for body in ROUNDED]
    library = Library(kernels, tmp_path, AVX2)
    emulated, native = ([body.memory() for body in ROUNDED] for _ in range(2))
    for kernel, memory in zip(kernels, emulated, strict=True):
        library.run(kernel, memory)
    pairs = [pair for pair in zip(kernels, native, strict=True) if pair[0].body]
    execute([kernel for kernel, _ in pairs], *(a for _, memory in pairs for a in memory))
    for body, one, other in zip(ROUNDED, emulated, native, strict=True):
        for have, want in zip(one, other, strict=True):
            missing = np.isnan(want) if want.dtype.kind in "fV" else np.zeros(want.shape, bool)
            assert (have == want)[~missing].all(), body.name
            assert np.signbit(have[~missing]).tolist() == np.signbit(want[~missing]).tolist()
            assert np.isnan(have[missing]).all(), body.name
