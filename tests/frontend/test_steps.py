"""One step of a loop is one program: counts of evaluations and compilations, and of memory.

Losses and weights after some steps are compared with PyTorch's.
"""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import treadle
from tests.frontend import training_loops
from tests.frontend.training_loops import Loop
from treadle import engine, operation
from treadle.ir import value
from treadle.runtime.memory import memory_statistics

Build = Callable[[Any], Loop]
WARM_UP = 3


def by_name(build: Build) -> str:
    return build.__name__


def runs_and_compilations(step: Callable[[], Any], count: int) -> list[tuple[int, int]]:
    """Programs run and compiled in each of ``count`` steps."""
    found = []
    for _ in range(count):
        before = treadle.statistics()
        step()
        after = treadle.statistics()
        found.append(
            (
                after.program_runs - before.program_runs,
                after.programs_compiled - before.programs_compiled,
            )
        )
    return found


@pytest.fixture(autouse=True)
def nothing_pending() -> None:
    treadle.synchronize()


@pytest.mark.parametrize("build", training_loops.ALL, ids=by_name)
def test_a_step_that_prints_its_loss_is_one_program(build: Build) -> None:
    loop = build(treadle)
    steps = runs_and_compilations(lambda: loop.step().item(), 10)
    assert steps[WARM_UP:] == [(1, 0)] * (10 - WARM_UP), steps


@pytest.mark.parametrize("build", training_loops.ALL, ids=by_name)
def test_a_step_whose_loss_nobody_reads_is_one_program(build: Build) -> None:
    loop = build(treadle)
    steps = runs_and_compilations(loop.step, 10)
    assert steps[WARM_UP:] == [(1, 0)] * (10 - WARM_UP), steps


def test_a_loss_read_between_forward_and_backward_makes_two_programs() -> None:
    network = treadle.nn.Linear(4, 2)
    optimizer = treadle.optim.SGD(network.parameters(), lr=1e-2)
    x = treadle.randn(8, 4)

    def step() -> None:
        loss = network(x).pow(2).sum()
        loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    # The second program waits for the next reader of the weights.
    steps = runs_and_compilations(step, 10)
    assert steps[WARM_UP:] == [(2, 0)] * (10 - WARM_UP), steps


def test_losses_kept_in_a_list_do_not_add_programs() -> None:
    loop = training_loops.sequential_sgd(treadle)
    losses = []
    steps = runs_and_compilations(lambda: losses.append(loop.step().detach()), 10)
    assert steps[WARM_UP:] == [(1, 0)] * (10 - WARM_UP), steps
    numbers = [loss.item() for loss in losses]
    assert numbers[-1] < numbers[0]


def test_losses_kept_with_their_graph_do_not_add_programs() -> None:
    loop = training_loops.sequential_sgd(treadle)
    losses = []
    steps = runs_and_compilations(lambda: losses.append(loop.step()), 10)
    assert steps[WARM_UP:] == [(1, 0)] * (10 - WARM_UP), steps


def test_a_running_loss_is_part_of_the_step() -> None:
    loop = training_loops.sequential_sgd(treadle)
    total = treadle.zeros(())

    def step() -> None:
        nonlocal total
        total = total + loop.step().detach()

    steps = runs_and_compilations(step, 10)
    assert steps[WARM_UP:] == [(1, 0)] * (10 - WARM_UP), steps
    assert total.item() > 0


def test_an_evaluation_loop_is_one_program_a_batch() -> None:
    network = treadle.nn.Sequential(treadle.nn.Linear(4, 8), treadle.nn.Linear(8, 3))
    batches = [treadle.randn(5, 4) for _ in range(10)]
    batches[0].sum().item()
    position = iter(batches)

    def step() -> None:
        with treadle.no_grad():
            network(next(position))

    steps = runs_and_compilations(step, 10)
    assert steps[WARM_UP:] == [(1, 0)] * (10 - WARM_UP), steps


def test_an_accuracy_loop_needs_at_most_two_programs_a_batch() -> None:
    network = treadle.nn.Linear(4, 3)
    target = treadle.tensor([0, 1, 2, 0, 1])

    def step() -> None:
        with treadle.no_grad():
            output = network(treadle.ones(5, 4))
            (output.argmax(1) == target).sum().item()

    steps = runs_and_compilations(step, 10)
    assert all(runs <= 2 and not built for runs, built in steps[WARM_UP:]), steps


def test_a_loop_without_leaves_has_bounded_pending_work_and_few_programs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(operation, "PENDING_LIMIT", 100)
    matrix = treadle.tensor([[0.5, 0.25], [0.25, 0.5]])
    vector = treadle.ones(2)
    before = treadle.statistics()
    for _ in range(400):
        vector = matrix.mv(vector)
        vector = vector / vector.norm()
    length = vector.norm().item()
    after = treadle.statistics()
    np.testing.assert_allclose(length, 1.0, rtol=1e-6)
    assert after.program_runs - before.program_runs >= 8
    # The first cut, those that follow it, and what is left at the end.
    assert after.programs_compiled - before.programs_compiled <= 3


@pytest.mark.parametrize("build", training_loops.ALL, ids=by_name)
def test_memory_does_not_grow_with_the_number_of_steps(build: Build) -> None:
    loop = build(treadle)
    for _ in range(20):
        loop.step().item()
    gc.collect()
    before = memory_statistics().live_bytes
    for _ in range(180):
        loop.step().item()
    gc.collect()
    assert memory_statistics().live_bytes == before


def test_memory_does_not_grow_when_nothing_is_read() -> None:
    loop = training_loops.new_batches(treadle)
    for _ in range(20):
        loop.step()
    gc.collect()
    before = memory_statistics().live_bytes
    for _ in range(180):
        loop.step()
    gc.collect()
    assert memory_statistics().live_bytes == before


@pytest.mark.oracle
@pytest.mark.parametrize("build", training_loops.SAME_AS_TORCH, ids=by_name)
@pytest.mark.parametrize("read", [True, False], ids=["read every step", "read at the end"])
def test_twenty_steps_end_where_pytorch_ends(build: Build, read: bool) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

    def trained(library: Any) -> tuple[list[float], list[Any]]:
        loop = build(library)
        losses = []
        for _ in range(20):
            loss = loop.step()
            losses.append(loss.item() if read else loss)
        return [float(loss) for loss in losses], [p.detach().numpy() for p in loop.parameters]

    found, expected = trained(treadle), trained(torch)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-4)
    for ours, theirs in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_forgetting_recorded_values_changes_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    # Values that other test modules keep stay interned in the table that is put back at the end.
    monkeypatch.setattr(value, "_table", dict(value._table))
    losses = []
    for limit in (engine.VALUE_LIMIT, 0):
        monkeypatch.setattr(engine, "VALUE_LIMIT", limit)
        engine._programs.clear()
        loop = training_loops.momentum(treadle)
        part = []
        for number in range(6):
            extra = treadle.ones(number + 1).sum()  # a new program every step
            part.append((loop.step() + extra).item())
        losses.append(part)
    treadle.synchronize()
    engine._forget_all()
    assert losses[0] == losses[1]


class DynamicNet(treadle.nn.Module):
    """One hidden layer used as often as the caller says."""

    def __init__(self) -> None:
        super().__init__()
        self.first = treadle.nn.Linear(4, 5)
        self.middle = treadle.nn.Linear(5, 5)
        self.last = treadle.nn.Linear(5, 2)

    def forward(self, x: Any, depth: int) -> Any:
        hidden = self.first(x).clamp(min=0)
        for _ in range(depth):
            hidden = self.middle(hidden).clamp(min=0)
        return self.last(hidden)


def test_control_flow_costs_one_program_for_each_path() -> None:
    network = DynamicNet()
    optimizer = treadle.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    x = treadle.randn(6, 4)

    def step(depth: int) -> None:
        loss = network(x, depth).pow(2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    step(0)
    step(0)
    before = treadle.statistics()
    for depth in (1, 0, 3, 2, 1, 3, 0, 2, 1, 1, 3):
        step(depth)
    after = treadle.statistics()
    assert after.program_runs - before.program_runs == 11
    assert after.programs_compiled - before.programs_compiled <= 4


def test_a_number_that_changes_every_step_stops_compiling() -> None:
    w = treadle.ones(4, requires_grad=True)
    expected, rate, compiled = np.ones(4), 0.1, []
    for _ in range(20):
        before = treadle.statistics().programs_compiled
        (w * w).sum().backward()
        with treadle.no_grad():
            w -= rate * w.grad
            w.grad = None
        np.testing.assert_allclose(w.detach().numpy(), expected - rate * 2 * expected, rtol=1e-5)
        expected = expected - rate * 2 * expected
        rate *= 0.97
        compiled.append(treadle.statistics().programs_compiled - before)
    assert sum(compiled[:8]) > 0
    assert compiled[8:] == [0] * 12


def test_unread_inputs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation, "INPUT_LIMIT", 40_000)
    total = treadle.zeros(())
    runs = treadle.statistics().program_runs
    for _ in range(100):
        total += treadle.tensor(np.ones(1000, np.float32)).sum()
    assert treadle.statistics().program_runs - runs >= 4
    assert total.item() == 100_000.0


def _write_row(x: Any, row: int) -> None:
    x[row] = 2.0


def _write_column(x: Any, row: int) -> None:
    x[:, row % 8] = 3.0


def _write_block(x: Any, row: int) -> None:
    x[row : row + 3, 1:4] = 5.0


def _add_to_row(x: Any, row: int) -> None:
    x[row] += 1.0


@pytest.mark.parametrize("write", [_write_row, _write_column, _write_block, _add_to_row])
def test_a_write_whose_place_changes_every_step_stops_compiling(
    write: Callable[[Any, int], None],
) -> None:
    x = treadle.zeros(64, 9)
    expected = np.zeros((64, 9), np.float32)
    treadle.synchronize()
    rows = iter(range(12))

    def step() -> None:
        row = next(rows)
        write(x, row)
        write(expected, row)
        treadle.synchronize()

    compiled = [count for _runs, count in runs_and_compilations(step, 12)]
    assert sum(compiled[6:]) == 0
    np.testing.assert_array_equal(x.numpy(), expected)


def _with_dropout() -> Callable[[], Any]:
    x = treadle.ones(64, 32)
    return lambda: treadle.nn.functional.dropout(x, 0.5).sum().item()


def _with_draws() -> Callable[[], Any]:
    weights = treadle.rand(8, 20)
    return lambda: treadle.multinomial(weights, 3).sum().item()


def _with_running_statistics() -> Callable[[], Any]:
    mean, var, weight = treadle.zeros(6), treadle.ones(6), treadle.ones(6, requires_grad=True)
    optimizer = treadle.optim.SGD([weight], lr=0.1)
    x = treadle.randn(16, 6)

    def step() -> None:
        optimizer.zero_grad()
        found = treadle.nn.functional.batch_norm(x, mean, var, weight, training=True)
        found.pow(2).mean().backward()
        optimizer.step()

    return step


def _with_embedding() -> Callable[[], Any]:
    table = treadle.randn(50, 8, requires_grad=True)
    optimizer = treadle.optim.SGD([table], lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        words = treadle.randint(0, 50, (4, 7))
        treadle.nn.functional.embedding(words, table).pow(2).sum().backward()
        optimizer.step()

    return step


def _with_index_assignment() -> Callable[[], Any]:
    table, numbers = treadle.zeros(400, 3), itertools.count()

    def step() -> None:
        table[next(numbers)] = treadle.ones(3)
        table.sum().item()

    return step


def _with_sort() -> Callable[[], Any]:
    x = treadle.randn(20, 30)

    def step() -> None:
        x.add_(treadle.sort(x, 1).values)
        x.sub_(x.mean())
        treadle.topk(x, 3).values.sum().item()

    return step


@pytest.mark.parametrize(
    "build",
    [
        _with_dropout, _with_draws, _with_running_statistics, _with_embedding,
        _with_index_assignment, _with_sort,
    ],
    ids=lambda build: build.__name__.removeprefix("_with_"),
)  # fmt: skip
def test_a_loop_stops_compiling_and_holds_its_memory(build: Callable[[], Any]) -> None:
    step = build()
    for _ in range(10):
        step()
    gc.collect()
    held = memory_statistics().live_bytes
    steps = runs_and_compilations(step, 150)
    assert not any(built for _, built in steps), steps
    gc.collect()
    assert memory_statistics().live_bytes == held
