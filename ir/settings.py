"""All settings that come from the environment, read here and nowhere else.

A frozen dataclass that is passed on; it holds no state of a run.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """What the user chose through environment variables.

    Attributes:
        threads: kernels' threads (``TREADLE_NUM_THREADS``, else ``OMP_NUM_THREADS``, else the
            CPUs this process may use).
        cache_dir: folder of the disk cache (``TREADLE_CACHE_DIR``), None with ``TREADLE_CACHE=0``.
        cache_bytes: bound on the disk cache's size (``TREADLE_CACHE_BYTES``).
        cpu: LLVM name of the CPU to compile for (``TREADLE_CPU``), empty for the host's.
        cpu_features: LLVM feature string (``TREADLE_CPU_FEATURES``), empty for the host's.
        check: compare each pass and program with the interpreter (``TREADLE_CHECK=1``).
        verify: verify the graph after each pass (``TREADLE_VERIFY=1``).
        backend: ``cpu`` or ``interp``, which runs CPU programs with NumPy (``TREADLE_BACKEND``).
    """

    threads: int
    cache_dir: Path | None
    cache_bytes: int
    cpu: str
    cpu_features: str
    check: bool
    verify: bool
    backend: str


def _positive(name: str, text: str) -> int:
    """``text`` as a whole number above zero; ValueError names the variable otherwise."""
    if not text.isdigit() or int(text) == 0:
        raise ValueError(f"{name} must be a whole number above zero, found {text!r}")
    return int(text)


def _features(text: str) -> str:
    """LLVM features; ValueError for what LLVM would end the process over."""
    for feature in filter(None, text.split(",")):
        if feature[0] not in "+-" or not feature[1:]:
            raise ValueError(
                f"TREADLE_CPU_FEATURES must list features as +name or -name, found {feature!r}"
            )
    return text


def _threads(environment: dict[str, str]) -> int:
    for name in ("TREADLE_NUM_THREADS", "OMP_NUM_THREADS"):
        if environment.get(name):
            # OpenMP allows a list, one number a nesting level; kernels have one level.
            return _positive(name, environment[name].split(",")[0].strip())
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read(environment: dict[str, str]) -> Settings:
    """Settings from a mapping of environment variables; ValueError on a bad one."""
    home = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache_dir: Path | None = Path(environment.get("TREADLE_CACHE_DIR") or home / "treadle")
    if environment.get("TREADLE_CACHE") == "0":
        cache_dir = None
    backend = environment.get("TREADLE_BACKEND") or "cpu"
    if backend not in ("cpu", "interp"):
        raise ValueError(f"TREADLE_BACKEND must be 'cpu' or 'interp', found {backend!r}")
    return Settings(
        threads=_threads(environment),
        cache_dir=cache_dir,
        cache_bytes=_positive(
            "TREADLE_CACHE_BYTES", environment.get("TREADLE_CACHE_BYTES") or str(1 << 30)
        ),
        cpu=environment.get("TREADLE_CPU", ""),
        cpu_features=_features(environment.get("TREADLE_CPU_FEATURES", "")),
        check=environment.get("TREADLE_CHECK") == "1",
        verify=environment.get("TREADLE_VERIFY") == "1",
        backend=backend,
    )


@lru_cache(maxsize=1)
def current() -> Settings:
    """The settings of this process, read once."""
    return read(dict(os.environ))
