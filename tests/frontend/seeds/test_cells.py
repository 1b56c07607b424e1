"""Tutorials run with only their import lines changed, and show what they show with PyTorch."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import treadle
from tests.frontend.agreement import oracle
from tests.frontend.seeds.notebook import CELLS, cells, numbers_of, run_notebook, same_numbers

NOTEBOOKS = sorted(path.name for path in CELLS.glob("*.cells"))
# How far losses may drift apart in hundreds of steps of training, each with its own rounding.
DRIFT = 2e-2


def outputs(name: str, library: Any) -> list[str]:
    random.seed(0)
    np.random.seed(0)
    with same_numbers(library):
        return run_notebook(cells(name), library.__name__)


@pytest.mark.oracle
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_tutorial_shows_what_it_shows_with_pytorch(name: str) -> None:
    torch = oracle()
    found, expected = outputs(name, treadle), outputs(name, torch)
    for source, ours, theirs in zip(cells(name), found, expected, strict=True):
        if "shuffle=True" in source:
            assert _unordered(ours) == _unordered(theirs), source
        elif "loss.item()" in source:
            assert numbers_of(ours)[0] == numbers_of(theirs)[0], source
            np.testing.assert_allclose(
                numbers_of(ours)[1], numbers_of(theirs)[1], rtol=DRIFT, err_msg=source
            )
        else:
            assert ours == theirs, source


def _unordered(output: str) -> tuple[str, list[float]]:
    """Output whose numbers come in a random order, which also decides their alignment."""
    text, numbers = numbers_of(output)
    return text.replace(" ", ""), sorted(numbers)


def test_two_half_circles_have_the_documents_coordinates() -> None:
    found: dict[str, Any] = {}
    source = next(cell for cell in cells("002_tensor_course.cells") if "outer_circ_x" in cell)
    exec(source, {"torch": treadle, "print": lambda *_: None}, found)
    expected = [
        [1, 0], [0.70710677, 0.70710683], [-0.00000004, 1], [-0.70710683, 0.70710683],
        [-1, -0.00000009], [0, 0.5], [0.29289323, -0.20710683], [1, -0.5],
        [1.70710683, -0.20710683], [2, 0.50000006],
    ]  # fmt: skip
    np.testing.assert_allclose(found["X"].numpy(), expected, atol=1e-6)
    assert found["y"].tolist() == [0.0] * 5 + [1.0] * 5


def test_half_of_the_predictions_are_right() -> None:
    scope: dict[str, Any] = {"torch": treadle, "print": lambda *_: None}
    source = next(cell for cell in cells("002_tensor_course.cells") if "def accuracy" in cell)
    exec(source, scope)
    assert scope["accuracy"](scope["preds"], scope["labels"]).item() == 0.5
    many = treadle.tensor([[0.1, 0.9], [0.8, 0.2]])
    assert scope["accuracy"](many, treadle.tensor([1, 0])).item() == 1.0


def test_a_simple_recurrent_network_gives_the_documents_states() -> None:
    scope: dict[str, Any] = {"torch": treadle, "print": lambda *_: None}
    for cell in cells("002_tensor_course.cells")[-2:]:
        exec(
            cell.replace("import torch\n", "")
            .replace("import torch.nn as nn\n", "nn = torch.nn\n")
            .replace("import torch.nn.functional as F", "F = torch.nn.functional"),
            scope,
        )
    expected = [[0.31773996, 0.47749743], [0.52713710, 0.74447167]]
    np.testing.assert_allclose(scope["hidden_state"].detach().numpy(), expected, rtol=1e-6)
