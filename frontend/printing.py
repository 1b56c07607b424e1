"""Printing tensors in PyTorch's format.

Pure functions over NumPy arrays: nothing is computed or moved here.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class PrintOptions:
    """How tensors are printed.

    Attributes:
        precision: digits after the point.
        threshold: tensors with more elements are summarised.
        edgeitems: elements shown at each end of a summarised axis.
        linewidth: characters a line.
        sci_mode: scientific notation always or never; None decides by the numbers.
    """

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}
_options = PrintOptions()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Changes how tensors are printed from now on; see ``PrintOptions``.

    ``profile`` ("default", "short" or "full") sets all but ``sci_mode``; the other arguments
    override it. ``sci_mode`` goes back to None when it is not given.
    """
    global _options
    changed = dict(_PROFILES.get(profile, {})) if profile is not None else {}
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    changed.update({name: value for name, value in given.items() if value is not None})
    _options = replace(_options, **changed, sci_mode=sci_mode)


def get_printoptions() -> dict[str, Any]:
    """The options in force, as arguments for ``set_printoptions``."""
    return asdict(_options)


@contextlib.contextmanager
def printoptions(**kwargs: Any) -> Iterator[None]:
    """Options of ``set_printoptions`` for the length of a ``with`` block."""
    before = get_printoptions()
    set_printoptions(**kwargs)
    try:
        yield
    finally:
        set_printoptions(**before)


def tensor_repr(
    array: Array,
    dtype: Any,
    *,
    requires_grad: bool = False,
    grad_fn_name: str | None = None,
    device: Any = "cpu",
    default_dtype: str = "float32",
    prefix: str = "tensor(",
) -> str:
    """``tensor([...], ...)`` as PyTorch prints it.

    Args:
        array: the elements; only those that are shown are read.
        dtype: the element type; its ``name``, or the name itself.
        requires_grad: whether gradients are recorded.
        grad_fn_name: name of the operation that made the tensor, None for a leaf.
        device: shown unless it is the CPU.
        default_dtype: the floating dtype that need not be shown.
        prefix: what comes before the elements; subclasses print their own name.
    """
    name = str(getattr(dtype, "name", dtype)).removeprefix("torch.")
    suffixes = []
    if str(device) != "cpu":
        suffixes.append(f"device='{device}'")
    if array.size == 0:
        if array.ndim != 1:
            suffixes.append(f"size={array.shape}")
        # No element shows the dtype, so that int64 is written out too.
        if name != default_dtype:
            suffixes.append(f"dtype=torch.{name}")
    else:
        if not _options.edgeitems:
            suffixes.append(f"size={array.shape}")
        default_complex = "complex128" if default_dtype == "float64" else "complex64"
        if name not in (default_dtype, default_complex, "int64", "bool"):
            suffixes.append(f"dtype=torch.{name}")
    if grad_fn_name is not None:
        suffixes.append(f"grad_fn=<{grad_fn_name}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    return _with_suffixes(prefix + contents(array, len(prefix)), suffixes, len(prefix))


def _with_suffixes(text: str, suffixes: list[str], indent: int) -> str:
    """Appends ``, suffix`` each, on a new line where it would not fit, and the bracket."""
    width = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if width + len(suffix) + 2 > _options.linewidth:
            text += ",\n" + " " * indent + suffix
            width = indent + len(suffix)
        else:
            text += ", " + suffix
            width += len(suffix) + 2
    return text + ")"


def contents(array: Array, indent: int) -> str:
    """The elements in nested brackets; continuation lines are indented."""
    if array.size == 0:
        return "[]"
    summarize = array.size > _options.threshold
    shown = _shown(array) if summarize else array
    if shown.dtype.kind == "c":
        formatter: _Formatter = _ComplexFormatter(shown)
    else:
        formatter = _Formatter(shown)
    return _nested(array, indent, summarize, formatter)


def _is_cut(extent: int) -> bool:
    return extent > 2 * _options.edgeitems


def _shown(array: Array) -> Array:
    """The elements of a summarised array that are printed."""
    edge = _options.edgeitems
    if edge == 0 and array.ndim > 1:
        return array[:0]
    for axis, extent in enumerate(array.shape):
        if _is_cut(extent):
            kept = [*range(edge), *range(extent - edge, extent)]
            array = np.take(array, kept, axis=axis)
    return array


class _Formatter:
    """Formats the elements of one array to a common width.

    Integers are written as they are; floats as integers with a point, with a fixed precision, or
    in scientific notation, whichever rule PyTorch applies to the array's non-zero finite numbers.
    """

    def __init__(self, array: Array) -> None:
        self.floating = array.dtype.kind == "f"
        self.integral = True
        self.scientific = False
        self.width = 1
        if self.floating:
            self._measure_floats(array.ravel())
        else:
            self.width = max((len(str(v)) for v in array.ravel().tolist()), default=1)

    def _measure_floats(self, flat: Array) -> None:
        numbers = flat[np.isfinite(flat) & (flat != 0)].astype(np.float64)
        if numbers.size == 0:
            return
        magnitudes = np.abs(numbers)
        smallest, largest = float(magnitudes.min()), float(magnitudes.max())
        self.integral = bool(np.all(numbers == np.ceil(numbers)))
        self.scientific = (
            # Divided as NumPy does: the quotient of a subnormal may overflow to inf.
            (largest > 1000.0 * smallest and _ratio(largest, smallest) > 1000.0)
            or largest > 1.0e8
            or smallest < 1.0e-4
            if _options.sci_mode is None
            else _options.sci_mode
        )
        # A point follows integral numbers, and nothing else.
        extra = 1 if self.integral and not self.scientific else 0
        self.width = max(1, extra + max(len(self._number(v)) for v in numbers.tolist()))

    def _number(self, value: float) -> str:
        if self.scientific:
            return f"{value:.{_options.precision}e}"
        return f"{value:.0f}" if self.integral else f"{value:.{_options.precision}f}"

    def format(self, value: Any) -> str:
        """One element, right-aligned."""
        if not self.floating:
            text = str(value)
        else:
            text = self._number(value)
            if self.integral and not self.scientific and math.isfinite(value):
                text += "."
        return text.rjust(self.width)

    def line_width(self) -> int:
        """Characters of one element without the separator."""
        return self.width


def _ratio(largest: float, smallest: float) -> float:
    try:
        return largest / smallest
    except OverflowError:
        return math.inf


class _ComplexFormatter(_Formatter):
    """Formats real and imaginary parts with a formatter each."""

    def __init__(self, array: Array) -> None:
        self.real = _Formatter(np.ascontiguousarray(array.real))
        self.imaginary = _Formatter(np.ascontiguousarray(array.imag))

    def format(self, value: Any) -> str:
        """``1.+2.j``, the real part right-aligned."""
        imaginary = (self.imaginary.format(value.imag) + "j").lstrip()
        sign = "" if imaginary[0] in "+-" else "+"
        return self.real.format(value.real) + sign + imaginary

    def line_width(self) -> int:
        """Characters of one element without the separator; j counts, the sign does not."""
        return self.real.width + self.imaginary.width + 1


def _nested(array: Array, indent: int, summarize: bool, formatter: _Formatter) -> str:
    if array.ndim == 0:
        return formatter.format(array.item())
    if array.ndim == 1:
        return _vector(array, indent, summarize, formatter)
    extent = array.shape[0]
    rows: list[int | None] = list(range(extent))
    if summarize and _is_cut(extent):
        edge = _options.edgeitems
        rows = [*range(edge), None, *range(extent - edge, extent)]
    parts = [
        "..." if row is None else _nested(array[row], indent + 1, summarize, formatter)
        for row in rows
    ]
    separator = "," + "\n" * (array.ndim - 1) + " " * (indent + 1)
    return "[" + separator.join(parts) + "]"


def _vector(array: Array, indent: int, summarize: bool, formatter: _Formatter) -> str:
    edge = _options.edgeitems
    if summarize and not edge:
        texts = ["..."]
    elif summarize and _is_cut(array.shape[0]):
        texts = [formatter.format(value) for value in array[:edge].tolist()]
        texts.append(" ...")
        texts += [formatter.format(value) for value in array[-edge:].tolist()]
    else:
        texts = [formatter.format(value) for value in array.tolist()]
    per_line = max(1, (_options.linewidth - indent) // (formatter.line_width() + 2))
    lines = [", ".join(texts[start : start + per_line]) for start in range(0, len(texts), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
