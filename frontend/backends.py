"""``torch.backends``: which libraries stand behind the operations, as scripts ask for it.

Switches that choose between algorithms of such a library are kept and have no effect.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from treadle.runtime.target import host_target


class Backend:
    """One library: whether it is there, and the switches that scripts set.

    Attributes are PyTorch's; unknown ones raise AttributeError.
    """

    def __init__(self, name: str, **switches: Any) -> None:
        self.__name__ = f"treadle.backends.{name}"
        vars(self).update(switches)

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "__name__" and name not in vars(self):
            raise AttributeError(f"{self.__name__} has no switch {name!r}")
        super().__setattr__(name, value)

    def is_available(self) -> bool:
        """Whether the library is used."""
        return False

    def is_built(self) -> bool:
        """Whether support for the library is part of this installation."""
        return False

    def version(self) -> int | None:
        """The library's version."""
        return None

    @contextlib.contextmanager
    def flags(self, **switches: Any) -> Iterator[None]:
        """Switches for the length of a ``with`` block."""
        before = {name: getattr(self, name) for name in switches}
        for name, value in switches.items():
            setattr(self, name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                setattr(self, name, value)

    def __repr__(self) -> str:
        return f"<module '{self.__name__}'>"


cudnn = Backend(
    "cudnn", enabled=True, benchmark=False, benchmark_limit=10, deterministic=False,
    allow_tf32=True,
)  # fmt: skip
cuda = Backend(
    "cuda", matmul=Backend("cuda.matmul", allow_tf32=False), preferred_linalg_library="default"
)
mps = Backend("mps")
mkl = Backend("mkl")
mkldnn = Backend("mkldnn", enabled=True)
openmp = Backend("openmp")
opt_einsum = Backend("opt_einsum", enabled=True, strategy="auto")


class _CPU:
    """The CPU as a backend."""

    def get_cpu_capability(self) -> str:
        """What instructions kernels are compiled for."""
        features = host_target().features
        return "AVX512" if "+avx512f" in features else "AVX2" if "+avx2" in features else "DEFAULT"


cpu = _CPU()
