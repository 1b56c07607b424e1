"""``DataLoader``: batches of a dataset, in a sampler's order.

What loads them, in this process or in others, is ``fetching`` and ``workers``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from treadle.utils.data.collate import default_collate, default_convert
from treadle.utils.data.dataset import IterableDataset
from treadle.utils.data.fetching import fetcher
from treadle.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler
from treadle.utils.data.workers import Workers


class _Endless:
    """The sampler of a stream: it never runs out before the stream does."""

    def __iter__(self) -> Iterator[None]:
        while True:
            yield None


class DataLoader:
    """Iterates over a dataset in batches.

    Args:
        dataset: numbered samples, or a stream (``IterableDataset``).
        batch_size: samples a batch; None yields single samples.
        shuffle: draws a new random order for each pass.
        sampler: the order of the indices, in place of ``shuffle``.
        batch_sampler: lists of indices, in place of all of the above and ``drop_last``.
        num_workers: processes that load ahead; 0 loads in this one.
        collate_fn: makes a batch of a list of samples; ``default_collate`` by default.
        pin_memory: accepted; copies to a device are recorded, so nothing need be pinned.
        drop_last: leaves out a last batch that is not full.
        timeout: seconds to wait for a worker, 0 for ever.
        worker_init_fn: called with each worker's number before it loads.
        multiprocessing_context: how workers are started.
        generator: source of the random order, and of the workers' seeds.
        prefetch_factor: batches that each worker loads ahead, 2 by default.
        persistent_workers: whether workers live on from one pass to the next.
        in_order: whether batches come in the sampler's order or as they are ready.

    Raises:
        ValueError: options that exclude each other, in PyTorch's words.
    """

    _workers: Workers | None = None

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        streamed = isinstance(dataset, IterableDataset)
        if streamed:
            _check_stream(shuffle, sampler, batch_sampler)
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, "
                    "sampler, and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError(
                "batch_size=None option disables auto-batching and is mutually exclusive with "
                "drop_last"
            )
        if sampler is None:
            sampler = _default_sampler(dataset, streamed, bool(shuffle), generator)
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.dataset = dataset
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.generator = generator
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.prefetch_factor = prefetch_factor
        self.persistent_workers = persistent_workers
        self.pin_memory_device = pin_memory_device
        self.in_order = in_order
        default = default_convert if batch_sampler is None else default_collate
        self.collate_fn = default if collate_fn is None else collate_fn

    def __iter__(self) -> Iterator[Any]:
        """A new pass over the dataset."""
        return self._by_workers() if self.num_workers else self._here()

    def _here(self) -> Iterator[Any]:
        batched = self.batch_sampler is not None
        fetch = fetcher(self.dataset, self.collate_fn, batched, self.drop_last)
        indices: Any = self.sampler if self.batch_sampler is None else self.batch_sampler
        for chosen in indices:
            try:
                batch = fetch(chosen)
            except StopIteration:
                return
            yield batch

    def _by_workers(self) -> Iterator[Any]:
        workers = self._workers or Workers(self)
        if self.persistent_workers:
            self._workers = workers
        try:
            yield from workers.batches(self)
        finally:
            if workers is not self._workers:
                workers.close()

    def _for_workers(self) -> DataLoader:
        """What workers need of the loader; not the samplers, which stay here."""
        copied = copy.copy(self)
        copied.sampler, copied._workers, copied.generator = (), None, None
        copied.batch_sampler = None if self.batch_sampler is None else ()
        return copied

    def __del__(self) -> None:
        workers = self.__dict__.get("_workers")
        if workers is not None:
            workers.close()

    def __len__(self) -> int:
        """The number of batches of a pass; TypeError for a stream without a length."""
        if isinstance(self.dataset, IterableDataset):
            count = len(self.dataset)  # type: ignore[arg-type]
            if self.batch_size is None:
                return count
            return count // self.batch_size if self.drop_last else -(-count // self.batch_size)
        index_sampler: Any = self.sampler if self.batch_sampler is None else self.batch_sampler
        return len(index_sampler)


def _default_sampler(dataset: Any, streamed: bool, shuffle: bool, generator: Any) -> Iterable[Any]:
    if streamed:
        return _Endless()
    if shuffle:
        return RandomSampler(dataset, generator=generator)
    return SequentialSampler(dataset)


def _check_workers(
    num_workers: int,
    timeout: float,
    prefetch_factor: int | None,
    persistent_workers: bool,
) -> None:
    if num_workers < 0:
        raise ValueError(
            "num_workers option should be non-negative; use num_workers=0 to disable "
            "multiprocessing."
        )
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if num_workers > 0:
        if prefetch_factor is not None and prefetch_factor < 0:
            raise ValueError("prefetch_factor option should be non-negative")
        return
    if prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing. let num_workers "
            "> 0 to enable multiprocessing, otherwise set prefetch_factor to None."
        )
    if persistent_workers:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_stream(
    shuffle: bool | None,
    sampler: Iterable[Any] | None,
    batch_sampler: Iterable[Any] | None,
) -> None:
    if shuffle:
        raise ValueError(
            "DataLoader with IterableDataset: expected unspecified shuffle option, but got "
            f"shuffle={shuffle}"
        )
    for name, value in (("sampler", sampler), ("batch_sampler", batch_sampler)):
        if value is not None:
            raise ValueError(
                f"DataLoader with IterableDataset: expected unspecified {name} option, but got "
                f"{name}={value}"
            )
