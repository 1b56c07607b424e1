"""Times a training step of the two-layer net and of LeNet in Treadle and in PyTorch, in one run.

Steps of the two alternate, so that a slow moment of the machine hits both; medians and their
ratio are printed. A ratio above 1 means that Treadle is faster. Results are compared first.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import treadle

Step = Callable[[], float]


def two_layer_net(torch: Any) -> Step:
    """64 rows through 1000-100-10 with plain SGD by hand, as the tutorials write it."""
    generator = np.random.default_rng(0)

    def data(*shape: int) -> Any:
        return torch.tensor(generator.standard_normal(shape).astype(np.float32))

    x, y = data(64, 1000), data(64, 10)
    w1, w2 = data(1000, 100).requires_grad_(), data(100, 10).requires_grad_()

    def step() -> float:
        loss = (x.mm(w1).clamp(min=0).mm(w2) - y).pow(2).sum()
        loss.backward()
        with torch.no_grad():
            w1.sub_(1e-6 * w1.grad)
            w2.sub_(1e-6 * w2.grad)
            w1.grad = None
            w2.grad = None
        return float(loss.item())

    return step


def lenet(torch: Any) -> Step:
    """LeNet on 64 images of 32x32 with Adam and cross entropy."""
    nn = torch.nn
    generator = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, 10),
    )  # fmt: skip
    with torch.no_grad():
        for parameter in model.parameters():
            drawn = generator.standard_normal(tuple(parameter.shape)) * 0.1
            parameter.copy_(torch.tensor(drawn.astype(np.float32)))
    images = torch.tensor(generator.standard_normal((64, 1, 32, 32)).astype(np.float32))
    classes = torch.tensor(generator.integers(0, 10, 64))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step() -> float:
        optimizer.zero_grad()
        loss = criterion(model(images), classes)
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step


WORKLOADS = {"two-layer net": two_layer_net, "LeNet": lenet}


def _seconds(step: Step, calls: int) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        step()
    return (time.perf_counter() - started) / calls


def compare(name: str, build: Callable[[Any], Step], repeats: int) -> None:
    """Checks that losses agree, then prints medians and their ratio."""
    steps = {"treadle": build(treadle), "torch": build(torch)}
    losses = {peer: [step() for _ in range(5)] for peer, step in steps.items()}
    np.testing.assert_allclose(losses["treadle"], losses["torch"], rtol=2e-3)
    times: dict[str, list[float]] = {peer: [] for peer in steps}
    for step in steps.values():
        _seconds(step, 20)
    for _ in range(repeats):
        for peer, step in steps.items():
            # Threads of the other library spin for a while after their last work.
            time.sleep(0.02)
            step()
            times[peer].append(_seconds(step, 20))
    median = {peer: statistics.median(found) for peer, found in times.items()}
    ratio = median["torch"] / median["treadle"]
    print(
        f"{name:15} treadle {median['treadle'] * 1e6:8.0f} us   torch "
        f"{median['torch'] * 1e6:8.0f} us   {ratio:.2f}x"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=25)
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} CPUs; medians of {arguments.repeats} alternating blocks of 20 steps")
    for name, build in WORKLOADS.items():
        compare(name, build, arguments.repeats)


if __name__ == "__main__":
    main()
