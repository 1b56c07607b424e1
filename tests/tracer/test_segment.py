"""Segments: what is pending, what a program computes, what is kept for gradients, what is let go.

Programs are not run here: an evaluator stands in that notes requests and makes up results.
"""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Iterable

from treadle.ir import build as b
from treadle.ir.types import TensorType, float32
from treadle.ir.value import Value
from treadle.tracer.segment import Request, Segment
from treadle.tracer.storage import Storage

TYPE = TensorType(float32, (4,))


class Memory:
    """Stands in for a buffer."""

    owner = None


class Evaluator:
    def __init__(self) -> None:
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> list[Memory]:
        self.requests.append(request)
        return [Memory() for _ in request.outputs]


class Saver:
    """Stands in for an autograd node."""

    def __init__(self, *values: Value) -> None:
        self.released = False
        self.values = values

    def saved_storages(self) -> Iterable[Storage]:
        return ()

    def needed_values(self) -> Iterable[Value]:
        return self.values


def concrete() -> Storage:
    return Storage(TYPE, None, None, Memory())


def pending(segment: Segment, value: Value) -> Storage:
    storage = Storage(value.type, value, segment)
    segment.storages.append(storage)
    return storage


def test_two_reads_of_a_buffer_are_one_input() -> None:
    segment = Segment()
    first, second = concrete(), concrete()
    second.buffer = first.buffer
    assert segment.read(first) is segment.read(second)
    assert segment.buffers == [first.buffer]


def test_alike_segments_record_identical_values() -> None:
    values = []
    for _ in range(2):
        segment = Segment()
        x, y = concrete(), concrete()
        values.append(b.mul(segment.read(x), segment.read(y)))
    assert values[0] is values[1]


def test_an_evaluation_computes_only_what_is_still_referred_to() -> None:
    segment, run = Segment(), Evaluator()
    x = concrete()
    value = segment.read(x)
    kept = pending(segment, b.exp(value))
    pending(segment, b.sin(value))
    segment.evaluate(run)
    assert run.requests[0].outputs == (b.exp(value),)
    assert kept.buffer is not None


def test_a_segment_whose_results_are_all_dropped_runs_nothing() -> None:
    segment, run = Segment(), Evaluator()
    pending(segment, b.exp(segment.read(concrete())))
    segment.evaluate(run)
    assert run.requests == []


def test_equal_values_share_a_buffer() -> None:
    segment, run = Segment(), Evaluator()
    value = b.exp(segment.read(concrete()))
    first, second = pending(segment, value), pending(segment, value)
    segment.evaluate(run)
    assert first.buffer is second.buffer
    assert len(run.requests[0].outputs) == 1


def test_a_copy_of_an_input_takes_over_its_buffer() -> None:
    segment, run = Segment(), Evaluator()
    x = concrete()
    copy = pending(segment, segment.read(x))
    segment.evaluate(run)
    assert copy.buffer is x.buffer
    assert run.requests == []


def test_inputs_that_nothing_else_holds_may_be_overwritten() -> None:
    segment, run = Segment(), Evaluator()
    held, updated = concrete(), concrete()
    total = b.add(segment.read(held), segment.read(updated))
    segment.write(updated, total)
    segment.evaluate(run)
    assert run.requests[0].donated == frozenset({1})
    assert (updated.version, updated.writes) == (1, 1)


def test_what_gradients_need_is_kept_down_to_what_is_cheap() -> None:
    segment, run = Segment(), Evaluator()
    x = segment.read(concrete())
    expensive = b.sum(x)
    saver = Saver(b.exp(expensive))
    segment.savers.append(saver)
    result = pending(segment, b.neg(b.exp(expensive)))
    segment.evaluate(run)
    assert run.requests[0].outputs == (result.value, expensive)
    assert not segment.release()


def test_a_segment_lets_go_of_memory_when_its_nodes_are_released() -> None:
    segment, run = Segment(), Evaluator()
    storage = concrete()
    memory = weakref.ref(storage.buffer)
    saver = Saver(b.exp(segment.read(storage)))
    segment.savers.append(saver)
    segment.evaluate(run)
    del storage
    assert memory() is not None
    saver.released = True
    assert segment.release()
    gc.collect()
    assert memory() is None


def test_a_chain_of_dropped_nodes_is_let_go_at_once() -> None:
    segment = Segment()
    last = None
    for _ in range(5):
        node = Saver()
        node.before = last  # type: ignore[attr-defined]
        segment.savers.append(node)
        last = node
    del node, last
    assert segment.live_savers() == []


def test_values_of_an_earlier_segment_are_read_where_computed_and_rebuilt_where_not() -> None:
    earlier, run = Segment(), Evaluator()
    x = concrete()
    total = b.sum(earlier.read(x))
    cheap = b.exp(total)
    earlier.savers.append(saver := Saver(cheap))
    earlier.evaluate(run)
    later = Segment()
    brought = later.bring(earlier, cheap)
    assert brought.op is cheap.op
    assert later.buffers == [earlier.results[total]]
    assert saver.values == (cheap,)


def test_a_failed_run_leaves_everything_pending() -> None:
    def fail(_request: Request) -> list[Memory]:
        raise MemoryError

    segment = Segment()
    storage = pending(segment, b.exp(segment.read(concrete())))
    with contextlib.suppress(MemoryError):
        segment.evaluate(fail)
    run = Evaluator()
    segment.evaluate(run)
    assert storage.buffer is not None
