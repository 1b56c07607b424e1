"""Memory shared with NumPy is seen from both sides at once, in every order of reads and writes."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import treadle

SMALL, LARGE = 6, 30_000  # elements of float32: below and above the size of snapshots
sizes = pytest.mark.parametrize("size", [SMALL, LARGE])


def array_of(size: int) -> Any:
    return np.arange(size, dtype=np.float32)


@sizes
def test_a_tensor_sees_later_changes_of_its_array(size: int) -> None:
    array = array_of(size)
    x = treadle.from_numpy(array)
    array[0] = 7
    assert x[0].item() == 7
    array += 1
    assert x.sum().item() == pytest.approx(array.sum(dtype=np.float64), rel=1e-4)


@sizes
def test_an_operation_reads_the_array_as_it_is_then(size: int) -> None:
    array = array_of(size)
    x = treadle.from_numpy(array)
    y = x * 2
    array[:] = -1
    z = x * 2
    array[:] = 5
    np.testing.assert_array_equal(y.numpy(), np.arange(size) * 2)
    np.testing.assert_array_equal(z.numpy(), np.full(size, -2))


@sizes
def test_the_array_sees_changes_of_its_tensor(size: int) -> None:
    array = array_of(size)
    x = treadle.from_numpy(array)
    x.add_(1)
    assert array[0] == 1
    x[1:3] = 9
    assert list(array[:4]) == [1, 9, 9, 4]
    x[x > 8] = 0
    assert list(array[:4]) == [1, 0, 0, 4]


@sizes
def test_changes_alternate(size: int) -> None:
    array = np.zeros(size, np.float32)
    x = treadle.from_numpy(array)
    for turn in range(4):
        array += 1
        x *= 2
        expected = 2.0 ** (turn + 2) - 2
        assert array[0] == expected
        assert x[-1].item() == expected


@sizes
def test_an_exported_array_sees_later_changes_of_the_tensor(size: int) -> None:
    x = treadle.zeros(size)
    array = x.numpy()
    x.add_(2)
    assert array[0] == 2
    x[0] = 5
    assert array[0] == 5
    array[1] = 8
    assert x[1].item() == 8
    assert (x * 2)[1].item() == 16


@sizes
def test_an_operation_before_a_write_to_an_exported_array_reads_the_old_contents(size: int) -> None:
    x = treadle.ones(size)
    array = x.numpy()
    y = x + 1
    array[:] = 10
    z = x + 1
    assert y[0].item() == 2
    assert z[0].item() == 11


@sizes
def test_pending_work_is_computed_before_it_is_exported(size: int) -> None:
    x = treadle.ones(size)
    y = x * 3
    x.add_(1)
    array = y.numpy()
    x.add_(1)
    assert array[0] == 3
    assert x[0].item() == 3


def test_exporting_twice_gives_the_same_memory() -> None:
    x = treadle.zeros(4)
    first, second = x.numpy(), x.numpy()
    first[0] = 3
    assert second[0] == 3
    del first
    second[1] = 4
    assert x.tolist() == [3, 4, 0, 0]


def test_equal_results_do_not_share_exported_memory() -> None:
    base = treadle.ones(4)
    x, y = base + 1, base + 1
    copy = x.clone()
    x.numpy()[0] = 9
    assert y.tolist() == [2, 2, 2, 2]
    assert copy.tolist() == [2, 2, 2, 2]


def test_an_exported_view_shares_memory_with_the_base() -> None:
    x = treadle.zeros(3, 4)
    column = x[:, 1].numpy()
    assert column.strides == (16,)
    column[:] = 5
    assert x.tolist() == [[0, 5, 0, 0]] * 3
    x[0] = 7
    assert column.tolist() == [7, 5, 5]
    transposed = x.t().numpy()
    assert transposed.shape == (4, 3)
    transposed[0, 2] = -1
    assert x[2, 0].item() == -1


VIEWS: dict[str, Callable[[Any], Any]] = {
    "transposed": lambda a: a.T,
    "columns": lambda a: a[:, 1:3],
    "every second": lambda a: a[:, ::2],
    "row": lambda a: a[1],
    "column": lambda a: a[:, 2],
    "reshaped": lambda a: a.reshape(2, 6),
    "broadcast": lambda a: np.broadcast_to(a[0], (2, 4)),
    "number": lambda a: a[1, 1:2].reshape(()),
    "empty": lambda a: a[:0],
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_views_of_arrays_keep_their_layout_and_memory(view: Callable[[Any], Any]) -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    part = view(array)
    x = treadle.from_numpy(part)
    assert tuple(x.shape) == part.shape
    np.testing.assert_array_equal(x.numpy(), part)
    array += 1
    np.testing.assert_array_equal(x.numpy(), part)
    np.testing.assert_array_equal((x * 2).numpy(), part * 2)
    if part.flags.writeable:
        x.mul_(3)
        np.testing.assert_array_equal(x.numpy(), part)


def test_two_tensors_over_one_array_see_each_other() -> None:
    array = array_of(SMALL)
    x, y = treadle.from_numpy(array), treadle.from_numpy(array[2:])
    x.zero_()
    assert y.tolist() == [0] * 4
    y.add_(1)
    assert x.tolist() == [0, 0, 1, 1, 1, 1]


@sizes
def test_a_tensor_outlives_its_array(size: int) -> None:
    array = array_of(size)
    x = treadle.from_numpy(array)
    del array
    gc.collect()
    x.add_(1)
    assert x[1].item() == 2
    y = x * 2
    x.zero_()
    assert y[1].item() == 4


@sizes
def test_an_array_outlives_its_tensor(size: int) -> None:
    x = treadle.ones(size) * 2
    array = x.numpy()
    del x
    gc.collect()
    for _ in range(3):
        (treadle.ones(size) * 7).sum().item()
    assert array[0] == 2
    assert array[-1] == 2


def test_dropping_tensor_and_array_frees_the_array() -> None:
    array = np.zeros(SMALL, np.float32)
    reference = weakref.ref(array)
    x = treadle.from_numpy(array)
    x.add_(1).sum().item()
    del array, x
    treadle.synchronize()
    treadle.ones(1).item()
    gc.collect()
    assert reference() is None


def test_views_of_exposed_tensors_read_current_memory() -> None:
    array = array_of(SMALL)
    x = treadle.from_numpy(array)
    part = x[2:4]
    array[2] = 50
    assert part.tolist() == [50, 3]
    part.add_(1)
    assert list(array[2:4]) == [51, 4]


@sizes
def test_gradients_through_exposed_memory(size: int) -> None:
    array = array_of(size)
    x = treadle.from_numpy(array).requires_grad_()
    y = (x * x).sum()
    y.backward()
    array[:] = 9
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), np.arange(size) * 2)


def test_a_tensor_that_requires_gradients_is_not_exported() -> None:
    x = treadle.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"Use tensor.detach\(\).numpy\(\)"):
        x.numpy()
    with pytest.raises(RuntimeError, match=r"Use tensor.detach\(\).numpy\(\)"):
        x[0].numpy()
    assert x.detach().numpy().tolist() == [1, 1]


def test_tensor_copies_and_as_tensor_shares() -> None:
    array = array_of(SMALL)
    copied, shared = treadle.tensor(array), treadle.as_tensor(array)
    array[0] = 4
    assert copied[0].item() == 0
    assert shared[0].item() == 4
    assert treadle.as_tensor(shared) is shared


def test_arrays_that_no_tensor_can_be_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        treadle.from_numpy(array_of(SMALL)[::-1])
    with pytest.raises(TypeError, match=r"can't convert np\.ndarray of type"):
        treadle.from_numpy(np.array(["a"]))
    with pytest.raises(TypeError, match=r"expected np.ndarray \(got list\)"):
        treadle.from_numpy([1.0])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
)
def test_every_dtype_is_shared(dtype: str) -> None:
    array = np.ones(3, dtype)
    x = treadle.from_numpy(array)
    assert str(x.dtype) == f"torch.{dtype}"
    x.zero_()
    assert not array.any()


def test_numpy_functions_take_tensors() -> None:
    x = treadle.tensor([1.0, 4.0])
    np.testing.assert_array_equal(np.sqrt(x), [1, 2])
    np.testing.assert_array_equal(np.asarray(x, dtype=np.float64), [1, 4])
    assert np.asarray(x).dtype == np.float32


def test_a_loop_over_exposed_parameters_computes_at_once_and_stays_right() -> None:
    weights = np.ones(LARGE, np.float32)
    w = treadle.from_numpy(weights).requires_grad_()
    for _ in range(3):
        (w * w).sum().backward()
        with treadle.no_grad():
            w -= 0.25 * w.grad
            w.grad.zero_()
    np.testing.assert_allclose(weights, 0.125)
