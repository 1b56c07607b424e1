"""Fourier transforms against PyTorch: errors, gradients of gradients, spectrograms and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import treadle
from tests.frontend.agreement import assert_equal, oracle, run

SIGNAL = np.random.default_rng(2).standard_normal((2, 48))


def agree(program: Callable[[Any], Any], rtol: float = 1e-5) -> None:
    assert_equal(run(program, treadle), run(program, oracle()), rtol=rtol)


FAILURES: dict[str, Callable[[Any], Any]] = {
    "no axes": lambda t: t.fft.fft(t.ones(())),
    "no points": lambda t: t.fft.fft(t.ones(3), n=0),
    "axis": lambda t: t.fft.fft(t.ones(3), dim=2),
    "norm": lambda t: t.fft.fft(t.ones(3), norm="foo"),
    "half": lambda t: t.fft.fft(t.ones(3).half()),
    "complex": lambda t: t.fft.rfft(t.ones(3).to(t.complex64)),
    "one point": lambda t: t.fft.irfft(t.ones(1)),
    "too many sizes": lambda t: t.fft.fftn(t.ones(3, 3), s=(1, 2, 3)),
    "sizes and axes": lambda t: t.fft.fftn(t.ones(3, 3), s=(1, 2), dim=(0,)),
    "an axis twice": lambda t: t.fft.fftn(t.ones(3, 3), dim=(0, 0)),
    "nothing to transform": lambda t: t.fft.rfftn(t.ones(3, 3), dim=()),
    "frequencies": lambda t: t.fft.fftfreq(5, dtype=t.int64),
    "return_complex": lambda t: t.stft(t.ones(10), 4),
    "stft dimensions": lambda t: t.stft(t.ones(2, 2, 10), 4, return_complex=True),
    "stft hop": lambda t: t.stft(t.ones(10), 4, hop_length=0, return_complex=True),
    "stft window": lambda t: t.stft(t.ones(10), 4, window=t.ones(5), return_complex=True),
    "istft of numbers": lambda t: t.istft(t.ones(3, 4), 4),
    "istft rows": lambda t: t.istft(t.ones(3, 4).to(t.complex64), 6),
    "istft hop": lambda t: t.istft(t.ones(3, 4).to(t.complex64), 4, hop_length=5),
}


@pytest.mark.parametrize("name", FAILURES)
def test_errors_are_pytorchs(name: str) -> None:
    agree(FAILURES[name])


@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
def test_transforms_and_their_second_derivatives_are_pytorchs(norm: str | None) -> None:
    def program(t: Any) -> Any:
        x = t.tensor(SIGNAL).requires_grad_()
        spectrum = t.fft.rfft2(x, s=(3, 31), norm=norm)
        back = t.fft.irfft(t.fft.fft(spectrum, n=20, norm=norm), n=15, norm=norm)
        loss = (t.view_as_real(spectrum) ** 3).sum() + (back**3).sum()
        first = t.autograd.grad(loss, [x], create_graph=True)[0]
        (first * first).sum().backward()
        return [spectrum.detach(), back.detach(), first.detach(), x.grad]

    agree(program, rtol=1e-9)


def test_numbers_keep_their_precision() -> None:
    x = treadle.ones(8)
    assert treadle.fft.fft(x).dtype is treadle.complex64
    assert treadle.fft.rfft(x.double()).dtype is treadle.complex128
    assert treadle.fft.irfft(treadle.fft.rfft(x)).dtype is treadle.float32


def test_a_transform_is_one_launch_of_the_program_around_it() -> None:
    x = treadle.tensor(SIGNAL.astype(np.float32))

    def power() -> float:
        spectrum = treadle.fft.rfft(x * 2.0, norm="ortho")
        return float((spectrum.real**2 + spectrum.imag**2).sum())

    power()
    treadle.reset_statistics()
    power()
    assert treadle.statistics().program_runs == 1


def test_frequencies_are_in_the_order_of_the_transform() -> None:
    def program(t: Any) -> Any:
        return [
            t.fft.fftfreq(5), t.fft.fftfreq(6, 0.5), t.fft.rfftfreq(7, 2.0, dtype=t.float64),
            t.fft.fftshift(t.arange(5.0)), t.fft.ifftshift(t.arange(20.0).reshape(4, 5), dim=1),
        ]  # fmt: skip

    agree(program)


@pytest.mark.parametrize(
    "options", [{}, {"center": False}, {"normalized": True}, {"win_length": 10}]
)
def test_spectrograms_are_pytorchs(options: dict[str, Any]) -> None:
    def program(t: Any) -> Any:
        length = options.get("win_length", 12)
        x = t.tensor(SIGNAL).requires_grad_()
        window = t.tensor(np.hanning(length) + 0.1).requires_grad_()
        found = t.stft(x, 12, 4, window=window, return_complex=True, **options)
        back = t.istft(found, 12, 4, window=window, **options)
        (back**2).sum().backward()
        return [found.detach(), back.detach(), x.grad, window.grad]

    agree(program, rtol=1e-8)


def test_a_signal_of_complex_numbers_has_both_sides() -> None:
    def program(t: Any) -> Any:
        z = t.tensor(SIGNAL + 1j * SIGNAL[::-1])
        found = t.stft(z, 8, return_complex=True, onesided=False)
        return [found, t.istft(found, 8, return_complex=True, length=60)]

    agree(program, rtol=1e-9)
