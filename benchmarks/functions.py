"""Times common functions in Treadle and in eager PyTorch, in one run.

Calls of the two alternate, so that a slow moment of the machine hits both; the best of several
blocks of each counts. A row gives microseconds of both, their ratio (above 1 Treadle is faster),
kernels of Treadle's program, and the seconds that compiling it took with an empty cache.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("TREADLE_CACHE", "0")  # so that compiling is seen

import numpy as np
import torch

import treadle

Body = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """One function at one size.

    Attributes:
        name: what is printed.
        make: (library, tensors) -> the result; a list of results is reduced to its first.
        inputs: shapes of float32 inputs, or arrays as they are.
        backward: gradients of the float inputs are timed too.
    """

    name: str
    make: Callable[..., Any]
    inputs: tuple[Any, ...]
    backward: bool = True


def _whole(high: int, *shape: int) -> Any:
    return np.random.default_rng(1).integers(0, high, shape)


def _mask(*shape: int) -> Any:
    return np.random.default_rng(2).random(shape) < 0.5


def _positive_definite(count: int, n: int) -> Any:
    a = np.random.default_rng(3).standard_normal((count, n, n)).astype(np.float32)
    return a @ a.transpose(0, 2, 1) + n * np.eye(n, dtype=np.float32)


def _grid(n: int, h: int, w: int) -> Any:
    return np.random.default_rng(4).uniform(-1, 1, (n, h, w, 2)).astype(np.float32)


ROWS = (2048, 1024)
IMAGES = (16, 64, 32, 32)
HEADS = (8, 8, 128, 64)
ONE = (1 << 20,)

ROW_FUNCTIONS = (
    Case("softmax", lambda t, x: t.softmax(x, -1), (ROWS,)),
    Case("log_softmax", lambda t, x: t.log_softmax(x, -1), (ROWS,)),
    Case(
        "cross_entropy",
        lambda t, x, y: t.nn.functional.cross_entropy(x, y),
        (ROWS, _whole(1024, 2048)),
    ),
    Case(
        "layer_norm",
        lambda t, x, w, b: t.nn.functional.layer_norm(x, (1024,), w, b),
        (ROWS, (1024,), (1024,)),
    ),
    Case(
        "batch_norm",
        lambda t, x, w, b: t.nn.functional.batch_norm(x, None, None, w, b, training=True),
        (IMAGES, (64,), (64,)),
    ),
    Case(
        "group_norm",
        lambda t, x, w, b: t.nn.functional.group_norm(x, 8, w, b),
        (IMAGES, (64,), (64,)),
    ),
    Case("norm", lambda t, x: t.linalg.vector_norm(x, dim=-1), (ROWS,)),
    Case("var rows", lambda t, x: t.var(x, -1), (ROWS,)),
    Case("std columns", lambda t, x: t.std(x, 0), (ROWS,)),
    Case("normalize", lambda t, x: t.nn.functional.normalize(x, dim=-1), (ROWS,)),
    Case("logsumexp", lambda t, x: t.logsumexp(x, -1), (ROWS,)),
    Case("argmax rows", lambda t, x: t.argmax(x, -1), (ROWS,), False),
    Case("argmax columns", lambda t, x: t.argmax(x, 0), (ROWS,), False),
    Case("max rows", lambda t, x: t.max(x, -1).values, (ROWS,)),
    Case("cumsum rows", lambda t, x: t.cumsum(x, -1), (ROWS,)),
    Case("cumsum columns", lambda t, x: t.cumsum(x, 0), (ROWS,)),
    Case("sort", lambda t, x: t.sort(x, -1).values, (ROWS,)),
    Case("topk", lambda t, x: t.topk(x, 10, -1).values, (ROWS,)),
)

ELEMENT_FUNCTIONS = (
    Case("gelu", lambda t, x: t.nn.functional.gelu(x), (ONE,)),
    Case("gelu tanh", lambda t, x: t.nn.functional.gelu(x, approximate="tanh"), (ONE,)),
    Case("silu", lambda t, x: t.nn.functional.silu(x), (ONE,)),
    Case("mish", lambda t, x: t.nn.functional.mish(x), (ONE,)),
    Case("dropout", lambda t, x: t.nn.functional.dropout(x, 0.1), (ONE,)),
    Case("masked_fill", lambda t, x, m: t.masked_fill(x, m, 0.0), (ONE, _mask(1 << 20))),
    Case("where", lambda t, m, x, y: t.where(m, x, y), (_mask(1 << 20), ONE, ONE)),
    Case(
        "bce_with_logits",
        lambda t, x, y: t.nn.functional.binary_cross_entropy_with_logits(x, y.detach()),
        (ONE, ONE),
    ),
    Case(
        "smooth_l1",
        lambda t, x, y: t.nn.functional.smooth_l1_loss(x, y),
        (ONE, ONE),
    ),
    Case("one_hot", lambda t, y: t.nn.functional.one_hot(y, 1000), (_whole(1000, 4096),), False),
)

IMAGE_FUNCTIONS = (
    Case(
        "conv2d",
        lambda t, x, w: t.nn.functional.conv2d(x, w, padding=1),
        ((8, 64, 32, 32), (64, 64, 3, 3)),
    ),
    Case(
        "conv_transpose2d",
        lambda t, x, w: t.nn.functional.conv_transpose2d(x, w, stride=2, padding=1),
        ((8, 64, 16, 16), (64, 32, 4, 4)),
    ),
    Case("max_pool2d", lambda t, x: t.nn.functional.max_pool2d(x, 2), (IMAGES,)),
    Case("max_pool2d 3/2", lambda t, x: t.nn.functional.max_pool2d(x, 3, 2, 1), (IMAGES,)),
    Case("avg_pool2d", lambda t, x: t.nn.functional.avg_pool2d(x, 2), (IMAGES,)),
    Case(
        "adaptive_avg_pool2d",
        lambda t, x: t.nn.functional.adaptive_avg_pool2d(x, (7, 7)),
        (IMAGES,),
    ),
    Case(
        "adaptive_max_pool2d",
        lambda t, x: t.nn.functional.adaptive_max_pool2d(x, (7, 7)),
        (IMAGES,),
    ),
    Case(
        "interpolate nearest",
        lambda t, x: t.nn.functional.interpolate(x, scale_factor=2),
        (IMAGES,),
    ),
    Case(
        "interpolate bilinear",
        lambda t, x: t.nn.functional.interpolate(x, scale_factor=2, mode="bilinear"),
        (IMAGES,),
    ),
    Case(
        "pad reflect",
        lambda t, x: t.nn.functional.pad(x, (2, 2, 2, 2), mode="reflect"),
        (IMAGES,),
    ),
    Case("unfold", lambda t, x: t.nn.functional.unfold(x, 3, padding=1), ((8, 32, 32, 32),)),
    Case(
        "grid_sample",
        lambda t, x, g: t.nn.functional.grid_sample(x, g, align_corners=False),
        ((8, 16, 32, 32), _grid(8, 32, 32)),
    ),
)

INDEX_FUNCTIONS = (
    Case(
        "embedding",
        lambda t, y, w: t.nn.functional.embedding(y, w),
        (_whole(50_000, 32, 128), (50_000, 256)),
    ),
    Case("gather", lambda t, x, y: t.gather(x, 1, y), (ROWS, _whole(1024, 2048, 256))),
    Case(
        "scatter_add",
        lambda t, x, y, s: t.scatter_add(x, 1, y, s),
        (ROWS, _whole(1024, 2048, 256), (2048, 256)),
    ),
    Case("index_select", lambda t, x, y: t.index_select(x, 0, y), (ROWS, _whole(2048, 1024))),
    Case(
        "index_put",
        lambda t, x, y, s: t.index_put(x, (y,), s, accumulate=True),
        (ROWS, _whole(2048, 1024), (1024, 1024)),
    ),
    Case("cat", lambda t, x, y: t.cat([x, y], 1), (ROWS, ROWS)),
    Case("stack", lambda t, x, y: t.stack([x, y], 1), (ROWS, ROWS)),
    Case("split", lambda t, x: t.split(x, 256, 1)[1] * 2, (ROWS,)),
    Case("tril", lambda t, x: t.tril(x), (ROWS,)),
    Case("roll", lambda t, x: t.roll(x, 3, 1), (ROWS,)),
    Case("flip", lambda t, x: t.flip(x, (0, 1)), (ROWS,)),
    Case("repeat_interleave", lambda t, x: t.repeat_interleave(x, 2, 1), (ROWS,)),
    Case("kron", lambda t, x, y: t.kron(x, y), ((32, 32), (32, 32))),
)

MATRIX_FUNCTIONS = (
    Case(
        "attention causal",
        lambda t, q, k, v: t.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True),
        (HEADS, HEADS, HEADS),
    ),
    Case(
        "einsum bhqd,bhkd",
        lambda t, q, k: t.einsum("bhqd,bhkd->bhqk", q, k),
        (HEADS, HEADS),
    ),
    Case("bmm", lambda t, x, y: t.bmm(x, y), ((32, 128, 128), (32, 128, 128))),
    Case("cdist", lambda t, x, y: t.cdist(x, y), ((512, 64), (512, 64))),
    Case(
        "solve",
        lambda t, a, x: t.linalg.solve(a, x),
        (_positive_definite(64, 32), (64, 32, 4)),
    ),
    Case("cholesky", lambda t, a: t.linalg.cholesky(a), (_positive_definite(64, 32),)),
    Case("rfft", lambda t, x: t.fft.rfft(x).abs(), ((256, 1024),)),
)

CASES = ROW_FUNCTIONS + ELEMENT_FUNCTIONS + IMAGE_FUNCTIONS + INDEX_FUNCTIONS + MATRIX_FUNCTIONS


def _tensors(library: Any, case: Case) -> list[Any]:
    generator = np.random.default_rng(0)
    found = []
    for given in case.inputs:
        if isinstance(given, tuple):
            given = generator.standard_normal(given).astype(np.float32)
        found.append(library.tensor(given))
    return found


def _forward(library: Any, case: Case, end: Callable[[], None]) -> Callable[[], Any]:
    inputs = _tensors(library, case)

    def call() -> Any:
        result = case.make(library, *inputs)
        end()
        return result

    return call


def _backward(library: Any, case: Case, end: Callable[[], None]) -> Callable[[], Any]:
    inputs = _tensors(library, case)
    leaves = [tensor.requires_grad_() for tensor in inputs if tensor.is_floating_point()]
    upstream = library.ones_like(case.make(library, *inputs).detach())

    def call() -> Any:
        for leaf in leaves:
            leaf.grad = None
        result = case.make(library, *inputs)
        result.backward(upstream)
        end()
        return leaves[0].grad

    return call


def _seconds(call: Callable[[], Any], count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - started) / count


def _measure(case: Case, way: Callable[..., Any], repeats: int) -> tuple[float, float, int, float]:
    """Seconds of Treadle and of PyTorch, kernels of the program, seconds of compiling."""
    before = treadle.statistics().compile_seconds
    ours = way(treadle, case, treadle.synchronize)
    theirs = way(torch, case, lambda: None)
    result, expected = ours(), theirs()
    compiling = treadle.statistics().compile_seconds - before
    if case.name != "dropout":
        found = result.detach().numpy()
        np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-3, atol=1e-3)
    ours()
    launched = treadle.statistics().kernels_launched
    ours()
    kernels = treadle.statistics().kernels_launched - launched
    best = [float("inf"), float("inf")]
    counts = [max(1, int(0.01 / _seconds(call, 2))) for call in (ours, theirs)]
    for _ in range(repeats):
        for peer, call in enumerate((ours, theirs)):
            # Threads of the other library spin for a while after their last work.
            time.sleep(0.005)
            call()
            best[peer] = min(best[peer], _seconds(call, counts[peer]))
    return best[0], best[1], kernels, compiling


def compare(case: Case, repeats: int) -> None:
    """Prints the rows of a case."""
    ways = [("", _forward)] + ([("+ backward", _backward)] if case.backward else [])
    for note, way in ways:
        ours, theirs, kernels, compiling = _measure(case, way, repeats)
        print(
            f"{case.name + ' ' * bool(note) + note:33} {ours * 1e6:9.0f} {theirs * 1e6:9.0f} "
            f"{theirs / ours:7.2f}x {kernels:5} {compiling:7.2f}",
            flush=True,
        )


def main() -> None:
    """Runs the cases whose names match."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="?", default="", help="regular expression over names")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(
        f"{'function':33} {'treadle':>9} {'torch us':>9} {'ratio':>8} {'kern.':>5} {'compile s':>9}"
    )
    for case in CASES:
        if re.search(arguments.pattern, case.name):
            compare(case, arguments.repeats)


if __name__ == "__main__":
    main()
