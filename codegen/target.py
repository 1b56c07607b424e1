"""What schedules must know of a machine: widths and counts, no names of instructions.

The runtime reads the facts of the host; tests and ``treadle dump --target`` make their own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """Facts of a machine.

    Attributes:
        kind: ``cpu`` or ``cuda``.
        lane_bytes: bytes of a vector register (64, 32 or 16); on a GPU, 4 * threads a block.
        registers: vector registers (32 or 16).
        fma: whether multiply-add in one rounding is an instruction.
        max_scratch: bytes of scratch a task may use.
    """

    kind: str
    lane_bytes: int
    registers: int
    fma: bool = True
    max_scratch: int = 1 << 18

    def lanes(self, itemsize: int) -> int:
        """Lanes of a vector of elements of that size."""
        return self.lane_bytes // max(itemsize, 4)


AVX512 = Target("cpu", 64, 32)
AVX2 = Target("cpu", 32, 16)
BASELINE = Target("cpu", 16, 16, fma=False)
# 2 KiB of a block's 48 are left for combining lanes.
CUDA = Target("cuda", 4 * 256, 255, max_scratch=46 << 10)
