"""Updates of a part: views in place, overlapping views, scattered sums; on every target."""

from __future__ import annotations

import numpy as np
import pytest

from tests.codegen.lowering import TARGETS, Inputs, check, run
from treadle.codegen.loops import Kernel
from treadle.codegen.lower import lower
from treadle.codegen.target import AVX2
from treadle.ir import build as b
from treadle.ir.errors import CompilationError
from treadle.ir.graph import Graph
from treadle.ir.types import float32, int64

BODIES = {
    "scatter rows": lambda i: b.scatter_add(
        i.of(10, 21), i.index(10, 6, 21), b.exp(i.of(6, 21)), 0
    ),
    "scatter columns": lambda i: b.scatter_add(i.of(7, 30), i.index(30, 7, 9), i.of(7, 9), 1),
    "scatter fewer rows": lambda i: b.scatter_add(i.of(7, 30), i.index(30, 4, 9), i.of(4, 9), 1),
    "scatter fewer columns": lambda i: b.scatter_add(
        i.of(10, 21), i.index(10, 6, 15), i.of(6, 15), 0
    ),
    "scatter a vector": lambda i: b.scatter_add(i.of(30), i.index(30, 50), i.of(50), 0),
    "scatter the middle": lambda i: b.scatter_add(
        i.of(3, 5, 18), i.index(5, 3, 9, 18), i.of(3, 9, 18), 1
    ),
    "scatter onto zeros": lambda i: b.scatter_add(
        b.full((12, 20), 0.0, float32),
        b.broadcast_to(b.reshape(i.index(12, 40), (40, 1)), (40, 20)),
        i.of(40, 20),
        0,
    ),
    "scatter outside": lambda i: b.scatter_add(
        i.of(5), i.array(np.array([-1, 0, 5, 4, 4, 99])), i.of(6), 0
    ),
    "scatter into one": lambda i: b.scatter_add(i.of(1, 20), i.index(1, 6, 20), i.of(6, 20), 0),
    "scatter nothing": lambda i: b.scatter_add(i.of(9, 4), i.index(1, 0, 4), i.of(0, 4), 0),
    "scatter integers": lambda i: b.scatter_add(
        i.of(9, dtype=int64), i.index(9, 20), i.of(20, dtype=int64), 0
    ),
    **{
        f"scatter by {combine}, {kind.name}": lambda i, c=combine, k=kind: b.scatter(
            i.of(7, 21, dtype=k), i.index(9, 12, 21), i.of(12, 21, dtype=k), 0, c
        )
        for combine in ("set", "mul", "min", "max")
        for kind in (float32, int64)
    },
    "scatter a vector by set": lambda i: b.scatter(i.of(30), i.index(30, 50), i.of(50), 0, "set"),
    "scatter whole rows by set": lambda i: b.scatter(
        i.of(12, 20),
        b.broadcast_to(b.reshape(i.index(12, 40), (40, 1)), (40, 20)),
        i.of(40, 20),
        0,
        "set",
    ),
    "overlapping view": lambda i: b.view_update(i.of(20), i.of(3, 4), (3, 4), (3, 2), 1),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", BODIES)
def test_an_update_gives_what_the_interpreter_gives(name: str, target: str) -> None:
    run(BODIES[name], TARGETS[target])


@pytest.mark.parametrize("target", TARGETS)
def test_a_large_scatter_has_tasks_over_other_axes(target: str) -> None:
    inputs = Inputs()
    base, index = inputs.of(50, 200), inputs.index(50, 300, 200)
    kernel = check(inputs, [b.scatter_add(base, index, inputs.of(300, 200), 0)], TARGETS[target])
    assert kernel.tasks == 1 if target == "cuda" else kernel.tasks > 1


def stores(kernel: Kernel) -> int:
    return str(kernel.body).count("Store(")


@pytest.mark.parametrize("target", TARGETS)
def test_a_view_is_replaced_in_place(target: str) -> None:
    inputs = Inputs()
    x, part = inputs.of(6, 20), inputs.of(6)
    new = b.view_update(x, part * 2.0, (6,), (20,), 3)
    check(inputs, [new], TARGETS[target], aliases={0: 0})


def test_a_view_changes_by_its_own_elements_in_place() -> None:
    inputs = Inputs()
    x = inputs.of(6, 20)
    part = b.slice(x, (0, 2), (6, 12)) + 1.0
    check(inputs, [b.view_update(x, part, (6, 10), (20, 1), 2), part], AVX2, aliases={0: 0})


def test_an_empty_update_in_place_does_nothing() -> None:
    inputs = Inputs()
    x, part = inputs.of(6, 20), inputs.of(0)
    kernel = check(inputs, [b.view_update(x, part, (0,), (1,), 3)], AVX2, aliases={0: 0})
    assert kernel.body == ()


@pytest.mark.parametrize("target", TARGETS)
def test_a_scatter_in_place_does_not_copy(target: str) -> None:
    inputs = Inputs()
    x, index, source = inputs.of(10, 21), inputs.index(10, 6, 21), inputs.of(6, 21)
    new = b.scatter_add(x, index, source, 0)
    kernel = check(inputs, [new], TARGETS[target], aliases={0: 0})
    copied = lower(Graph("body", tuple(inputs.values), (new,)), TARGETS[target], "body")
    assert stores(kernel) < stores(copied)


def test_a_scatter_is_the_only_result() -> None:
    inputs = Inputs()
    x = inputs.of(5)
    new = b.scatter_add(x, inputs.index(5, 5), x, 0)
    body = Graph("body", tuple(inputs.values), (new, x + 1.0))
    with pytest.raises(CompilationError, match="only result"):
        lower(body, AVX2, "body")
