"""Worker processes of a ``DataLoader``: they fetch batches ahead of the loop that uses them.

Tasks go out through queues; batches come back pickled through pipes.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import queue
import random
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any

import numpy as np

import treadle
from treadle.utils.data.fetching import Fetch, fetcher

# Seconds after which a waiting worker looks whether its loader's process is still there.
_PATIENCE = 5.0


@dataclass(frozen=True)
class WorkerInfo:
    """What a dataset can know of the process that it is read in.

    Attributes:
        id: number of the worker, from 0.
        num_workers: how many there are.
        seed: what this worker's generators started from.
        dataset: its copy of the dataset.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """Facts about this worker process; None in the loader's own process."""
    return _info


@dataclass(frozen=True)
class _Failure:
    """An exception of a worker, with its traceback as text."""

    kind: type[BaseException]
    text: str

    def raise_again(self) -> None:
        """Raises the exception here, or a RuntimeError where its type wants other arguments."""
        try:
            error = self.kind(self.text)
        except Exception:
            error = RuntimeError(self.text)
        raise error


class _Ended:
    """The result of a task for a stream that has no more samples."""


# -- in the worker -------------------------------------------------------------------------------


def _work(loader: Any, number: int, seed: int, tasks: Any, results: Any) -> None:
    """What a worker process does until it gets the task None."""
    global _info
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    treadle.manual_seed(seed)
    _info = WorkerInfo(number, loader.num_workers, seed, loader.dataset)
    where = f"in DataLoader worker process {number}."
    fetch: Fetch | None = None
    failure: _Failure | None = None
    try:
        if loader.worker_init_fn is not None:
            loader.worker_init_fn(number)
    except Exception as error:
        failure = _failure(error, where)
    last_epoch = -1
    while (task := _next_task(tasks)) is not None:
        epoch, position, indices = task
        if epoch != last_epoch:
            last_epoch, fetch = epoch, None
        try:
            if fetch is None and failure is None:
                batched = loader.batch_sampler is not None
                fetch = fetcher(loader.dataset, loader.collate_fn, batched, loader.drop_last)
            result = failure if fetch is None else fetch(indices)
        except StopIteration:
            result = _Ended()
        except Exception as error:
            result = _failure(error, where)
        results.send_bytes(_pickled((epoch, position, result), where))


def _next_task(tasks: Any) -> Any:
    """The next task; None at the end, or when the loader's process has died."""
    parent = multiprocessing.parent_process()
    while True:
        with contextlib.suppress(queue.Empty):
            return tasks.get(timeout=_PATIENCE)
        if parent is None or not parent.is_alive():
            return None


def _failure(error: Exception, where: str) -> _Failure:
    kind = type(error)
    return _Failure(kind, f"Caught {kind.__name__} {where}\nOriginal {traceback.format_exc()}")


def _pickled(message: tuple[int, int, Any], where: str) -> bytes:
    try:
        return pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        return pickle.dumps((message[0], message[1], _failure(error, where)))


# -- in the loader's process ---------------------------------------------------------------------


class Workers:
    """The processes of one loader.

    Args:
        loader: says how many and what they do.
    """

    def __init__(self, loader: Any) -> None:
        self.epoch = 0
        context: Any = loader.multiprocessing_context
        if context is None or isinstance(context, str):
            context = multiprocessing.get_context(context)
        drawn = treadle.empty((), dtype=treadle.int64).random_(generator=loader.generator)
        seed = int(drawn.item()) >> 1
        self.tasks: list[Any] = []
        self.results: list[Any] = []
        self.processes: list[Any] = []
        for number in range(loader.num_workers):
            receiving, sending = context.Pipe(duplex=False)
            tasks = context.Queue()
            process = context.Process(
                target=_work, args=(loader._for_workers(), number, seed + number, tasks, sending),
                daemon=True,
            )  # fmt: skip
            process.start()
            sending.close()
            self.tasks.append(tasks)
            self.results.append(receiving)
            self.processes.append(process)

    def batches(self, loader: Any) -> Iterator[Any]:
        """A pass over the loader's indices."""
        self.epoch += 1
        sampler = loader.sampler if loader.batch_sampler is None else loader.batch_sampler
        indices = enumerate(sampler)
        running = set(range(loader.num_workers))
        waiting: dict[int, int] = {}  # position -> worker
        arrived: dict[int, Any] = {}
        ahead = loader.num_workers * (loader.prefetch_factor or 2)
        turn = 0
        while True:
            while running and len(waiting) + len(arrived) < ahead:
                try:
                    position, chosen = next(indices)
                except StopIteration:
                    running.clear()
                    break
                worker = min(running, key=lambda number: (number - turn) % loader.num_workers)
                turn = worker + 1
                self.tasks[worker].put((self.epoch, position, chosen))
                waiting[position] = worker
            if not waiting and not arrived:
                return
            due = min((*waiting, *arrived)) if loader.in_order else min(arrived, default=-1)
            if due not in arrived:
                self._receive(waiting, arrived, loader.timeout)
                continue
            worker, result = arrived.pop(due)
            if isinstance(result, _Ended):
                running.discard(worker)
            elif isinstance(result, _Failure):
                result.raise_again()
            else:
                yield result

    def _receive(self, waiting: dict[int, int], arrived: dict[int, Any], patience: float) -> None:
        """Takes what workers have sent, waiting for at least one of them."""
        busy = set(waiting.values())
        sentinels = [self.processes[worker].sentinel for worker in busy]
        pipes = [self.results[worker] for worker in busy]
        if not connection.wait([*pipes, *sentinels], patience or None):
            raise RuntimeError(f"DataLoader timed out after {patience} seconds")
        received = False
        for worker in busy:
            results = self.results[worker]
            while results.poll():
                try:
                    epoch, position, result = pickle.loads(results.recv_bytes())
                except EOFError:
                    break
                received = True
                if epoch == self.epoch:
                    del waiting[position]
                    arrived[position] = (worker, result)
        dead = [self.processes[w].pid for w in busy if not self.processes[w].is_alive()]
        if not received and dead:
            listed = ", ".join(map(str, dead))
            raise RuntimeError(f"DataLoader worker (pid(s) {listed}) exited unexpectedly")

    def close(self) -> None:
        """Ends the processes."""
        for tasks, process in zip(self.tasks, self.processes, strict=True):
            tasks.cancel_join_thread()
            if process.is_alive():
                tasks.put(None)
        for process, results in zip(self.processes, self.results, strict=True):
            results.close()
            process.join(timeout=1.0)
            if process.is_alive():
                process.terminate()
                process.join()
