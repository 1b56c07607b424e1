"""Short-time Fourier transforms: windows of a signal transformed one by one, and back."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from treadle.ir import build as b
from treadle.ir.value import Value
from treadle.nn.functional.padding import pad
from treadle.operation import operation
from treadle.promotion import as_float, promoted, scalar_name
from treadle.tensor import Tensor

__all__ = ["istft", "stft"]
METHODS = "istft stft"

# A sum of squared windows below this divides by nothing.
_LEAST_OVERLAP = 1e-11


def _description(tensor: Any, brackets: str = "[]") -> str:
    shape = ", ".join(map(str, tensor.shape))
    return f"torch.{scalar_name(tensor.dtype)}Tensor{brackets[0]}{shape}{brackets[1]}"


def _shown(options: dict[str, Any]) -> str:
    def text(item: Any) -> str:
        if isinstance(item, Tensor):
            return _description(item, "{}").replace("{", "{[").replace("}", "]}")
        return str(int(item)) if isinstance(item, bool) else str(item)

    return ", ".join(f"{name}={text(item)}" for name, item in options.items())


def _window(window: Value | None, length: int, like: Value) -> Value:
    """The window, ones by default, in the middle of ``length`` points."""
    found = window
    if found is None:
        return b.full((length,), 1, like.dtype.to_real(), like.type.device)
    left = (length - found.shape[0]) // 2
    return b.pad(found, (left,), (length - found.shape[0] - left,))


@operation("StftBackward0")
def _stft(
    input: Value, window: Value | None, n_fft: int, hop: int, normalized: bool, onesided: bool
) -> Value:  # fmt: skip
    x = as_float(input)
    frames = b.windows(x, (x.ndim - 1,), (n_fft,), (hop,), (1,))
    if window is not None:
        frames, taper = promoted(frames, b.broadcast_to(_window(window, n_fft, x), frames.shape))
        frames = b.mul(frames, taper)
    axis = (frames.ndim - 1,)
    if onesided:
        found = b.library("rfft", [frames], axis)[0]
    else:
        whole = b.cast(frames, frames.dtype.to_complex())
        found = b.library("fft", [whole], axis, False)[0]
    if normalized:
        found = found * (1.0 / math.sqrt(n_fft))
    return b.transpose(found)


def stft(
    input: Any, n_fft: int, hop_length: int | None = None, win_length: int | None = None,
    window: Any = None, center: bool = True, pad_mode: str = "reflect", normalized: bool = False,
    onesided: bool | None = None, return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Any:  # fmt: skip
    """Transforms of windows of ``n_fft`` points, ``hop_length`` apart: [..., frequency, window]."""
    hop = n_fft // 4 if hop_length is None else hop_length
    length = n_fft if win_length is None else win_length
    if center:
        if align_to_window is not None:
            raise RuntimeError("stft align_to_window should only be set when center = false.")
        edge = n_fft // 2
        wide = input.view(*(1,) * (3 - input.ndim), *input.shape)
        wide = pad(wide, [edge, edge], pad_mode)
        input = wide.view(*wide.shape[wide.ndim - input.ndim :])
    is_complex = input.dtype.is_complex or (window is not None and window.dtype.is_complex)
    if return_complex is None:
        if not is_complex:
            raise RuntimeError(
                "stft requires the return_complex parameter be given for real inputs, and will "
                "further require that return_complex=True in a future PyTorch release."
            )
        return_complex = True
    options = {
        "n_fft": n_fft, "hop_length": hop, "win_length": length, "window": window,
        "normalized": normalized, "onesided": onesided, "return_complex": return_complex,
        "align_to_window": align_to_window,
    }  # fmt: skip
    _check_stft(input, window, n_fft, hop, length, _shown(options))
    onesided = not is_complex if onesided is None else onesided
    if onesided and is_complex:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    if window is None and length != n_fft:
        window = input.new_ones(length, dtype=input.dtype.to_real())
    found = _stft(input, window, n_fft, hop, normalized, onesided)
    if return_complex:
        return found
    warnings.warn(
        "stft with return_complex=False is deprecated. In a future pytorch release, stft will "
        "return complex tensors for all inputs, and return_complex=False will raise an error.\n"
        "Note: you can still call torch.view_as_real on the complex output to recover the old "
        "return format.",
        UserWarning,
        stacklevel=2,
    )
    return _parts(found)


@operation("ViewAsRealBackward0")
def _parts(z: Value) -> Value:
    return b.view_as_real(z)


def _check_stft(input: Any, window: Any, n_fft: int, hop: int, length: int, options: str) -> None:
    def refuse(what: str) -> None:
        raise RuntimeError(f"stft({_description(input)}, {options}) : {what}")

    if input.dtype.kind not in "fc":
        refuse("expected a tensor of floating point or complex values")
    if input.ndim not in (1, 2):
        refuse("expected a 1D or 2D tensor")
    points = input.shape[-1]
    if not 0 < n_fft <= points:
        refuse(f"expected 0 < n_fft < {points}, but got n_fft={n_fft}")
    if hop <= 0:
        refuse(f"expected hop_length > 0, but got hop_length={hop}")
    if not 0 < length <= n_fft:
        refuse(f"expected 0 < win_length <= n_fft, but got win_length={length}")
    if window is not None and (window.ndim != 1 or window.shape[0] != length):
        refuse(
            f"expected a 1D window tensor of size equal to win_length={length}, but got window "
            f"with size {list(window.shape)}"
        )


# --- back -----------------------------------------------------------------------------------------


@operation("IstftBackward0")
def _istft(
    input: Value, window: Value | None, n_fft: int, hop: int, bounds: tuple[int, int],
    normalized: bool, real: bool,
) -> Value:  # fmt: skip
    spectra = b.transpose(input)
    last = spectra.ndim - 1
    if real:
        # Of both sides, one determines what is real.
        half = (*spectra.shape[:last], n_fft // 2 + 1)
        frames = b.library("irfft", [b.slice(spectra, (0,) * (last + 1), half)], (last,), n_fft)[0]
    else:
        frames = b.library("fft", [spectra], (last,), True)[0]
    frames = frames * (1.0 / (math.sqrt(n_fft) if normalized else n_fft))
    taper = _window(window, n_fft, frames)
    frames, taper = promoted(frames, b.broadcast_to(taper, frames.shape))
    frames = b.mul(frames, taper)
    signal, overlap = _overlapped(frames, hop), _overlapped(b.mul(taper, taper), hop)
    start, stop = bounds
    last = signal.ndim - 1
    reach = min(stop, signal.shape[last])

    def kept(x: Value) -> Value:
        return b.slice(x, [0] * last + [start], [*x.shape[:last], reach])

    found = b.div(kept(signal), kept(overlap))
    return b.pad(found, [0] * (last + 1), [0] * last + [stop - reach]) if stop > reach else found


def _overlapped(frames: Value, hop: int) -> Value:
    """Windows added up where they lie in the signal."""
    count, size = frames.shape[-2:]
    shape = (*frames.shape[:-2], size + hop * (count - 1))
    if frames.dtype.is_complex:
        pairs = b.view_as_real(frames)
        order = (pairs.ndim - 1, *range(pairs.ndim - 1))
        moved = b.permute(pairs, order)
        added = b.fold(moved, (2, *shape), (len(shape),), (size,), (hop,), (1,))
        return b.view_as_complex(b.permute(added, (*range(1, added.ndim), 0)))
    return b.fold(frames, shape, (len(shape) - 1,), (size,), (hop,), (1,))


def istft(
    input: Any, n_fft: int, hop_length: int | None = None, win_length: int | None = None,
    window: Any = None, center: bool = True, normalized: bool = False,
    onesided: bool | None = None, length: int | None = None, return_complex: bool = False,
) -> Any:  # fmt: skip
    """The signal of which ``stft`` makes ``input``, its windows weighted and added."""
    hop = n_fft // 4 if hop_length is None else hop_length
    size = n_fft if win_length is None else win_length
    shown = {
        "n_fft": n_fft, "hop_length": hop, "win_length": size, "window": window, "center": center,
        "normalized": normalized, "onesided": onesided, "length": length,
        "return_complex": return_complex,
    }  # fmt: skip
    if not input.dtype.is_complex:
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with "
            "return_complex=True."
        )
    one_sided = input.shape[-2] != n_fft if onesided is None else onesided
    _check_istft(input, window, n_fft, hop, size, one_sided, shown)
    if one_sided and (return_complex or (window is not None and window.dtype.is_complex)):
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    expected = n_fft + hop * (input.shape[-1] - 1)
    start = n_fft // 2 if center else 0
    stop = start + length if length is not None else expected - n_fft // 2 * center
    _check_overlap(window, input.shape[-1], n_fft, hop, size, (start, stop), shown, input)
    if window is None and size != n_fft:
        window = input.new_ones(size, dtype=input.dtype.to_real())
    if stop > expected:
        warnings.warn(
            "The length of signal is shorter than the length parameter. Result is being padded "
            "with zeros in the tail. Please check your center and hop_length settings.",
            UserWarning,
            stacklevel=2,
        )
    bounds = (start, stop)
    return _istft(input, window, n_fft, hop, bounds, normalized, not return_complex)


def _refuse_istft(input: Any, shown: dict[str, Any], what: str) -> None:
    kind = f"CPU{scalar_name(input.dtype)}Type{list(input.shape)}"
    raise RuntimeError(f"istft({kind}, {_shown(shown)}) {what}")


def _check_istft(
    input: Any, window: Any, n_fft: int, hop: int, size: int, onesided: bool, shown: dict[str, Any]
) -> None:
    def refuse(what: str) -> None:
        _refuse_istft(input, shown, f": {what}")

    if not input.shape.numel():
        refuse("input tensor cannot be empty.")
    if input.ndim not in (2, 3):
        refuse(f"expected a tensor with 3 or 4 dimensions, but got {input.ndim + 1}")
    rows = input.shape[-2]
    wanted = n_fft // 2 + 1 if onesided else n_fft
    if rows != wanted:
        formula = "n_fft / 2 + 1 when onesided=True" if onesided else "n_fft when onesided=False"
        refuse(
            "expected the frequency dimension (3rd to the last) of the input tensor to match "
            f"{formula}, but got {rows}"
        )
    if not 0 < hop <= size:
        refuse("expected 0 < hop_length <= win_length")
    if not 0 < size <= n_fft:
        refuse("expected 0 < win_length <= n_fft")
    if window is not None and (window.ndim != 1 or window.shape[0] != size):
        refuse("Invalid window shape. window has to be 1D and length of `win_length`")


def _check_overlap(
    window: Any, count: int, n_fft: int, hop: int, size: int, bounds: tuple[int, int],
    shown: dict[str, Any], input: Any,
) -> None:  # fmt: skip
    """RuntimeError where some element of the signal lies under no window."""
    taper = np.ones(size) if window is None else np.asarray(window.detach()._concrete())
    left = (n_fft - size) // 2
    squares = np.zeros(n_fft)
    squares[left : left + size] = np.abs(taper) ** 2
    overlap = np.zeros(n_fft + hop * (count - 1))
    for number in range(count):
        overlap[number * hop : number * hop + n_fft] += squares
    least = np.abs(overlap[bounds[0] : bounds[1]]).min(initial=np.inf)
    if least < _LEAST_OVERLAP:
        _refuse_istft(input, shown, "window overlap add min: 1\n[ CPUBoolType{} ]")
