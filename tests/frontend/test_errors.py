"""Errors name the user's line, say what PyTorch says, and leave everything as it was."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import pytest

import treadle
from tests.frontend.agreement import check

Wrong = Callable[[Any], Any]

WRONG: dict[str, Wrong] = {
    "add shapes": lambda t: t.ones(2, 3) + t.ones(2, 4),
    "mul shapes": lambda t: t.ones(3).mul(t.ones(2)),
    "mm shapes": lambda t: t.ones(2, 3).mm(t.ones(4, 5)),
    "mm ranks": lambda t: t.ones(2, 3).mm(t.ones(3)),
    "mm left rank": lambda t: t.mm(t.ones(3), t.ones(3, 2)),
    "matmul shapes": lambda t: t.ones(2, 3) @ t.ones(2, 3),
    "matmul batches": lambda t: t.ones(2, 3, 4) @ t.ones(3, 4, 5),
    "matmul of numbers": lambda t: t.ones(()) @ t.ones(2),
    "mm dtypes": lambda t: t.ones(2, 3).mm(t.ones(3, 2, dtype=t.float64)),
    "bmm rank": lambda t: t.bmm(t.ones(2, 3), t.ones(2, 3, 4)),
    "bmm shapes": lambda t: t.bmm(t.ones(2, 3, 4), t.ones(2, 3, 4)),
    "dot shapes": lambda t: t.dot(t.ones(2), t.ones(3)),
    "dot ranks": lambda t: t.dot(t.ones(2, 2), t.ones(2)),
    "mv shapes": lambda t: t.mv(t.ones(2, 3), t.ones(2)),
    "view size": lambda t: t.ones(2, 3).view(4, 2),
    "view unknown": lambda t: t.ones(2, 3).view(-1, 4),
    "view two unknowns": lambda t: t.ones(2, 3).view(-1, -1),
    "view of strides": lambda t: t.ones(2, 3).t().view(6),
    "reshape size": lambda t: t.ones(2, 3).reshape(5),
    "dim out of range": lambda t: t.ones(2, 3).sum(2),
    "negative dim out of range": lambda t: t.ones(2, 3).sum(-3),
    "repeated dim": lambda t: t.ones(2, 3).sum((0, 0)),
    "softmax dim": lambda t: t.nn.functional.softmax(t.ones(2), 1),
    "permute duplicates": lambda t: t.ones(2, 3).permute(0, 0),
    "permute rank": lambda t: t.ones(2, 3).permute(0),
    "transpose dim": lambda t: t.ones(2, 3).transpose(0, 2),
    "t rank": lambda t: t.ones(2, 3, 4).t(),
    "expand size": lambda t: t.ones(2, 3).expand(4, 3),
    "expand rank": lambda t: t.ones(2, 3).expand(3),
    "expand leading -1": lambda t: t.ones(3).expand(-1, 3),
    "select range": lambda t: t.ones(2, 3).select(0, 2),
    "select number": lambda t: t.ones(()).select(0, 0),
    "narrow range": lambda t: t.ones(2, 3).narrow(1, 2, 2),
    "split sizes": lambda t: t.ones(4).split([1, 2]),
    "chunk zero": lambda t: t.ones(4).chunk(0),
    "unbind number": lambda t: t.ones(()).unbind(),
    "cat nothing": lambda t: t.cat([]),
    "cat shapes": lambda t: t.cat([t.ones(2, 3), t.ones(2, 4)]),
    "cat ranks": lambda t: t.cat([t.ones(2, 3), t.ones(2)]),
    "stack shapes": lambda t: t.stack([t.ones(2), t.ones(3)]),
    "mean of integers": lambda t: t.ones(3, dtype=t.int64).mean(),
    "negated bool": lambda t: -t.ones(2, dtype=t.bool),
    "subtracted bools": lambda t: t.ones(2, dtype=t.bool) - t.ones(2, dtype=t.bool),
    "bits of floats": lambda t: t.ones(2) & t.ones(2),
    "negative integer power": lambda t: t.ones(2, dtype=t.int64) ** -1,
    "max of nothing": lambda t: t.ones(0).max(),
    "argmax of nothing": lambda t: t.ones(0).argmax(),
    "item of several": lambda t: t.ones(2).item(),
    "bool of several": lambda t: bool(t.ones(2)),
    "bool of nothing": lambda t: bool(t.ones(0)),
    "int of several": lambda t: int(t.ones(2)),
    "len of number": lambda t: len(t.tensor(1)),
    "iteration of number": lambda t: list(t.tensor(1)),
    "index of float": lambda t: range(t.tensor(1.5)),
    "negative size": lambda t: t.zeros(-1),
    "ragged lists": lambda t: t.tensor([[1, 2], [3]]),
    "arange step": lambda t: t.arange(0, 5, 0),
    "arange direction": lambda t: t.arange(5, 0, 1),
    "linspace count": lambda t: t.linspace(0, 1, -1),
    "where condition": lambda t: t.where(t.ones(2), 1.0, 0.0),
    "masked_fill mask": lambda t: t.ones(2).masked_fill(t.ones(2), 0),
    "clamp without bounds": lambda t: t.ones(2).clamp(),
    "rounding mode": lambda t: t.div(t.ones(2), 2, rounding_mode="up"),
    "numpy of leaf": lambda t: t.ones(2, requires_grad=True).numpy(),
    "no backward": lambda t: t.ones(1).backward(),
    "text operand": lambda t: t.ones(2) + "a",
    "none operand": lambda t: t.ones(2) * None,
    "unknown device": lambda t: t.ones(2, device="abacus"),
    "repeat rank": lambda t: t.ones(2, 3).repeat(2),
    "flatten order": lambda t: t.ones(2, 3, 4).flatten(2, 1),
    "deepcopy of computed": lambda t: __import__("copy").deepcopy(
        t.ones(2, requires_grad=True) * 2
    ),
}
# Where ours say more, or PyTorch's words are about its own internals.
OWN_WORDS = {
    "mm dtypes", "matmul batches", "ragged lists", "unknown device", "text operand",
    "none operand", "negative size", "index of float", "deepcopy of computed",
}  # fmt: skip


@pytest.mark.oracle
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_call_raises_pytorchs_error(name: str) -> None:
    def program(torch: Any) -> Any:
        try:
            WRONG[name](torch)
        except Exception as error:
            return [type(error).__name__, None if name in OWN_WORDS else str(error).split("\n")[0]]
        return "no error"

    check(program)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_call_is_noticed_at_the_users_line(name: str) -> None:
    try:
        WRONG[name](treadle)
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        users = [frame for frame in frames if frame.filename == __file__]
        assert users[-1].name == "<lambda>"
        assert users[-1].lineno == WRONG[name].__code__.co_firstlineno or "copy" in name
    else:
        pytest.fail("no error")


def test_an_error_leaves_pending_work_usable() -> None:
    x = treadle.ones(2, 3, requires_grad=True)
    y = x * 2
    z = y + 1
    for wrong in WRONG.values():
        with pytest.raises(Exception, match=""):
            wrong(treadle)
        with pytest.raises(RuntimeError):
            y + treadle.ones(5)
    z.sum().backward()
    assert z.tolist() == [[3.0] * 3] * 2
    assert x.grad is not None
    assert x.grad.tolist() == [[2.0] * 3] * 2
    assert (y._version, x._version) == (0, 0)


def test_a_wrong_backward_leaves_gradients_alone() -> None:
    x = treadle.ones(3, requires_grad=True)
    (x * 2).sum().backward()
    with pytest.raises(RuntimeError, match="grad can be implicitly created only for scalar"):
        (x * 2).backward()
    y = x.exp()
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2, 2, 2]
    assert treadle.is_grad_enabled()


def test_the_grad_mode_survives_an_error_in_a_hook() -> None:
    def fail(_gradient: Any) -> None:
        raise KeyError("hook")

    x = treadle.ones(3, requires_grad=True)
    x.register_hook(fail)
    with pytest.raises(KeyError):
        (x * 2).sum().backward()
    assert treadle.is_grad_enabled()


def test_cuda_tensors_are_refused_where_there_is_no_gpu() -> None:
    with pytest.raises((AssertionError, RuntimeError), match="CUDA"):
        treadle.ones(2, device="cuda")
