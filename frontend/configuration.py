"""Settings of the process under PyTorch's names: threads, determinism, precision of products."""

from __future__ import annotations

from treadle.runtime import pool

__all__ = [
    "are_deterministic_algorithms_enabled", "get_deterministic_debug_mode",
    "get_float32_matmul_precision", "get_num_interop_threads", "get_num_threads",
    "is_deterministic_algorithms_warn_only_enabled", "is_warn_always_enabled",
    "set_deterministic_debug_mode", "set_float32_matmul_precision", "set_num_interop_threads",
    "set_num_threads", "set_warn_always", "use_deterministic_algorithms",
]  # fmt: skip


class _Choices:
    deterministic = False
    warn_only = False
    precision = "highest"
    interop = 1
    warn_always = False


def get_num_threads() -> int:
    """How many threads kernels use."""
    return pool.get_num_threads()


def set_num_threads(num: int) -> None:
    """Lets kernels use so many threads; RuntimeError unless it is positive."""
    if not isinstance(num, int) or isinstance(num, bool):
        raise TypeError(f"set_num_threads expects an int, but got {type(num).__name__}")
    if num <= 0:
        raise RuntimeError("set_num_threads expects a positive integer")
    pool.set_num_threads(num)


def get_num_interop_threads() -> int:
    """How many programs run at once: recorded work is one program."""
    return _Choices.interop


def set_num_interop_threads(num: int) -> None:
    """Kept for scripts; recorded work is one program."""
    if num <= 0:
        raise RuntimeError("set_num_interop_threads expects a positive integer")
    _Choices.interop = num


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Kept for scripts: results are the same for every run and number of threads anyway."""
    _Choices.deterministic, _Choices.warn_only = mode, warn_only


def are_deterministic_algorithms_enabled() -> bool:
    """What ``use_deterministic_algorithms`` set."""
    return _Choices.deterministic


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """What ``use_deterministic_algorithms`` set for ``warn_only``."""
    return _Choices.warn_only


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """``"default"``, ``"warn"`` or ``"error"``, or their numbers."""
    modes = {"default": 0, "warn": 1, "error": 2}
    if isinstance(debug_mode, str) and debug_mode not in modes:
        raise RuntimeError(
            "invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got "
            f"{debug_mode}"
        )
    number = modes[debug_mode] if isinstance(debug_mode, str) else debug_mode
    if number not in (0, 1, 2):
        raise RuntimeError(f"invalid value of debug_mode, expected 0, 1, or 2, but got {number}")
    use_deterministic_algorithms(number > 0, warn_only=number == 1)


def get_deterministic_debug_mode() -> int:
    """0, 1 or 2: what ``set_deterministic_debug_mode`` set."""
    if not _Choices.deterministic:
        return 0
    return 1 if _Choices.warn_only else 2


def get_float32_matmul_precision() -> str:
    """How precisely float32 matrices are multiplied."""
    return _Choices.precision


def set_float32_matmul_precision(precision: str) -> None:
    """``"highest"``, ``"high"`` or ``"medium"``; the CPU always multiplies in full precision."""
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(
            f"'{precision}' is not one of 'highest', 'high', or 'medium'; the current setup "
            "behaves like 'highest'"
        )
    _Choices.precision = precision


def set_warn_always(b: bool) -> None:
    """Whether warnings repeat; Python's own filters decide here."""
    _Choices.warn_always = b


def is_warn_always_enabled() -> bool:
    """What ``set_warn_always`` set."""
    return _Choices.warn_always
