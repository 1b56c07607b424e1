"""Facts about the CPU that kernels are compiled for, as LLVM reports them.

Plain data for schedulers and for cache keys; machines for compiling are in `jit.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import llvmlite.binding as llvm

from treadle.ir import settings


@dataclass(frozen=True)
class TargetFacts:
    """The CPU that kernels are compiled for.

    Attributes:
        triple: LLVM target triple.
        cpu: LLVM name of the CPU.
        features: LLVM feature string, empty where the CPU's name implies them all.
        vector_bytes: width of a vector register (64, 32 or 16).
        vector_registers: number of vector registers.
        has_fma: a fused multiply-add is one instruction.
    """

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    vector_registers: int
    has_fma: bool


# One vector multiply-add, wide enough to show the widest registers a CPU has.
_PROBE = """
declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)
define void @probe(ptr %p) {
  %x = load <16 x float>, ptr %p
  %y = call <16 x float> @llvm.fma.v16f32(<16 x float> %x, <16 x float> %x, <16 x float> %x)
  store <16 x float> %y, ptr %p
  ret void
}
"""


@lru_cache(maxsize=1)
def initialize_llvm() -> None:
    """Register LLVM's code generator for this machine; cheap to call again."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _x86_features(features: str, assembly: str) -> tuple[bool, bool, bool]:
    """Whether an x86 CPU has AVX-512, AVX and FMA, from its features or the probe's assembly."""
    if assembly:
        return "zmm" in assembly, "ymm" in assembly, "vfmadd" in assembly
    enabled: dict[str, bool] = {}
    for feature in features.split(","):
        enabled[feature[1:]] = feature.startswith("+")
    wide = enabled.get("avx512f", False) and enabled.get("avx512vl", False)
    return wide, enabled.get("avx", False), enabled.get("fma", False)


def describe(triple: str, cpu: str, features: str, assembly: str = "") -> TargetFacts:
    """Facts of a CPU; ``assembly`` of the probe is needed where ``features`` do not list all."""
    if not triple.startswith(("x86_64", "amd64")):
        return TargetFacts(triple, cpu, features, 16, 32, triple.startswith(("aarch64", "arm64")))
    wide, avx, fma = _x86_features(features, assembly)
    vector_bytes = 64 if wide else 32 if avx else 16
    return TargetFacts(triple, cpu, features, vector_bytes, 32 if wide else 16, fma)


def probe_assembly(triple: str, cpu: str, features: str) -> str:
    """Assembly of a vector multiply-add for a CPU, from which its registers can be told."""
    initialize_llvm()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features)
    module = llvm.parse_assembly(_PROBE, llvm.create_context())
    module.triple = triple
    module.data_layout = str(machine.target_data)
    return str(machine.emit_assembly(module))


@lru_cache(maxsize=1)
def host_target() -> TargetFacts:
    """The CPU to compile for: this machine's, unless settings name another.

    A named CPU brings its own features; named features are added to those of the CPU.
    """
    chosen = settings.current()
    triple = llvm.get_process_triple()
    if not chosen.cpu and not chosen.cpu_features:
        features = llvm.get_host_cpu_features().flatten()
        return describe(triple, llvm.get_host_cpu_name(), features)
    cpu = chosen.cpu or llvm.get_host_cpu_name()
    parts = ["" if chosen.cpu else llvm.get_host_cpu_features().flatten(), chosen.cpu_features]
    features = ",".join(part for part in parts if part)
    return describe(triple, cpu, features, probe_assembly(triple, cpu, features))
