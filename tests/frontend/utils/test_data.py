"""Datasets, samplers, collating and the loader behave as PyTorch's."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import treadle
from treadle.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    default_collate,
    random_split,
)


class Squares(Dataset[Any]):
    """(index, its square) pairs, as NumPy and Python numbers."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        return np.full(2, index, np.float32), index * index


class Stream(IterableDataset[int]):
    def __iter__(self) -> Any:
        return iter(range(5))


def test_batches_come_in_order_and_the_last_may_be_short() -> None:
    loader = DataLoader(Squares(5), batch_size=2)
    batches = [(x.tolist(), y.tolist()) for x, y in loader]
    assert batches == [
        ([[0.0, 0.0], [1.0, 1.0]], [0, 1]),
        ([[2.0, 2.0], [3.0, 3.0]], [4, 9]),
        ([[4.0, 4.0]], [16]),
    ]
    assert len(loader) == 3
    assert len(DataLoader(Squares(5), batch_size=2, drop_last=True)) == 2
    assert len(list(DataLoader(Squares(5), batch_size=2, drop_last=True))) == 2


def test_shuffling_takes_every_sample_once_in_a_new_order() -> None:
    treadle.manual_seed(0)
    loader = DataLoader(Squares(50), batch_size=8, shuffle=True)
    passes = [[n for _, y in loader for n in y.tolist()] for _ in range(2)]
    for found in passes:
        assert sorted(found) == [n * n for n in range(50)]
    assert passes[0] != passes[1]


def test_a_generator_makes_the_order_repeatable() -> None:
    def order() -> list[int]:
        generator = treadle.Generator()
        generator.manual_seed(3)
        return [n for _, y in DataLoader(Squares(20), 4, True, generator=generator) for n in y]

    assert [int(n) for n in order()] == [int(n) for n in order()]


def test_tensor_datasets_gather_a_batch_at_once() -> None:
    x = treadle.arange(12).reshape(6, 2)
    dataset = TensorDataset(x, treadle.arange(6))
    assert [part.tolist() for part in dataset[1]] == [[2, 3], 1]
    columns = dataset.__getitems__([5, 0])
    assert len(columns) == 2
    assert [part.tolist() for part in columns[1]] == [[0, 1], 0]
    batches = [[part.tolist() for part in batch] for batch in DataLoader(dataset, 4)]
    assert batches == [
        [[[0, 1], [2, 3], [4, 5], [6, 7]], [0, 1, 2, 3]],
        [[[8, 9], [10, 11]], [4, 5]],
    ]


def test_a_collate_function_sees_a_list_of_samples() -> None:
    dataset = TensorDataset(treadle.arange(4))
    loader = DataLoader(dataset, 2, collate_fn=lambda batch: [int(s[0]) for s in batch])
    assert list(loader) == [[0, 1], [2, 3]]


def test_subsets_and_concatenations_keep_their_order() -> None:
    joined = Squares(3) + Squares(2)
    assert isinstance(joined, ConcatDataset)
    assert [joined[n][1] for n in range(5)] == [0, 1, 4, 0, 1]
    assert joined[-1][1] == 1
    subset = Subset(joined, [4, 0])
    assert [subset[n][1] for n in range(len(subset))] == [1, 0]
    gathered = Subset(TensorDataset(treadle.arange(5)), [4, 2, 0])
    assert next(iter(DataLoader(gathered, 3)))[0].tolist() == [4, 2, 0]


def test_random_split_is_disjoint_and_complete() -> None:
    parts = random_split(Squares(10), [0.5, 0.25, 0.25])
    assert [len(part) for part in parts] == [6, 2, 2]
    assert sorted(index for part in parts for index in part.indices) == list(range(10))
    assert [len(part) for part in random_split(Squares(10), [7, 3])] == [7, 3]
    with pytest.raises(ValueError, match="Sum of input lengths does not equal"):
        random_split(Squares(10), [5, 4])


def test_streams_are_batched_as_they_come() -> None:
    assert [batch.tolist() for batch in DataLoader(Stream(), 2)] == [
        [0, 1],
        [2, 3],
        [4],
    ]
    assert list(DataLoader(Stream(), None)) == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="expected unspecified shuffle option"):
        DataLoader(Stream(), shuffle=True)


def test_samplers() -> None:
    assert list(SequentialSampler(range(3))) == [0, 1, 2]
    assert sorted(RandomSampler(range(5))) == [0, 1, 2, 3, 4]
    assert len(list(RandomSampler(range(3), num_samples=7))) == 7
    drawn = list(RandomSampler(range(3), replacement=True, num_samples=20))
    assert len(drawn) == 20
    assert set(drawn) <= {0, 1, 2}
    assert sorted(SubsetRandomSampler([4, 7, 9])) == [4, 7, 9]
    assert list(BatchSampler(SequentialSampler(range(5)), 2, False)) == [
        [0, 1],
        [2, 3],
        [4],
    ]
    assert list(BatchSampler(SequentialSampler(range(5)), 2, True)) == [[0, 1], [2, 3]]


def test_collating_keeps_structure_and_dtypes() -> None:
    Point = namedtuple("Point", "x y")
    batch = [
        {
            "array": np.arange(2) + n,
            "scalar": np.float32(n),
            "int": n,
            "float": float(n),
            "bool": bool(n),
            "text": f"s{n}",
            "pair": (n, [n, n]),
            "point": Point(n, treadle.tensor([n])),
        }
        for n in range(2)
    ]
    found = default_collate(batch)
    assert found["array"].tolist() == [[0, 1], [1, 2]]
    assert found["array"].dtype == treadle.int64
    assert found["scalar"].dtype == treadle.float32
    assert found["int"].dtype == treadle.int64
    assert found["float"].dtype == treadle.float64
    assert found["bool"].dtype == treadle.bool
    assert found["text"] == ["s0", "s1"]
    assert isinstance(found["pair"], list)
    assert [part.tolist() for part in found["pair"][1]] == [[0, 1], [0, 1]]
    assert isinstance(found["point"], Point)
    assert found["point"].y.tolist() == [[0], [1]]


def test_what_cannot_be_collated_is_an_error() -> None:
    with pytest.raises(TypeError, match="batch must contain tensors, numpy arrays, numbers"):
        default_collate([object()])
    with pytest.raises(RuntimeError, match="each element in list of batch should be of equal size"):
        default_collate([[1], [1, 2]])
    with pytest.raises(RuntimeError, match="stack expects each tensor to be equal size"):
        default_collate([np.zeros(2), np.zeros(3)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"shuffle": True, "sampler": [0]},
            "sampler option is mutually exclusive with shuffle",
        ),
        (
            {"batch_sampler": [[0]], "batch_size": 2},
            "batch_sampler option is mutually exclusive",
        ),
        ({"batch_size": None, "drop_last": True}, "disables auto-batching"),
        ({"batch_size": 0}, "batch_size should be a positive integer value"),
        ({"num_workers": -1}, "num_workers option should be non-negative"),
        ({"timeout": -1}, "timeout option should be non-negative"),
    ],
)
def test_options_that_exclude_each_other_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataLoader(Squares(4), **options)


def test_a_batch_sampler_decides_the_batches() -> None:
    loader = DataLoader(Squares(4), batch_sampler=[[3, 0], [1]])
    assert [y.tolist() for _, y in loader] == [[9, 0], [1]]
    assert len(loader) == 2
