"""Several threads: what one thread has recorded can be read by another while both go on."""

from __future__ import annotations

import queue
import threading
from typing import Any

import numpy as np

import treadle
from treadle import nn


def test_a_model_is_evaluated_in_a_thread_while_it_is_trained() -> None:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = treadle.optim.Adam(model.parameters(), lr=1e-2)
    x = treadle.randn(32, 8)
    stop, failures, seen = threading.Event(), [], []

    def evaluate() -> None:
        try:
            while not stop.is_set():
                with treadle.no_grad():
                    seen.append(model(x).mean().item())
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=evaluate, daemon=True)
    thread.start()
    losses = []
    for _ in range(40):
        loss = model(x).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    stop.set()
    thread.join(60)
    assert not thread.is_alive() and not failures and seen
    assert losses[-1] < losses[0] / 4


def test_a_logging_thread_reads_every_loss() -> None:
    w = treadle.ones(4, requires_grad=True)
    x = treadle.tensor([1.0, 2.0, 3.0, 4.0])
    optimizer = treadle.optim.SGD([w], lr=0.01)
    given: queue.Queue[Any] = queue.Queue()
    read: list[float] = []

    def log() -> None:
        while (loss := given.get()) is not None:
            read.append(loss.item())

    thread = threading.Thread(target=log)
    thread.start()
    expected, weights = [], np.ones(4)
    for _ in range(60):
        loss = ((w * x) ** 2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        given.put(loss.detach())
        factors = np.arange(1.0, 5.0)
        expected.append(((weights * factors) ** 2).sum())
        weights = weights - 0.01 * 2 * weights * factors**2
    given.put(None)
    thread.join(60)
    np.testing.assert_allclose(read, expected, rtol=1e-5)


def test_what_another_thread_computed_first_can_still_be_read() -> None:
    x = treadle.from_numpy(np.ones(5, np.float32))
    doubled = x * 2
    w = x.clone().requires_grad_()
    thread = threading.Thread(target=lambda: doubled.sum().item())
    thread.start()
    thread.join()
    assert (w.sum().item(), doubled.sum().item()) == (5.0, 10.0)
