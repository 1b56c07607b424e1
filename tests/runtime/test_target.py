"""Facts of CPUs, from feature strings and from the assembly of a probe."""

from __future__ import annotations

import platform

import pytest

from treadle.ir import settings
from treadle.runtime import target

LINUX_X86 = "x86_64-unknown-linux-gnu"


def test_vector_facts_follow_the_features() -> None:
    wide = target.describe(LINUX_X86, "znver4", "+avx,+fma,+avx512f,+avx512vl")
    assert (wide.vector_bytes, wide.vector_registers, wide.has_fma) == (64, 32, True)
    middle = target.describe(LINUX_X86, "haswell", "+avx,+avx2,+fma,-avx512f")
    assert (middle.vector_bytes, middle.vector_registers, middle.has_fma) == (32, 16, True)
    small = target.describe(LINUX_X86, "x86-64", "+sse2,-avx,-fma")
    assert (small.vector_bytes, small.vector_registers, small.has_fma) == (16, 16, False)
    arm = target.describe("aarch64-unknown-linux-gnu", "neoverse-n1", "+neon")
    assert (arm.vector_bytes, arm.vector_registers, arm.has_fma) == (16, 32, True)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x86 CPU names")
@pytest.mark.parametrize(
    ("cpu", "features", "facts"),
    [
        ("skylake-avx512", "", (64, 32, True)),
        ("haswell", "", (32, 16, True)),
        ("x86-64", "", (16, 16, False)),
        ("skylake-avx512", "-avx512f", (32, 16, True)),
    ],
)
def test_named_cpus_are_probed(
    monkeypatch: pytest.MonkeyPatch, cpu: str, features: str, facts: tuple[int, int, bool]
) -> None:
    monkeypatch.setenv("TREADLE_CPU", cpu)
    monkeypatch.setenv("TREADLE_CPU_FEATURES", features)
    settings.current.cache_clear()
    found = target.host_target.__wrapped__()
    assert (found.cpu, found.features) == (cpu, features)
    assert (found.vector_bytes, found.vector_registers, found.has_fma) == facts


def test_host_has_vectors() -> None:
    facts = target.host_target()
    assert facts is target.host_target()
    assert facts.vector_bytes in (16, 32, 64)
    assert facts.cpu
