"""Samplers: in which order the samples are taken, and how they fall into batches.

Orders are Python lists of indices, drawn once for each pass.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import treadle

Index_co = TypeVar("Index_co", covariant=True)


class Sampler(Generic[Index_co]):
    """Base class: define ``__iter__``, and ``__len__`` where there is an end."""

    def __init__(self, data_source: Any = None) -> None:
        """Takes and ignores a dataset, as older subclasses pass one."""

    def __iter__(self) -> Iterator[Index_co]:
        raise NotImplementedError


class SequentialSampler(Sampler[int]):
    """Indices in order."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """Indices in random order.

    Args:
        data_source: the dataset.
        replacement: draws each index anew, so that it can repeat.
        num_samples: how many to draw; the length of the dataset by default.
        generator: source of randomness; the default generator if None.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Any = None,
    ) -> None:
        if not isinstance(replacement, bool):
            raise TypeError(
                f"replacement should be a boolean value, but got replacement={replacement}"
            )
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        count = self.num_samples
        if not isinstance(count, int) or count < 0:
            raise ValueError(
                f"num_samples should be a non-negative integer value, but got num_samples={count}"
            )

    @property
    def num_samples(self) -> int:
        """How many indices a pass draws; the dataset may change its length between passes."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        size = len(self.data_source)
        count = self.num_samples
        options = {} if self.generator is None else {"generator": self.generator}
        if self.replacement:
            yield from treadle.randint(size, (count,), **options).tolist()
            return
        for start in range(0, count, max(size, 1)):
            order = treadle.randperm(size, **options).tolist()
            yield from order[: count - start]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """Some indices in random order."""

    def __init__(self, indices: Sequence[int], generator: Any = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        options = {} if self.generator is None else {"generator": self.generator}
        for number in treadle.randperm(len(self.indices), **options).tolist():
            yield self.indices[number]

    def __len__(self) -> int:
        return len(self.indices)


class BatchSampler(Sampler[list[int]]):
    """Lists of ``batch_size`` indices from another sampler; the last one can be shorter."""

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(
                f"batch_size should be a positive integer value, but got batch_size={batch_size}"
            )
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        count = len(self.sampler)  # type: ignore[arg-type]
        if self.drop_last:
            return count // self.batch_size
        return (count + self.batch_size - 1) // self.batch_size
