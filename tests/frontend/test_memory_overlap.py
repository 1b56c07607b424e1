"""Writes over memory that they read: what PyTorch refuses is refused, the rest reads first."""

from __future__ import annotations

from typing import Any

import pytest

from tests.frontend.agreement import check

pytestmark = pytest.mark.oracle


def square(torch: Any) -> Any:
    return torch.arange(9.0).reshape(3, 3).clone()


CALLS: dict[str, Any] = {
    "shifted": lambda t, q: q[1:].add_(q[:-1]),
    "shifted copy": lambda t, q: q[1:].copy_(q[:-1]),
    "shifted assignment": lambda t, q: q.__setitem__(slice(1, None), q[:-1]),
    "transposed": lambda t, q: q.add_(q.t()),
    "transposed copy": lambda t, q: q.copy_(q.t()),
    "one row": lambda t, q: q.add_(q[0]),
    "one element": lambda t, q: q.mul_(q[0, 0]),
    "itself": lambda t, q: q.add_(q),
    "another view of itself": lambda t, q: q.add_(q.view(9).view(3, 3)),
    "a broadcast view of itself": lambda t, q: q.mul_(q.expand(3, 3, 3)[0]),
    "other rows": lambda t, q: q[0].add_(q[1]),
    "other columns": lambda t, q: q[:, 0].add_(q[:, 1]),
    "filled with its own element": lambda t, q: q[:2].fill_(q[1, 1]),
    "masked fill with its own element": lambda t, q: q.masked_fill_(q > 3, q[1, 1]),
    "masked assignment of its own element": lambda t, q: q.__setitem__(q > 3, q[1, 1]),
    "scattered from itself": lambda t, q: q.scatter_(0, t.zeros(1, 3, dtype=t.int64), q[:1]),
    "slices of itself": lambda t, q: q.index_add_(0, t.tensor([0]), q[1:2]),
    "index_put of itself": lambda t, q: q.index_put_((t.tensor([0]),), q[1]),
    "indexed assignment of itself": lambda t, q: q.__setitem__([0, 1], q[1:]),
    "out transposed": lambda t, q: t.add(q, 1, out=q.t()),
    "out itself": lambda t, q: t.add(q, 1, out=q),
    "out of gather": lambda t, q: t.gather(q, 0, t.zeros(3, 3, dtype=t.int64), out=q),
    "expanded target": lambda t, q: q[:1].expand(4, 3).add_(1),
    "expanded copy": lambda t, q: q[:1].expand(4, 3).copy_(t.ones(3)),
    "expanded fill": lambda t, q: q[:1].expand(4, 3).fill_(2),
    "expanded zero": lambda t, q: q[:1].expand(4, 3).zero_(),
    "nothing": lambda t, q: q[:0].add_(q[0]),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("pending", [False, True], ids=["memory", "pending"])
def test_shared_memory_is_refused_where_pytorch_refuses_it(call: Any, pending: bool) -> None:
    def program(torch: Any) -> Any:
        q = square(torch) * 1 if pending else square(torch)
        call(torch, q)
        return q

    check(program)


def test_a_column_added_to_its_tensor_is_read_before() -> None:
    import treadle

    q = square(treadle)
    q.add_(q[:, :1])
    assert q.tolist() == [[0, 1, 2], [6, 7, 8], [12, 13, 14]]
