"""Datasets: numbered samples, streams, and ways to combine and split them.

Not the order of samples (``sampler``) nor the batches made of them (``collate``).
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import treadle
from treadle.tensor import Tensor

Sample_co = TypeVar("Sample_co", covariant=True)


class Dataset(Generic[Sample_co]):
    """Samples by number: define ``__getitem__``, and ``__len__`` where there is an end.

    A dataset may also define ``__getitems__(indices)``, which returns the samples of a batch.
    """

    def __getitem__(self, index: Any) -> Sample_co:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")

    def __add__(self, other: Dataset[Any]) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[Sample_co]):
    """Samples as a stream: define ``__iter__``."""

    def __iter__(self) -> Iterator[Sample_co]:
        raise NotImplementedError("Subclasses of IterableDataset should implement __iter__.")


class BatchedSamples(Sequence[tuple[Tensor, ...]]):
    """The samples of a batch, held as one tensor a column.

    It reads as the list of samples that a collate function expects; ``default_collate`` takes the
    columns as they are, without a tensor for each sample.
    """

    def __init__(self, columns: list[Tensor], count: int) -> None:
        self.columns = columns
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self._count))]
        if not -self._count <= index < self._count:
            raise IndexError(f"sample {index} of a batch of {self._count}")
        return tuple(column[index] for column in self.columns)


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Tensors whose first axis counts the samples."""

    tensors: tuple[Tensor, ...]

    def __init__(self, *tensors: Tensor) -> None:
        if any(tensor.shape[0] != tensors[0].shape[0] for tensor in tensors):
            raise AssertionError("Size mismatch between tensors")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __getitems__(self, indices: list[int]) -> BatchedSamples:
        """The rows of a batch, gathered at once."""
        return BatchedSamples([tensor[indices] for tensor in self.tensors], len(indices))

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])


class ConcatDataset(Dataset[Any]):
    """Datasets one after the other."""

    datasets: list[Any]
    cumulative_sizes: list[int]

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise AssertionError("ConcatDataset does not support IterableDataset")
        self.cumulative_sizes = list(itertools.accumulate(map(len, self.datasets)))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        if index < 0:
            if -index > len(self):
                raise ValueError("absolute value of index should not exceed dataset length")
            index += len(self)
        number = bisect.bisect_right(self.cumulative_sizes, index)
        start = self.cumulative_sizes[number - 1] if number else 0
        return self.datasets[number][index - start]


class Subset(Dataset[Any]):
    """The samples of a dataset at some indices."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[number] for number in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list[int]) -> Any:
        """The samples of a batch, at once where the dataset can."""
        chosen = [self.indices[number] for number in indices]
        fetch = getattr(self.dataset, "__getitems__", None)
        return fetch(chosen) if callable(fetch) else [self.dataset[number] for number in chosen]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(
    dataset: Any, lengths: Sequence[int | float], generator: Any = None
) -> list[Subset]:
    """Splits a dataset into disjoint random subsets.

    Args:
        dataset: any dataset with a length.
        lengths: counts that add up to the length, or fractions that add up to 1; what the
            fractions leave over is dealt out one by one from the first subset on.
        generator: source of the permutation.

    Raises:
        ValueError: the lengths do not add up, or a fraction is not between 0 and 1.
    """
    counts = _counts(len(dataset), lengths)
    if sum(counts) != len(dataset):
        raise ValueError("Sum of input lengths does not equal the length of the input dataset!")
    options = {} if generator is None else {"generator": generator}
    order = treadle.randperm(len(dataset), **options).tolist()
    ends = itertools.accumulate(counts)
    return [
        Subset(dataset, order[end - count : end]) for end, count in zip(ends, counts, strict=True)
    ]


def _counts(total: int, lengths: Sequence[int | float]) -> list[int]:
    # Fractions add up to 1 only within rounding.
    if not (math.isclose(sum(lengths), 1) and sum(lengths) <= 1):
        return [int(length) for length in lengths]
    counts = []
    for number, fraction in enumerate(lengths):
        if fraction < 0 or fraction > 1:
            raise ValueError(f"Fraction at index {number} is not between 0 and 1")
        counts.append(math.floor(total * fraction))
    for number in range(total - sum(counts)):
        counts[number % len(counts)] += 1
    return counts
