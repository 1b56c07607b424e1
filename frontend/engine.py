"""The engine: puts the stages together, from recorded values to results in memory.

Recording -> graph -> passes -> kernels -> machine code, each program compiled once and kept.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from treadle import programs, views
from treadle.ir import settings
from treadle.ir.interpreter import interpret
from treadle.ir.types import CPU, Device, Shape, TensorType, dtype_of
from treadle.ir.value import Value, forget, interned_count
from treadle.memory_sharing import SharedMemory, export, shared_buffer, watch_array
from treadle.runtime.memory import Buffer
from treadle.runtime.statistics import counters
from treadle.tracer.segment import Request, Segment, recorder, set_evaluator
from treadle.tracer.storage import Storage
from treadle.views import TypedView, View, whole

Runner: TypeAlias = Callable[[Sequence[Buffer]], list[Buffer]]
# Inputs (used or not, they decide the table of buffers), outputs, donated slots.
ProgramKey: TypeAlias = tuple[tuple[Value, ...], tuple[Value, ...], frozenset[int]]

# Programs kept ready, and interned values after which everything recorded is forgotten.
PROGRAM_LIMIT = 1024
VALUE_LIMIT = 500_000
# Different starts of views alike, written to memory, from which on the start is no constant.
START_LIMIT = 3
# Memory that NumPy shares is copied at each read up to this size, else computed on at once.
SNAPSHOT_BYTES = 1 << 16


@dataclass(frozen=True)
class Statistics:
    """Totals of this process.

    Attributes:
        programs_compiled: different programs built, from the disk cache or by LLVM.
        programs_loaded: those of them whose machine code came from the disk cache.
        program_runs: programs evaluated.
        cache_hits: evaluations that found their program ready.
        kernels_compiled: kernels in the programs built.
        kernels_launched: kernels run.
        native_seconds: time inside programs.
        compile_seconds: time from recorded values to loaded machine code.
    """

    programs_compiled: int
    programs_loaded: int
    program_runs: int
    cache_hits: int
    kernels_compiled: int
    kernels_launched: int
    native_seconds: float
    compile_seconds: float


class _Totals:
    compiled = 0
    runs = 0
    kernels = 0
    seconds = 0.0


_programs: OrderedDict[ProgramKey, Runner] = OrderedDict()
# Views of memory that were written -> where they started.
_starts: dict[tuple[TensorType, Shape, tuple[int, ...]], set[int]] = {}
_forgetters: list[Callable[[], None]] = []


def evaluate(request: Request) -> list[Buffer]:
    """Runs the program of a request, building it the first time."""
    key = (request.inputs, request.outputs, request.donated)
    runner = _programs.get(key)
    if runner is None:
        if interned_count() > VALUE_LIMIT:
            _forget_all()
        runner = _build(request)
        _programs[key] = runner
        if len(_programs) > PROGRAM_LIMIT:
            _programs.popitem(last=False)
    else:
        _programs.move_to_end(key)
    _Totals.runs += 1
    return runner(request.buffers)


def _build(request: Request) -> Runner:
    started = time.perf_counter()
    graph = programs.graph_of(request)
    if settings.current().backend == "interp":
        runner = _interpreted(graph)
    else:
        program = programs.load(graph)
        _Totals.kernels += len(program.plan.kernels)
        runner = program.run
        if settings.current().check:
            runner = _checked(graph, runner)
    notify = programs.observed_run(graph)
    if notify is not None:
        runner = _notifying(runner, notify)
    _Totals.compiled += 1
    _Totals.seconds += time.perf_counter() - started
    return runner


def _interpreted(graph: Any) -> Runner:
    types = [value.type for value in graph.inputs]

    def run(buffers: Sequence[Buffer]) -> list[Buffer]:
        arrays = [_array(b, t) for b, t in zip(buffers, types, strict=True)]
        return [Buffer.wrap(np.array(result, order="C")) for result in interpret(graph, arrays)]

    return run


def _checked(graph: Any, run: Runner) -> Runner:
    """A runner that compares every result with the interpreter's."""
    types = [value.type for value in graph.inputs]

    def check(buffers: Sequence[Buffer]) -> list[Buffer]:
        arrays = [np.array(_array(b, t)) for b, t in zip(buffers, types, strict=True)]
        results = run(buffers)
        programs.compare(graph, arrays, results)
        return results

    return check


def _notifying(run: Runner, notify: Callable[[], None]) -> Runner:
    def notifying(buffers: Sequence[Buffer]) -> list[Buffer]:
        notify()
        return run(buffers)

    return notifying


def _array(buffer: Buffer, type: TensorType) -> npt.NDArray[Any]:
    return buffer.array(type.dtype.numpy, type.shape)


def on_forget(function: Callable[[], None]) -> None:
    """Registers a table of values to be emptied when everything recorded is forgotten."""
    _forgetters.append(function)


def forget_programs() -> None:
    """Drops the programs kept ready; each is built again, or loaded from disk, when needed."""
    _programs.clear()


def _forget_all() -> None:
    """Bounds memory in runs that record ever new values; programs are built again when needed."""
    _programs.clear()
    _starts.clear()
    for function in _forgetters:
        function()
    forget(())


# -- memory ------------------------------------------------------------------------------------


def adopt(array: npt.NDArray[Any], device: Device = CPU) -> Storage:
    """A storage with a copy of an array's elements."""
    type = TensorType(dtype_of(array.dtype), array.shape, device)
    buffer = Buffer(max(array.nbytes, 1))
    _array(buffer, type)[...] = array
    return Storage(type, None, None, buffer)


def read_part(segment: Segment, storage: Storage, view: View) -> Value:
    """The elements of a view of concrete memory as a value.

    A view of a part becomes an input of its own, so that the program does not depend on where
    the part starts: a loop over the rows of a tensor is one program.
    """
    buffer = storage.buffer
    assert buffer is not None
    if isinstance(view, TypedView):
        return views.read(segment.read(storage), view)
    steps = zip(view.size, view.stride, strict=True)
    span = 1 + sum((extent - 1) * stride for extent, stride in steps)
    if span >= storage.type.numel or 0 in view.size:
        return views.read(segment.read(storage), view)
    itemsize = storage.type.dtype.itemsize
    shape = view.size if view.is_contiguous() else (span,)
    part = segment.part(
        (id(buffer), view.offset, shape),
        lambda: Buffer.borrow(buffer.address + view.offset * itemsize, span * itemsize, buffer),
        storage.type._replace(shape=shape),
    )
    return part if shape == view.size else views.read(part, view._replace(offset=0))


def write_part(segment: Segment, storage: Storage, part: Value, view: View) -> Value:
    """The contents of a storage with the elements of a view replaced.

    Once views alike were written at several places of memory, where one starts is an input of
    the program: a loop that fills the rows of a tensor is one program.
    """
    base = segment.read(storage)
    if storage.buffer is None or type(view) is not View or 0 in view.size:
        return views.write(base, part, view)
    starts = _starts.setdefault((storage.type, view.size, view.stride), set())
    if len(starts) <= START_LIMIT:
        starts.add(view.offset)
    if len(starts) <= START_LIMIT:
        return views.write(base, part, view)

    def start(number: int) -> Value:
        return segment.read(adopt(np.array(number, np.int64), storage.type.device))

    return views.write_from(base, part, view, start)


def share(array: npt.NDArray[Any], device: Device = CPU) -> tuple[Storage, View]:
    """A storage over an array's own memory, and where the array lies in it."""
    low, high = np.lib.array_utils.byte_bounds(array) if array.size else (0, 0)
    count = (high - low) // array.itemsize
    start = array.__array_interface__["data"][0]
    stride = tuple(step // array.itemsize for step in array.strides)
    view = View(array.shape, stride, (start - low) // array.itemsize if array.size else 0)
    shape = array.shape if view.is_contiguous() else (count,)
    storage = Storage(
        TensorType(dtype_of(array.dtype), shape, device),
        None,
        None,
        Buffer.borrow(low or start, count * array.itemsize, array),
    )
    storage.exposed = watch_array(array)
    return storage, view


def protect(storage: Storage) -> None:
    """Fixes the contents of exposed memory as they are now for the operation that reads them."""
    if not storage.is_exposed() or storage.buffer is None:
        return
    segment = recorder.segment
    if storage.type.nbytes > SNAPSHOT_BYTES:
        # Too large to copy at each read: the operation is computed before its caller goes on.
        segment.cut = True
        return
    copy = Buffer(max(storage.type.nbytes, 1))
    _array(copy, storage.type)[...] = _array(storage.buffer, storage.type)
    storage.value = segment.input(copy, storage.type)
    storage.segment = segment


def write_through(storage: Storage, memory: Buffer) -> None:
    """Computes the pending contents of exposed memory and puts them there."""
    recorder.evaluate()
    assert storage.buffer is not None
    if storage.buffer is not memory:
        _array(memory, storage.type)[...] = _array(storage.buffer, storage.type)
        storage.buffer = memory


def array_of(storage: Storage, view: View | None) -> npt.NDArray[Any]:
    """The elements of concrete memory as an array."""
    array = _array(storage.buffer, storage.type)
    if view is None or view == whole(storage.type.shape):
        return array
    return _seen(array, view)


def _seen(array: npt.NDArray[Any], view: View) -> npt.NDArray[Any]:
    """The elements of a view of a storage's array."""
    flat = array.reshape(-1)
    if isinstance(view, TypedView):
        fitting = flat.nbytes - flat.nbytes % view.dtype.itemsize
        flat = flat[: fitting // flat.itemsize].view(view.dtype.numpy)
    steps = tuple(step * flat.itemsize for step in view.stride)
    return np.lib.stride_tricks.as_strided(flat[view.offset :], view.size, steps)


def expose(storage: Storage, view: View | None) -> npt.NDArray[Any]:
    """An array over concrete memory that the caller may keep and change."""
    # Equal results share a buffer until one of them can be seen from outside.
    if storage.exposed is None:
        private = Buffer(max(storage.type.nbytes, 1))
        _array(private, storage.type)[...] = _array(storage.buffer, storage.type)
        storage.buffer = private
        storage.segment = storage.value = None
    array, alive = export(storage.buffer, storage.type)
    previous = storage.exposed
    storage.exposed = alive if previous is None else lambda: previous() or alive()
    if view is None or view == whole(storage.type.shape):
        return array
    return _seen(array, view)


def synchronize() -> None:
    """Computes everything that is pending."""
    recorder.evaluate()


def share_between_processes(storage: Storage) -> None:
    """Moves concrete memory to where forked processes share it."""
    if isinstance(storage.buffer.owner, SharedMemory):
        return
    shared = shared_buffer(storage.type.nbytes)
    _array(shared, storage.type)[...] = _array(storage.buffer, storage.type)
    storage.buffer = shared
    storage.segment = storage.value = None
    # Other processes may read and write at any time.
    storage.exposed = lambda: True


def statistics() -> Statistics:
    """Totals of this process since it started or since ``reset_statistics``."""
    return Statistics(
        programs_compiled=_Totals.compiled,
        programs_loaded=counters.programs_loaded,
        program_runs=_Totals.runs,
        cache_hits=_Totals.runs - _Totals.compiled,
        kernels_compiled=_Totals.kernels,
        kernels_launched=counters.kernels_launched,
        native_seconds=counters.native_seconds,
        compile_seconds=_Totals.seconds,
    )


def reset_statistics() -> None:
    """Sets all totals to zero."""
    counters.reset()
    _Totals.compiled = _Totals.runs = _Totals.kernels = 0
    _Totals.seconds = 0.0


set_evaluator(evaluate)
