"""Worker processes load what this process would load: in order, with their errors and facts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

import treadle
from treadle.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info


class Squares(Dataset):  # type: ignore[type-arg]
    """The squares of the numbers below a limit."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        return treadle.tensor(float(index)) ** 2


class Facts(Squares):
    """The worker that each sample was loaded by, and its process."""

    def __getitem__(self, index: int) -> Any:
        info = get_worker_info()
        assert info is not None
        return info.id, info.num_workers, os.getpid(), treadle.rand(())


class Failing(Squares):
    """A dataset with one sample that cannot be read."""

    def __getitem__(self, index: int) -> Any:
        if index == 5:
            raise ValueError("sample 5 is damaged")
        return index


class Stream(IterableDataset):  # type: ignore[type-arg]
    """A stream that its workers share out."""

    def __iter__(self) -> Iterator[int]:
        info = get_worker_info()
        start, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(start, 11, step))


@pytest.mark.parametrize("options", [{}, {"drop_last": True}, {"prefetch_factor": 1}])
def test_batches_come_in_order(options: dict[str, Any]) -> None:
    here = DataLoader(Squares(11), batch_size=3, drop_last=options.get("drop_last", False))
    there = DataLoader(Squares(11), batch_size=3, num_workers=2, **options)
    assert [batch.tolist() for batch in there] == [batch.tolist() for batch in here]


def test_single_samples_come_in_order() -> None:
    loader = DataLoader(Squares(5), batch_size=None, num_workers=2)
    assert [sample.item() for sample in loader] == [0.0, 1.0, 4.0, 9.0, 16.0]


def test_a_worker_knows_its_number_and_draws_its_own_numbers() -> None:
    loader = DataLoader(Facts(4), batch_size=1, num_workers=2)
    rows = [[part.item() for part in batch] for batch in loader]
    assert [row[0] for row in rows] == [0, 1, 0, 1]
    assert {row[1] for row in rows} == {2}
    assert os.getpid() not in {row[2] for row in rows}
    assert len({row[3] for row in rows}) == 4
    assert get_worker_info() is None


def test_an_error_in_a_worker_is_raised_here_with_its_traceback() -> None:
    loader = DataLoader(Failing(8), batch_size=2, num_workers=2)
    with pytest.raises(
        ValueError, match="Caught ValueError in DataLoader worker process 0"
    ) as info:
        list(loader)
    assert "sample 5 is damaged" in str(info.value)


def test_a_stream_ends_when_all_workers_have_ended() -> None:
    loader = DataLoader(Stream(), batch_size=2, num_workers=3)
    assert sorted(number for batch in loader for number in batch.tolist()) == list(range(11))


def test_workers_start_with_the_function_that_was_given() -> None:
    def start(number: int) -> None:
        treadle.manual_seed(7)

    loader = DataLoader(Facts(2), batch_size=1, num_workers=2, worker_init_fn=start)
    assert len({batch[3].item() for batch in loader}) == 1


def test_persistent_workers_live_on() -> None:
    loader = DataLoader(Facts(4), batch_size=2, num_workers=1, persistent_workers=True)
    first = {batch[2][0].item() for batch in loader}
    next(iter(loader))  # a pass that is not finished
    assert {batch[2][0].item() for batch in loader} == first
    process = loader._workers.processes[0]  # type: ignore[union-attr]
    del loader
    assert not process.is_alive()


def test_a_worker_that_dies_is_reported() -> None:
    def die(number: int) -> None:
        os._exit(1)

    loader = DataLoader(Squares(4), num_workers=1, worker_init_fn=die)
    with pytest.raises(RuntimeError, match=r"DataLoader worker \(pid\(s\) \d+\) exited"):
        list(loader)


def test_random_orders_repeat_with_their_seed() -> None:
    def order() -> list[float]:
        own = treadle.Generator().manual_seed(3)
        loader = DataLoader(Squares(9), shuffle=True, num_workers=2, generator=own)
        return [batch.item() for batch in loader]

    assert order() == order()
    assert sorted(order()) == [float(number**2) for number in range(9)]
