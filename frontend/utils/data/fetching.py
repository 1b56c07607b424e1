"""Fetching: from the indices of a batch to the batch, in whatever process loads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from treadle.utils.data.dataset import IterableDataset

Fetch = Callable[[Any], Any]


def fetcher(dataset: Any, collate: Callable[[Any], Any], batched: bool, drop_last: bool) -> Fetch:
    """A function from an index, or with ``batched`` a list of them, to what the loader yields.

    For a stream the number of indices alone counts, and StopIteration says that it has ended.
    """
    if isinstance(dataset, IterableDataset):
        return _from_stream(dataset, collate, batched, drop_last)
    if not batched:
        return lambda index: collate(dataset[index])
    fetch = getattr(dataset, "__getitems__", None)
    if callable(fetch):
        return lambda indices: collate(fetch(indices))
    return lambda indices: collate([dataset[index] for index in indices])


def _from_stream(
    dataset: Any, collate: Callable[[Any], Any], batched: bool, drop_last: bool
) -> Fetch:
    samples = iter(dataset)

    def one(_index: Any) -> Any:
        return collate(next(samples))

    def many(indices: Any) -> Any:
        batch = [sample for _index, sample in zip(indices, samples, strict=False)]
        if not batch or (drop_last and len(batch) < len(indices)):
            raise StopIteration
        return collate(batch)

    return many if batched else one
