"""``view(dtype)`` shares memory both ways, as PyTorch's does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.frontend.agreement import check

pytestmark = pytest.mark.oracle


def same_size(torch: Any) -> Any:
    x = torch.arange(6.0).reshape(2, 3)
    bits = x.view(torch.int32)
    bits[0, 1] = 0x3F800000
    before = x.tolist()
    x.mul_(2)
    return [before, bits, bits.t().stride(), x._version]


def narrower(torch: Any) -> Any:
    x = torch.arange(6.0).reshape(2, 3)
    halves = x.view(torch.int16)
    halves[:, 2:4].zero_()
    return [x, halves.shape, halves.stride(), x[1].view(torch.uint8).storage_offset()]


def wider(torch: Any) -> Any:
    x = torch.arange(9, dtype=torch.int16)
    words = x[4:8].view(torch.int64)
    words += 1
    return [x, words, words.storage_offset()]


def complex_parts(torch: Any) -> Any:
    x = torch.ones(3, dtype=torch.complex64)
    parts = x.view(torch.float32)
    parts[1] = 5.0
    pairs = torch.arange(4.0).view(torch.complex64)
    pairs[0] = 7 + 1j
    return [x, parts.shape, pairs]


def shared_with_numpy(torch: Any) -> Any:
    x = torch.zeros(2, 2)
    x.view(torch.int32).numpy()[0, 1] = 0x40000000
    return x


def half_formats(torch: Any) -> Any:
    return torch.tensor([1.0, 2.0], dtype=torch.float16).view(torch.bfloat16).float()


PROGRAMS = [same_size, narrower, wider, complex_parts, shared_with_numpy, half_formats]
MISFITS: dict[str, Callable[[Any], Any]] = {
    "odd offset": lambda t: t.arange(6, dtype=t.int16)[1:5].view(t.int32),
    "odd stride": lambda t: t.arange(15, dtype=t.int16).reshape(3, 5)[:, :4].view(t.int32),
    "odd extent": lambda t: t.zeros(2, 3).view(t.float64),
    "transposed": lambda t: t.zeros(2, 3).t().view(t.int16),
    "no axis": lambda t: t.tensor(1.0).view(t.int16),
}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_the_memory_is_the_same(program: Callable[[Any], Any]) -> None:
    check(program)


@pytest.mark.parametrize("name", MISFITS)
def test_memory_that_does_not_fit_is_refused(name: str) -> None:
    check(MISFITS[name])
