"""Collating: from a list of samples to one batch of tensors.

Structures are kept; numbers, arrays and tensors are stacked along a new first axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import treadle
from treadle.tensor import Tensor, from_array
from treadle.utils.data.dataset import BatchedSamples


def default_collate(batch: Any) -> Any:
    """Stacks samples: tensors, NumPy arrays and numbers, at any depth of dicts and sequences.

    Strings stay a list.

    Raises:
        TypeError: samples of another type.
        RuntimeError: sequences of different lengths, or tensors of different shapes.
    """
    if isinstance(batch, BatchedSamples):
        return list(batch.columns)
    first = batch[0]
    if isinstance(first, Tensor):
        return _stacked(list(batch))
    if isinstance(first, (np.ndarray, np.generic)):
        if first.dtype.kind in "SaUO":
            raise TypeError(_unknown(first.dtype))
        _check_shapes(batch)
        # Stacked by NumPy: one tensor a batch, not one a sample.
        return treadle.tensor(np.stack([np.asarray(sample) for sample in batch]))
    if isinstance(first, float):
        return treadle.tensor(batch, dtype=treadle.float64)
    if isinstance(first, int):
        return treadle.tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    return _collate_structure(batch, first)


def _stacked(samples: list[Tensor]) -> Tensor:
    """The tensors along a new first axis.

    Copied in memory where autograd has no part in it: rows of a tensor differ by their position,
    so that recording them would make every batch a program of its own.
    """
    device = samples[0].device
    if device.type != "cpu" or any(sample.requires_grad for sample in samples):
        return treadle.stack(samples, 0)
    _check_shapes(samples)
    return from_array(np.stack([sample._concrete() for sample in samples]), device)


def _check_shapes(batch: Any) -> None:
    shape = list(batch[0].shape)
    for number, sample in enumerate(batch):
        if list(sample.shape) != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {shape} at entry 0 "
                f"and {list(sample.shape)} at entry {number}"
            )


def _collate_structure(batch: Any, first: Any) -> Any:
    kind = type(first)
    if isinstance(first, Mapping):
        entries = {key: default_collate([sample[key] for sample in batch]) for key in first}
        return _like(kind, entries)
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return kind(*(default_collate(column) for column in zip(*batch, strict=True)))
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [default_collate(list(column)) for column in zip(*batch, strict=True)]
        # PyTorch returns a list for tuples, too.
        return columns if isinstance(first, tuple) else _like(kind, columns)
    raise TypeError(_unknown(kind))


def _like(kind: Any, value: Any) -> Any:
    """``value`` as ``kind`` where that can be built from it, else as it is."""
    try:
        return kind(value)
    except TypeError:
        return value


def _unknown(kind: Any) -> str:
    return (
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
        f"found {kind}"
    )


def default_convert(data: Any) -> Any:
    """Converts the NumPy arrays of one sample to tensors; what a loader without batches does."""
    if isinstance(data, Tensor):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if data.dtype.kind in "SaUO" else treadle.tensor(np.asarray(data))
    if isinstance(data, Mapping):
        return _like(type(data), {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(value) for value in data))
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        entries = [default_convert(value) for value in data]
        return entries if isinstance(data, tuple) else _like(type(data), entries)
    return data
