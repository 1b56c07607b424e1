"""Copies and pickles of tensors keep what they share, and nothing else."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from typing import Any

import numpy as np

import treadle as torch


def test_views_share_memory_in_one_deepcopy_and_not_with_the_original() -> None:
    a = torch.arange(6.0)
    part, whole = copy.deepcopy([a[2:4], a])
    whole[2] = 9.0
    assert part.tolist() == [9.0, 3.0]
    assert a.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_views_share_memory_in_one_pickle() -> None:
    a = torch.arange(6.0).view(2, 3)
    loaded, turned = pickle.loads(pickle.dumps([a, a.t()]))
    loaded[0, 1] = 7.0
    assert turned[1, 0].item() == 7.0
    assert turned.stride() == (1, 3)


def test_pickles_keep_dtype_gradients_and_attributes() -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.int8, torch.bool, torch.complex64):
        x = torch.ones(2, dtype=dtype)
        loaded = pickle.loads(pickle.dumps(x))
        assert loaded.dtype is dtype
        assert (loaded == x).all()
    x = torch.ones(2, requires_grad=True)
    x.note = "kept"
    loaded = pickle.loads(pickle.dumps(x))
    assert loaded.requires_grad
    assert loaded.note == "kept"


def test_a_deepcopy_has_a_copy_of_the_gradient() -> None:
    x = torch.ones(2, requires_grad=True)
    (x * 3).sum().backward()
    other = copy.deepcopy(x)
    assert x.grad is not None
    x.grad.zero_()
    assert other.grad.tolist() == [3.0, 3.0]


def test_a_shallow_copy_shares_memory() -> None:
    x = torch.zeros(3)
    copy.copy(x)[1] = 5.0
    assert x.tolist() == [0.0, 5.0, 0.0]


def test_a_generator_goes_on_after_pickling() -> None:
    own = torch.Generator().manual_seed(6)
    torch.rand(3, generator=own)
    other = pickle.loads(pickle.dumps(own))
    assert (torch.rand(3, generator=own) == torch.rand(3, generator=other)).all()


def _fill(shared: Any) -> None:
    shared.fill_(4.0)


def test_memory_shared_between_processes_shows_what_a_child_wrote() -> None:
    x = torch.zeros(3)
    assert not x.is_shared()
    x.share_memory_()
    assert x.is_shared()
    child = multiprocessing.get_context("fork").Process(target=_fill, args=(x,))
    child.start()
    child.join()
    assert x.tolist() == [4.0, 4.0, 4.0]


def test_dlpack_shares_memory_both_ways() -> None:
    x = torch.arange(3.0)
    array = np.from_dlpack(x)
    x.add_(1.0)
    assert array.tolist() == [1.0, 2.0, 3.0]
    source = np.arange(3.0)
    y = torch.from_dlpack(source)
    y.mul_(2.0)
    source[0] = 8.0
    assert source.tolist() == y.tolist() == [8.0, 2.0, 4.0]
