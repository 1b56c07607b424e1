"""Bodies with reductions: rows, columns, several passes, folds; on every target."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.codegen.loop_machine import LoopMachine
from tests.codegen.lowering import TARGETS, Inputs, check, run
from treadle.codegen.loops import Space
from treadle.codegen.lower import lower
from treadle.codegen.target import AVX2, AVX512
from treadle.ir import build as b
from treadle.ir.errors import CompilationError
from treadle.ir.graph import Graph
from treadle.ir.types import bool_, float32, float64, int8, int32, int64, uint8
from treadle.ir.value import Value


def softmax(x: Value, axis: int) -> Value:
    e = b.exp(x - b.max(x, (axis,), True))
    return e / b.sum(e, (axis,), True)


def layer_norm(i: Inputs, *shape: int) -> list[Value]:
    x, weight, bias = i.of(*shape), i.of(shape[-1]), i.of(shape[-1])
    mean = b.sum(x, (-1,), True) / float(shape[-1])
    centred = x - mean
    variance = b.sum(centred * centred, (-1,), True) / float(shape[-1])
    scale = b.rsqrt(variance + 1e-5)
    return [centred * scale * weight + bias, mean, scale]


def cross_entropy(i: Inputs, rows: int, classes: int) -> list[Value]:
    x, target = i.of(rows, classes), i.index(classes, rows)
    shifted = x - b.max(x, (1,), True)
    log_sum = b.log(b.sum(b.exp(shifted), (1,), True))
    hit = b.eq(b.iota((rows, classes), 1, int64), b.reshape(target, (rows, 1)))
    picked = b.sum(b.select(hit, shifted, 0.0), (1,), True)
    probability = b.exp(shifted - log_sum)
    gradient = (probability - b.cast(hit, float32)) * (1.0 / rows)
    return [b.reshape(log_sum - picked, (rows,)), gradient]


def nll(i: Inputs, rows: int, classes: int) -> Value:
    x, target = i.of(rows, classes), i.index(classes, rows)
    shifted = x - b.max(x, (1,), True)
    log_sum = b.log(b.sum(b.exp(shifted), (1,), True))
    at = b.reshape(target, (rows, 1))
    picked = b.gather(x, at, 1) - b.max(x, (1,), True)
    return b.reshape(log_sum - picked, (rows,))


def pool(i: Inputs, *shape: int, size: int = 2) -> tuple[Value, Value]:
    x = i.of(*shape)
    w = b.windows(x, (2, 3), (size, size), (size, size), (1, 1))
    return b.max(w, (4, 5)), w


def pool_backward(i: Inputs, *shape: int) -> Value:
    best, w = pool(i, *shape)
    n, c, h, wd = best.shape
    flat = b.reshape(w, (n, c, h, wd, 4))
    place = i.index(4, n, c, h, wd)
    gradient = i.of(n, c, h, wd)
    hit = b.eq(b.iota(flat.shape, 4, int64), b.reshape(place, (n, c, h, wd, 1)))
    spread = b.select(hit, b.reshape(gradient, (n, c, h, wd, 1)), 0.0)
    return b.fold(
        b.reshape(spread, w.shape), (n, c, shape[2], shape[3]), (2, 3), (2, 2), (2, 2), (1, 1)
    )


def ties(i: Inputs, *shape: int) -> Value:
    array = i.random.integers(0, 3, shape).astype(np.float32)
    array[i.random.random(shape) < 0.1] = math.nan
    return i.array(array)


BODIES = {
    "row sums": lambda i: b.sum(i.of(7, 75), (1,)),
    "column sums": lambda i: b.sum(i.of(75, 37), (0,)),
    "column sums of wide rows": lambda i: b.sum(i.of(40, 300), (0,)),
    "full sum": lambda i: b.sum(i.of(11, 13, 17)),
    "full sum of work": lambda i: b.sum(b.exp(i.of(300))) * 0.5,
    "sum of a scalar axis": lambda i: b.sum(i.of(5, 1, 20), (1,)),
    "sum over the first and last": lambda i: b.sum(i.of(6, 10, 20), (0, 2)),
    "sum over the middle": lambda i: b.sum(i.of(6, 10, 20), (1,)),
    "short rows": lambda i: b.sum(i.of(100, 3), (1,)),
    "one row": lambda i: b.sum(i.of(1, 50), (1,)),
    "many rows of one": lambda i: b.sum(i.of(50, 1), (1,)),
    "mean and variance": lambda i: [
        m := b.sum(x := i.of(7, 75), (1,), True) / 75.0,
        b.sum((x - m) * (x - m), (1,)) / 75.0,
    ],
    "batch norm statistics": lambda i: [
        b.sum(x := i.of(4, 3, 5, 6), (0, 2, 3)),
        b.sum(x * x, (0, 2, 3)),
    ],
    "product": lambda i: b.prod(i.of(5, 12), (1,)),
    "max": lambda i: b.max(ties(i, 6, 50), (1,)),
    "min columns": lambda i: b.min(ties(i, 50, 20), (0,)),
    "max of bool": lambda i: b.max(i.of(5, 30, dtype=bool_), (1,)),
    "min of bool columns": lambda i: b.min(i.of(3, 30, dtype=bool_), (0,)),
    "max of int8": lambda i: b.max(i.of(5, 30, dtype=int8), (1,)),
    "max of uint8 columns": lambda i: b.max(i.of(5, 30, dtype=uint8), (0,)),
    "sum of int64": lambda i: b.sum(i.of(5, 30, dtype=int64), (1,)),
    "sum of int32": lambda i: b.sum(i.of(30, 5, dtype=int32), (0,)),
    "sum of uint8 wraps": lambda i: b.sum(i.of(3, 300, dtype=uint8), (1,)),
    "sum of float64": lambda i: b.sum(i.of(5, 30, dtype=float64), (1,)),
    "sum counts bools": lambda i: b.sum(b.cast(i.of(5, 30, dtype=bool_), int64)),
    "argmax rows": lambda i: b.argmax(ties(i, 6, 90), 1),
    "argmax columns": lambda i: b.argmax(ties(i, 50, 20), 0),
    "argmin middle": lambda i: b.argmin(ties(i, 5, 9, 11), 1),
    "argmax of ints": lambda i: b.argmax(i.of(5, 70, dtype=int64), 1),
    "argmax of bools": lambda i: b.argmax(i.of(5, 70, dtype=bool_), 1),
    "argmin of constants": lambda i: b.argmin(b.full((3, 40), math.inf, float32), 1),
    "argmax of minus infinity": lambda i: b.argmax(b.full((3, 40), -math.inf, float32), 1),
    "argmax and max": lambda i: [b.argmax(x := i.of(6, 40), 1), b.max(x, (1,))],
    "softmax": lambda i: softmax(i.of(6, 75), 1),
    "softmax short": lambda i: softmax(i.of(9, 10), 1),
    "softmax columns": lambda i: softmax(i.of(30, 20), 0),
    "softmax middle": lambda i: softmax(i.of(3, 14, 20), 1),
    "softmax of work": lambda i: softmax(b.tanh(i.of(6, 75)) * i.of(75), 1) + 1.0,
    "softmax of transposed": lambda i: softmax(b.transpose(i.of(30, 8)), 1),
    "softmax reshaped": lambda i: b.reshape(
        softmax(b.reshape(i.of(2, 3, 40), (6, 40)), 1), (2, 3, 40)
    ),
    "layer norm": lambda i: layer_norm(i, 5, 70),
    "layer norm of three axes": lambda i: layer_norm(i, 2, 3, 33),
    "cross entropy": lambda i: cross_entropy(i, 9, 10),
    "cross entropy of many classes": lambda i: cross_entropy(i, 4, 90),
    "nll": lambda i: nll(i, 9, 30),
    "row and outer results": lambda i: [
        b.exp(x := i.of(6, 41)),
        b.sum(b.exp(x), (1,)),
        b.exp(x) - b.max(x, (1,), True),
    ],
    "max pool": lambda i: pool(i, 2, 3, 12, 14)[0],
    "max pool of work": lambda i: b.maximum(pool(i, 2, 3, 12, 14)[0], 0.0),
    "max pool argmax": lambda i: b.argmax(b.reshape(pool(i, 2, 3, 12, 14)[1], (2, 3, 6, 7, 4)), 4),
    "max pool of threes": lambda i: pool(i, 2, 3, 12, 15, size=3)[0],
    "max pool backward": lambda i: pool_backward(i, 2, 3, 12, 14),
    "fold of overlapping windows": lambda i: b.fold(
        i.of(2, 5, 6, 3, 3), (2, 11, 8), (1, 2), (3, 3), (2, 1), (1, 1)
    ),
    "fold of dilated windows": lambda i: b.exp(
        b.fold(b.neg(i.of(2, 9, 2)), (2, 20), (1,), (2,), (2,), (3,))
    ),
    "sum of padded": lambda i: b.sum(b.pad(b.exp(i.of(5, 20)), (1, 2), (1, 2), value=1.0), (1,)),
    "sum of concat": lambda i: b.sum(b.concat([i.of(5, 20), i.of(5, 9)], 1), (1,)),
    "sum of random": lambda i: b.sum(
        b.cast(b.shift_right(b.random_bits(i.array(np.array([1, 2])), (5, 30)), 8), float32), (1,)
    ),
    "sum over nothing": lambda i: b.sum(i.of(5, 0), (1,)) + 1.0,
    "product over nothing": lambda i: b.prod(i.of(0, 5), (0,)),
    "full sum of nothing": lambda i: b.sum(i.of(0, 5)),
    "no rows": lambda i: b.sum(i.of(0, 5), (1,)),
    "gather at the argmax": lambda i: b.gather(i.of(40), b.argmax(i.of(30, 20), 0), 0),
    "long rows": lambda i: b.sum(i.of(2, 9001), (1,)),
    "long columns": lambda i: b.sum(i.of(1500, 5), (0,)),
    "long outer and inner": lambda i: b.sum(i.of(700, 2, 21), (0, 2)),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", BODIES)
def test_rows_give_what_the_interpreter_gives(name: str, target: str) -> None:
    run(BODIES[name], TARGETS[target], tolerance=1e-4)


def test_half_precision_sums_in_single() -> None:
    inputs = Inputs()
    x = inputs.array(np.ones((2, 5000), np.float16))
    check(inputs, [b.sum(x, (1,))], AVX2)


def test_a_long_float32_sum_is_about_as_accurate_as_pairwise_summation() -> None:
    inputs = Inputs()
    array = inputs.random.random(400_000).astype(np.float32)
    x = inputs.array(array)
    kernel = lower(Graph("sum", (x,), (b.sum(x),)), AVX512, "sum")
    out = np.zeros(1, np.float32)
    LoopMachine(kernel, [array, out]).run()
    exact = array.astype(np.float64).sum()
    assert abs(out[0] - exact) <= 2e-7 * exact


def test_expensive_rows_are_kept_in_a_row_buffer() -> None:
    kernel = run(lambda i: softmax(i.of(6, 75), 1), AVX2)
    assert [buffer.space for buffer in kernel.scratch] == [Space.SCRATCH]
    assert kernel.scratch[0].size == 75


def test_rows_too_long_for_scratch_are_computed_again() -> None:
    inputs = Inputs()
    x = inputs.of(1, 40_000)
    kernel = check(inputs, [softmax(x, 1)], AVX2)
    assert kernel.scratch == ()


def test_a_row_result_may_lie_in_the_memory_of_the_input() -> None:
    inputs = Inputs()
    x = inputs.of(6, 75)
    check(inputs, [softmax(x, 1), x + 1.0], AVX2, aliases={0: 0})


def test_running_statistics_may_be_updated_in_place() -> None:
    inputs = Inputs()
    x, mean = inputs.of(6, 75), inputs.of(6)
    new = mean * 0.9 + b.sum(x, (1,)) / 75.0 * 0.1
    check(inputs, [new, x - b.reshape(mean, (6, 1))], AVX2, aliases={0: 1})


def test_reductions_over_different_axes_do_not_share_a_kernel() -> None:
    inputs = Inputs()
    x = inputs.of(6, 75)
    body = Graph("body", (x,), (b.sum(x, (0,)), b.sum(x, (1,))))
    with pytest.raises(CompilationError, match=r"one shape and one set of axes"):
        lower(body, AVX2, "body")


def test_a_row_does_not_read_the_result_of_another() -> None:
    inputs = Inputs()
    x = inputs.of(6, 75)
    flipped = b.flip(b.sum(x, (1,), True), (0,))
    with pytest.raises(CompilationError, match="result of another row"):
        lower(Graph("body", (x,), (x - flipped,)), AVX2, "body")


def test_tasks_depend_on_shapes_only() -> None:
    inputs = Inputs()
    x = inputs.of(400, 300)
    assert 8 <= check(inputs, [softmax(x, 1)], AVX512).tasks <= 64
